"""Twenty steps of each optimizer on a small classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from tests.against_torch.peer import assert_close, torch

OPTIMIZERS: dict[str, tuple[optimizers.Optimizer, Any, dict[str, Any]]] = {
    "SGD": (optimizers.SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    "Momentum": (optimizers.Momentum(0.05, 0.9), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "Adam": (optimizers.Adam(1e-2, 0.8, 0.99, 1e-7), torch.optim.Adam, {"lr": 1e-2, "betas": (0.8, 0.99), "eps": 1e-7}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_end_at_the_same_parameters(name: str) -> None:
    mine, kind, options = OPTIMIZERS[name]
    image, label = gc.input("image", ("batch", 20)), gc.input("label", ("batch",), "int64")
    network = layers.Sequential([layers.Dense(30, activation="tanh"), layers.Dense(5)])
    model = gc.compile(losses.softmax_cross_entropy(network(image), label), mine)
    weights = [torch.from_numpy(parameter.value.copy()).requires_grad_() for parameter in model.parameters]
    peer = kind(weights, **options)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.normal(size=(16, 20)).astype(np.float32), rng.integers(0, 5, 16)
        found = model.step({"image": x, "label": y})["loss"]
        first, first_bias, last, last_bias = weights
        hidden = torch.tanh(torch.from_numpy(x) @ first + first_bias)
        loss = torch.nn.functional.cross_entropy(hidden @ last + last_bias, torch.from_numpy(y))
        peer.zero_grad()
        loss.backward()
        peer.step()
        assert found == pytest.approx(loss.item(), rel=1e-5)
    for parameter, weight in zip(model.parameters, weights, strict=True):
        assert_close(parameter.value, weight.detach().numpy(), 1e-4)
