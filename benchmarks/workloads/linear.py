"""Linear classifiers: softmax regression (logreg) and a support vector machine (svm-linear)."""

from __future__ import annotations

import numpy as np

from workloads.spec import Workload
from workloads.values import bright_pictures, normal, pictures, zeros


def logreg() -> Workload:
    """784 inputs, 10 classes: the mean cross-entropy of softmax(x @ w + b)."""
    rng = np.random.default_rng(1)
    params = {"w": normal(rng, (784, 10), 0.01), "b": zeros(10)}
    return Workload("logreg", params, bright_pictures(rng, 64, 32, (784,)), {"kind": "sgd", "lr": 0.1})


def svm_linear() -> Workload:
    """3072 inputs, 10 classes. The loss of a sample is the sum of max(0, 1 + score - score of the right class) over the
    wrong classes; reg * sum(w ** 2) is added to the mean."""
    rng = np.random.default_rng(2)
    params = {"w": normal(rng, (3072, 10), 0.001), "b": zeros(10)}
    opt = {"kind": "momentum", "lr": 1e-4, "mu": 0.9}
    return Workload("svm-linear", params, pictures(rng, 8, 256, (3072,)), opt, {"reg": 1e-3})
