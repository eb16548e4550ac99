"""Losses: scalars to be minimised, composed of the language's own operations, so that they compile and differentiate.

Each takes ``reduction``: "mean" over the samples (the default), "sum" over them, or "none" for one value a sample.
"""

from __future__ import annotations

from graphc.dims import Shape
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.elementwise import check_range, relu, softplus
from graphc.frontend.reductions import log_softmax
from graphc.frontend.shaping import expand_dims, iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["binary_cross_entropy", "hinge", "mean_squared_error", "softmax_cross_entropy"]


def _reduced(values: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return values
    if reduction not in ("mean", "sum"):
        raise DeclarationError(
            f"there is no reduction {reduction!r}", at=str(user_location()), expected="mean, sum or none", got=reduction
        )
    return values.mean() if reduction == "mean" else values.sum()


def _same_shape(name: str, first: Tensor, second: Tensor, wanted: Shape) -> None:
    if second.shape != wanted:
        raise ShapeError(
            f"{name}: the target does not fit the prediction",
            at=str(user_location()),
            facts=[("prediction", describe(first.node)), ("target", describe(second.node))],
            expected=f"a target of shape [{', '.join(map(str, wanted))}]",
            got=str(second.type),
        )


def _chosen_classes(name: str, scores: Tensor, labels: Tensor) -> Tensor:
    """Truth values that mark the class of each integer label along the last axis of the scores."""
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
    _same_shape(name, scores, labels, scores.shape[:-1])
    places = iota(scores.shape, axis=-1, dtype=labels.dtype)
    inside: Tensor = expand_dims(check_range(labels, 0, scores.shape[-1]), -1) == places
    return inside


def softmax_cross_entropy(logits: TensorLike, labels: TensorLike, reduction: str = "mean") -> Tensor:
    """Minus the log-probability of the right class, from logits: -log softmax(logits)[label], without overflow.

    logits: float [..., classes]. labels: integers [...] in [0, classes), or floats [..., classes] of class
    probabilities (one-hot), for which the loss is -sum(labels * log_softmax(logits)). Labels out of range are a
    FeedError before anything runs. Its gradient is (softmax(logits) - one_hot(labels)) / samples.

    >>> import graphc as gc
    >>> loss = gc.losses.softmax_cross_entropy(gc.constant([[3.2, 5.1, -1.7]]), gc.constant([0]))
    >>> round(float(gc.evaluate(loss)), 4)
    2.0404
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    with scope("softmax_cross_entropy"):
        log_probability = log_softmax(scores)
        if target.dtype.is_float:
            _same_shape("softmax_cross_entropy", scores, target, scores.shape)
            picked = target * log_probability
        else:
            chosen = _chosen_classes("softmax_cross_entropy", scores, target)
            picked = chosen.where(log_probability, 0.0)
        return _reduced(-picked.sum(axis=-1), reduction)


def binary_cross_entropy(logits: TensorLike, targets: TensorLike, reduction: str = "mean") -> Tensor:
    """Cross-entropy of truth values, from logits: softplus(z) - z * y, which is -y log s(z) - (1 - y) log(1 - s(z)).

    logits: float, any shape. targets: float or bool of the same shape, in [0, 1].

    >>> import graphc as gc
    >>> round(float(gc.evaluate(gc.losses.binary_cross_entropy([0.0, 2.0], [1.0, 1.0]))), 4)
    0.41
    """
    scores, target = as_tensor(logits), as_tensor(targets)
    with scope("binary_cross_entropy"):
        _same_shape("binary_cross_entropy", scores, target, scores.shape)
        return _reduced(softplus(scores) - scores * target.cast(scores.dtype), reduction)


def mean_squared_error(predictions: TensorLike, targets: TensorLike, reduction: str = "mean") -> Tensor:
    """The squared difference (prediction - target)**2; "mean" and "sum" run over all elements.

    predictions, targets: float of one shape.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.mean_squared_error([1.0, 2.0], [0.0, 4.0])))
    2.5
    """
    value, target = as_tensor(predictions), as_tensor(targets)
    with scope("mean_squared_error"):
        _same_shape("mean_squared_error", value, target, value.shape)
        difference = value - target
        return _reduced(difference * difference, reduction)


def hinge(scores: TensorLike, labels: TensorLike, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The multiclass support-vector loss: sum over j != label of max(0, s_j - s_label + margin), one value a sample.

    scores: float [..., classes]. labels: integers [...] in [0, classes). The sum is not divided by the classes.

    Source: J. Weston, C. Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    >>> import graphc as gc
    >>> loss = gc.losses.hinge(gc.constant([[3.2, 5.1, -1.7]]), gc.constant([0]))
    >>> round(float(gc.evaluate(loss)), 4)
    2.9
    """
    value, target = as_tensor(scores), as_tensor(labels)
    with scope("hinge"):
        chosen = _chosen_classes("hinge", value, target)
        right = chosen.where(value, 0.0).sum(axis=-1, keepdims=True)
        violations = chosen.where(0.0, relu(value - right + margin))
        return _reduced(violations.sum(axis=-1), reduction)
