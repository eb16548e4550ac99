"""The residual network of 20 layers for 32x32 images."""

from __future__ import annotations

import numpy as np

from workloads.spec import Array, Workload
from workloads.values import glorot, he, pictures, zeros


def resnet20() -> Workload:
    """Source: K. He and others, "Deep residual learning for image recognition", 2016, section 4.2.

    A 3x3 convolution to 16 features, then three stages of 16, 32 and 64 features with three blocks each. A block is two
    3x3 convolutions; the first block of the last two stages strides, and so does the 1x1 convolution of its shortcut.
    Batch normalisation follows every convolution; none has a bias. cfg: bnm is the part of a minibatch in the running
    averages.
    """
    rng = np.random.default_rng(7)
    params: dict[str, Array] = {}

    def unit(convolution: str, norm: str, shape: tuple[int, ...]) -> None:
        params.update({convolution: he(rng, shape), f"{norm}.g": 1 + zeros(shape[0]), f"{norm}.b": zeros(shape[0])})

    unit("conv1", "bn1", (16, 3, 3, 3))
    features = 16
    for stage, wide in enumerate((16, 32, 64), 1):
        for block in (f"s{stage}b{number}" for number in (1, 2, 3)):
            unit(f"{block}.conv1", f"{block}.bn1", (wide, features, 3, 3))
            unit(f"{block}.conv2", f"{block}.bn2", (wide, wide, 3, 3))
            if wide != features:
                unit(f"{block}.proj", f"{block}.bnp", (wide, features, 1, 1))
            features = wide
    params.update({"fc.w": glorot(rng, (64, 10)), "fc.b": zeros(10)})
    opt = {"kind": "momentum", "lr": 0.01, "mu": 0.9, "wd": 1e-4}
    return Workload("resnet20", params, pictures(rng, 8, 32, (3, 32, 32)), opt, {"eps": 1e-5, "bnm": 0.1})
