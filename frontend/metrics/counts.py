"""Metrics of a whole data set: counts that are summed over batches, and what is made of the sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, nan

import numpy as np

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.elementwise import check_range
from graphc.frontend.losses import softmax_cross_entropy
from graphc.frontend.losses.samples import check_shape
from graphc.frontend.metrics.means import check_labels
from graphc.frontend.shaping import dim_size, one_hot, stack
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location
from graphc.scalar import Array

__all__ = ["Metric", "confusion_matrix", "f1", "mean_iou", "perplexity", "precision", "r_squared", "recall"]


@dataclass(frozen=True)
class Metric:
    """A number of a whole data set that is no mean over samples: ``gc.compile(..., metrics={"f1": metric})``.

    counts: a tensor of integer sizes that sums over the samples of a batch. finish: makes the number of the sums of the
    counts over all batches (float64, of the shape of the counts), so that the sizes of the batches do not matter.
    DeclarationError for counts of a size that is known only at run time.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch",))
    >>> spread = gc.metrics.Metric(gc.stack([x.sum(), (x * x).sum(), gc.dim_size(x, 0)]),
    ...                            lambda sums: float(sums[1] / sums[2] - (sums[0] / sums[2]) ** 2))
    >>> w = gc.parameter((), 1.0)
    >>> model = gc.compile((w * x).mean(), gc.optimizers.SGD(0.1), metrics={"variance": spread})
    >>> round(model.evaluate({"x": [1.0, 2.0, 3.0]}, batch_size=2)["variance"], 4)
    0.6667
    """

    counts: Tensor
    finish: Callable[[Array], float]

    def __post_init__(self) -> None:
        if not isinstance(self.counts, Tensor) or not all(isinstance(size, int) for size in self.counts.shape):
            known = isinstance(self.counts, Tensor)
            raise DeclarationError(
                "the counts of a metric have one shape for all batches",
                at=str(user_location()),
                facts=[("counts", describe(self.counts.node))] if known else [],
                expected="a tensor of integer sizes",
                got=str(self.counts.type) if known else type(self.counts).__name__,
                way_out="take the sum over the samples",
            )


def confusion_matrix(logits: TensorLike, labels: TensorLike, ignore_index: int | None = None) -> Tensor:
    """How often each class (row) was taken for each class (column): int64 [classes, classes].

    logits: float [..., classes]; of equal largest ones the first counts. labels: integers [...] in [0, classes);
    samples with the label ``ignore_index`` are left out. For a whole data set take that of what ``predict`` gives.

    >>> import graphc as gc
    >>> gc.evaluate(gc.metrics.confusion_matrix([[0.0, 1.0], [2.0, 1.0], [5.0, 1.0]], [1, 1, 0]))
    array([[1, 0],
           [1, 1]])
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    check_labels("confusion_matrix", scores, target)
    classes = scores.shape[-1]
    if not isinstance(classes, int):
        raise ShapeError(
            "confusion_matrix: the logits need a fixed number of classes",
            at=str(user_location()),
            facts=[("logits", describe(scores.node))],
            expected="[..., classes] with an integer",
            got=str(scores.type),
        )
    with scope("confusion_matrix"):
        found = one_hot(scores.argmax(axis=-1), classes).reshape((-1, classes))
        if ignore_index is None:
            right = one_hot(check_range(target, 0, classes), classes)
        else:
            ignored = target.equals(ignore_index)
            right = ignored.where(-1, check_range(ignored.where(0, target), 0, classes))
            right = one_hot(right, classes)
        return (right.reshape((-1, classes)).T @ found).cast("int64")


def _ratio(over: Array, under: Array) -> Array:
    """Quotients, 0 where nothing is counted."""
    return np.where(under > 0, over / np.where(under > 0, under, 1), 0.0)


Score = Callable[[Array, Array, Array], Array]
"""A number of true positives, false positives and false negatives."""


def _score(name: str, logits: TensorLike, labels: TensorLike, threshold: float, score: Score) -> Metric:
    scores, target = as_tensor(logits), as_tensor(labels)
    if scores.shape != target.shape:
        return _score_of_classes(confusion_matrix(scores, target), score)
    with scope(name):
        found, right = scores > threshold, target.cast(scores.dtype) > 0.5
        counts = stack([(found & right).sum(), (found & ~right).sum(), (~found & right).sum()])
    return Metric(counts, lambda sums: float(score(*sums)))


def _score_of_classes(matrix: Tensor, score: Score) -> Metric:
    return Metric(matrix, lambda sums: _mean_over_classes(sums, score))


def _mean_over_classes(matrix: Array, score: Score) -> float:
    """The mean over the classes that occur, as labels or as predictions."""
    true = np.diag(matrix)
    found, right = matrix.sum(0), matrix.sum(1)
    occurs = found + right > 0
    return float(score(true, found - true, right - true)[occurs].mean()) if occurs.any() else nan


def precision(logits: TensorLike, labels: TensorLike, threshold: float = 0.0) -> Metric:
    """The share of what was found that is right, true positives / (true + false positives); 0 where nothing was found.

    Of two classes: labels of the logits' shape, truth values or 0 and 1; a logit above the threshold is a find. Of
    several: logits [..., classes], integer labels [...]; the mean over the classes that occur (macro).

    >>> import graphc as gc
    >>> metric = gc.metrics.precision([2.0, 1.0, -1.0, -3.0], [1, 0, 1, 0])
    >>> metric.finish(gc.evaluate(metric.counts))
    0.5
    """
    return _score("precision", logits, labels, threshold, lambda true, wrong, missed: _ratio(true, true + wrong))


def recall(logits: TensorLike, labels: TensorLike, threshold: float = 0.0) -> Metric:
    """The share of what is there that was found, true positives / (true positives + false negatives); 0 of nothing.

    Arguments as for ``gc.metrics.precision``.

    >>> import graphc as gc
    >>> metric = gc.metrics.recall([2.0, 1.0, -1.0, -3.0], [1, 0, 0, 0])
    >>> metric.finish(gc.evaluate(metric.counts))
    1.0
    """
    return _score("recall", logits, labels, threshold, lambda true, wrong, missed: _ratio(true, true + missed))


def f1(logits: TensorLike, labels: TensorLike, threshold: float = 0.0) -> Metric:
    """The harmonic mean of precision and recall, 2 true positives / (2 true positives + false ones + missed ones).

    Arguments as for ``gc.metrics.precision``; of several classes the mean of the classes' values.

    >>> import graphc as gc
    >>> metric = gc.metrics.f1([2.0, 1.0, -1.0, -3.0], [1, 0, 1, 0])
    >>> metric.finish(gc.evaluate(metric.counts))
    0.5
    """
    return _score(
        "f1", logits, labels, threshold, lambda true, wrong, missed: _ratio(2 * true, 2 * true + wrong + missed)
    )


def mean_iou(logits: TensorLike, labels: TensorLike, ignore_index: int | None = None) -> Metric:
    """Intersection over union of each class's finds and labels, the mean over the classes that occur.

    logits: float [..., classes], for instance of each pixel. labels: integers [...]; those equal to ``ignore_index``
    are left out.

    Source: M. Everingham and others, "The PASCAL visual object classes challenge", IJCV 2010.

    >>> import graphc as gc
    >>> metric = gc.metrics.mean_iou([[0.0, 1.0], [2.0, 1.0], [5.0, 1.0]], [1, 1, 0])
    >>> metric.finish(gc.evaluate(metric.counts))
    0.5
    """
    matrix = confusion_matrix(logits, labels, ignore_index)
    return _score_of_classes(matrix, lambda true, wrong, missed: _ratio(true, true + wrong + missed))


def perplexity(logits: TensorLike, labels: TensorLike, ignore_index: int | None = None) -> Metric:
    """The exponential of the mean cross-entropy, exp(-mean log softmax(logits)[label]); inf where it overflows.

    logits: float [..., classes]. labels: integers [...] in [0, classes); those equal to ``ignore_index`` are left out.

    >>> import graphc as gc
    >>> metric = gc.metrics.perplexity([[0.0, 0.0, 0.0, 0.0]], [2])
    >>> round(metric.finish(gc.evaluate(metric.counts)), 4)
    4.0
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    check_labels("perplexity", scores, target)
    with scope("perplexity"):
        each = softmax_cross_entropy(scores, target, "none", ignore_index=ignore_index).cast("float64")
        kept = target.equals(target) if ignore_index is None else ~target.equals(ignore_index)
        counts = stack([each.sum(), kept.sum()])
    return Metric(counts, _exponential_of_the_mean)


def _exponential_of_the_mean(sums: Array) -> float:
    mean = float(sums[0] / sums[1]) if sums[1] else nan
    return exp(mean) if not mean > 700 else float("inf")


def r_squared(predictions: TensorLike, targets: TensorLike) -> Metric:
    """The share of the targets' variance that is explained, 1 - sum (y - x)**2 / sum (y - mean y)**2.

    predictions x, targets y: float of one shape; sums run over all elements, in float64. NaN for targets that are all
    equal.

    >>> import graphc as gc
    >>> metric = gc.metrics.r_squared([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    >>> metric.finish(gc.evaluate(metric.counts))
    0.5
    """
    value, target = as_tensor(predictions), as_tensor(targets)
    check_shape("r_squared", value, target, value.shape)
    with scope("r_squared"):
        y = target.cast("float64")
        error = y - value.cast("float64")
        flat = y.reshape(-1)
        counts = stack([(error * error).sum(), y.sum(), (y * y).sum(), dim_size(flat, 0)])
    return Metric(counts, _explained)


def _explained(sums: Array) -> float:
    error, total, squares, count = sums
    spread = squares - total * total / count if count else 0.0
    return float(1 - error / spread) if spread > 0 else nan
