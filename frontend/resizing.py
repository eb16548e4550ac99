"""Resizing of channels-last tensors, [batch, *spatial, channels]: each position is read from neighbours along one axis,
one axis after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.convolution import per_axis
from graphc.frontend.shaping import take
from graphc.frontend.state import constant
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["Scale", "check_method", "check_scale", "resize"]

Scale = float | Sequence[float]

METHODS = ("bilinear", "nearest")


def resize(
    x: TensorLike,
    sizes: int | Sequence[int] | None = None,
    *,
    scale: Scale | None = None,
    method: str = "bilinear",
    align_corners: bool = False,
) -> Tensor:
    """Lines or images of other sizes: [batch, *spatial, channels] to [batch, *sizes, channels].

    x: 1 or 2 spatial axes of fixed size. sizes: of the result, a number or one for each spatial axis; or scale, by
    which the sizes grow: floor(size * scale). Position o of an axis that grows from n to m elements is read at

        s = max(0, (o + 1/2) * n / m - 1/2)        centres of pixels are aligned
        s = o * (n - 1) / (m - 1)                  align_corners=True; 0 for m = 1

    "bilinear": (1 - t) * x[i] + t * x[min(i + 1, n - 1)] with i = floor(s) and t = s - i, along each axis; "nearest":
    x[floor(o * n / m)]. Making an image smaller skips elements; nothing is averaged. The results are those of PyTorch's
    ``interpolate`` (with recompute_scale_factor=True for a scale); float and, by "nearest", all element types.

    Raises ShapeError, DTypeError, DeclarationError.

    >>> import graphc as gc
    >>> x = gc.constant([0.0, 4.0]).reshape(1, 2, 1)
    >>> gc.evaluate(gc.resize(x, 4)).ravel(), gc.evaluate(gc.resize(x, 5, align_corners=True)).ravel()
    (array([0., 1., 3., 4.], dtype=float32), array([0., 1., 2., 3., 4.], dtype=float32))
    """
    value = as_tensor(x)
    check_method(method, align_corners)
    if method == "bilinear" and not value.dtype.is_float:
        raise DTypeError(
            f"resize between elements does not take {value.dtype.name}",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected="float32 or float64",
            got=str(value.type),
            way_out='convert it with gc.cast(x, "float32"), or take method="nearest"',
        )
    old = _spatial_sizes(value)
    for axis, (size, new) in enumerate(zip(old, _new_sizes(old, sizes, scale), strict=True), 1):
        if new == size:
            continue
        if method == "nearest":
            value = take(value, constant(np.arange(new) * size // new), axis)
        else:
            value = _between(value, axis, _positions(size, new, align_corners))
    return value


def check_method(method: str, align_corners: bool) -> None:
    """DeclarationError for a method that there is not, or that has no corners to align."""
    if method not in METHODS or (align_corners and method != "bilinear"):
        raise DeclarationError(
            f"resize: there is no method {method!r}"
            if method not in METHODS
            else 'resize: "nearest" aligns no corners',
            at=str(user_location()),
            expected='"bilinear", with or without align_corners, or "nearest"',
            got=repr(method),
        )


def check_scale(scale: Scale, axes: int) -> tuple[float, ...]:
    """One factor for each spatial axis; DeclarationError for others than positive numbers."""
    factors = tuple(scale) if isinstance(scale, Sequence) else (scale,) * axes
    if len(factors) != axes or not all(isinstance(number, (int, float)) and 0 < number < np.inf for number in factors):
        raise DeclarationError(
            f"scale does not fit {axes} spatial axes",
            at=str(user_location()),
            expected=f"a positive number, or {axes} of them",
            got=repr(scale),
        )
    return factors


def _spatial_sizes(x: Tensor) -> list[int]:
    sizes = [size for size in x.shape[1:-1] if isinstance(size, int) and size > 0]
    if len(sizes) != x.ndim - 2 or len(sizes) not in (1, 2):
        raise ShapeError(
            "resize takes 1 or 2 spatial axes of fixed size",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="[batch, *spatial, channels] with positive integers between the batch and the channels",
            got=str(x.type),
        )
    return sizes


def _new_sizes(old: Sequence[int], sizes: int | Sequence[int] | None, scale: Scale | None) -> tuple[int, ...]:
    if sizes is not None and scale is None:
        return per_axis("sizes", sizes, len(old))
    if scale is None or sizes is not None:
        raise DeclarationError(
            "resize takes either sizes or a scale", at=str(user_location()), got="both" if sizes is not None else "none"
        )
    factors = check_scale(scale, len(old))
    return per_axis("sizes", [int(size * factor) for size, factor in zip(old, factors, strict=True)], len(old))


def _positions(size: int, new: int, align_corners: bool) -> Array:
    """Where along an axis of ``size`` elements the elements of the new one are read."""
    places = np.arange(new, dtype=np.float64)
    if align_corners:
        return places * ((size - 1) / (new - 1) if new > 1 else 0.0)
    return np.clip((places + 0.5) * (size / new) - 0.5, 0.0, size - 1)


def _between(x: Tensor, axis: int, positions: Array) -> Tensor:
    """The values at positions between elements of an axis, on the line from one element to the next."""
    size = x.shape[axis]
    assert isinstance(size, int)
    first = np.minimum(positions.astype(np.int64), size - 1)
    second = np.minimum(first + 1, size - 1)
    part = (positions - first).reshape(-1, *[1] * (x.ndim - 1 - axis))
    before, after = take(x, constant(first), axis), take(x, constant(second), axis)
    return before * constant(1 - part, x.dtype) + after * constant(part, x.dtype)
