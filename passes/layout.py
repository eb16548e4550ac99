"""Layout: operands of contractions and convolutions are put in memory as the kernels read them well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from graphc.dims import Shape, multiply
from graphc.graph import Graph, rebuild
from graphc.literal import Literal
from graphc.node import Node, apply
from graphc.ops.assembly import Pad
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.ops.leaves import Constant
from graphc.ops.movement import Reshape, Slice, Transpose
from graphc.passes.spaces import by_channels
from graphc.passes.terms import contiguous_strides

__all__ = ["LayOut"]


@dataclass(frozen=True)
class LayOut:
    """Transpose operands of contractions where the kernels need it.

    Batch, free and contracted axes must each be one run of memory. If kernels read the right operand in vectors, its
    last axis must be a free one; the left operand is read number by number, in either order. A convolution's zeros are
    written into memory once, so that its kernel need not ask where it is; without vectors, only those between elements.
    """

    vectors: bool = True
    description: str = "transpose and pad operands of contractions where kernels need it"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with transpositions added."""
        return graph.map(rebuild(graph.nodes, self._arrange))

    def _arrange(self, node: Node) -> Node:
        if isinstance(node.op, ConvGeneral):
            return _arrange_convolution(node, node.op, self.vectors)
        if not isinstance(node.op, DotGeneral):
            return node
        op, (left, right) = node.op, node.inputs
        lhs_free, rhs_free = op.free_axes(left.type.rank, right.type.rank)
        groups = (op.lhs_batch, lhs_free, op.lhs_contract)
        if not all(_one_run(left.type.shape, axes) for axes in groups):
            left = apply(Transpose((*op.lhs_batch, *lhs_free, *op.lhs_contract)), left)
            batch, free, count = len(op.lhs_batch), len(lhs_free), left.type.rank
            op = replace(op, lhs_batch=tuple(range(batch)), lhs_contract=tuple(range(batch + free, count)))
        groups = (op.rhs_batch, rhs_free, op.rhs_contract)
        runs = all(_one_run(right.type.shape, axes) for axes in groups)
        if not runs or (self.vectors and not _vectors(right.type.shape, rhs_free)):
            right = apply(Transpose((*op.rhs_batch, *op.rhs_contract, *rhs_free)), right)
            batch, contract = len(op.rhs_batch), len(op.rhs_contract)
            op = replace(op, rhs_batch=tuple(range(batch)), rhs_contract=tuple(range(batch, batch + contract)))
        return node if op == node.op and (left, right) == node.inputs else apply(op, left, right)


def _arrange_convolution(node: Node, op: ConvGeneral, zeros: bool) -> Node:
    """zeros: whether those around the left operand are written into memory."""
    left, right = node.inputs
    rank, n, apart = left.type.rank, op.spatial, by_channels(node)
    if apart:
        left, op = _channels_last(left, op)
    low, high, between, start, stop = ([0] * rank for _ in range(5))
    for axis, before, after, dilation in zip(op.lhs[2:], op.low, op.high, op.lhs_dilation, strict=False):
        low[axis], high[axis], between[axis] = max(before, 0), max(after, 0), dilation - 1
        start[axis], stop[axis] = max(-before, 0), max(-after, 0)
    nothing, once = (0,) * n, (1,) * n
    around = (nothing, nothing)
    if not zeros and not apart and not any(between) and all(isinstance(left.type.shape[a], int) for a in op.lhs[2:]):
        around = tuple(low[axis] for axis in op.lhs[2 : 2 + n]), tuple(high[axis] for axis in op.lhs[2 : 2 + n])
    elif any(low) or any(high) or any(between):
        zero = apply(Constant(Literal.of(0.0, left.type.dtype)))
        left = apply(Pad(tuple(low), tuple(high), tuple(between)), left, zero)
    if any(start) or any(stop):
        ends = list(left.type.shape)
        for axis, size in enumerate(ends):
            if isinstance(size, int):  # more may be cut off than there is
                start[axis] = min(start[axis], size)
                ends[axis] = max(start[axis], size - stop[axis])
        left = apply(Slice(tuple(start), tuple(ends), (1,) * rank), left)
    group = op.rhs[-1] if op.grouped else 0  # first, or beside the features: depths then lie in equal steps
    depths = [axis for axis in range(rank) if axis not in (op.rhs[1], *op.rhs[2 + n :])]
    order = (*([0] if op.grouped and group == 0 else []), *depths, *([group] if group else []), op.rhs[1])
    if order != tuple(range(rank)) and not apart:
        right = apply(Transpose(order), right)
        op = replace(op, rhs=tuple(order.index(axis) for axis in op.rhs))
    op = replace(op, low=around[0], high=around[1], lhs_dilation=once)
    if op.out[1] == rank - 1 or apart:
        return node if op == node.op and (left, right) == node.inputs else apply(op, left, right)
    order = (*(axis for axis in range(rank) if axis != op.out[1]), op.out[1])
    result = apply(replace(op, out=tuple(order.index(axis) for axis in op.out)), left, right)
    return apply(Transpose(tuple(order.index(axis) for axis in range(rank))), result)


def _channels_last(left: Node, op: ConvGeneral) -> tuple[Node, ConvGeneral]:
    """The left operand of a convolution with its axis of channels behind those of size 1, in the same memory."""
    channels = op.lhs[-1]
    order = [axis for axis in range(left.type.rank) if axis != channels] + [channels]
    if order[channels] == channels:
        return left, op
    shape = tuple(left.type.shape[axis] for axis in order)
    return apply(Reshape(shape), left), replace(op, lhs=tuple(order.index(axis) for axis in op.lhs))


def _one_run(shape: Shape, axes: Sequence[int]) -> bool:
    """True if memory holds the axes, in this order, as one."""
    strides = contiguous_strides(shape)
    left = [axis for axis in axes if shape[axis] != 1]
    return all(strides[a] == multiply(strides[b], shape[b]) for a, b in pairwise(left))


def _vectors(shape: Shape, free: Sequence[int]) -> bool:
    """True if neighbouring elements of the free axes are neighbours in memory."""
    left = [axis for axis in free if shape[axis] != 1]
    return not left or contiguous_strides(shape)[left[-1]] == 1
