"""Phases: a convolution over an operand with zeros between its elements, without multiplying by the zeros."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphc.graph import Graph, rebuild
from graphc.literal import Literal
from graphc.node import Node, apply
from graphc.ops.assembly import Concatenate
from graphc.ops.convolution import ConvGeneral
from graphc.ops.leaves import Constant
from graphc.ops.movement import BroadcastInDim, Reshape, Slice
from graphc.passes.spaces import by_channels

__all__ = ["SplitPhases"]


@dataclass(frozen=True)
class SplitPhases:
    """Compute the input gradient of a strided convolution, and transposed convolutions, phase by phase.

    Where the left operand has d - 1 zeros between its elements, an element of the result meets every d-th element of
    the kernel only. All positions with the same remainder by d meet the same ones, so they are a convolution of their
    own, with a d-th of the kernel and no zeros (Dumoulin & Visin 2016, "A guide to convolution arithmetic").
    """

    description: str = "compute convolutions over inserted zeros phase by phase"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with such convolutions split."""
        return graph.map(rebuild(graph.nodes, _split))


def _split(node: Node) -> Node:
    if not isinstance(node.op, ConvGeneral) or by_channels(node):
        return node
    return _along(node.op, *node.inputs)


def _along(op: ConvGeneral, left: Node, right: Node) -> Node:
    """A convolution, split along its first axis that can be split, then along the next."""
    whole = apply(op, left, right)
    axis = next((axis for axis in range(op.spatial) if _has_phases(op, axis, whole)), None)
    if axis is None:
        return whole
    step, place = op.lhs_dilation[axis], op.out[2 + axis]
    size = whole.type.shape[place]
    assert isinstance(size, int)
    parts = [_phase(op, axis, phase, size // step, left, right) for phase in range(step)]
    shape = parts[0].type.shape
    parts = [apply(Reshape((*shape[: place + 1], 1, *shape[place + 1 :])), part) for part in parts]
    return apply(Reshape(whole.type.shape), apply(Concatenate(place + 1), *parts))


def _has_phases(op: ConvGeneral, axis: int, whole: Node) -> bool:
    """True if an axis has inserted zeros, and the result whole periods of them."""
    step, size = op.lhs_dilation[axis], whole.type.shape[op.out[2 + axis]]
    plain = op.strides[axis] == 1 and op.rhs_dilation[axis] == 1
    return step > 1 and plain and isinstance(size, int) and size > 0 and size % step == 0


def _phase(op: ConvGeneral, axis: int, phase: int, count: int, left: Node, right: Node) -> Node:
    """The positions of the result that leave a remainder along an axis; there are ``count`` of them."""
    step, place = op.lhs_dilation[axis], op.rhs[2 + axis]
    kernel, size = right.type.shape[place], left.type.shape[op.lhs[2 + axis]]
    assert isinstance(kernel, int)
    assert isinstance(size, int)
    first = (op.low[axis] - phase) % step
    if first >= kernel:  # this phase meets zeros only
        shape = list(apply(op, left, right).type.shape)
        shape[op.out[2 + axis]] = count
        return apply(BroadcastInDim(tuple(shape), ()), apply(Constant(Literal.of(0.0, left.type.dtype))))
    start, stop, by = [0] * right.type.rank, list(right.type.shape), [1] * right.type.rank
    start[place], by[place] = first, step
    part = apply(Slice(tuple(start), tuple(stop), tuple(by)), right)
    low = (op.low[axis] - phase - first) // step
    taps = -(-(kernel - first) // step)
    high = count - size - low + taps - 1
    changed = replace(
        op,
        low=(*op.low[:axis], low, *op.low[axis + 1 :]),
        high=(*op.high[:axis], high, *op.high[axis + 1 :]),
        lhs_dilation=(*op.lhs_dilation[:axis], 1, *op.lhs_dilation[axis + 1 :]),
    )
    return _along(changed, left, part)
