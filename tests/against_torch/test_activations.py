"""Activations and their gradients, from far below 0 to far above, and at the corners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphc import activations
from tests.against_torch.peer import assert_close, torch, with_gradients

F = torch.nn.functional
DATA = np.concatenate([np.linspace(-12, 12, 200), [-50.0, 50.0, 0.0, 6.0]]).astype(np.float32).reshape(12, 17)

PEERS: dict[str, Any] = {
    "celu": F.celu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "hard_tanh": F.hardtanh,
    "leaky_relu": F.leaky_relu,
    "log_sigmoid": F.logsigmoid,
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "mish": F.mish,
    "relu": F.relu,
    "relu6": F.relu6,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softmax": lambda x: F.softmax(x, -1),
    "softplus": lambda x: F.softplus(x, threshold=1e9),
    "softsign": F.softsign,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", PEERS)
def test_an_activation_and_its_gradient(name: str) -> None:
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    result = PEERS[name](x)
    weights = np.random.default_rng(0).normal(size=DATA.shape).astype(np.float32)
    (result * torch.from_numpy(weights)).sum().backward()
    found = with_gradients(activations.as_activation(name), {"x": DATA}, weights)
    assert_close(found[0], result.detach().numpy())
    assert_close(found[1], x.grad.numpy())
