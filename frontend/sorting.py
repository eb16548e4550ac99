"""Orders along an axis: sorting, the largest elements, and elements at places that differ from row to row.

An element's place in the order is the number of elements that come before it, so all comparisons are independent: the
work grows with the square of the size. A few largest elements of a long axis are found one after the other instead.
"""

from __future__ import annotations

from graphc.dims import Size, product
from graphc.dtypes import INT64
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.axes import axis_of
from graphc.frontend.shaping import broadcast_to, expand_dims, iota, stack
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import scope, user_location

__all__ = ["argsort", "sort", "take_along_axis", "top_k"]

_LONG, _FEW = 512, 16
"""Up to _FEW of more than _LONG elements are found one after the other."""


def _last(name: str, x: TensorLike, axis: int) -> tuple[Tensor, tuple[int, ...]]:
    """The tensor with the axis last, and the order of axes that leads back."""
    value = as_tensor(x)
    if value.dtype.kind == "b":
        raise DTypeError(
            f"{name} takes numbers",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected="floats or integers",
            got=str(value.type),
            way_out='convert it with gc.cast(x, "int32")',
        )
    chosen = axis_of(value.node, name, axis)
    others = tuple(number for number in range(value.ndim) if number != chosen)
    back = (*range(chosen), value.ndim - 1, *range(chosen, value.ndim - 1))
    return value.transpose((*others, chosen)), back


def argsort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The indices (int64) that sort an axis: smallest first, or largest first; of equal elements the first one first.

    x: floats or integers. NaN counts as larger than any number. Raises ShapeError, DTypeError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.argsort([3.0, 1.0, 2.0, 1.0]))
    array([1, 3, 2, 0])
    """
    value, back = _last("argsort", x, axis)
    with scope("argsort"):
        return _order(value, value.shape[-1], descending).transpose(back)


def sort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements of an axis in order, smallest first, or largest first; NaN counts as larger than any number.

    x: floats or integers. The gradient goes back to where each element came from. Raises ShapeError, DTypeError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sort([3.0, 1.0, 2.0], descending=True))
    array([3., 2., 1.], dtype=float32)
    """
    value, back = _last("sort", x, axis)
    with scope("sort"):
        return _along(value, _order(value, value.shape[-1], descending)).transpose(back)


def top_k(x: TensorLike, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k largest elements of an axis, largest first, and their indices (int64); of equal ones the first one first.

    x: floats or integers, with at least k elements along the axis, whose size is an integer. NaN counts as larger than
    any number. The gradient of the values goes back to where they came from. Raises ShapeError, DTypeError.

    >>> import graphc as gc
    >>> values, indices = gc.top_k([1.0, 5.0, 3.0], k=2)
    >>> gc.evaluate([values, indices])
    [array([5., 3.], dtype=float32), array([1, 2])]
    """
    value, back = _last("top_k", x, axis)
    size = value.shape[-1]
    if not isinstance(k, int) or k < 0:
        raise DeclarationError(
            "top_k: k is a number of elements",
            at=str(user_location()),
            expected="an integer of at least 0",
            got=repr(k),
        )
    if not isinstance(size, int) or size < k:
        raise ShapeError(
            f"top_k: there are no {k} elements along this axis",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected=f"an axis with an integer of at least {k} elements",
            got=str(size),
        )
    with scope("top_k"):
        few = size > _LONG and 0 < k <= _FEW
        indices = _one_after_the_other(value, k) if few else _order(value, k, descending=True)
        return _along(value, indices).transpose(back), indices.transpose(back)


def _order(x: Tensor, count: Size, descending: bool) -> Tensor:
    """The indices of the first ``count`` elements in order, along the last axis."""
    if x.shape[-1] == 0 or count == 0:
        return broadcast_to(as_tensor(0), (*x.shape[:-1], count))
    size, rows = x.shape[-1], product(x.shape[:-1])
    one, other = x.reshape((rows, size, 1)), x.reshape((rows, 1, size))
    ahead, same = other > one if descending else other < one, one.equals(other)
    if x.dtype.is_float:
        odd_one, odd_other = ~one.equals(one), ~other.equals(other)
        ahead = ahead | (odd_other & ~odd_one if descending else odd_one & ~odd_other)
        same = same | (odd_one & odd_other)
    earlier = iota((size, size), 1) < iota((size, size), 0)
    place = (ahead | (same & earlier)).sum(axis=-1)
    width, all_places = as_tensor(count), as_tensor(product((rows, count)))
    flat = (place < width).where(iota((rows, size), 0) * width + place, all_places)
    nowhere = broadcast_to(as_tensor(0), (product((rows, count)),))
    source = iota((rows, size), 1)
    return nowhere.scatter_add(flat.reshape(-1), source.reshape(-1), 0).reshape((*x.shape[:-1], count))


def _one_after_the_other(x: Tensor, k: int) -> Tensor:
    """The indices of the k largest elements along the last axis: each is left out of the search for the next."""
    lowest = float("-inf") if x.dtype.is_float else -(2 ** (x.dtype.bits - 1))
    places = iota(x.shape, axis=-1)
    left = broadcast_to(as_tensor(True), x.shape)
    found: list[Tensor] = []
    for _ in range(k):
        largest = left.where(x, as_tensor(lowest, x.dtype)).max(axis=-1, keepdims=True)
        hit = x.equals(largest)
        if x.dtype.is_float:
            hit = hit | (~x.equals(x) & ~largest.equals(largest))
        found.append((hit & left).cast("int32").argmax(axis=-1))
        left = left & ~places.equals(expand_dims(found[-1], -1))
    return stack(found, axis=-1)


def _along(x: Tensor, indices: Tensor) -> Tensor:
    """The elements of the last axis at indices; what is out of range reads beyond the end."""
    size, rows = as_tensor(x.shape[-1]), product(x.shape[:-1])
    index = indices.cast(INT64).reshape((rows, indices.shape[-1]))
    index = (index < 0).where(index + size, index)
    flat = iota(index.shape, 0) * size + index
    flat = ((index >= 0) & (index < size)).where(flat, as_tensor(product(x.shape)))
    return x.reshape(-1).gather(flat.reshape(-1), 0).reshape(indices.shape)


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """The elements of an axis at indices that differ from row to row, as numpy's take_along_axis.

    x: any shape. indices: int32 or int64, of the same sizes but along the axis; negative ones count from the end. An
    index out of range yields NaN (0 of integers). Raises ShapeError, DTypeError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]]))
    array([[2.],
           [3.]], dtype=float32)
    """
    whole, places = as_tensor(x), as_tensor(indices)
    value, back = _last("take_along_axis", whole, axis)
    if not places.dtype.is_integer:
        raise DTypeError(
            "take_along_axis: indices are integers",
            at=str(user_location()),
            facts=[("indices", describe(places.node))],
            expected="int32 or int64",
            got=str(places.type),
        )
    chosen = axis_of(whole.node, "take_along_axis", axis)
    wanted = (*whole.shape[:chosen], *places.shape[chosen : chosen + 1], *whole.shape[chosen + 1 :])
    if places.shape != wanted:
        raise ShapeError(
            "take_along_axis: the indices do not fit",
            at=str(user_location()),
            facts=[("operand", describe(whole.node)), ("indices", describe(places.node))],
            expected=f"the shape {size_text(whole.shape)} but along axis {chosen}",
            got=str(places.type),
        )
    with scope("take_along_axis"):
        return _along(value, _last("take_along_axis", places, chosen)[0]).transpose(back)
