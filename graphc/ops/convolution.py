"""The convolution: sums of products of a tensor's windows with a kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as every
from typing import ClassVar

import numpy as np

from graphc.dims import Dim, Size
from graphc.errors import DTypeError, ShapeError
from graphc.op import Op, Refusal, Sample, check_axes, check_kind, draw
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["ConvGeneral"]


@dataclass(frozen=True)
class ConvGeneral(Op):
    """StableHLO's convolution, as neural networks use the word: the kernel is not flipped.

        out[n, y, f] = sum over k, c of lhs'[n, y * stride + k * rhs_dilation, c] * rhs[k, c, f]

    lhs' is the left operand with lhs_dilation - 1 zeros between its elements and ``low`` and ``high`` zeros around them
    (negative numbers cut elements off). The roles of axes: ``lhs`` names the axes of batch, feature, and the spatial
    ones; ``rhs`` those of input feature, output feature, spatial; ``out`` as ``lhs``; one more axis in all three is a
    group, of which each has a convolution of its own. With roles exchanged the derivatives are convolutions too. Each
    element is one chain of fused multiply-adds, in the order in which the right operand lies in memory; where each
    group has one feature and the chain is long, products and sums are rounded apart.

    >>> import graphc as gc
    >>> gc.evaluate(gc.convolution([[[1.0], [2.0], [4.0]]], [[[1.0]], [[10.0]]]))
    array([[[21.],
            [42.]]], dtype=float32)
    """

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    out: tuple[int, ...]
    strides: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    name: ClassVar[str] = "conv_general"
    text: ClassVar[str] = "conv({0}, {1})"
    latex: ClassVar[str] = r"\mathrm{{conv}}({0}, {1})"

    @property
    def spatial(self) -> int:
        """The number of spatial axes."""
        return len(self.strides)

    @property
    def grouped(self) -> bool:
        """Whether there is an axis of groups."""
        return len(self.lhs) == self.spatial + 3

    def infer(self, *types: TensorType) -> TensorType:
        left, right = types
        check_kind("conv_general", left, "f")
        if left.dtype != right.dtype:
            raise DTypeError(
                f"conv_general of {left.dtype.name} and {right.dtype.name}", expected=str(left.dtype), got=str(right)
            )
        for axes, rank in ((self.lhs, left.rank), (self.rhs, right.rank), (self.out, left.rank)):
            check_axes("conv_general", axes, rank)
            if len(axes) != rank:
                raise ShapeError(
                    f"a convolution over {self.spatial} axes does not fit these operands",
                    expected=f"{self.spatial + 2 + self.grouped} dimensions in both",
                    got=f"{left} and {right}",
                )
        mine, other = left.shape[self.lhs[1]], right.shape[self.rhs[0]]
        if mine != other:
            raise ShapeError(
                f"the kernel takes {other} input features, the input has {mine}",
                expected=f"{mine} at axis {self.rhs[0]} of the kernel",
                got=str(right),
                way_out="the features are the last axis of the input and the last but one of the kernel",
            )
        sizes = [left.shape[self.lhs[0]], right.shape[self.rhs[1]]]
        sizes += [self._length(axis, left, right) for axis in range(self.spatial)]
        if self.grouped:
            sizes.append(left.shape[self.lhs[-1]])
            if right.shape[self.rhs[-1]] != sizes[-1]:
                raise ShapeError("the numbers of groups differ", expected=str(sizes[-1]), got=str(right))
        shape: list[Size] = [0] * left.rank
        for axis, size in zip(self.out, sizes, strict=True):
            shape[axis] = size
        return left.with_shape(tuple(shape))

    def _length(self, axis: int, left: TensorType, right: TensorType) -> Size:
        size, kernel = left.shape[self.lhs[2 + axis]], right.shape[self.rhs[2 + axis]]
        if isinstance(size, Dim) or isinstance(kernel, Dim):
            raise ShapeError(
                f"spatial axis {axis} of a convolution has a size that is known only at run time",
                expected="integers; only the batch may have a name",
                got=f"{left} and {right}",
            )
        room = _dilated(size, self.lhs_dilation[axis]) + self.low[axis] + self.high[axis]
        return max(0, (room - _dilated(kernel, self.rhs_dilation[axis])) // self.strides[axis] + 1)

    def reference(self, *args: Array) -> Array:
        left, right = args
        n = self.spatial
        group = [self.lhs[-1]] if self.grouped else []
        x = left.transpose([*group, self.lhs[0], *self.lhs[2 : 2 + n], self.lhs[1]])
        group = [self.rhs[-1]] if self.grouped else []
        w = right.transpose([*group, *self.rhs[2 : 2 + n], *self.rhs[:2]])
        if not self.grouped:
            x, w = x[None], w[None]
        kernel = w.shape[1 : 1 + n]
        steps = zip(self.strides, self.low, self.high, self.lhs_dilation, strict=True)
        lengths = []
        for axis, (stride, low, high, dilation) in enumerate(steps):
            x = _padded(x, 2 + axis, low, high, dilation)
            room = x.shape[2 + axis] - _dilated(kernel[axis], self.rhs_dilation[axis])
            lengths.append(max(0, room // stride + 1))
        total = np.zeros((*x.shape[:2], *lengths, w.shape[-1]), x.dtype)
        for offset in every(*map(range, kernel)):
            window = tuple(
                slice(place * dilation, place * dilation + (length - 1) * stride + 1 if length else 0, stride)
                for place, dilation, length, stride in zip(
                    offset, self.rhs_dilation, lengths, self.strides, strict=True
                )
            )
            at: tuple[int | slice, ...] = (slice(None), *offset)
            part = x[:, :, *window]
            rows = part.reshape((x.shape[0], math.prod(part.shape[1:-1]), x.shape[-1]))
            total += (rows @ w[at]).reshape(total.shape)
        order = [*([self.out[-1]] if self.grouped else []), self.out[0], *self.out[2 : 2 + n], self.out[1]]
        return (total if self.grouped else total[0]).transpose(np.argsort(order))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        left, right = inputs
        n = self.spatial
        low, after, more = [], [], []
        for axis in range(n):
            places = zip((left, right, g), (self.lhs, self.rhs, self.out), strict=True)
            size, kernel, length = (_whole(value.shape[roles[2 + axis]]) for value, roles in places)
            wide = _dilated(size, self.lhs_dilation[axis])
            narrow = _dilated(kernel, self.rhs_dilation[axis])
            taken = _dilated(length, self.strides[axis])
            low.append(narrow - 1 - self.low[axis])
            after.append(wide + narrow - 1 - taken - low[-1])
            more.append(taken - wide + narrow - 1 - self.low[axis])
        flipped = right.reverse(self.rhs[2 : 2 + n])
        swapped = (self.rhs[1], self.rhs[0], *self.rhs[2:])
        by_left = g.conv_general(
            flipped, (self.out, swapped, self.lhs), self.lhs_dilation, (low, after), (self.strides, self.rhs_dilation)
        )
        features_first = (self.lhs[1], self.lhs[0], *self.lhs[2:])
        by_right = left.conv_general(
            g,
            (features_first, self.out, self.rhs),
            self.rhs_dilation,
            (self.low, more),
            (self.lhs_dilation, self.strides),
        )
        return by_left, by_right

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """One to three spatial axes; strides, padding, both dilations, groups, exchanged roles, no elements."""
        return [
            Sample(_plain(1), (draw("f64", 2, 5, 3), draw("f64", 2, 3, 4))),
            Sample(_plain(2), (draw("f64", 2, 5, 4, 3), draw("f64", 3, 2, 3, 2))),
            Sample(_plain(2, 2, 1, 1), (draw("f64", 2, 5, 6, 2), draw("f64", 3, 3, 2, 3))),
            Sample(_plain(2, 1, 2, 1, 1, 2), (draw("f64", 1, 6, 5, 2), draw("f64", 3, 2, 2, 2))),
            Sample(_plain(2, 1, 1, 0, 2, 1), (draw("f64", 2, 3, 2, 2), draw("f64", 2, 3, 2, 2))),
            Sample(_plain(1, 3, 0, 0), (draw("f64", 2, 8, 2), draw("f64", 2, 2, 2))),
            Sample(_plain(2, 1, -1, -1), (draw("f64", 1, 6, 6, 1), draw("f64", 2, 2, 1, 2))),
            Sample(_plain(3), (draw("f64", 1, 3, 4, 3, 2), draw("f64", 2, 2, 2, 2, 3))),
            Sample(_plain(2), (draw("f64", 0, 4, 4, 2), draw("f64", 2, 2, 2, 3))),
            Sample(_plain(1), (draw("f64", 2, 2, 2), draw("f64", 3, 2, 2))),
            Sample(_plain(2, 1, 1, 1), (draw("f32", "batch", 6, 7, 3), draw("f32", 3, 3, 3, 20))),
            Sample(
                cls((0, 4, 1, 2, 3), (2, 4, 0, 1, 3), (0, 4, 1, 2, 3), (2, 1), (1, 1), (1, 0), (1, 1), (1, 1)),
                (draw("f64", 2, 5, 4, 3, 2), draw("f64", 3, 2, 2, 3, 2)),
            ),
            Sample(
                cls((3, 0, 1, 2), (0, 3, 1, 2), (2, 3, 0, 1), (1, 1), (1, 1), (1, 1), (1, 1), (2, 2)),
                (draw("f64", 2, 5, 5, 3), draw("f64", 2, 3, 3, 4)),
            ),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Other features, other ranks, a named spatial size."""
        image = tensor_type("f32", "batch", 6, 6, 3)
        return [
            Refusal(
                _plain(2),
                (image, tensor_type("f32", 3, 3, 4, 8)),
                ShapeError,
                "the kernel takes 4 input features, the input has 3",
            ),
            Refusal(
                _plain(2),
                (image, tensor_type("f32", 3, 3, 8)),
                ShapeError,
                "conv_general: the axes (2, 3, 0, 1) do not fit 3 dimensions",
            ),
            Refusal(
                _plain(2), (image, tensor_type("f64", 3, 3, 3, 8)), DTypeError, "conv_general of float32 and float64"
            ),
            Refusal(
                _plain(1),
                (tensor_type("f32", 2, "time", 3), tensor_type("f32", 3, 3, 8)),
                ShapeError,
                "spatial axis 0 of a convolution has a size that is known only at run time",
            ),
        ]


def _plain(
    spatial: int, stride: int = 1, low: int = 0, high: int = 0, lhs_dilation: int = 1, rhs_dilation: int = 1
) -> ConvGeneral:
    """A convolution of channels-last tensors, alike along all spatial axes."""
    inner = tuple(range(1, spatial + 1))
    roles, kernel = (0, spatial + 1, *inner), (spatial, spatial + 1, *range(spatial))
    options = ((value,) * spatial for value in (stride, low, high, lhs_dilation, rhs_dilation))
    return ConvGeneral(roles, kernel, roles, *options)


def _whole(size: Size) -> int:
    """A spatial size, which the type rule has found to be an integer."""
    assert isinstance(size, int)
    return size


def _dilated(size: int, dilation: int) -> int:
    """The length of a size with dilation - 1 places between its elements."""
    return max(0, (size - 1) * dilation + 1)


def _padded(x: Array, axis: int, low: int, high: int, dilation: int) -> Array:
    shape = list(x.shape)
    shape[axis] = _dilated(shape[axis], dilation)
    spread = np.zeros(shape, x.dtype)
    spread[(slice(None),) * axis + (slice(None, None, dilation),)] = x
    widths = [(max(low, 0), max(high, 0)) if number == axis else (0, 0) for number in range(x.ndim)]
    wide = np.pad(spread, widths)
    stop = wide.shape[axis] - max(-high, 0)
    return wide[(slice(None),) * axis + (slice(max(-low, 0), max(stop, max(-low, 0))),)]
