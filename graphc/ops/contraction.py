"""The contraction: sums of products over chosen axes of two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.op import Op, Refusal, Sample, check_axes, check_kind, draw
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["DotGeneral"]


@dataclass(frozen=True)
class DotGeneral(Op):
    """StableHLO's dot_general: contract ``lhs_contract`` with ``rhs_contract`` for each index of the batch axes.

    The result's axes are the batch axes, then the free axes of the left operand, then those of the right. Each element
    is one chain of fused multiply-adds in the order of the contracted index, whatever the tiling or the number of
    threads.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0]]) @ gc.constant([[3.0], [4.0]]))
    array([[11.]], dtype=float32)
    """

    lhs_batch: tuple[int, ...]
    rhs_batch: tuple[int, ...]
    lhs_contract: tuple[int, ...]
    rhs_contract: tuple[int, ...]
    name: ClassVar[str] = "dot_general"
    text: ClassVar[str] = "{0} @ {1}"
    latex: ClassVar[str] = r"{0} \, {1}"
    binding: ClassVar[int] = 2

    def notation(self, latex: bool = False) -> tuple[str, int]:
        flip = r"^\top" if latex else "ᵀ"
        matrices = not self.lhs_batch and len(self.lhs_contract) == 1
        left = "{0}" + (flip if matrices and self.lhs_contract == (0,) and self.rhs_contract != () else "")
        right = "{1}" + (flip if matrices and self.rhs_contract == (1,) else "")
        return (rf"{left} \, {right}" if latex else f"{left} @ {right}"), self.binding

    def free_axes(self, left: int, right: int) -> tuple[list[int], list[int]]:
        """The axes that are neither batch nor contracted, given the ranks of the operands."""
        lhs_taken = {*self.lhs_batch, *self.lhs_contract}
        rhs_taken = {*self.rhs_batch, *self.rhs_contract}
        return [a for a in range(left) if a not in lhs_taken], [a for a in range(right) if a not in rhs_taken]

    def infer(self, *types: TensorType) -> TensorType:
        left, right = types
        check_kind("dot_general", left, "fi")
        if left.dtype != right.dtype:
            raise DTypeError(
                f"dot_general of {left.dtype.name} and {right.dtype.name}", expected=str(left.dtype), got=str(right)
            )
        check_axes("dot_general", (*self.lhs_batch, *self.lhs_contract), left.rank)
        check_axes("dot_general", (*self.rhs_batch, *self.rhs_contract), right.rank)
        pairs = [
            *zip(self.lhs_batch, self.rhs_batch, strict=True),
            *zip(self.lhs_contract, self.rhs_contract, strict=True),
        ]
        for mine, other in pairs:
            if left.shape[mine] != right.shape[other]:
                raise ShapeError(
                    f"the sizes to be contracted differ: {left.shape[mine]} and {right.shape[other]}",
                    expected=f"axis {other} of the right operand of size {left.shape[mine]}, as axis {mine} of {left}",
                    got=str(right),
                    way_out="transpose or reshape one of them; rows of the left meet columns of the right",
                )
        lhs_free, rhs_free = self.free_axes(left.rank, right.rank)
        batch = [left.shape[axis] for axis in self.lhs_batch]
        return left.with_shape((*batch, *(left.shape[a] for a in lhs_free), *(right.shape[a] for a in rhs_free)))

    def reference(self, *args: Array) -> Array:
        left, right = args
        lhs_free, rhs_free = self.free_axes(left.ndim, right.ndim)
        batch = [left.shape[axis] for axis in self.lhs_batch]
        rows, columns = [left.shape[a] for a in lhs_free], [right.shape[a] for a in rhs_free]
        depth = int(np.prod([left.shape[axis] for axis in self.lhs_contract], dtype=np.int64))
        m, n = int(np.prod(rows, dtype=np.int64)), int(np.prod(columns, dtype=np.int64))
        a = left.transpose((*self.lhs_batch, *lhs_free, *self.lhs_contract)).reshape((*batch, m, depth))
        b = right.transpose((*self.rhs_batch, *self.rhs_contract, *rhs_free)).reshape((*batch, depth, n))
        return np.asarray(np.matmul(a, b)).reshape((*batch, *rows, *columns))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        left, right = inputs
        lhs_free, rhs_free = self.free_axes(len(left.shape), len(right.shape))
        count = len(self.lhs_batch)
        batch = range(count)
        g_left = range(count, count + len(lhs_free))
        g_right = range(count + len(lhs_free), len(g.shape))

        by_left = g.dot_general(right, (batch, self.rhs_batch), (g_right, rhs_free))
        paired = dict(zip(self.rhs_contract, self.lhs_contract, strict=True))
        axes = [*self.lhs_batch, *lhs_free, *(paired[axis] for axis in sorted(self.rhs_contract))]
        by_left = by_left.transpose([axes.index(axis) for axis in range(len(axes))])

        by_right = left.dot_general(g, (self.lhs_batch, batch), (lhs_free, g_left))
        paired = dict(zip(self.lhs_contract, self.rhs_contract, strict=True))
        axes = [*self.rhs_batch, *(paired[axis] for axis in sorted(self.lhs_contract)), *rhs_free]
        by_right = by_right.transpose([axes.index(axis) for axis in range(len(axes))])
        return by_left, by_right

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Matrices in all transpositions, vectors, batches, several axes, no elements, symbolic sizes, tile edges."""
        plain = cls((), (), (1,), (0,))
        return [
            Sample(plain, (draw("f64", 3, 4), draw("f64", 4, 5))),
            Sample(cls((), (), (0,), (0,)), (draw("f64", 4, 3), draw("f64", 4, 5))),
            Sample(cls((), (), (1,), (1,)), (draw("f64", 3, 4), draw("f64", 5, 4))),
            Sample(cls((), (), (0,), (1,)), (draw("f64", 4, 3), draw("f64", 5, 4))),
            Sample(cls((), (), (0,), (0,)), (draw("f64", 4), draw("f64", 4))),
            Sample(cls((), (), (), ()), (draw("f64", 3), draw("f64", 2))),
            Sample(cls((0,), (0,), (2,), (1,)), (draw("f64", 2, 3, 4), draw("f64", 2, 4, 2))),
            Sample(cls((), (), (1, 2), (1, 0)), (draw("f64", 2, 3, 4), draw("f64", 4, 3, 2))),
            Sample(plain, (draw("f64", 3, 0), draw("f64", 0, 2))),
            Sample(plain, (draw("f32", "batch", 7), draw("f32", 7, 5))),
            Sample(cls((), (), (0,), (0,)), (draw("f32", "batch", 7), draw("f32", "batch", 5))),
            Sample(plain, (draw("f32", 37, 19), draw("f32", 19, 53))),
            Sample(plain, (draw("i64", 3, 4, low=-3, high=3), draw("i64", 4, 2, low=-3, high=3))),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Sizes that differ, element types that differ."""
        plain = cls((), (), (1,), (0,))
        left = tensor_type("f32", 3, 4)
        return [
            Refusal(plain, (left, tensor_type("f32", 5, 2)), ShapeError, "the sizes to be contracted differ: 4 and 5"),
            Refusal(plain, (left, tensor_type("f64", 4, 2)), DTypeError, "dot_general of float32 and float64"),
        ]
