"""Rewriting: rules that are equations, a matcher, and two drivers.

A rule holds its equation as a function that builds both sides from values of its variables. Its left side, built once
from example values, is the skeleton that a candidate must resemble; a candidate that does is then compared with the
left side built from what the variables would stand for. So the equation itself decides, shapes, axes and all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from graphc.errors import VerificationError
from graphc.graph import Graph, rebuild
from graphc.literal import number_text
from graphc.node import Node
from graphc.op import Draw, Elementwise
from graphc.ops.leaves import Constant, Input
from graphc.ops.movement import BroadcastInDim

__all__ = ["Attribute", "Firing", "Rewriting", "Rule", "rewrite_once", "rewrite_to_fixpoint", "splat_value"]

Bindings = dict[str, object]


def splat_value(node: Node) -> float | None:
    """The number that all elements of a constant node have, seen through broadcasts; None for other nodes."""
    while isinstance(node.op, BroadcastInDim):
        (node,) = node.inputs
    return node.op.value.splat if isinstance(node.op, Constant) else None


@dataclass(frozen=True)
class Attribute:
    """Where a variable that is no value comes from: a field of the op at a path of input numbers from the root."""

    path: tuple[int, ...]
    field: str


@dataclass(frozen=True)
class Rule:
    """A named equation.

    name: the equation as people write it. build: both sides from named variables, nodes for values. values: the value
    variables with example draws. attributes: the other variables. examples: their example values. guard: a further
    condition on the variables.
    """

    name: str
    build: Callable[[Mapping[str, object]], tuple[Node, Node]]
    values: Mapping[str, Draw]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    examples: Mapping[str, object] = field(default_factory=dict)
    guard: Callable[[Mapping[str, object]], bool] = lambda _: True

    @cached_property
    def example(self) -> tuple[Node, Node]:
        """Both sides, built from inputs named after the variables."""
        from graphc.node import apply

        leaves = {name: apply(Input(name, drawn.type)) for name, drawn in self.values.items()}
        return self.build({**leaves, **self.examples})

    def match(self, node: Node, opaque: frozenset[Node] = frozenset()) -> Node | None:
        """The right side for a node that is an instance of the left side, else None.

        opaque: nodes that must survive, so no rule may look through them.
        """
        left = self.example[0]
        found = _resemble(left, node, {}, opaque, root=True)
        if found is None:
            return None
        bindings: Bindings = {**found}
        for name, attribute in self.attributes.items():
            place = node
            for number in attribute.path:
                place = place.inputs[number]
            bindings[name] = getattr(place.op, attribute.field)
        if not self.guard(bindings):
            return None
        rebuilt, right = self.build(bindings)
        leaves = {value for value in bindings.values() if isinstance(value, Node)}
        if not _same(rebuilt, node, leaves) or right.type != node.type:
            return None
        return right


def _resemble(
    pattern: Node, node: Node, found: dict[str, Node], opaque: frozenset[Node], root: bool = False
) -> dict[str, Node] | None:
    """What the pattern's variables stand for if the node has its shape of ops, else None."""
    if isinstance(pattern.op, Input):
        known = found.get(pattern.op.label)
        if known is None:
            return {**found, pattern.op.label: node}
        return found if known is node else None
    number = splat_value(pattern)
    if number is not None:
        other = splat_value(node)
        return found if other is not None and number_text(other) == number_text(number) else None
    if (
        type(pattern.op) is not type(node.op)
        or len(pattern.inputs) != len(node.inputs)
        or (node in opaque and not root)
    ):
        return None
    orders = [node.inputs]
    if isinstance(node.op, Elementwise) and node.op.commutes:
        orders.append(node.inputs[::-1])
    for order in orders:
        attempt: dict[str, Node] | None = found
        for inner, candidate in zip(pattern.inputs, order, strict=True):
            attempt = _resemble(inner, candidate, attempt, opaque) if attempt is not None else None
        if attempt is not None:
            return attempt
    return None


def _same(left: Node, right: Node, leaves: set[Node]) -> bool:
    """Equality up to the order of commuting operands, down to the leaves."""
    if left is right:
        return True
    if left in leaves or left.op != right.op or len(left.inputs) != len(right.inputs):
        return False
    orders = [right.inputs]
    if isinstance(left.op, Elementwise) and left.op.commutes:
        orders.append(right.inputs[::-1])
    return any(all(_same(a, b, leaves) for a, b in zip(left.inputs, order, strict=True)) for order in orders)


@dataclass(frozen=True)
class Firing:
    """One application of a rule: its name, the node it replaced, and what came instead."""

    rule: str
    before: Node
    after: Node

    def __str__(self) -> str:
        where = self.before.origin.location
        return f"{self.rule}" + (f"    at {where}" if where else "")


@dataclass
class Rewriting:
    """The outcome of a driver: the graph, where each old node went, and what fired."""

    graph: Graph
    replaced: dict[Node, Node]
    firings: list[Firing]

    @property
    def counts(self) -> Counter[str]:
        """How often each rule fired."""
        return Counter(firing.rule for firing in self.firings)


def rewrite_once(graph: Graph, rules: Iterable[Rule], opaque: frozenset[Node] = frozenset()) -> Rewriting:
    """Walk the graph once, inputs first; at each node the first rule that matches fires."""
    by_op: dict[type, list[Rule]] = {}
    for rule in rules:
        by_op.setdefault(type(rule.example[0].op), []).append(rule)
    firings: list[Firing] = []

    def change(node: Node) -> Node:
        for rule in by_op.get(type(node.op), ()):
            after = rule.match(node, opaque)
            if after is not None and after is not node:
                firings.append(Firing(rule.name, node, after))
                return after
        return node

    replaced = rebuild(graph.nodes, change)
    return Rewriting(graph.map(replaced), replaced, firings)


_ROUNDS = 200


def rewrite_to_fixpoint(graph: Graph, rules: Iterable[Rule], opaque: frozenset[Node] = frozenset()) -> Rewriting:
    """Walk until nothing fires.

    Raises VerificationError naming the rules if they undo each other.
    """
    rules = tuple(rules)
    total = Rewriting(graph, {node: node for node in graph.nodes}, [])
    fired_before = {graph.roots: 0}
    for _ in range(_ROUNDS):
        step = rewrite_once(total.graph, rules, opaque)
        if not step.firings:
            return total
        replaced = {old: step.replaced.get(new, new) for old, new in total.replaced.items()}
        opaque = frozenset(step.replaced.get(node, node) for node in opaque)
        total = Rewriting(step.graph, replaced, [*total.firings, *step.firings])
        if step.graph.roots in fired_before:
            break
        fired_before[step.graph.roots] = len(total.firings)
    cycle = total.firings[fired_before.get(step.graph.roots, 0) :]
    names = ", ".join(sorted({firing.rule for firing in cycle}))
    raise VerificationError("rewriting does not end", facts=[("rules", names)])
