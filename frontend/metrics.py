"""Metrics: numbers that are watched, not minimised."""

from __future__ import annotations

from graphc.errors import DTypeError, ShapeError
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import scope, user_location

__all__ = ["accuracy"]


def accuracy(logits: TensorLike, labels: TensorLike) -> Tensor:
    """The share of samples whose largest logit is that of the label, between 0 and 1 (float32).

    logits: float [..., classes]; of equal largest ones the first counts. labels: integers [...].

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.metrics.accuracy(gc.constant([[0.0, 1.0], [2.0, 1.0]]), gc.constant([1, 1]))))
    0.5
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    if not target.dtype.is_integer:
        raise DTypeError(
            "accuracy: class labels are integers",
            at=str(user_location()),
            facts=[("labels", describe(target.node))],
            expected="int32 or int64",
            got=str(target.type),
        )
    if not scores.ndim or target.shape != scores.shape[:-1]:
        raise ShapeError(
            "accuracy: the labels do not fit the logits",
            at=str(user_location()),
            facts=[("logits", describe(scores.node)), ("labels", describe(target.node))],
            expected=f"labels of shape {size_text(scores.shape[:-1])}" if scores.ndim else "logits [..., classes]",
            got=str(target.type),
        )
    with scope("accuracy"):
        right: Tensor = scores.argmax(axis=-1) == target
        return right.mean()
