"""Functions that combine elements along axes, and those built on them: softmax and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from graphc.errors import DeclarationError
from graphc.frontend.elementwise import abs, isfinite, stop_gradient
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import user_location

__all__ = ["argmax", "log_softmax", "logsumexp", "max", "mean", "min", "norm", "prod", "softmax", "sum", "var"]

Axis = int | Sequence[int] | None


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes (all if None), in a fixed order; 0 over no elements; int64 for bool and integers.

    x: any shape. axis: numbers from -rank to rank - 1, ShapeError for others. keepdims: leave sizes of 1.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sum([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([4., 6.], dtype=float32)
    """
    return as_tensor(x).sum(axis, keepdims)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over axes (all if None): the sum divided by the number of elements; NaN over none.

    >>> import graphc as gc
    >>> gc.evaluate(gc.mean([[1.0, 2.0], [3.0, 4.0]], axis=1))
    array([1.5, 3.5], dtype=float32)
    """
    return as_tensor(x).mean(axis, keepdims)


def var(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes (all if None), mean((x - mean(x))**2), divided by n as numpy does by default.

    >>> import graphc as gc
    >>> gc.evaluate(gc.var([1.0, 3.0]))
    array(1., dtype=float32)
    """
    return as_tensor(x).var(axis, keepdims)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes (all if None); NaN if there is one. Equal elements share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.max([[1.0, 2.0], [3.0, 0.0]], axis=1))
    array([2., 3.], dtype=float32)
    """
    return as_tensor(x).max(axis, keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes (all if None); NaN if there is one. Equal elements share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.min([[1.0, 2.0], [3.0, 0.0]], axis=1))
    array([1., 0.], dtype=float32)
    """
    return as_tensor(x).min(axis, keepdims)


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over axes (all if None); 1 over no elements. The gradient is exact where elements are 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.prod([[1.0, 2.0], [3.0, 4.0]], axis=1))
    array([ 2., 12.], dtype=float32)
    """
    return as_tensor(x).prod(axis, keepdims)


def argmax(x: TensorLike, axis: int | None = None) -> Tensor:
    """The index (int64) of the largest element along an axis, or of the flattened tensor; the first of equal ones.

    >>> import graphc as gc
    >>> gc.evaluate(gc.argmax([[1.0, 2.0], [3.0, 0.0]], axis=1))
    array([1, 0])
    """
    return as_tensor(x).argmax(axis)


def norm(x: TensorLike, order: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The p-norm (sum |x|**p)**(1/p) over axes (all if None), for p of at least 1; of order infinity max |x|.

    Where all elements are 0 the derivative does not exist and is taken as 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.norm([3.0, -4.0])), gc.evaluate(gc.norm([3.0, -4.0], order=1))
    (array(5., dtype=float32), array(7., dtype=float32))
    """
    if not order >= 1:
        raise DeclarationError(
            "a norm needs an order of at least 1", at=str(user_location()), expected="1, 2, ...", got=str(order)
        )
    value = as_tensor(x)
    size = abs(value)
    if order == 1:
        return size.sum(axis, keepdims)
    if isinf(order):
        return size.max(axis, keepdims)
    total = (value * value if order == 2 else size ** float(order)).sum(axis, keepdims)
    nothing = total.equals(0.0)
    safe = nothing.where(1.0, total)  # the root's derivative at 0 is infinite
    return nothing.where(0.0, safe.sqrt() if order == 2 else safe ** (1.0 / order))


def _expanded(reduced: Tensor, value: Tensor, axis: Axis) -> Tensor:
    """A value that was reduced along axes, with sizes of 1 in their place, so that it broadcasts against the
    original.
    """
    axes = value._axes(axis)
    return reduced.reshape(tuple(1 if number in axes else size for number, size in enumerate(value.shape)))


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The value log(sum(exp(x))) over axes (all if None), shifted by the maximum so that it does not overflow.

    >>> import graphc as gc
    >>> round(float(gc.evaluate(gc.logsumexp([1000.0, 1000.0]))), 2)
    1000.69
    """
    value = as_tensor(x)
    largest = stop_gradient(value.max(axis))
    shift = isfinite(largest).where(
        largest, 0.0
    )  # it cancels, so it has no derivative; an infinite one would leave NaN
    total = (value - _expanded(shift, value, axis)).exp().sum(axis).log() + shift
    return _expanded(total, value, axis) if keepdims else total


def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """Exponentials divided by their sum along an axis: exp(x - max) / sum(exp(x - max)).

    >>> import graphc as gc
    >>> gc.evaluate(gc.softmax([0.0, 0.0]))
    array([0.5, 0.5], dtype=float32)
    """
    value = as_tensor(x)
    exponentials = (value - _expanded(stop_gradient(value.max(axis)), value, axis)).exp()
    return exponentials / exponentials.sum(axis, keepdims=True)


def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """The logarithm of softmax along an axis: x - max - log(sum(exp(x - max))).

    >>> import graphc as gc
    >>> gc.evaluate(gc.log_softmax([0.0, 1000.0]))
    array([-1000.,     0.], dtype=float32)
    """
    value = as_tensor(x)
    shifted = value - _expanded(stop_gradient(value.max(axis)), value, axis)
    return shifted - _expanded(shifted.exp().sum(axis).log(), value, axis)
