"""Bodies of loops and choices are graphs too: the passes run on each of them, and what no round changes moves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from graphc.graph import Graph, rebuild, toposort
from graphc.node import Node, apply
from graphc.ops.cond import Cond
from graphc.ops.leaves import Input, Leaf
from graphc.ops.movement import BroadcastInDim, Reshape
from graphc.ops.scan import Body, Scan

__all__ = ["OptimiseBodies"]

_FREE = (BroadcastInDim, Reshape)
"""Ops that cost nothing where they are."""


@dataclass(frozen=True)
class OptimiseBodies:
    """Run passes on the bodies of all loops and choices; compute before a loop what is the same in all its rounds."""

    optimise: Callable[[Graph], Graph]
    description: str = "run the passes on bodies of loops, move out what no round changes"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with new bodies."""
        known: dict[tuple[Body, tuple[Node, ...]], tuple[Body, tuple[Node, ...]]] = {}

        def change(node: Node) -> Node:
            op = node.op
            if isinstance(op, Cond):
                sides = (self._optimised(body) for body in (op.on_true, op.on_false))
                return apply(replace(op, on_true=next(sides), on_false=next(sides)), *node.inputs)
            if not isinstance(op, Scan):
                return node
            key = op.body, node.inputs
            if key not in known:
                known[key] = _moved_out(self._optimised(op.body), op.carries + op.sequences, node.inputs)
            body, operands = known[key]
            return apply(replace(op, body=body), *operands)

        return graph.map(rebuild(graph.nodes, change))

    def _optimised(self, body: Body) -> Body:
        ends = enumerate((*body.results, *body.saved))
        graph = self.optimise(Graph.of({f"r{number}": result for number, result in ends}))
        found = [result for _, result in graph.outputs]
        count = len(body.results)
        return Body(body.parameters, tuple(found[:count]), tuple(found[count:]))


def _moved_out(body: Body, changing: int, operands: Sequence[Node]) -> tuple[Body, tuple[Node, ...]]:
    """A body without what depends on constants alone, and the operands with its values. changing: parameters that
    change from round to round; constants follow."""
    outside = dict(zip(body.parameters[changing:], operands[changing:], strict=True))
    ends = (*body.results, *body.saved)
    order = toposort(ends)
    for node in order:
        if node.inputs and all(source in outside or _is_number(source) for source in node.inputs):
            inputs = [outside.get(source, source) for source in node.inputs]
            outside[node] = apply(node.op, *inputs)
    readers = [source for node in order if node not in outside for source in node.inputs]
    wanted = dict.fromkeys(moved for source in (*readers, *ends) for moved in _worth_moving(source, outside))
    new: dict[Node, Node] = {}
    for number, node in enumerate(wanted, len(body.parameters)):
        new[node] = apply(Input(f"p{number}", node.type))
    inside = rebuild(order, lambda node: node, dict(new))
    results, saved = (tuple(inside[node] for node in nodes) for nodes in (body.results, body.saved))
    return Body((*body.parameters, *new.values()), results, saved), (*operands, *(outside[node] for node in wanted))


def _is_number(node: Node) -> bool:
    return isinstance(node.op, Leaf) and not isinstance(node.op, Input)


def _worth_moving(node: Node, outside: dict[Node, Node]) -> list[Node]:
    """The nodes to be computed before the loop for a node that is the same in all rounds."""
    if node not in outside or not node.inputs:
        return []
    if isinstance(node.op, _FREE):
        return _worth_moving(node.inputs[0], outside)
    return [node]
