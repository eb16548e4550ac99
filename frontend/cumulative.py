"""Sums of all elements up to each one.

They are composed of sums under a mask: of blocks of elements, and of the blocks' totals, and so on. That takes 64
additions an element, all independent, and no kernel that waits for the element before.
"""

from __future__ import annotations

from graphc.dtypes import INT64
from graphc.frontend.axes import axis_of
from graphc.frontend.shaping import iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import scope

__all__ = ["cumsum"]

_BLOCK = 64


def cumsum(x: TensorLike, axis: int = 0, reverse: bool = False, exclusive: bool = False) -> Tensor:
    """The sum of all elements up to each one, along an axis: y_i = x_0 + ... + x_i; int64 for bool and integers.

    x: any shape; the result has the same. reverse: x_i + x_(i+1) + ... instead. exclusive: without x_i itself. The
    order of additions is fixed, but not one after the other. Its derivative is the sum in the other direction. Of an
    axis whose size is known only at run time the work grows with the square of the size. ShapeError for other axes.

    >>> import graphc as gc
    >>> gc.evaluate(gc.cumsum([1.0, 2.0, 3.0])), gc.evaluate(gc.cumsum([1, 2, 3], reverse=True, exclusive=True))
    (array([1., 3., 6.], dtype=float32), array([5, 3, 0]))
    """
    value = as_tensor(x)
    chosen = axis_of(value.node, "cumsum", axis)
    with scope("cumsum"):
        number = value if value.dtype.is_float else value.cast(INT64)
        others = tuple(position for position in range(value.ndim) if position != chosen)
        last = number.transpose((*others, chosen))
        total = _reversed(_running(_reversed(last), exclusive)) if reverse else _running(last, exclusive)
        back = [*range(chosen), value.ndim - 1, *range(chosen, value.ndim - 1)]
        return total.transpose(tuple(back))


def _reversed(x: Tensor) -> Tensor:
    return x.reverse((x.ndim - 1,))


def _running(x: Tensor, exclusive: bool) -> Tensor:
    """Along the last axis."""
    size, before = x.shape[-1], x.shape[:-1]
    if not isinstance(size, int) or size <= _BLOCK:
        square = (size, size)
        place, other = iota(square, 0), iota(square, 1)
        seen = other < place if exclusive else other <= place
        repeated = x.reshape((*before, 1, size)).broadcast_in_dim((*before, size, size), tuple(range(x.ndim + 1)))
        return seen.where(repeated, 0).sum(axis=-1)
    blocks = -(-size // _BLOCK)
    none = [0] * len(before)
    parted = x.pad([*none, 0], [*none, blocks * _BLOCK - size], [*none, 0]).reshape((*before, blocks, _BLOCK))
    earlier = _running(parted.sum(axis=-1), exclusive=True)
    total = _running(parted, exclusive) + earlier.reshape((*before, blocks, 1))
    return total.reshape((*before, blocks * _BLOCK))[..., :size]
