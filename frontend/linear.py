"""Matrix products with numpy's rules for vectors and batches, on the level of nodes."""

from __future__ import annotations

from graphc.dtypes import promote
from graphc.errors import ShapeError
from graphc.frontend.broadcasting import broadcast_shapes, broadcast_to, cast_to
from graphc.node import Node, apply, describe
from graphc.ops.contraction import DotGeneral
from graphc.ops.movement import Reshape
from graphc.origin import user_location

__all__ = ["matmul_nodes"]


def matmul_nodes(left: Node, right: Node) -> Node:
    """``left @ right``: a vector is a row on the left and a column on the right; axes before the last two are
    batches.
    """
    common = promote(left.type.dtype, right.type.dtype)
    left, right = cast_to(left, common), cast_to(right, common)
    _check(left, right)
    if (left.type.rank <= 2 and right.type.rank <= 2) or right.type.rank == 1:
        return apply(DotGeneral((), (), (left.type.rank - 1,), (max(right.type.rank - 2, 0),)), left, right)
    if right.type.rank == 2:  # a stack of matrices times one matrix is one product of a taller matrix
        return apply(DotGeneral((), (), (left.type.rank - 1,), (0,)), left, right)
    if left.type.rank == 1:
        row = apply(Reshape((1, *left.type.shape)), left)
        product = matmul_nodes(row, right)
        return apply(Reshape((*product.type.shape[:-2], product.type.shape[-1])), product)
    return _batched(left, right)


def _batched(left: Node, right: Node) -> Node:
    batch = broadcast_shapes([left.type.shape[:-2], right.type.shape[:-2]])
    if batch is None:
        raise _error(left, right, "the batch dimensions do not broadcast", "batch sizes that are equal or 1")
    left = broadcast_to(left, (*batch, *left.type.shape[-2:]))
    right = broadcast_to(right, (*batch, *right.type.shape[-2:]))
    axes = tuple(range(len(batch)))
    return apply(DotGeneral(axes, axes, (len(batch) + 1,), (len(batch),)), left, right)


def _check(left: Node, right: Node) -> None:
    if not left.type.rank or not right.type.rank:
        raise _error(left, right, "a scalar has no matrix product", "vectors or matrices; multiply scalars with *")
    inner = left.type.shape[-1]
    other = right.type.shape[max(right.type.rank - 2, 0)]
    if inner != other:
        raise _error(
            left,
            right,
            f"the inner dimensions differ, {inner} and {other}",
            f"a right operand with {inner} rows, as the left has {inner} columns",
        )


def _error(left: Node, right: Node, what: str, expected: str) -> ShapeError:
    return ShapeError(
        f"matmul: {what}",
        at=str(user_location()),
        facts=[("left", describe(left)), ("right", describe(right))],
        expected=expected,
        got=f"{left.type} @ {right.type}",
        way_out="transpose one operand with .T, or check the sizes of the layers",
    )
