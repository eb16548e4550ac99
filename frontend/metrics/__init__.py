"""Metrics: numbers that are watched, not minimised.

A metric that is a mean over samples is a scalar tensor, as every loss is: ``gc.losses.mean_absolute_error(x, y)`` is
one. A metric that is no mean of such means, as a precision, is a ``Metric``: counts that are summed over all batches,
and what is made of the sums at the end. ``gc.compile`` takes both.
"""

from graphc.frontend.metrics.counts import (
    Metric,
    confusion_matrix,
    f1,
    mean_iou,
    perplexity,
    precision,
    r_squared,
    recall,
)
from graphc.frontend.metrics.means import accuracy, top_k_accuracy, zero_one

__all__ = [
    "Metric",
    "accuracy",
    "confusion_matrix",
    "f1",
    "mean_iou",
    "perplexity",
    "precision",
    "r_squared",
    "recall",
    "top_k_accuracy",
    "zero_one",
]
