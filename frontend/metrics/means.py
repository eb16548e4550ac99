"""Metrics that are means over samples: scalar tensors."""

from __future__ import annotations

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.shaping import expand_dims, iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import scope, user_location

__all__ = ["accuracy", "check_labels", "top_k_accuracy", "zero_one"]


def check_labels(name: str, scores: Tensor, labels: Tensor) -> None:
    """DTypeError for labels that are no integers, ShapeError for others than one for each row of scores."""
    if not labels.dtype.is_integer:
        raise DTypeError(
            f"{name}: class labels are integers",
            at=str(user_location()),
            facts=[("labels", describe(labels.node))],
            expected="int32 or int64",
            got=str(labels.type),
        )
    if not scores.ndim or labels.shape != scores.shape[:-1]:
        raise ShapeError(
            f"{name}: the labels do not fit the logits",
            at=str(user_location()),
            facts=[("logits", describe(scores.node)), ("labels", describe(labels.node))],
            expected=f"labels of shape {size_text(scores.shape[:-1])}" if scores.ndim else "logits [..., classes]",
            got=str(labels.type),
        )


def accuracy(logits: TensorLike, labels: TensorLike) -> Tensor:
    """The share of samples whose largest logit is that of the label, between 0 and 1 (float32).

    logits: float [..., classes]; of equal largest ones the first counts. labels: integers [...].

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.metrics.accuracy(gc.constant([[0.0, 1.0], [2.0, 1.0]]), gc.constant([1, 1]))))
    0.5
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    check_labels("accuracy", scores, target)
    with scope("accuracy"):
        return scores.argmax(axis=-1).equals(target).mean()


def zero_one(logits: TensorLike, labels: TensorLike) -> Tensor:
    """The share of samples whose largest logit is another than the label's: the 0-1 loss, which has no derivative.

    logits: float [..., classes]; of equal largest ones the first counts. labels: integers [...].

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.metrics.zero_one([[0.0, 1.0], [2.0, 1.0]], [1, 1])))
    0.5
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    check_labels("zero_one", scores, target)
    with scope("zero_one"):
        return (~scores.argmax(axis=-1).equals(target)).mean()


def top_k_accuracy(logits: TensorLike, labels: TensorLike, k: int = 5) -> Tensor:
    """The share of samples whose label is among the k largest logits, between 0 and 1 (float32).

    logits: float [..., classes]; of equal ones the first counts as larger, so that k = 1 is the accuracy; a label with
    logit NaN, or out of range, is never among them. labels: integers [...].

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.metrics.top_k_accuracy([[0.3, 0.2, 0.5], [0.1, 0.2, 0.7]], [0, 0], k=2)))
    0.5
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    check_labels("top_k_accuracy", scores, target)
    if not isinstance(k, int) or k < 1:
        raise DeclarationError(
            "top_k_accuracy: k is a number of classes",
            at=str(user_location()),
            expected="an integer of at least 1",
            got=repr(k),
        )
    with scope("top_k_accuracy"):
        places, wanted = iota(scores.shape, axis=-1, dtype=target.dtype), expand_dims(target, -1)
        right = wanted.equals(places)
        score = right.where(scores, 0.0).sum(axis=-1, keepdims=True)
        ahead = (scores > score) | (scores.equals(score) & (places < wanted))
        known = (right & scores.equals(scores)).sum(axis=-1) > 0
        return (known & (ahead.sum(axis=-1) < k)).mean()
