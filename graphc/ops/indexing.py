"""Ops whose places are data: reading and adding at integer indices, and the check that indices are in range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from graphc.errors import DTypeError, FeedError, ShapeError
from graphc.op import Elementwise, Op, Refusal, Sample, check_alike, check_axes, check_kind, draw
from graphc.scalar import Array, Scalars
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["CheckRange", "Gather", "ScatterAdd"]

T = TypeVar("T")


@dataclass(frozen=True)
class Gather(Op):
    """The elements of ``axis`` at integer indices, as numpy's take: negative indices count from the end.

    An index out of range yields NaN (0 of integers, False of bool); of inputs it is an error before anything runs.

    >>> import graphc as gc
    >>> gc.evaluate(gc.take(gc.constant([10.0, 20.0, 30.0]), gc.constant([2, 0])))
    array([30., 10.], dtype=float32)
    """

    axis: int
    name: ClassVar[str] = "gather"
    text: ClassVar[str] = "{0}[{1}]"
    latex: ClassVar[str] = "{0}_{{{1}}}"

    def infer(self, *types: TensorType) -> TensorType:
        x, indices = types
        check_kind("gather", indices, "i")
        check_axes("gather", (self.axis,), x.rank)
        return x.with_shape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))

    def reference(self, *args: Array) -> Array:
        x, indices = args
        size = x.shape[self.axis]
        inside, place = _places(indices, size)
        filler = np.nan if x.dtype.kind == "f" else 0
        shape = (*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :])
        if size == 0:
            return np.full(shape, filler, x.dtype)
        mask = inside.reshape((*indices.shape, *[1] * (x.ndim - self.axis - 1)))
        return np.where(mask, np.take(x, place, self.axis), np.asarray(filler, x.dtype))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x, indices = inputs
        return x.zeros_like().scatter_add(indices, g, self.axis), None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Either axis, matrices of indices, negative indices, a symbolic size, no index."""
        return [
            Sample(cls(0), (draw("f64", 5, 3), draw("i64", 4, low=-5, high=4))),
            Sample(cls(1), (draw("f64", 2, 5), draw("i64", 3, low=0, high=4))),
            Sample(cls(1), (draw("f64", 2, 5, 2), draw("i32", 2, 2, low=0, high=4))),
            Sample(cls(0), (draw("f64", 5), draw("i64", low=0, high=4))),
            Sample(cls(0), (draw("f32", 7, 2), draw("i64", "batch", low=0, high=6))),
            Sample(cls(0), (draw("f64", 5, 3), draw("i64", 0))),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Indices that are no integers."""
        types = (tensor_type("f32", 3), tensor_type("f32", 2))
        return [Refusal(cls(0), types, DTypeError, "gather does not take float32")]


def _places(indices: Array, size: int) -> tuple[Array, Array]:
    """Which indices are in range, and the places they name (0 where they are not)."""
    number = indices.astype(np.int64)
    inside = (number >= -size) & (number < size)
    return inside, np.where(inside, np.where(number < 0, number + size, number), 0)


@dataclass(frozen=True)
class ScatterAdd(Op):
    """A copy of the first operand with the updates added at integer indices of ``axis``, in the order of the indices.

    An index out of range is left out; negative indices count from the end. Operands: x, indices, updates, where updates
    has the shape that gathering the indices from x would have.

    >>> import graphc as gc
    >>> gc.evaluate(gc.scatter_add(gc.constant([1.0, 2.0]), gc.constant([1, 1]), gc.constant([10.0, 20.0])))
    array([ 1., 32.], dtype=float32)
    """

    axis: int
    name: ClassVar[str] = "scatter_add"

    def infer(self, *types: TensorType) -> TensorType:
        x, indices, updates = types
        check_kind("scatter_add", x, "fi")
        check_kind("scatter_add", indices, "i")
        check_axes("scatter_add", (self.axis,), x.rank)
        wanted = x.with_shape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))
        if updates.shape != wanted.shape:
            raise ShapeError("scatter_add: the updates do not fit", expected=str(wanted), got=str(updates))
        check_alike("scatter_add", (wanted, updates))
        return x

    def reference(self, *args: Array) -> Array:
        x, indices, updates = args
        rank = indices.ndim
        inside, place = _places(indices, x.shape[self.axis])
        result = np.moveaxis(x, self.axis, 0).copy()
        moved = np.moveaxis(updates, range(self.axis, self.axis + rank), range(rank))
        moved = moved.reshape((indices.size, *result.shape[1:]))
        chosen = inside.ravel()
        np.add.at(result, place.ravel()[chosen], moved[chosen])
        return np.ascontiguousarray(np.moveaxis(result, 0, self.axis))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return g, None, g.gather(inputs[1], self.axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Either axis, repeated indices, a symbolic size, no index."""
        return [
            Sample(cls(0), (draw("f64", 5, 3), draw("i64", 4, low=0, high=4), draw("f64", 4, 3))),
            Sample(cls(1), (draw("f64", 2, 3), draw("i64", 4, low=-3, high=2), draw("f64", 2, 4))),
            Sample(cls(0), (draw("f64", 3), draw("i64", low=0, high=2), draw("f64"))),
            Sample(cls(1), (draw("f64", 2, 3, 2), draw("i32", 2, 2, low=0, high=2), draw("f64", 2, 2, 2, 2))),
            Sample(cls(0), (draw("f32", 7, 2), draw("i64", "batch", low=0, high=6), draw("f32", "batch", 2))),
            Sample(cls(0), (draw("f64", 3, 2), draw("i64", 0), draw("f64", 0, 2))),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Updates of another shape."""
        types = (tensor_type("f32", 3), tensor_type("i64", 2), tensor_type("f32", 4))
        return [Refusal(cls(0), types, ShapeError, "scatter_add: the updates do not fit")]


@dataclass(frozen=True)
class CheckRange(Elementwise):
    """The integers themselves, which must lie in [low, high); labels and indices pass through this.

    Of an input the check runs before any kernel; of a computed value after the step, which then fails.

    >>> import graphc as gc
    >>> gc.evaluate(gc.check_range(gc.constant([0, 9]), 0, 10))
    array([0, 9])
    """

    low: int
    high: int
    name: ClassVar[str] = "check_range"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"
    accepts: ClassVar[str] = "i"

    def body(self, s: Scalars[T], *xs: T) -> T:
        return xs[0]

    def reference(self, *args: Array) -> Array:
        wrong = np.argwhere((args[0] < self.low) | (args[0] >= self.high))
        if len(wrong):
            place = tuple(int(index) for index in wrong[0])
            raise FeedError(
                f"{len(wrong)} of {args[0].size} integers are out of range",
                expected=f"{self.low} <= value < {self.high}",
                got=f"{args[0][place]} at {list(place)}",
            )
        return args[0]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Both integer types, within the range."""
        return [Sample(cls(0, 4), (draw(dtype, 3, 2, low=0, high=3),)) for dtype in ("i32", "i64")]
