"""What losses share: targets that must fit, the class that a label chooses, and the step from samples to one number."""

from __future__ import annotations

from graphc.dims import Shape
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.elementwise import check_range
from graphc.frontend.shaping import broadcast_to, expand_dims, iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import user_location

__all__ = ["check_at_least", "check_share", "check_shape", "chosen_classes", "reduced"]


def reduced(
    name: str,
    values: Tensor,
    reduction: str,
    sample_weights: TensorLike | None = None,
    counts: Tensor | None = None,
) -> Tensor:
    """The mean or sum of the values of samples, or the values.

    counts: how much each sample counts in the mean, where it is not 1; the values contain it already.
    """
    if reduction not in ("mean", "sum", "none"):
        raise DeclarationError(
            f"there is no reduction {reduction!r}",
            at=str(user_location()),
            expected="mean, sum or none",
            got=str(reduction),
        )
    if sample_weights is not None:
        weights = _weights(name, values, sample_weights)
        values = values * weights
        counts = weights if counts is None else counts * weights
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if counts is None:
        return values.mean()
    total = counts.sum()
    return values.sum() / total.equals(0.0).where(1.0, total)


def _weights(name: str, values: Tensor, sample_weights: TensorLike) -> Tensor:
    weights = as_tensor(sample_weights, values.dtype).cast(values.dtype)
    if weights.shape != values.shape[: weights.ndim]:
        raise ShapeError(
            f"{name}: the weights do not fit the samples",
            at=str(user_location()),
            facts=[("values", describe(values.node)), ("weights", describe(weights.node))],
            expected=f"weights of shape {size_text(values.shape)}, or of its first axes",
            got=str(weights.type),
        )
    missing = tuple(range(weights.ndim, values.ndim))
    return broadcast_to(expand_dims(weights, missing), values.shape) if missing else weights


def check_shape(name: str, first: Tensor, second: Tensor, wanted: Shape) -> None:
    """ShapeError for a target that has another shape than wanted."""
    if second.shape != wanted:
        raise ShapeError(
            f"{name}: the target does not fit the prediction",
            at=str(user_location()),
            facts=[("prediction", describe(first.node)), ("target", describe(second.node))],
            expected=f"a target of shape {size_text(wanted)}",
            got=str(second.type),
        )


def check_share(name: str, what: str, value: float) -> None:
    """DeclarationError for a share that is not at least 0 and below 1."""
    if not 0 <= value < 1:
        raise DeclarationError(
            f"{name}: {what} is a share below 1",
            at=str(user_location()),
            expected=f"0 <= {what} < 1",
            got=repr(value),
        )


def check_at_least(name: str, what: str, value: float, positive: bool = False) -> None:
    """DeclarationError for a number below 0, or for 0 where it must be positive."""
    if value < 0 or (positive and not value > 0):
        raise DeclarationError(
            f"{name}: {what} is {'positive' if positive else 'at least 0'}",
            at=str(user_location()),
            expected=f"{what} {'>' if positive else '>='} 0",
            got=repr(value),
        )


def chosen_classes(name: str, scores: Tensor, labels: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Truth values that mark the class of each integer label along the last axis of the scores.

    ignored: labels that choose class 0 and may be anything.
    """
    if not labels.dtype.is_integer:
        raise DTypeError(
            f"{name}: class labels are integers",
            at=str(user_location()),
            facts=[("scores", describe(scores.node)), ("labels", describe(labels.node))],
            expected="int32 or int64",
            got=str(labels.type),
        )
    if not scores.ndim or not isinstance(scores.shape[-1], int):
        raise ShapeError(
            f"{name}: the scores need a fixed number of classes",
            at=str(user_location()),
            facts=[("scores", describe(scores.node))],
            expected="[..., classes] with an integer",
            got=str(scores.type),
        )
    check_shape(name, scores, labels, scores.shape[:-1])
    places = iota(scores.shape, axis=-1, dtype=labels.dtype)
    known = labels if ignored is None else ignored.where(0, labels)
    return expand_dims(check_range(known, 0, scores.shape[-1]), -1).equals(places)
