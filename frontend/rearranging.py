"""Functions that move the pixels of [batch, *spatial, channels]: margins, and blocks of pixels as channels."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import product
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.shaping import concatenate, flip
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["Margins", "crop", "depth_to_space", "reflection_pad", "space_to_depth", "zero_pad"]

Margins = int | Sequence[int | tuple[int, int]]
"""Amounts at both ends of each spatial axis: one number for all, or for each axis a number or a pair."""


def _margins(name: str, x: Tensor, amount: Margins) -> list[tuple[int, int]]:
    """Pairs (before, after) for each spatial axis; ShapeError, DeclarationError where they do not fit."""
    if x.ndim < 3:
        raise ShapeError(
            f"{name} needs an axis between the batch and the channels",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="[batch, *spatial, channels]",
            got=str(x.type),
        )
    known = [*amount] if isinstance(amount, Sequence) else []
    each = [amount] * (x.ndim - 2) if isinstance(amount, int) else known
    pairs = [(one, one) if isinstance(one, int) else tuple(one) if isinstance(one, Sequence) else () for one in each]
    if len(pairs) != x.ndim - 2 or any(
        len(pair) != 2 or not all(isinstance(n, int) and n >= 0 for n in pair) for pair in pairs
    ):
        raise DeclarationError(
            f"{name}: the amounts do not fit {x.ndim - 2} spatial axes",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected="an integer of at least 0, or for each spatial axis one or a pair",
            got=repr(amount),
        )
    return [(pair[0], pair[1]) for pair in pairs]


def _size(name: str, x: Tensor, axis: int, least: int) -> int:
    size = x.shape[axis]
    if not isinstance(size, int) or size < least:
        raise ShapeError(
            f"{name}: axis {axis} is too small, or its size is known only at run time",
            at=str(user_location()),
            facts=[("operand", describe(x.node))],
            expected=f"an integer of at least {least}",
            got=str(x.type),
        )
    return size


def zero_pad(x: TensorLike, amount: Margins) -> Tensor:
    """Zeros around the pixels: [batch, *spatial, channels] with each spatial size larger by its two amounts.

    amount: of pixels at both ends, one number for all spatial axes, or for each a number or a pair (before, after).
    Raises ShapeError, DeclarationError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.zero_pad(gc.constant([1.0, 2.0]).reshape(1, 2, 1), [(1, 2)])).ravel()
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    value = as_tensor(x)
    pairs = [(0, 0), *_margins("zero_pad", value, amount), (0, 0)]
    low, high = zip(*pairs, strict=True)
    return value.pad(low, high, [0] * value.ndim)


def reflection_pad(x: TensorLike, amount: Margins) -> Tensor:
    """The pixels mirrored at the borders, without the border itself: numpy's mode "reflect".

    amount: as for ``gc.zero_pad``, smaller than the sizes, which are integers. Raises ShapeError, DeclarationError.

    Source: J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual losses for real-time style transfer and super-resolution",
    ECCV 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.reflection_pad(gc.constant([1.0, 2.0, 3.0]).reshape(1, 3, 1), 2)).ravel()
    array([3., 2., 1., 2., 3., 2., 1.], dtype=float32)
    """
    value = as_tensor(x)
    with scope("reflection_pad"):
        for axis, (before, after) in enumerate(_margins("reflection_pad", value, amount), start=1):
            size = _size("reflection_pad", value, axis, max(before, after) + 1) if before or after else 0
            around = (slice(None),) * axis
            parts = [
                flip(value[(*around, slice(1, before + 1))], axis) if before else None,
                value,
                flip(value[(*around, slice(size - 1 - after, size - 1))], axis) if after else None,
            ]
            value = concatenate([part for part in parts if part is not None], axis)
    return value


def crop(x: TensorLike, amount: Margins) -> Tensor:
    """Without the outer pixels: [batch, *spatial, channels] with each spatial size smaller by its two amounts.

    amount: as for ``gc.zero_pad``; at least one pixel is left. Raises ShapeError, DeclarationError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.crop(gc.constant([1.0, 2.0, 3.0]).reshape(1, 3, 1), [(0, 1)])).ravel()
    array([1., 2.], dtype=float32)
    """
    value = as_tensor(x)
    parts = [slice(None)]
    for axis, (before, after) in enumerate(_margins("crop", value, amount), start=1):
        whole = not before and not after
        parts.append(slice(None) if whole else slice(before, _size("crop", value, axis, before + after + 1) - after))
    return value[tuple(parts)]


def _check_block(name: str, block: int) -> None:
    if not isinstance(block, int) or block < 1:
        raise DeclarationError(
            f"{name}: the side of a block is a positive integer", at=str(user_location()), got=repr(block)
        )


def space_to_depth(x: TensorLike, block: int) -> Tensor:
    """Blocks of pixels as channels: [batch, a, b, channels] to [batch, a / block, b / block, block**2 channels].

    Any number of spatial axes, whose sizes are multiples of block. In a block the pixels come in row-major order, and
    all channels of one before those of the next. The opposite of ``gc.depth_to_space``. Raises ShapeError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.space_to_depth(gc.constant([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1), 2))
    array([[[1., 2.],
            [3., 4.]]], dtype=float32)
    """
    value = as_tensor(x)
    _check_block("space_to_depth", block)
    _margins("space_to_depth", value, 0)
    sizes = [_size("space_to_depth", value, axis, 0) for axis in range(1, value.ndim - 1)]
    if any(size % block for size in sizes):
        raise ShapeError(
            "space_to_depth: the pixels do not fall into blocks",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected=f"spatial sizes that are multiples of {block}",
            got=str(value.type),
        )
    parted = [part for size in sizes for part in (size // block, block)]
    rank, channels = len(sizes), value.shape[-1]
    order = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    moved = value.reshape((value.shape[0], *parted, channels)).transpose(order)
    return moved.reshape((value.shape[0], *(size // block for size in sizes), -1))


def depth_to_space(x: TensorLike, block: int) -> Tensor:
    """Channels as blocks of pixels: [batch, a, b, block**2 channels] to [batch, a block, b block, channels].

    Any number of spatial axes. The opposite of ``gc.space_to_depth``; PyTorch's pixel_shuffle takes the pixels of a
    block from neighbouring channels, this from groups of all channels. Raises ShapeError.

    Source: W. Shi and others, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", CVPR 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.depth_to_space(gc.constant([[[1.0, 2.0], [3.0, 4.0]]]), 2)).ravel()
    array([1., 2., 3., 4.], dtype=float32)
    """
    value = as_tensor(x)
    _check_block("depth_to_space", block)
    _margins("depth_to_space", value, 0)
    rank = value.ndim - 2
    channels = _size("depth_to_space", value, value.ndim - 1, 0)
    if channels % block**rank:
        raise ShapeError(
            "depth_to_space: the channels do not fall into blocks",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected=f"a multiple of {block**rank} channels",
            got=str(value.type),
        )
    sizes = value.shape[1:-1]
    parted = value.reshape((value.shape[0], *sizes, *[block] * rank, channels // block**rank))
    order = (0, *(axis for number in range(1, rank + 1) for axis in (number, number + rank)), 2 * rank + 1)
    return parted.transpose(order).reshape((value.shape[0], *(product((size, block)) for size in sizes), -1))
