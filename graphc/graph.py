"""Graphs: named outputs and state updates over shared nodes.

graph = outputs {name: node} + updates {state: new value}      a pure function (state, inputs) -> (new state, outputs)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from graphc.dims import symbols_of
from graphc.node import Node, apply
from graphc.ops.leaves import Input, State
from graphc.origin import derived_from

__all__ = ["Graph", "ancestors", "rebuild", "toposort", "users"]


def toposort(roots: Iterable[Node], since: int = 0) -> list[Node]:
    """All nodes that the roots depend on, each after its inputs; the order depends on the graph alone.

    since: nodes born before are left out, with all that they depend on.
    """
    done: set[Node] = set()
    order: list[Node] = []
    for root in roots:
        stack: list[tuple[Node, int]] = [(root, 0)]
        while stack:
            node, position = stack.pop()
            if node in done or node.born < since:
                continue
            if position < len(node.inputs):
                stack.append((node, position + 1))
                if node.inputs[position] not in done:
                    stack.append((node.inputs[position], 0))
                continue
            done.add(node)
            order.append(node)
    return order


def users(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node of an order, the nodes that take it as an input, once each, in that order."""
    readers: dict[Node, list[Node]] = {}
    for node in order:
        readers.setdefault(node, [])
        for source in dict.fromkeys(node.inputs):
            readers.setdefault(source, []).append(node)
    return readers


def ancestors(roots: Iterable[Node]) -> set[Node]:
    """The roots and all nodes they depend on."""
    return set(toposort(roots))


@dataclass(frozen=True)
class Graph:
    """A pure function from inputs and states to outputs and new states.

    outputs: pairs (name, node). updates: pairs (state, node of the new value). name: what pictures and dumps are
    titled. arguments: inputs that are fed even if nothing is computed from them, for the sizes that they bring.
    """

    outputs: tuple[tuple[str, Node], ...]
    updates: tuple[tuple[Node, Node], ...] = ()
    name: str = "graph"
    arguments: tuple[Node, ...] = ()

    @staticmethod
    def of(outputs: Mapping[str, Node], updates: Mapping[Node, Node] | None = None, name: str = "graph") -> Graph:
        """A graph from dictionaries."""
        return Graph(tuple(outputs.items()), tuple((updates or {}).items()), name)

    @property
    def roots(self) -> tuple[Node, ...]:
        """The nodes that the graph exists for: outputs, updated states and their new values, arguments."""
        updated = (node for pair in self.updates for node in pair)
        return (*(node for _, node in self.outputs), *updated, *self.arguments)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, each after its inputs."""
        return tuple(toposort(self.roots))

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes, in the order of their first use."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @cached_property
    def states(self) -> tuple[Node, ...]:
        """The state nodes, in the order of their first use."""
        return tuple(node for node in self.nodes if isinstance(node.op, State))

    @property
    def sizes(self) -> tuple[str, ...]:
        """The named sizes that the inputs bring, sorted."""
        return symbols_of(size for node in self.inputs for size in node.type.shape)

    def output(self, name: str) -> Node:
        """The node of a named output."""
        return dict(self.outputs)[name]

    def map(self, replace: Mapping[Node, Node]) -> Graph:
        """The graph with nodes replaced; states that are updated stay themselves."""
        return Graph(
            tuple((name, replace.get(node, node)) for name, node in self.outputs),
            tuple((replace.get(state, state), replace.get(node, node)) for state, node in self.updates),
            self.name,
            tuple(replace.get(node, node) for node in self.arguments),
        )


def rebuild(
    order: Iterable[Node], change: Callable[[Node], Node], replace: dict[Node, Node] | None = None
) -> dict[Node, Node]:
    """Walk nodes in order, put new inputs in place, and pass each through ``change``; returns old node -> new node.

    A node with new inputs keeps its origin.
    """
    replace = {} if replace is None else replace
    for node in order:
        if node in replace:
            continue
        inputs = tuple(replace[source] for source in node.inputs)
        with derived_from(node.origin):
            same = node if inputs == node.inputs else apply(node.op, *inputs)
            replace[node] = change(same)
    return replace
