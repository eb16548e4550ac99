"""A recurrent network over characters."""

from __future__ import annotations

import math

import numpy as np

from workloads.spec import Workload
from workloads.values import characters, glorot, normal, uniform, zeros


def char_lstm() -> Workload:
    """96 characters, each as 128 numbers, one LSTM of 256 units over 64 steps, the mean cross-entropy of the next one.

    Gates are in the order input, forget, new value, output. The LSTM's state goes on from one minibatch to the next,
    without a gradient. Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997.
    """
    rng = np.random.default_rng(9)
    alphabet, width, hidden = 96, 128, 256
    limit = 1 / math.sqrt(hidden)
    params = {
        "emb": normal(rng, (alphabet, width), 1),
        "wx": uniform(rng, (width, 4 * hidden), limit),
        "wh": uniform(rng, (hidden, 4 * hidden), limit),
        "bias": uniform(rng, (4 * hidden,), limit),
        "wo": glorot(rng, (hidden, alphabet)),
        "bo": zeros(alphabet),
    }
    opt = {"kind": "adam", "lr": 2e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "clip": 1.0}
    return Workload("char-lstm", params, characters(rng, 16, 32, 64, alphabet), opt, {"hidden": hidden})
