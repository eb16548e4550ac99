"""Dense layers with ReLU between them and softmax cross-entropy behind the last: mlp-small and mlp-wide."""

from __future__ import annotations

import numpy as np

from workloads.spec import Workload
from workloads.values import bright_pictures, dense, pictures


def mlp_small(samples: int = 32, hidden: int = 128) -> Workload:
    """784 inputs, one hidden layer, 10 classes."""
    rng = np.random.default_rng(3)
    data = bright_pictures(rng, 32, samples, (784,))
    return Workload("mlp-small", dense(rng, [784, hidden, 10]), data, {"kind": "sgd", "lr": 0.05})


def mlp_wide() -> Workload:
    """3072 inputs, two hidden layers of 1024, 10 classes."""
    rng = np.random.default_rng(4)
    opt = {"kind": "adam", "lr": 3e-4, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
    return Workload("mlp-wide", dense(rng, [3072, 1024, 1024, 10]), pictures(rng, 8, 128, (3072,)), opt)
