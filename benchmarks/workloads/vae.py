"""A variational autoencoder."""

from __future__ import annotations

import numpy as np

from workloads.spec import Array, Workload
from workloads.values import bright_pictures, glorot, normal, zeros


def vae() -> Workload:
    """784 inputs, 400 hidden units with ReLU on both sides of a code of 20 normal numbers.

    The code's noise eps is part of the minibatch. The loss of a sample is the binary cross-entropy of its 784 values
    plus the divergence of the code from a standard normal. Source: D. Kingma, M. Welling, "Auto-encoding variational
    Bayes", 2014.
    """
    rng = np.random.default_rng(8)
    params: dict[str, Array] = {}
    for name, inputs, outputs in (("1", 784, 400), ("m", 400, 20), ("v", 400, 20), ("3", 20, 400), ("4", 400, 784)):
        params[f"w{name}"], params[f"b{name}"] = glorot(rng, (inputs, outputs)), zeros(outputs)
    data = {"x": bright_pictures(rng, 16, 128, (784,))["x"], "eps": normal(rng, (16, 128, 20), 1)}
    return Workload("vae", params, data, {"kind": "adam", "lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8})
