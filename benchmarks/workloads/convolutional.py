"""Small convolutional networks: LeNet-5 and the first example of Keras."""

from __future__ import annotations

import numpy as np

from workloads.spec import Workload
from workloads.values import bright_pictures, dense, glorot, he, pictures, zeros


def lenet5(size: int = 28, channels: tuple[int, int] = (6, 16)) -> Workload:
    """LeNet-5: twice a 5x5 convolution (the first with padding 2), tanh and 2x2 average pooling, then dense layers of
    120, 84 and 10 with tanh between them. size: height and width of the images."""
    rng = np.random.default_rng(5)
    first, second = channels
    flat = second * ((size // 2 - 4) // 2) ** 2
    layers = dense(rng, [flat, 120, 84, 10], glorot)
    params = {
        "c1w": glorot(rng, (first, 1, 5, 5)),
        "c1b": zeros(first),
        "c2w": glorot(rng, (second, first, 5, 5)),
        "c2b": zeros(second),
        **{f"{name[0]}{int(name[1:]) + 2}": value for name, value in layers.items()},
    }
    return Workload(
        "lenet5", params, pictures(rng, 16, 64, (1, size, size)), {"kind": "momentum", "lr": 0.02, "mu": 0.9}
    )


def keras_cnn() -> Workload:
    """Two 3x3 convolutions with ReLU, 2x2 maximum pooling, dropout, 128 units with ReLU, dropout, 10 classes.

    cfg: the rates of both dropouts.
    """
    rng = np.random.default_rng(6)
    params = {
        "c1w": he(rng, (16, 1, 3, 3)),
        "c1b": zeros(16),
        "c2w": he(rng, (32, 16, 3, 3)),
        "c2b": zeros(32),
        "w3": he(rng, (4608, 128)),
        "b3": zeros(128),
        "w4": he(rng, (128, 10)),
        "b4": zeros(10),
    }
    opt = {"kind": "adam", "lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
    return Workload("keras-cnn", params, bright_pictures(rng, 16, 32, (1, 28, 28)), opt, {"p1": 0.25, "p2": 0.5})
