"""Convolutions of channels-last tensors: [batch, *spatial, channels]."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import Size
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["Padding", "convolution", "convolution_transpose", "padding_amounts", "per_axis"]

Padding = str | int | Sequence[tuple[int, int]]


def per_axis(what: str, value: int | Sequence[int], axes: int, least: int = 1) -> tuple[int, ...]:
    """One number for each spatial axis; DeclarationError for numbers that are too small or too many."""
    numbers = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(numbers) != axes or any(not isinstance(number, int) or number < least for number in numbers):
        raise DeclarationError(
            f"{what} does not fit {axes} spatial axes",
            at=str(user_location()),
            expected=f"an integer of at least {least}, or {axes} of them",
            got=repr(value),
        )
    return numbers


def padding_amounts(
    padding: Padding, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Zeros before and after each spatial axis.

    padding: "valid" for none; "same" for a result of ceil(size / stride), the odd one after, as in Keras; a number for
    all sides; or a pair for each axis. DeclarationError for anything else.
    """
    axes = len(sizes)
    if padding == "valid":
        return (0,) * axes, (0,) * axes
    if padding == "same":
        low, high = [], []
        for size, length, stride, step in zip(sizes, window, strides, dilation, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + (length - 1) * step + 1 - size)
            low.append(total // 2)
            high.append(total - total // 2)
        return tuple(low), tuple(high)
    if isinstance(padding, int) and padding >= 0:
        return (padding,) * axes, (padding,) * axes
    pairs = list(padding) if isinstance(padding, (list, tuple)) else []
    if len(pairs) != axes or not all(map(_is_pair, pairs)):
        raise DeclarationError(
            "this is no padding",
            at=str(user_location()),
            expected=f'"valid", "same", a number, or {axes} pairs of numbers',
            got=repr(padding),
        )
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def _is_pair(value: object) -> bool:
    """True for two numbers of zeros."""
    if not isinstance(value, Sequence) or len(value) != 2:
        return False
    return all(isinstance(number, int) and number >= 0 for number in value)


def _operands(name: str, x: TensorLike, kernel: TensorLike) -> tuple[Tensor, Tensor, list[int], list[int]]:
    """Input and kernel, the spatial sizes of the input, and all sizes of the kernel."""
    left = as_tensor(x)
    right = as_tensor(kernel, left.dtype)
    if not left.dtype.is_float:
        raise DTypeError(
            f"{name} does not take {left.dtype.name}",
            at=str(user_location()),
            facts=[("input", describe(left.node)), ("kernel", describe(right.node))],
            expected="float32 or float64",
            got=str(left.type),
            way_out='convert the input with gc.cast(x, "float32")',
        )
    axes = left.ndim - 2
    spatial = (*left.shape[1:-1], *right.shape)
    if axes < 1 or right.ndim != left.ndim or not all(isinstance(size, int) for size in spatial):
        raise ShapeError(
            f"{name}: the operands do not fit",
            at=str(user_location()),
            facts=[("input", describe(left.node)), ("kernel", describe(right.node))],
            expected="[batch, *spatial, features] and [*window, input features, output features], of integers but for "
            "the batch",
            got=f"{left.type} and {right.type}",
        )
    return left, right, _integers(left.shape[1:-1]), _integers(right.shape)


def convolution(
    x: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution of a batch with a kernel (a cross-correlation: the kernel is not flipped).

    x: [batch, *spatial, features] with any number of spatial axes. kernel: [*window, features / groups, outputs].
    strides, dilation (distance between the kernel's elements): a number, or one for each spatial axis. padding: zeros,
    see ``padding_amounts``. groups: features are split into as many parts, each with outputs of its own. The result is
    [batch, *positions, outputs].

    Raises ShapeError, DTypeError, DeclarationError. Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic
    for deep learning", 2016.

    >>> import graphc as gc
    >>> gc.convolution(gc.input("x", ("batch", 28, 28, 1)), gc.parameter((5, 5, 1, 6)), padding="same")
    <Tensor f32[batch, 28, 28, 6]>
    """
    left, right, sizes, shape = _operands("convolution", x, kernel)
    axes = len(sizes)
    steps, apart = per_axis("strides", strides, axes), per_axis("dilation", dilation, axes)
    low, high = padding_amounts(padding, sizes, shape[:axes], steps, apart)
    inner = tuple(range(1, axes + 1))
    roles = (0, axes + 1, *inner)
    plain = (axes, axes + 1, *range(axes))
    once = (1,) * axes
    if groups == 1:
        return left.conv_general(right, (roles, plain, roles), steps, (low, high), (once, apart))
    features, (per_group, outputs) = left.shape[-1], shape[-2:]
    if groups < 1 or outputs % groups or features != groups * per_group:
        raise ShapeError(
            f"{groups} groups do not fit the kernel",
            at=str(user_location()),
            facts=[("input", describe(left.node)), ("kernel", describe(right.node))],
            expected="features = groups * the kernel's input features, outputs a multiple of groups",
            got=f"{features} features, {per_group} input features and {outputs} outputs of the kernel",
        )
    left = left.reshape((*left.shape[:-1], groups, per_group))
    right = right.reshape((*right.shape[:-1], groups, outputs // groups))
    roles = (0, axes + 2, *inner, axes + 1)
    split = (axes, axes + 2, *range(axes), axes + 1)
    result = left.conv_general(right, (roles, split, roles), steps, (low, high), (once, apart))
    return result.reshape((*result.shape[:-2], outputs))


def convolution_transpose(
    x: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The transposed convolution: what the derivative of ``convolution`` by its input does, upsampling by the strides.

    x: [batch, *spatial, features]. kernel: [*window, features, outputs]. padding: what the convolution that is
    transposed has; "valid" gives (size - 1) * stride + (window - 1) * dilation + 1 positions, "same" size * stride.

    Raises as ``convolution``. Source: M. Zeiler and others, "Deconvolutional networks", 2010.

    >>> import graphc as gc
    >>> gc.convolution_transpose(gc.input("x", ("batch", 7, 7, 8)), gc.parameter((4, 4, 8, 3)), 2, "same")
    <Tensor f32[batch, 14, 14, 3]>
    """
    left, right, sizes, shape = _operands("convolution_transpose", x, kernel)
    axes = len(sizes)
    steps, apart = per_axis("strides", strides, axes), per_axis("dilation", dilation, axes)
    wide = [(size - 1) * step + 1 for size, step in zip(shape[:axes], apart, strict=True)]
    grown = [size * step for size, step in zip(sizes, steps, strict=True)]
    before, after = padding_amounts(padding, grown, shape[:axes], steps, apart)
    low = [length - 1 - cut for length, cut in zip(wide, before, strict=True)]
    high = [length - 1 - cut for length, cut in zip(wide, after, strict=True)]
    if padding == "same":  # the last stride may have left out some positions
        for axis, total in enumerate(grown):
            high[axis] += total + before[axis] + after[axis] - wide[axis] - (sizes[axis] - 1) * steps[axis]
    inner = tuple(range(1, axes + 1))
    roles = (0, axes + 1, *inner)
    flipped = right.reverse(tuple(range(axes)))
    plain = (axes, axes + 1, *range(axes))
    return left.conv_general(flipped, (roles, plain, roles), (1,) * axes, (low, high), (steps, apart))


def _integers(sizes: Sequence[Size]) -> list[int]:
    return [size for size in sizes if isinstance(size, int)]
