"""Losses: scalars to be minimised, composed of the language's own operations, so that they compile and differentiate.

Each takes ``reduction``: "mean" over the samples (the default), "sum" over them, or "none" for one value a sample; and
``sample_weights``, of the shape of those values or of their first axes: values are multiplied by them, and the mean is
divided by their sum (0 where that is 0). ``evaluate`` averages the batches of a loss by their numbers of samples.
"""

from graphc.frontend.losses.classification import (
    binary_cross_entropy,
    binary_cross_entropy_of_probabilities,
    cross_entropy_of_probabilities,
    kl_divergence,
    softmax_cross_entropy,
)
from graphc.frontend.losses.distances import contrastive, cosine, triplet
from graphc.frontend.losses.margins import binary_hinge, hinge
from graphc.frontend.losses.regression import (
    huber,
    l2_norm,
    log_cosh,
    mean_absolute_error,
    mean_squared_error,
    poisson,
    root_mean_squared_error,
    smooth_l1,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_of_probabilities",
    "binary_hinge",
    "contrastive",
    "cosine",
    "cross_entropy_of_probabilities",
    "hinge",
    "huber",
    "kl_divergence",
    "l2_norm",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "poisson",
    "root_mean_squared_error",
    "smooth_l1",
    "softmax_cross_entropy",
    "triplet",
]
