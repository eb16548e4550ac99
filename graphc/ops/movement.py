"""Ops that move elements without computing: each element of the result is one element of the operand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc.dims import Dim, Shape, Size, product
from graphc.errors import ShapeError
from graphc.op import Op, Refusal, Sample, check_axes, draw, size_text
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["BroadcastInDim", "Reshape", "Reverse", "Slice", "Transpose"]


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements, in row-major order, in another shape.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1, 2], [3, 4]]).reshape(4))
    array([1, 2, 3, 4])
    """

    shape: Shape
    name: ClassVar[str] = "reshape"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        if product(self.shape) != operand.elements:
            raise ShapeError(
                "reshape changes the number of elements",
                expected=f"a shape of {operand.elements} elements, from {operand}",
                got=f"{size_text(self.shape)} of {product(self.shape)} elements",
                way_out="write -1 for one size to have it computed",
            )
        return operand.with_shape(self.shape)

    def reference(self, *args: Array) -> Array:
        return args[0].reshape(tuple(size for size in self.shape if isinstance(size, int)))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g.reshape(inputs[0].shape),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Merging, splitting, unit sizes, no elements, a symbolic size."""
        batch = Dim(1, ("batch",))
        return [
            Sample(cls((6,)), (draw("f64", 2, 3),)),
            Sample(cls((2, 3, 2)), (draw("f64", 6, 2),)),
            Sample(cls((1, 4, 1)), (draw("f64", 4),)),
            Sample(cls(()), (draw("f64", 1, 1),)),
            Sample(cls((3, 0)), (draw("f64", 0),)),
            Sample(cls((batch, 6)), (draw("f64", "batch", 2, 3),)),
            Sample(cls((Dim(2, ("batch",)), 3)), (draw("f32", "batch", 6),)),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Another number of elements."""
        return [Refusal(cls((5,)), (tensor_type("f32", 2, 3),), ShapeError, "reshape changes the number of elements")]


@dataclass(frozen=True)
class Transpose(Op):
    """The axes in another order: axis i of the result is axis axes[i] of the operand.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([[1, 2], [3, 4]]).T)
    array([[1, 3],
           [2, 4]])
    """

    axes: tuple[int, ...]
    name: ClassVar[str] = "transpose"
    text: ClassVar[str] = "{0}ᵀ"
    latex: ClassVar[str] = r"{0}^\top"
    binding: ClassVar[int] = 5

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        if sorted(self.axes) != list(range(operand.rank)):
            raise ShapeError(
                f"transpose: {self.axes} is no order of {operand.rank} axes",
                expected=f"each of 0 to {operand.rank - 1} once",
                got=str(self.axes),
            )
        return operand.with_shape(tuple(operand.shape[axis] for axis in self.axes))

    def reference(self, *args: Array) -> Array:
        return args[0].transpose(self.axes)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g.transpose(tuple(self.axes.index(axis) for axis in range(len(self.axes)))),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Two and three axes, none, a symbolic size."""
        return [
            Sample(cls((1, 0)), (draw("f64", 3, 5),)),
            Sample(cls((2, 0, 1)), (draw("f64", 2, 3, 4),)),
            Sample(cls(()), (draw("f64"),)),
            Sample(cls((1, 0)), (draw("f32", "batch", 3),)),
            Sample(cls((1, 0)), (draw("f64", 0, 3),)),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """An axis named twice."""
        return [
            Refusal(cls((0, 0)), (tensor_type("f32", 2, 3),), ShapeError, "transpose: (0, 0) is no order of 2 axes")
        ]


@dataclass(frozen=True)
class BroadcastInDim(Op):
    """Repeat a tensor: axis i of the operand becomes axis dims[i] of the result; sizes of 1 and new axes repeat.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2]).broadcast_in_dim((2, 3), (0,)))
    array([[1, 1, 1],
           [2, 2, 2]])
    """

    shape: Shape
    dims: tuple[int, ...]
    name: ClassVar[str] = "broadcast_in_dim"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        check_axes("broadcast_in_dim", self.dims, len(self.shape))
        fits = len(self.dims) == operand.rank and all(
            size in (1, self.shape[dim]) for size, dim in zip(operand.shape, self.dims, strict=True)
        )
        if not fits or sorted(self.dims) != list(self.dims):
            raise ShapeError(
                f"{operand} does not broadcast to {size_text(self.shape)}",
                expected="sizes that are equal or 1, axes in ascending order",
                got=f"axes {self.dims}",
            )
        return operand.with_shape(self.shape)

    def reference(self, *args: Array) -> Array:
        shape = tuple(size for size in self.shape if isinstance(size, int))
        expanded = [1] * len(shape)
        for size, dim in zip(args[0].shape, self.dims, strict=True):
            expanded[dim] = size
        return np.broadcast_to(args[0].reshape(expanded), shape)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x = inputs[0]
        kept = [dim for size, dim in zip(x.shape, self.dims, strict=True) if size != 1 or self.shape[dim] == 1]
        repeated = [axis for axis in range(len(self.shape)) if axis not in kept]
        return (g.sum(repeated).reshape(x.shape),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """New axes before, after and between, sizes of 1, scalars, a symbolic size."""
        return [
            Sample(cls((4, 3), (1,)), (draw("f64", 3),)),
            Sample(cls((3, 4), (0,)), (draw("f64", 3),)),
            Sample(cls((2, 3, 4), (0, 2)), (draw("f64", 2, 4),)),
            Sample(cls((3, 4), (0, 1)), (draw("f64", 3, 1),)),
            Sample(cls((3, 4), ()), (draw("f64"),)),
            Sample(cls((Dim(1, ("batch",)), 3), (1,)), (draw("f32", 3),)),
            Sample(cls((0, 3), (1,)), (draw("f64", 3),)),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """A size that is neither equal nor 1."""
        return [Refusal(cls((4, 3), (1,)), (tensor_type("f32", 2),), ShapeError, "f32[2] does not broadcast to [4, 3]")]


def _margins(size: Size, start: int, step: int, taken: Size) -> tuple[int, int, int]:
    """What was left out before, after and between the elements that a slice took."""
    if not (isinstance(size, int) and isinstance(taken, int)):
        return 0, 0, 0
    if taken == 0:
        return 0, size, 0
    return start, size - (start + (taken - 1) * step + 1), step - 1


@dataclass(frozen=True)
class Slice(Op):
    """Every step-th element of each axis from start up to, not including, stop.

    A size known only at run time must be taken whole.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2, 3, 4, 5])[1:5:2])
    array([2, 4])
    """

    start: tuple[int, ...]
    stop: tuple[Size, ...]
    step: tuple[int, ...]
    name: ClassVar[str] = "slice"

    def notation(self, latex: bool = False) -> tuple[str, int]:
        axes = zip(self.start, self.stop, self.step, strict=True)
        parts = [f"{start or ''}:{stop}{'' if step == 1 else f':{step}'}" for start, stop, step in axes]
        return f"{{0}}[{', '.join(parts)}]", 8

    def infer(self, *types: TensorType) -> TensorType:
        (operand,) = types
        sizes: list[Size] = []
        for axis, size in enumerate(operand.shape):
            start, stop, step = self.start[axis], self.stop[axis], self.step[axis]
            if isinstance(size, int) and isinstance(stop, int) and 0 <= start <= stop <= size and step >= 1:
                sizes.append(-((start - stop) // step))
            elif stop == size and start == 0 and step == 1:
                sizes.append(size)
            else:
                raise ShapeError(
                    f"slice {start}:{stop}:{step} does not fit axis {axis} of {operand}",
                    expected="the whole axis, since its size is known only at run time"
                    if isinstance(size, Dim)
                    else f"0 <= start <= stop <= {size} and a step of at least 1",
                    got=f"{start}:{stop}:{step}",
                    way_out="slice the data before it is fed" if isinstance(size, Dim) else None,
                )
        return operand.with_shape(tuple(sizes))

    def reference(self, *args: Array) -> Array:
        stops = [size for size in self.stop if isinstance(size, int)]
        return args[0][tuple(slice(*bounds) for bounds in zip(self.start, stops, self.step, strict=True))]

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        margins = [
            _margins(size, start, step, taken)
            for size, start, step, taken in zip(inputs[0].shape, self.start, self.step, output.shape, strict=True)
        ]
        low, high, interior = zip(*margins, strict=True) if margins else ((), (), ())
        return (g.pad(low, high, interior),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Steps, an empty result, a symbolic size."""
        return [
            Sample(cls((1, 0), (4, 3), (1, 2)), (draw("f64", 5, 3),)),
            Sample(cls((0,), (7,), (3,)), (draw("f64", 7),)),
            Sample(cls((2,), (2,), (1,)), (draw("f64", 5),)),
            Sample(cls((0, 1), (Dim(1, ("batch",)), 3), (1, 1)), (draw("f64", "batch", 4),)),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Past the end; a part of a symbolic size."""
        return [
            Refusal(
                cls((0,), (4,), (1,)), (tensor_type("f32", 3),), ShapeError, "slice 0:4:1 does not fit axis 0 of f32[3]"
            ),
            Refusal(
                cls((1,), (Dim(1, ("n",)),), (1,)),
                (tensor_type("f32", "n"),),
                ShapeError,
                "slice 1:n:1 does not fit axis 0 of f32[n]",
            ),
        ]


@dataclass(frozen=True)
class Reverse(Op):
    """The elements of some axes in reverse order.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2, 3])[::-1])
    array([3, 2, 1])
    """

    axes: tuple[int, ...]
    name: ClassVar[str] = "reverse"

    def infer(self, *types: TensorType) -> TensorType:
        check_axes("reverse", self.axes, types[0].rank)
        return types[0]

    def reference(self, *args: Array) -> Array:
        return np.flip(args[0], self.axes)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g.reverse(self.axes),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """One axis, two, a symbolic size, none."""
        return [
            Sample(cls((0,)), (draw("f64", 5),)),
            Sample(cls((0, 1)), (draw("f64", 3, 4),)),
            Sample(cls((0,)), (draw("f32", "batch", 2),)),
            Sample(cls((1,)), (draw("f64", 2, 0),)),
        ]
