"""What a kernel for some values would compute and iterate over."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from graphc.dims import Shape
from graphc.node import Node
from graphc.op import Elementwise
from graphc.ops.assembly import Pad
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.ops.indexing import Gather
from graphc.ops.leaves import Leaf
from graphc.ops.movement import BroadcastInDim, Reshape, Reverse, Slice, Transpose
from graphc.ops.reduction import Reduce
from graphc.ops.sampling import Random
from graphc.ops.winograd import WinogradConvolution
from graphc.scalar import CountedScalars

__all__ = [
    "MAPPED",
    "PRODUCTS",
    "Space",
    "by_channels",
    "cone",
    "index_space",
    "is_fold",
    "is_mapped",
    "operation_count",
]

MAPPED = (Elementwise, Random, Gather, BroadcastInDim, Reshape, Reverse, Slice, Transpose)
"""Ops whose elements can be computed one by one, anywhere."""

_WIDE = 8
"""Elements of the innermost axis from which lanes are used well enough."""


def is_mapped(node: Node) -> bool:
    """True if a node's elements can be computed one by one, anywhere, without much ado.

    A padding counts if it leaves the innermost axis alone and that is long: lanes then read neighbours.
    """
    if not isinstance(node.op, Pad):
        return isinstance(node.op, MAPPED)
    if not node.type.rank or node.op.low[-1] or node.op.high[-1] or node.op.interior[-1]:
        return False
    inner, operand = node.type.shape[-1], node.inputs[0].type
    return isinstance(inner, int) and inner >= _WIDE and operand.elements != 0


PRODUCTS = (DotGeneral, ConvGeneral, WinogradConvolution)
"""Ops whose elements are sums of products, computed by contractions."""


def by_channels(node: Node) -> bool:
    """True for a convolution that keeps channels apart and has them side by side in memory, so that lanes can run over
    them: groups of one feature each, or the gradients of such a convolution."""
    op = node.op
    if not isinstance(op, ConvGeneral) or not op.grouped:
        return False
    left, right = (source.type.shape for source in node.inputs)
    if right[op.rhs[1]] != 1 or 1 not in (left[op.lhs[0]], left[op.lhs[1]]) or right[op.rhs[-1]] == 1:
        return False
    places = ((left, op.lhs), (right, op.rhs), (node.type.shape, op.out))
    return all(size == 1 for shape, roles in places for size in shape[roles[-1] + 1 :])


Space = tuple[Shape, tuple[int, ...]]
"""What a kernel iterates over: a shape, and the axes of it that are reduced."""


def is_fold(node: Node) -> bool:
    """True for a reduction over at least one axis."""
    return isinstance(node.op, Reduce) and bool(node.op.axes)


def operation_count(node: Node) -> int:
    """Floating-point operations for one element of an elementwise node; 0 for others."""
    counter = CountedScalars()
    if isinstance(node.op, Elementwise):
        node.op.body(counter, *(source.type.dtype for source in node.inputs))
    return counter.flops


def cone(roots: Iterable[Node], stored: Collection[Node]) -> list[Node]:
    """The nodes that a kernel computes for its roots: the roots, and all between them and stored nodes and leaves."""
    found: dict[Node, None] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(source for source in node.inputs if source not in stored and not isinstance(source.op, Leaf))
    return list(found)


def index_space(root: Node, stored: Collection[Node]) -> Space | None:
    """What a root's kernel iterates over if it is a map or a fold; None for other kinds."""
    for node in cone([root], stored):
        if is_fold(node) and isinstance(node.op, Reduce):
            return node.inputs[0].type.shape, node.op.axes
    return (root.type.shape, ()) if isinstance(root.op, (*MAPPED, Reduce)) else None
