"""Ops that combine the elements of some axes into one; the axes disappear.

Sums run in a fixed order that depends on the operand's shape alone (``graphc.passes.loops`` defines it), so neither
threads nor fusion change a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc.dims import Shape
from graphc.dtypes import INT64
from graphc.errors import GradientError, ShapeError
from graphc.op import Op, Refusal, Sample, check_axes, check_kind, draw
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["ArgMax", "Reduce", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"]


@dataclass(frozen=True)
class Reduce(Op):
    """Base of the reductions: combine ``axes`` by an associative operation with a neutral element."""

    axes: tuple[int, ...]
    combine: ClassVar[str] = ""
    """The scalar operation that combines two elements."""
    needs_elements: ClassVar[bool] = False
    """True where the result over no elements does not exist."""

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        check_kind(self.name, operand, "fi")
        check_axes(self.name, self.axes, operand.rank)
        if self.needs_elements and any(operand.shape[axis] == 0 for axis in self.axes):
            raise ShapeError(
                f"{self.name} over no elements",
                expected="at least one element along the axes",
                got=str(operand),
            )
        return operand.with_shape(tuple(size for axis, size in enumerate(operand.shape) if axis not in self.axes))

    def neutral(self, dtype: np.dtype[np.generic]) -> float:
        """The value that changes nothing when combined."""
        return 0

    def notation(self, latex: bool = False) -> tuple[str, int]:
        axes = ", ".join(map(str, self.axes))
        if latex:
            return f"{self.latex.partition(' ')[0]}_{{{{{axes}}}}} {{0}}", 2
        name = self.name.removeprefix("reduce_")
        return f"{name}({{0}}, axis {axes})", 9

    def spread(self, reduced: V, shape: Shape) -> V:
        """A reduced value repeated along the axes that were reduced."""
        kept = [axis for axis in range(len(shape)) if axis not in self.axes]
        return reduced.broadcast_in_dim(shape, kept)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Rows, columns, everything, nothing, the middle, a symbolic size, long rows."""
        cases: list[tuple[tuple[int, ...], tuple[object, ...]]] = [
            ((1,), (3, 5)),
            ((0,), (3, 5)),
            ((0, 1), (3, 5)),
            ((), (3,)),
            ((1,), (2, 3, 4)),
            ((0, 2), (2, 3, 4)),
            ((0,), (1,)),
            ((1,), ("batch", 3)),
            ((0,), ("batch", 3)),
            ((1,), (0, 4)),
        ]
        drawn = [Sample(cls(axes), (draw("f64", *shape, low=0.4, high=1.6),)) for axes, shape in cases]
        long: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((0,), (700,)), ((1,), (3, 41)), ((0,), (300, 70))]
        drawn += [Sample(cls(axes), (draw("f32", *shape, low=0.9, high=1.1),)) for axes, shape in long]
        return [*drawn, Sample(cls((0,)), (draw("i64", 5, 2, low=-3, high=3),))]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """An axis that is not there."""
        f32 = tensor_type("f32", 2, 3)
        return [Refusal(cls((2,)), (f32,), ShapeError, f"{cls.name}: the axes (2,) do not fit 2 dimensions")]


@dataclass(frozen=True)
class ReduceSum(Reduce):
    """The sum over axes; 0 over no elements.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0))
    array([4., 6.], dtype=float32)
    """

    name: ClassVar[str] = "reduce_sum"
    text: ClassVar[str] = "sum({0})"
    latex: ClassVar[str] = r"\sum {0}"
    combine: ClassVar[str] = "add"

    def reference(self, *args: Array) -> Array:
        return np.asarray(args[0].sum(self.axes, dtype=args[0].dtype))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (self.spread(g, inputs[0].shape),)


@dataclass(frozen=True)
class ReduceMax(Reduce):
    """The largest element; NaN if any is NaN. Equal largest elements share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0], [3.0, 0.0]]).max(axis=1))
    array([2., 3.], dtype=float32)
    """

    name: ClassVar[str] = "reduce_max"
    text: ClassVar[str] = "max({0})"
    latex: ClassVar[str] = r"\max {0}"
    combine: ClassVar[str] = "maximum"
    needs_elements: ClassVar[bool] = True

    def neutral(self, dtype: np.dtype[np.generic]) -> float:
        return float("-inf") if dtype.kind == "f" else int(np.iinfo(dtype.name).min)

    def reference(self, *args: Array) -> Array:
        return np.asarray(args[0].max(self.axes, initial=self.neutral(args[0].dtype)))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (_shared_extreme(self, inputs[0], output, g),)


@dataclass(frozen=True)
class ReduceMin(Reduce):
    """The smallest element; NaN if any is NaN. Equal smallest elements share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0], [3.0, 0.0]]).min(axis=1))
    array([1., 0.], dtype=float32)
    """

    name: ClassVar[str] = "reduce_min"
    text: ClassVar[str] = "min({0})"
    latex: ClassVar[str] = r"\min {0}"
    combine: ClassVar[str] = "minimum"
    needs_elements: ClassVar[bool] = True

    def neutral(self, dtype: np.dtype[np.generic]) -> float:
        return float("inf") if dtype.kind == "f" else int(np.iinfo(dtype.name).max)

    def reference(self, *args: Array) -> Array:
        return np.asarray(args[0].min(self.axes, initial=self.neutral(args[0].dtype)))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (_shared_extreme(self, inputs[0], output, g),)


def _shared_extreme(op: Reduce, x: V, extreme: V, g: V) -> V:
    """The gradient of a maximum or minimum: g, split evenly among the elements that attain it."""
    attained = x.equals(op.spread(extreme, x.shape)).cast(x.dtype)
    return op.spread(g / attained.sum(op.axes), x.shape) * attained


@dataclass(frozen=True)
class ReduceProd(Reduce):
    """The product over axes; 1 over no elements. Its gradient is exact where elements are zero.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0], [3.0, 4.0]]).prod(axis=1))
    array([ 2., 12.], dtype=float32)
    """

    name: ClassVar[str] = "reduce_prod"
    text: ClassVar[str] = "prod({0})"
    latex: ClassVar[str] = r"\prod {0}"
    combine: ClassVar[str] = "multiply"

    def neutral(self, dtype: np.dtype[np.generic]) -> float:
        return 1

    def reference(self, *args: Array) -> Array:
        return np.asarray(args[0].prod(self.axes, dtype=args[0].dtype))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        """Products of halves, level by level, whose ordinary product rule never divides by an element."""
        x = inputs[0]
        count = 1
        for axis in self.axes:
            size = x.shape[axis]
            if not isinstance(size, int):
                raise GradientError(
                    "the gradient of a product over a size known only at run time is not available",
                    expected="integers along the axes",
                    got=str(size),
                    way_out="of positive numbers take gc.exp(gc.log(x).sum(axis))",
                )
            count *= size
        if count == 0:
            return (x.zeros_like(),)
        kept = [axis for axis in range(len(x.shape)) if axis not in self.axes]
        order = (*kept, *self.axes)
        moved = x.transpose(order)
        flat = moved.reshape((*output.shape, count))
        back = _product_rule(flat, g.reshape((*output.shape, 1)), count)
        return (back.reshape(moved.shape).transpose(tuple(order.index(axis) for axis in range(len(order)))),)


def _product_rule(x: V, g: V, count: int) -> V:
    """The derivative of the product over the last axis of x, which has count elements."""

    def part(value: V, start: int, stop: int) -> V:
        rank = len(value.shape)
        return value.slice([0] * (rank - 1) + [start], [None] * (rank - 1) + [stop], [1] * rank)

    levels: list[tuple[V, int]] = []
    while count > 1:
        levels.append((x, count))
        half = count // 2
        pairs = part(x, 0, half) * part(x, half, 2 * half)
        x = pairs if count % 2 == 0 else pairs.concatenate([part(x, 2 * half, count)], len(x.shape) - 1)
        count -= half
    for value, size in reversed(levels):
        half = size // 2
        upstream = part(g, 0, half)
        parts = [upstream * part(value, 0, half)]
        if size % 2:
            parts.append(part(g, half, half + 1))
        g = (upstream * part(value, half, 2 * half)).concatenate(parts, len(value.shape) - 1)
    return g


@dataclass(frozen=True)
class ArgMax(Op):
    """The index of the largest element along an axis, as int64: the first of equal ones; the first NaN if there is one.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1.0, 2.0], [3.0, 0.0]]).argmax(axis=1))
    array([1, 0])
    """

    axis: int
    name: ClassVar[str] = "argmax"

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        check_kind("argmax", operand, "fi")
        check_axes("argmax", (self.axis,), operand.rank)
        if operand.shape[self.axis] == 0:
            raise ShapeError("argmax over no elements", expected="at least one element", got=str(operand))
        shape = (*operand.shape[: self.axis], *operand.shape[self.axis + 1 :])
        return TensorType(INT64, shape)

    def reference(self, *args: Array) -> Array:
        return np.asarray(np.argmax(args[0], self.axis), np.int64)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Rows, columns, ties, a symbolic size."""
        return [
            Sample(cls(1), (draw("f64", 3, 5),)),
            Sample(cls(0), (draw("f32", 3, 5),)),
            Sample(cls(1), (draw("i64", 4, 40, low=0, high=3),)),
            Sample(cls(1), (draw("f32", "batch", 3),)),
            Sample(cls(0), (draw("f64", 7),)),
            Sample(cls(1), (draw("f32", 0, 4),)),
        ]
