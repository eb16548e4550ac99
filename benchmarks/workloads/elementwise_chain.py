"""No matrix at all: thirty operations one after another on each of many numbers."""

from __future__ import annotations

import numpy as np

from workloads.spec import Workload
from workloads.values import normal

_NUMBERS = 2**22
_CHAIN = (
    *(("mul_t",), ("add", 0.1), ("tanh",), ("mul", 1.5), ("square",), ("add", 1.0), ("sqrt",), ("add", -0.5)),
    *(("exp",), ("mul", 0.3), ("log1p",), ("mul", 6.0), ("sin",), ("abs",), ("add", 0.5), ("recip",), ("add", -1.0)),
    *(("sigmoid",), ("mul", 3.0), ("add", -1.2), ("tanh",), ("max", -0.5), ("square",), ("add", 0.2), ("log",)),
    *(("mul", 0.8), ("cos",), ("mul", 4.0), ("sigmoid",), ("mul", 3.0)),
)
"""Operations and their second operands; mul_t multiplies by the minibatch's number t, recip is 1 / x."""


def elementwise_chain() -> Workload:
    """The loss is the sum of the chain's results for all numbers, which are the parameters."""
    rng = np.random.default_rng(12)
    data = {"t": rng.permutation(np.linspace(0.9, 1.1, 16, dtype=np.float32))}
    opt = {"kind": "sgd", "lr": 0.05}
    return Workload("elementwise-chain", {"x": normal(rng, (_NUMBERS,), 1)}, data, opt, {"chain": _CHAIN})
