"""Ops that assemble a tensor from parts: padding and joining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc.dims import Dim, Size
from graphc.errors import DTypeError, GradientError, ShapeError
from graphc.op import Op, Refusal, Sample, check_axes, draw
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["Concatenate", "Pad"]


@dataclass(frozen=True)
class Pad(Op):
    """The first operand with copies of the second, a scalar, before, after and between the elements of each axis.

    A size known only at run time cannot be padded.

    >>> import graphc as gc
    >>> gc.evaluate(gc.pad(gc.constant([1, 2]), [(1, 2)]))
    array([0, 1, 2, 0, 0])
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    interior: tuple[int, ...]
    name: ClassVar[str] = "pad"

    def infer(self, *types: TensorType) -> TensorType:
        operand, value = types
        if value.dtype != operand.dtype or value.shape:
            raise DTypeError(
                "pad: the padding is no scalar of the operand's type", expected=str(operand.dtype), got=str(value)
            )
        sizes: list[Size] = []
        for axis, size in enumerate(operand.shape):
            low, high, interior = self.low[axis], self.high[axis], self.interior[axis]
            if min(low, high, interior) < 0 or (isinstance(size, Dim) and (low or high or interior)):
                raise ShapeError(
                    f"pad ({low}, {high}, {interior}) does not fit axis {axis} of {operand}",
                    expected="no padding, since the size is known only at run time"
                    if isinstance(size, Dim)
                    else "amounts of at least 0",
                    got=f"low {low}, high {high}, interior {interior}",
                )
            sizes.append(size if isinstance(size, Dim) else low + size + max(size - 1, 0) * interior + high)
        return operand.with_shape(tuple(sizes))

    def reference(self, *args: Array) -> Array:
        x, value = args
        sizes = [
            low + size + max(size - 1, 0) * interior + high
            for size, low, high, interior in zip(x.shape, self.low, self.high, self.interior, strict=True)
        ]
        padded = np.full(sizes, value, x.dtype)
        padded[
            tuple(
                slice(low, low + (size - 1) * (interior + 1) + 1 if size else low, interior + 1)
                for size, low, interior in zip(x.shape, self.low, self.interior, strict=True)
            )
        ] = x
        return padded

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x = inputs[0]
        steps = [interior + 1 for interior in self.interior]
        stops = [
            low + (size - 1) * step + 1 if isinstance(size, int) and size else (low if size == 0 else None)
            for size, low, step in zip(x.shape, self.low, steps, strict=True)
        ]
        inner = g.slice(self.low, stops, steps)
        every = range(len(self.low))
        return inner, g.sum(every) - inner.sum(every)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Before, after, between; no elements; a symbolic size."""
        scalar = draw("f64")
        return [
            Sample(cls((1, 0), (2, 1), (0, 0)), (draw("f64", 3, 2), scalar)),
            Sample(cls((1,), (1,), (2,)), (draw("f64", 3), scalar)),
            Sample(cls((1,), (1,), (2,)), (draw("f64", 0), scalar)),
            Sample(cls((0, 1), (0, 1), (0, 0)), (draw("f64", "batch", 2), scalar)),
        ]


@dataclass(frozen=True)
class Concatenate(Op):
    """Tensors joined along an axis.

    >>> import graphc as gc
    >>> gc.evaluate(gc.concatenate([gc.constant([1, 2]), gc.constant([3])]))
    array([1, 2, 3])
    """

    axis: int
    name: ClassVar[str] = "concatenate"

    def infer(self, *types: TensorType) -> TensorType:
        first = types[0]
        check_axes("concatenate", (self.axis,), first.rank)
        total: Size = 0
        for operand in types:
            if operand.dtype != first.dtype:
                raise DTypeError("concatenate of different element types", expected=str(first), got=str(operand))
            rest = [size for axis, size in enumerate(operand.shape) if axis != self.axis]
            if rest != [size for axis, size in enumerate(first.shape) if axis != self.axis]:
                raise ShapeError(
                    f"concatenate: the shapes differ in other axes than {self.axis}",
                    expected=f"sizes as in {first} but for axis {self.axis}",
                    got=str(operand),
                )
            total = _plus(total, operand.shape[self.axis])
        return first.with_shape((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]))

    def reference(self, *args: Array) -> Array:
        return np.concatenate(args, self.axis)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        parts: list[V | None] = []
        position = 0
        for x in inputs:
            size = x.shape[self.axis]
            if not isinstance(size, int):
                raise GradientError(
                    "concatenate along a size known only at run time has no gradient",
                    expected="integers along the axis",
                    got=str(size),
                )
            start = [0] * len(g.shape)
            stops: list[int | None] = [None] * len(g.shape)
            start[self.axis], stops[self.axis] = position, position + size
            parts.append(g.slice(start, stops, [1] * len(g.shape)))
            position += size
        return tuple(parts)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Two and three parts, an empty one, either axis, a symbolic size."""
        return [
            Sample(cls(0), (draw("f64", 2, 3), draw("f64", 1, 3))),
            Sample(cls(1), (draw("f64", 2, 3), draw("f64", 2, 0), draw("f64", 2, 2))),
            Sample(cls(1), (draw("f64", "batch", 3), draw("f64", "batch", 1))),
            Sample(cls(0), (draw("bool", 2), draw("bool", 3))),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Shapes that differ elsewhere."""
        types = (tensor_type("f32", 2, 3), tensor_type("f32", 2, 4))
        return [Refusal(cls(0), types, ShapeError, "concatenate: the shapes differ in other axes than 0")]


def _plus(left: Size, right: Size) -> Size:
    """The sum of two sizes, where it is a size."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if isinstance(left, Dim) and isinstance(right, Dim) and left.symbols == right.symbols:
        return Dim(left.factor + right.factor, left.symbols)
    if right == 0 or left == 0:
        return right if left == 0 else left
    raise ShapeError(
        f"concatenate: {left} + {right} is no size that graphc can name",
        expected="integers, or multiples of the same named size",
        got=f"{left} and {right}",
    )
