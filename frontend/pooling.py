"""Pooling of channels-last tensors, [batch, *spatial, channels]: the largest element or the mean of each window.

Windows are pooled axis by axis, the last one first, so that a window of a by b elements takes a + b steps and not
a * b. The first largest element of the first row that has one is the first in row-major order, so ties come out as in
a walk over the whole window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from graphc.dims import product
from graphc.dtypes import INT32
from graphc.errors import DTypeError, ShapeError
from graphc.frontend.convolution import Padding, padding_amounts, per_axis
from graphc.frontend.shaping import iota
from graphc.frontend.state import constant
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["avg_pool", "global_avg_pool", "global_max_pool", "max_pool"]


@dataclass(frozen=True)
class _Windows:
    """How windows lie along one axis. size: of the axis. low, high: padding. dilation: distance between elements."""

    size: int
    length: int
    stride: int
    low: int
    high: int
    dilation: int

    @property
    def reach(self) -> int:
        """From the first element of a window to its last, both included."""
        return (self.length - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """The number of windows."""
        return (self.size + self.low + self.high - self.reach) // self.stride + 1

    @property
    def covers(self) -> bool:
        """True for one window that is the axis itself."""
        return self.length == self.size and self.dilation == 1 and not self.low and not self.high

    @property
    def filled(self) -> tuple[int, ...]:
        """The number of elements of each window that are no padding."""
        starts = [window * self.stride - self.low for window in range(self.count)]
        places = [range(start, start + self.reach, self.dilation) for start in starts]
        return tuple(sum(0 <= place < self.size for place in window) for window in places)


@dataclass(frozen=True)
class _Pooling:
    """How elements are pooled. fill: what padding counts as. combine: two elements into one, the earlier one first.
    reduce: a whole axis into a size of 1.
    """

    fill: float
    combine: Callable[[Tensor, Tensor], Tensor]
    reduce: Callable[[Tensor, int], Tensor]


def _windows(
    name: str,
    x: Tensor,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Padding,
    dilation: int | Sequence[int],
) -> list[_Windows]:
    """The windows along each spatial axis; ShapeError where they do not fit."""
    _check_floats(name, x)
    sizes = [size for size in x.shape[1:-1] if isinstance(size, int)]
    axes = len(sizes)
    if axes != x.ndim - 2 or axes not in (1, 2, 3):
        raise ShapeError(
            f"{name} pools 1, 2 or 3 spatial axes of fixed size",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="[batch, *spatial, channels] with integers between the batch and the channels",
            got=str(x.type),
            way_out=f"use gc.global_{name}, which takes any sizes" if axes < x.ndim - 2 else None,
        )
    lengths = per_axis("window", window, axes)
    steps = lengths if strides is None else per_axis("strides", strides, axes)
    apart = per_axis("dilation", dilation, axes)
    low, high = padding_amounts(padding, sizes, lengths, steps, apart)
    found = [_Windows(*numbers) for numbers in zip(sizes, lengths, steps, low, high, apart, strict=True)]
    for axis, windows in enumerate(found, 1):
        if windows.count < 1 or not all(windows.filled):
            wrong = "is longer than the padded" if windows.count < 1 else "lies on padding only along"
            raise ShapeError(
                f"{name}: a window {wrong} axis {axis}",
                at=str(user_location()),
                facts=[("operand", describe(x.node))],
                expected="at least one element of the operand in each window",
                got=f"size {windows.size}, window {windows.length}, dilation {windows.dilation}, "
                f"padding ({windows.low}, {windows.high})",
                way_out='take a smaller window, or padding="same"' if windows.count < 1 else "pad less",
            )
    return found


def _check_floats(name: str, x: Tensor) -> None:
    if not x.dtype.is_float:
        raise DTypeError(
            f"{name} does not take {x.dtype.name}",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="float32 or float64",
            got=str(x.type),
            way_out='convert it with gc.cast(x, "float32")',
        )


def _pool(x: Tensor, all_windows: Sequence[_Windows], pooling: _Pooling) -> Tensor:
    for axis, windows in reversed(list(enumerate(all_windows, 1))):
        x = pooling.reduce(x, axis) if windows.covers else _along(x, axis, windows, pooling)
    return x


def _along(x: Tensor, axis: int, windows: _Windows, pooling: _Pooling) -> Tensor:
    """The elements of each window along one axis, combined from the first to the last."""
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = windows.low, windows.high
    padded = x.pad(low, high, [0] * x.ndim, pooling.fill)
    result = _strided(padded, axis, windows, 0)
    for place in range(1, windows.length):
        result = pooling.combine(result, _strided(padded, axis, windows, place))
    return result


def _strided(padded: Tensor, axis: int, windows: _Windows, place: int) -> Tensor:
    """The element at one place of every window along an axis."""
    start = place * windows.dilation
    stop = start + (windows.count - 1) * windows.stride + 1
    return padded[(*[slice(None)] * axis, slice(start, stop, windows.stride))]


def _larger(best: Tensor, candidate: Tensor) -> Tensor:
    """The candidate where it is larger or NaN, so that of equal elements the first one stays."""
    nan = ~candidate.equals(candidate)
    return ((candidate > best) | nan).where(candidate, best)


def _first_largest(x: Tensor, axis: int) -> Tensor:
    """The largest element along an axis, whose size becomes 1; of equal ones the first, unlike ``x.max``."""
    places = iota(x.shape, axis, INT32)
    largest = x.equals(x.max(axis, keepdims=True)) | ~x.equals(x)
    first = largest.where(places, np.iinfo(np.int32).max).min(axis, keepdims=True)
    return places.equals(first).where(x, 0.0).sum(axis, keepdims=True)


_MAX = _Pooling(-np.inf, _larger, _first_largest)
_SUM = _Pooling(0.0, Tensor.__add__, lambda x, axis: x.sum(axis, keepdims=True))


def max_pool(
    x: TensorLike,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The largest element of each window; NaN if there is one. Its gradient goes to the first of equal elements.

    x: float [batch, *spatial, channels] with 1, 2 or 3 spatial axes of fixed size. window, strides, dilation (distance
    between a window's elements): a number, or one for each spatial axis; strides are the window's sizes by default.
    padding: "valid" for none; "same" for ceil(size / stride) positions, the odd one at the end; a number; or a pair
    (before, after) for each spatial axis. Padding counts as -inf. The result is [batch, *positions, channels] with
    (size + before + after - (window - 1) * dilation - 1) // stride + 1 positions along each axis.

    Raises ShapeError, DTypeError, DeclarationError. Source: M. Ranzato, F. Huang, Y. Boureau, Y. LeCun, "Unsupervised
    learning of invariant feature hierarchies with applications to object recognition", CVPR 2007.

    >>> import graphc as gc
    >>> x = gc.constant([1.0, 4.0, 2.0, 3.0]).reshape(1, 4, 1)
    >>> gc.evaluate(gc.max_pool(x, 2)).ravel(), gc.evaluate(gc.max_pool(x, 3, strides=1, padding="same")).ravel()
    (array([4., 3.], dtype=float32), array([4., 4., 4., 3.], dtype=float32))
    """
    value = as_tensor(x)
    windows = _windows("max_pool", value, window, strides, padding, dilation)
    return _pool(value, windows, _MAX)


def avg_pool(
    x: TensorLike,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    count_include_pad: bool = False,
) -> Tensor:
    """The mean of each window, over the elements that are no padding.

    Arguments, result and errors are those of ``max_pool``. count_include_pad: divide by the size of the whole window,
    as if the padding were zeros of the data.

    Source: Y. LeCun and others, "Backpropagation applied to handwritten zip code recognition", 1989.

    >>> import graphc as gc
    >>> x = gc.constant([1.0, 4.0, 2.0, 3.0]).reshape(1, 4, 1)
    >>> gc.evaluate(gc.avg_pool(x, 2)).ravel(), gc.evaluate(gc.avg_pool(x, 3, strides=2, padding="same")).ravel()
    (array([2.5, 2.5], dtype=float32), array([2.3333333, 2.5      ], dtype=float32))
    """
    value = as_tensor(x)
    windows = _windows("avg_pool", value, window, strides, padding, dilation)
    total = _pool(value, windows, _SUM)
    whole = prod(along.length for along in windows)
    counts = np.ones((), np.int64)
    for along in windows:
        counts = np.multiply.outer(counts, np.asarray(along.filled))
    if count_include_pad or np.all(counts == whole):
        return total / whole
    return total / constant(counts[..., None], value.dtype)


def _spatial_axes(name: str, x: Tensor) -> tuple[int, ...]:
    _check_floats(name, x)
    if x.ndim < 3:
        raise ShapeError(
            f"{name} needs an axis between the batch and the channels",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="[batch, *spatial, channels]",
            got=str(x.type),
        )
    return tuple(range(1, x.ndim - 1))


def global_avg_pool(x: TensorLike) -> Tensor:
    """The mean over all spatial axes: [batch, *spatial, channels] to [batch, channels]; spatial sizes may be named.

    Source: M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014.

    >>> import graphc as gc
    >>> gc.evaluate(gc.global_avg_pool([[[1.0], [4.0], [4.0]]]))
    array([[3.]], dtype=float32)
    """
    value = as_tensor(x)
    return value.mean(_spatial_axes("global_avg_pool", value))


def global_max_pool(x: TensorLike) -> Tensor:
    """The largest element over all spatial axes: [batch, *spatial, channels] to [batch, channels]; NaN if there is one.

    Spatial sizes may be named, the channels are fixed. The gradient goes to the first of equal elements.

    >>> import graphc as gc
    >>> gc.evaluate(gc.global_max_pool([[[1.0], [4.0], [2.0]]]))
    array([[4.]], dtype=float32)
    """
    value = as_tensor(x)
    axes = _spatial_axes("global_max_pool", value)
    rows = value.reshape((value.shape[0], product(value.shape[axis] for axis in axes), value.shape[-1]))
    return _first_largest(rows, 1).reshape((value.shape[0], value.shape[-1]))
