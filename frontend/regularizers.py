"""Regularizers: functions of parameters to be added to a loss, such as ``loss + l2(network.parameters, 1e-4)``.

Each takes one tensor or several, of one float type, and gives a scalar of it. "L2" means squared here, as in most
texts; the plain root is ``l2_norm``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from graphc.errors import DeclarationError, DTypeError
from graphc.frontend.elementwise import abs, where
from graphc.frontend.settings import check_not_negative
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["elastic_net", "l1", "l2", "l2_norm", "lp"]

Tensors = Tensor | Iterable[Tensor]


def l1(parameters: Tensors, strength: float = 1.0) -> Tensor:
    """The sum of magnitudes, strength * sum(abs(w)); its gradient is strength * sign(w), 0 at 0.

    Source: R. Tibshirani, "Regression shrinkage and selection via the lasso", 1996.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.regularizers.l1(gc.constant([3.0, -4.0]), 0.5)))
    3.5
    """
    return strength * _total("l1", parameters, strength, abs)


def l2(parameters: Tensors, strength: float = 1.0) -> Tensor:
    """The sum of squares, strength * sum(w**2), without a half; its gradient is 2 * strength * w.

    Source: A. Hoerl, R. Kennard, "Ridge regression", 1970.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.regularizers.l2([gc.constant([3.0]), gc.constant([-4.0])], 0.5)))
    12.5
    """
    return strength * _total("l2", parameters, strength, lambda w: w * w)


def l2_norm(parameters: Tensors, strength: float = 1.0) -> Tensor:
    """The length of all parameters together, strength * sqrt(sum(w**2)); its gradient is strength * w / length, and
    0 where the length is 0.

    >>> import graphc as gc
    >>> w = gc.constant([3.0, -4.0])
    >>> loss = gc.regularizers.l2_norm(w)
    >>> float(gc.evaluate(loss)), gc.evaluate(gc.grad(loss, w))
    (5.0, array([ 0.6, -0.8], dtype=float32))
    """
    return strength * _root(_total("l2_norm", parameters, strength, lambda w: w * w), 2.0)


def lp(parameters: Tensors, p: float, strength: float = 1.0) -> Tensor:
    """The p-norm of all parameters together, strength * sum(abs(w)**p)**(1/p), for p of at least 1.

    Its gradient is 0 where all are 0. Raises DeclarationError for a smaller p.

    >>> import graphc as gc
    >>> round(float(gc.evaluate(gc.regularizers.lp(gc.constant([-1.0, 2.0]), p=3))), 3)
    2.08
    """
    if not 1 <= p < float("inf"):
        raise DeclarationError(
            "lp needs a power of at least 1", at=str(user_location()), expected="1 <= p < infinity", got=str(p)
        )
    if p == 1:
        return l1(parameters, strength)
    return strength * _root(_total("lp", parameters, strength, lambda w: _power(abs(w), p)), p)


def elastic_net(parameters: Tensors, strength: float = 1.0, share: float = 0.5) -> Tensor:
    """The sum of l1 and l2, strength * (share * sum(abs(w)) + (1 - share) * sum(w**2)).

    share: of l1, between 0 and 1.

    Source: H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", 2005.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.regularizers.elastic_net(gc.constant([3.0, -4.0]), share=0.5)))
    16.0
    """
    if not 0 <= share <= 1:
        raise DeclarationError(
            "the share of l1 lies between 0 and 1", at=str(user_location()), expected="0 <= share <= 1", got=str(share)
        )
    return strength * _total("elastic_net", parameters, strength, lambda w: share * abs(w) + (1 - share) * (w * w))


def _total(name: str, parameters: Tensors, strength: float, term: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of a term over all elements of all tensors."""
    check_not_negative("strength", strength)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors:
        raise DeclarationError(
            f"{name} got no parameters", at=str(user_location()), expected="one tensor or several", got="none"
        )
    for tensor in tensors:
        if not isinstance(tensor, Tensor) or not tensor.dtype.is_float or tensor.dtype != tensors[0].dtype:
            raise DTypeError(
                f"{name} takes float tensors of one type",
                at=str(user_location()),
                facts=[("operand", describe(tensor.node) if isinstance(tensor, Tensor) else repr(tensor))],
                expected=str(tensors[0].dtype.name) if tensors[0] is not tensor else "float32 or float64",
            )
    with scope(name):
        total = term(tensors[0]).sum()
        for tensor in tensors[1:]:
            total = total + term(tensor).sum()
        return total


def _root(total: Tensor, p: float) -> Tensor:
    """The p-th root, whose derivative at 0 is made 0 and not infinite."""
    nothing = total.equals(0.0)
    safe = where(nothing, 1.0, total)
    return where(nothing, 0.0, safe.sqrt() if p == 2 else safe ** (1 / p))


def _power(size: Tensor, p: float) -> Tensor:
    """A magnitude to a power above 1, with derivative 0 at 0."""
    nothing = size.equals(0.0)
    return where(nothing, 0.0, where(nothing, 1.0, size) ** p)
