"""Functions of neighbouring responses: the p-norm of windows, and normalisation by neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.convolution import Padding, per_axis
from graphc.frontend.elementwise import abs
from graphc.frontend.pooling import avg_pool
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["local_response_norm", "lp_pool"]


def lp_pool(
    x: TensorLike,
    window: int | Sequence[int],
    order: float = 2,
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
) -> Tensor:
    """The p-norm of each window, (sum |x|**p)**(1/p), of [batch, *spatial, channels]; padding counts as zeros.

    order: p, at least 1. Where a window is all zeros the derivative does not exist and is taken as 0. Other arguments,
    result and errors are those of ``gc.max_pool``, which this becomes for large p.

    Source: P. Sermanet, S. Chintala, Y. LeCun, "Convolutional neural networks applied to house numbers digit
    classification", ICPR 2012.

    >>> import graphc as gc
    >>> gc.evaluate(gc.lp_pool(gc.constant([3.0, -4.0, 0.0, 0.0]).reshape(1, 4, 1), 2)).ravel()
    array([5., 0.], dtype=float32)
    """
    if not order >= 1:
        raise DeclarationError(
            "a norm needs an order of at least 1", at=str(user_location()), expected="1, 2, ...", got=str(order)
        )
    value = as_tensor(x)
    with scope("lp_pool"):
        powers = value * value if order == 2 else abs(value) ** float(order)
        count = prod(per_axis("window", window, max(value.ndim - 2, 1)))
        total = avg_pool(powers, window, strides, padding, count_include_pad=True) * count
        nothing = total.equals(0.0)
        safe = nothing.where(1.0, total)  # the root's derivative at 0 is infinite
        return nothing.where(0.0, safe.sqrt() if order == 2 else safe ** (1.0 / order))


def local_response_norm(
    x: TensorLike, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 2.0
) -> Tensor:
    """Each response divided by those of the channels around it: x / (bias + alpha sum x**2)**beta.

    x: float [..., channels], channels an integer. The sum runs over ``size`` neighbouring channels, size // 2 of them
    before, and fewer at the ends. The constants are the paper's; PyTorch's local_response_norm divides alpha by size.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NeurIPS 2012.

    >>> import graphc as gc
    >>> gc.evaluate(gc.local_response_norm([[1.0, 2.0, 2.0]], size=3, alpha=1.0, beta=1.0, bias=1.0)).round(3)
    array([[0.167, 0.2  , 0.222]], dtype=float32)
    """
    value = as_tensor(x)
    if not isinstance(size, int) or size < 1:
        raise DeclarationError(
            "local_response_norm: size is a number of channels",
            at=str(user_location()),
            expected="an integer of at least 1",
            got=repr(size),
        )
    channels = value.shape[-1] if value.ndim else None
    if not isinstance(channels, int):
        raise ShapeError(
            "local_response_norm needs a fixed number of channels",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected="[..., channels] with an integer",
            got=str(value.type),
        )
    if not value.dtype.is_float:
        raise DTypeError(
            f"local_response_norm does not take {value.dtype.name}",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected="float32 or float64",
            got=str(value.type),
        )
    with scope("local_response_norm"):
        none = [0] * (value.ndim - 1)
        squares = (value * value).pad([*none, size // 2], [*none, (size - 1) // 2], [*none, 0])
        parts = [squares[..., first : first + channels] for first in range(size)]
        return value * (bias + alpha * reduce(Tensor.__add__, parts)) ** -beta
