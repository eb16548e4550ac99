"""Layout: operands of contractions are put in an order of axes that the kernels read well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from graphc.dims import Shape, multiply
from graphc.graph import Graph, rebuild
from graphc.node import Node, apply
from graphc.ops.contraction import DotGeneral
from graphc.ops.movement import Transpose
from graphc.passes.terms import contiguous_strides

__all__ = ["LayOut"]


@dataclass(frozen=True)
class LayOut:
    """Transpose operands of contractions where the kernels need it.

    Batch, free and contracted axes must each be one run of memory. The right operand's last axis must be a free one,
    since kernels read it in vectors; the left operand is read number by number, in either order.
    """

    description: str = "transpose operands of contractions where kernels need it"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with transpositions added."""
        return graph.map(rebuild(graph.nodes, _arrange))


def _arrange(node: Node) -> Node:
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
    if not all(_one_run(right.type.shape, axes) for axes in groups) or not _vectors(right.type.shape, rhs_free):
        right = apply(Transpose((*op.rhs_batch, *op.rhs_contract, *rhs_free)), right)
        batch, contract = len(op.rhs_batch), len(op.rhs_contract)
        op = replace(op, rhs_batch=tuple(range(batch)), rhs_contract=tuple(range(batch, batch + contract)))
    return node if op == node.op and (left, right) == node.inputs else apply(op, left, right)


def _one_run(shape: Shape, axes: Sequence[int]) -> bool:
    """True if memory holds the axes, in this order, as one."""
    strides = contiguous_strides(shape)
    left = [axis for axis in axes if shape[axis] != 1]
    return all(strides[a] == multiply(strides[b], shape[b]) for a, b in pairwise(left))


def _vectors(shape: Shape, free: Sequence[int]) -> bool:
    """True if neighbouring elements of the free axes are neighbours in memory."""
    left = [axis for axis in free if shape[axis] != 1]
    return not left or contiguous_strides(shape)[left[-1]] == 1
