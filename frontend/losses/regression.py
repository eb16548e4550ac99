"""Losses of numbers: functions of the difference between prediction and target."""

from __future__ import annotations

from math import log

from graphc.errors import DeclarationError
from graphc.frontend.elementwise import abs, minimum, softplus
from graphc.frontend.elementwise import log as logarithm
from graphc.frontend.losses.samples import check_at_least, check_shape, reduced
from graphc.frontend.reductions import norm
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import scope, user_location

__all__ = [
    "huber",
    "l2_norm",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "poisson",
    "root_mean_squared_error",
    "smooth_l1",
]


def _error(name: str, predictions: TensorLike, targets: TensorLike) -> Tensor:
    value, target = as_tensor(predictions), as_tensor(targets)
    check_shape(name, value, target, value.shape)
    return value - target


def mean_squared_error(
    predictions: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The squared difference (prediction - target)**2; "mean" and "sum" run over all elements.

    predictions, targets: float of one shape.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.mean_squared_error([1.0, 2.0], [0.0, 4.0])))
    2.5
    """
    with scope("mean_squared_error"):
        error = _error("mean_squared_error", predictions, targets)
        return reduced("mean_squared_error", error * error, reduction, sample_weights)


def mean_absolute_error(
    predictions: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The magnitude of the difference, |prediction - target| (L1), with derivative 0 where they are equal.

    predictions, targets: float of one shape.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.mean_absolute_error([1.0, 2.0], [0.0, 4.0])))
    1.5
    """
    with scope("mean_absolute_error"):
        error = _error("mean_absolute_error", predictions, targets)
        return reduced("mean_absolute_error", abs(error), reduction, sample_weights)


def root_mean_squared_error(predictions: TensorLike, targets: TensorLike) -> Tensor:
    """The root of the mean squared difference, sqrt(mean((prediction - target)**2)); derivative 0 where all are equal.

    predictions, targets: float of one shape. The root is that of a batch: ``evaluate`` averages the roots of batches.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.root_mean_squared_error([1.0, 2.0], [0.0, 1.0])))
    1.0
    """
    with scope("root_mean_squared_error"):
        error = _error("root_mean_squared_error", predictions, targets)
        count = as_tensor(error.size, error.dtype).cast(error.dtype)
        return norm(error) / count.sqrt()


def l2_norm(predictions: TensorLike, targets: TensorLike, reduction: str = "mean") -> Tensor:
    """The Euclidean norm of all differences, sqrt(sum((prediction - target)**2)); derivative 0 where all are equal.

    predictions, targets: float of one shape. reduction: "sum" for the norm itself, "mean" for the norm divided by the
    number of elements, which is neither the mean squared error nor its root.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.l2_norm([3.0, 0.0], [0.0, 4.0], reduction="sum")))
    5.0
    """
    if reduction not in ("mean", "sum"):
        raise DeclarationError(
            f"a norm has no reduction {reduction!r}",
            at=str(user_location()),
            expected="mean or sum",
            got=str(reduction),
            way_out="gc.norm(x, axis=-1) is the norm of each row",
        )
    with scope("l2_norm"):
        error = _error("l2_norm", predictions, targets)
        return norm(error) if reduction == "sum" else norm(error) / as_tensor(error.size, error.dtype)


def huber(
    predictions: TensorLike,
    targets: TensorLike,
    delta: float = 1.0,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Half the squared difference up to delta, and a line beyond: e**2 / 2, or delta (|e| - delta / 2).

    predictions, targets: float of one shape. delta: positive.

    Source: P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.huber([0.5, 3.0], [0.0, 0.0], reduction="none"))
    array([0.125, 2.5  ], dtype=float32)
    """
    check_at_least("huber", "delta", delta, positive=True)
    with scope("huber"):
        return reduced("huber", _huber(_error("huber", predictions, targets), delta), reduction, sample_weights)


def _huber(error: Tensor, delta: float) -> Tensor:
    size = abs(error)
    near = minimum(size, delta)  # no square of what lies far away, which might overflow
    return 0.5 * near * near + delta * (size - near)


def smooth_l1(
    predictions: TensorLike,
    targets: TensorLike,
    beta: float = 1.0,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The magnitude of the difference, rounded off below beta: e**2 / (2 beta), or |e| - beta / 2.

    predictions, targets: float of one shape. beta: at least 0, where 0 is |e| itself. It is huber divided by beta.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.smooth_l1([0.5, 3.0], [0.0, 0.0], beta=2.0, reduction="none"))
    array([0.0625, 2.    ], dtype=float32)
    """
    check_at_least("smooth_l1", "beta", beta)
    with scope("smooth_l1"):
        error = _error("smooth_l1", predictions, targets)
        return reduced("smooth_l1", _huber(error, beta) / beta if beta else abs(error), reduction, sample_weights)


def log_cosh(
    predictions: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The logarithm of the hyperbolic cosine of the difference, log(cosh(e)) = softplus(2e) - e - log 2.

    predictions, targets: float of one shape. Near e**2 / 2 for small differences, |e| - log 2 for large ones.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.log_cosh([0.0, 100.0], [0.0, 0.0], reduction="none")).round(4)
    array([ 0.    , 99.3069], dtype=float32)
    """
    with scope("log_cosh"):
        error = _error("log_cosh", predictions, targets)
        return reduced("log_cosh", softplus(2 * error) - error - log(2), reduction, sample_weights)


def poisson(
    predictions: TensorLike,
    targets: TensorLike,
    from_log: bool = True,
    reduction: str = "mean",
    *,
    epsilon: float = 1e-8,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Minus the log-likelihood of counts, without the terms of the counts alone: exp(x) - y x.

    predictions: float, the logarithm of the expected count; with ``from_log=False`` the expected count itself, for
    which the loss is x - y log(x + epsilon). targets: counts of the same shape.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.poisson([0.0, 0.0], [0.0, 3.0], reduction="none"))
    array([1., 1.], dtype=float32)
    """
    value, target = as_tensor(predictions), as_tensor(targets)
    with scope("poisson"):
        check_shape("poisson", value, target, value.shape)
        count = target.cast(value.dtype)
        each = value.exp() - count * value if from_log else value - count * logarithm(value + epsilon)
        return reduced("poisson", each, reduction, sample_weights)
