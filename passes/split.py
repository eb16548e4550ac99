"""Splitting reductions: long ones become two short ones, so that threads can share them and lanes are full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from graphc.dims import Shape, product
from graphc.graph import Graph, rebuild
from graphc.node import Node, apply
from graphc.op import Elementwise
from graphc.ops.contraction import DotGeneral
from graphc.ops.leaves import Leaf
from graphc.ops.movement import BroadcastInDim, Reshape
from graphc.ops.reduction import Reduce
from graphc.passes.spaces import PRODUCTS, cone, operation_count

__all__ = ["SplitReductions"]

_CHEAP = 8
"""Operations on an element that may be computed twice."""


@dataclass(frozen=True)
class SplitReductions:
    """Reduce in two steps where one would keep all threads but one waiting.

    Sums over images or pixels, one for each channel: first within each image, then over images. Sums over a whole
    parameter: first along rows of a few thousand elements, then over the rows. The choice depends on shapes alone, so
    it never changes from run to run.

    long: the fewest elements that are reduced in two steps. narrow: the fewest columns that threads share well as they
    are. row: the most elements of a row.
    """

    long: int = 1 << 14
    narrow: int = 256
    row: int = 2048
    description: str = "reduce in two steps what threads could not share"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with reductions split."""
        dear = [
            node.inputs[0]
            for node in graph.nodes
            if isinstance(node.op, Reduce) and len(node.op.axes) == node.inputs[0].type.rank and _dear(node.inputs[0])
        ]
        rows = {node.type.shape: self._rows(node) for node in dear if _all_in_one_row(graph, node.type.shape)}
        return graph.map(rebuild(graph.nodes, lambda node: self._split(node, rows)))

    def _split(self, node: Node, rows: Mapping[Shape, Shape]) -> Node:
        op = node.op
        if isinstance(op, Elementwise) and rows.get(node.type.shape):
            return apply(Reshape(node.type.shape), apply(op, *(_in_rows(x, rows[x.type.shape]) for x in node.inputs)))
        if not isinstance(op, Reduce) or not op.axes:
            return node
        (operand,) = node.inputs
        if len(op.axes) == operand.type.rank:
            return self._of_everything(op, node, operand, rows)
        return self._of_columns(op, node, operand)

    def _of_columns(self, op: Reduce, node: Node, operand: Node) -> Node:
        shape = operand.type.shape
        wide = [axis for axis, size in enumerate(shape) if size != 1]
        columns = product(shape[axis] for axis in wide if axis not in op.axes)
        several = len([axis for axis in wide if axis in op.axes]) > 1
        if not several or wide[0] not in op.axes or not isinstance(columns, int) or columns >= self.narrow:
            return node
        if _likely(shape) < self.long:
            return node
        first = wide[0]
        within = apply(replace(op, axes=tuple(axis for axis in op.axes if axis != first)), operand)
        return apply(replace(op, axes=(sum(axis not in op.axes for axis in range(first)),)), within)

    def _of_everything(self, op: Reduce, node: Node, operand: Node, rows: Mapping[Shape, Shape]) -> Node:
        shape = rows.get(operand.type.shape, self._rows(operand))
        if not shape or (operand.type.shape not in rows and _dear(operand)):
            return node
        flat = _in_rows(operand, shape) if operand.type.shape in rows else _reshaped(operand, shape, {})
        if flat is None:
            return node
        along = apply(replace(op, axes=(flat.type.rank - 1,)), flat)
        return apply(replace(op, axes=(0,)), along) if flat.type.rank > 1 else along

    def _rows(self, operand: Node) -> Shape:
        """The shape of an operand as rows of its memory, one row if it has no divisors; () if it stays as it is."""
        count = operand.type.elements
        if not isinstance(count, int) or count < self.long:
            return ()
        row = next((row for row in range(self.row, 127, -16) if count % row == 0), count)
        shape = (count // row, row) if row < count else (count,)
        return shape if shape != operand.type.shape else ()


def _dear(node: Node) -> bool:
    """True if computing a node's elements a second time, under another shape, would cost more than it gains."""
    return sum(map(operation_count, cone([node], ()))) > _CHEAP


def _all_in_one_row(graph: Graph, shape: Shape) -> bool:
    """True if all elementwise work on a shape can run in the order of memory."""
    sources = (x for node in graph.nodes if isinstance(node.op, Elementwise) for x in node.inputs)
    return all(
        isinstance(source.op, (Elementwise, Leaf, *PRODUCTS))
        or (isinstance(source.op, BroadcastInDim) and not source.inputs[0].type.rank)
        for source in sources
        if source.type.shape == shape
    )


def _in_rows(node: Node, shape: Shape) -> Node:
    """A node under another shape."""
    if isinstance(node.op, BroadcastInDim) and not node.inputs[0].type.rank:
        return apply(BroadcastInDim(shape, ()), node.inputs[0])
    if isinstance(node.op, Reshape) and node.inputs[0].type.shape == shape:
        return node.inputs[0]
    return apply(Reshape(shape), node)


def _likely(shape: Shape) -> int:
    """How many elements there are if sizes known only at run time are small."""
    return prod(size if isinstance(size, int) else 4 for size in shape)


def _reshaped(node: Node, shape: Shape, known: dict[Node, Node | None]) -> Node | None:
    """The same elements under another shape, as the same work on leaves and products under that shape; None if
    elements would have to be moved."""
    if node in known:
        return known[node]
    result: Node | None = None
    if isinstance(node.op, BroadcastInDim) and not node.inputs[0].type.rank:
        result = apply(BroadcastInDim(shape, ()), node.inputs[0])
    elif isinstance(node.op, (Leaf, DotGeneral)):
        result = apply(Reshape(shape), node)
    elif isinstance(node.op, Elementwise):
        inputs = [_reshaped(source, shape, known) for source in node.inputs]
        if None not in inputs:
            result = apply(node.op, *(source for source in inputs if source is not None))
    known[node] = result
    return result
