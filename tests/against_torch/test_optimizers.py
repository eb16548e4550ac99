"""Twenty steps of each optimizer on a small classifier, and thirty rates of each schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers, schedules
from tests.against_torch.peer import assert_close, torch

of: Any = torch.optim.lr_scheduler

OPTIMIZERS: dict[str, tuple[optimizers.Optimizer, Any, dict[str, Any]]] = {
    "SGD": (optimizers.SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    "SGD, decay": (optimizers.SGD(0.1, weight_decay=0.1), torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    "Momentum": (optimizers.Momentum(0.05, 0.9), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "Momentum, decay": (
        optimizers.Momentum(0.05, 0.9, weight_decay=0.1),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "Nesterov": (optimizers.Nesterov(0.05), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "AdaGrad": (optimizers.AdaGrad(), torch.optim.Adagrad, {}),
    "AdaDelta": (optimizers.AdaDelta(), torch.optim.Adadelta, {}),
    "RMSProp": (optimizers.RMSProp(), torch.optim.RMSprop, {}),
    "RMSProp, centred, momentum": (
        optimizers.RMSProp(1e-3, momentum=0.8, centred=True, epsilon=1e-4),
        torch.optim.RMSprop,
        {"lr": 1e-3, "momentum": 0.8, "centered": True, "eps": 1e-4},
    ),
    "Adam": (optimizers.Adam(1e-2, 0.8, 0.99, 1e-7), torch.optim.Adam, {"lr": 1e-2, "betas": (0.8, 0.99), "eps": 1e-7}),
    "Adam, defaults, decay": (optimizers.Adam(weight_decay=0.1), torch.optim.Adam, {"weight_decay": 0.1}),
    "AdamW": (optimizers.AdamW(1e-2), torch.optim.AdamW, {"lr": 1e-2}),
    "AMSGrad": (optimizers.AMSGrad(1e-2), torch.optim.Adam, {"lr": 1e-2, "amsgrad": True}),
    "AdaMax": (optimizers.AdaMax(), torch.optim.Adamax, {}),
    "NAdam": (optimizers.NAdam(), torch.optim.NAdam, {}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_end_at_the_same_parameters(name: str) -> None:
    mine, kind, options = OPTIMIZERS[name]
    compare(mine, lambda weights: kind(weights, **options))


@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_gradients_clipped_together_end_at_the_same_parameters(limit: float) -> None:
    mine = optimizers.ClipByGlobalNorm(optimizers.Momentum(0.05), limit)
    compare(mine, lambda weights: torch.optim.SGD(weights, 0.05, 0.9), limit=limit)


def compare(mine: optimizers.Optimizer, make: Callable[[Any], Any], limit: float | None = None) -> None:
    """Train a classifier with both for twenty steps."""
    image, label = gc.input("image", ("batch", 20), "float64"), gc.input("label", ("batch",), "int64")
    network = layers.Sequential([layers.Dense(30, activation="tanh"), layers.Dense(5)])
    model = gc.compile(losses.softmax_cross_entropy(network(image), label), mine)
    weights = [torch.from_numpy(parameter.value.copy()).requires_grad_() for parameter in model.parameters]
    peer = make(weights)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.normal(size=(16, 20)), rng.integers(0, 5, 16)
        found = model.step({"image": x, "label": y})["loss"]
        first, first_bias, last, last_bias = weights
        hidden = torch.tanh(torch.from_numpy(x) @ first + first_bias)
        loss = torch.nn.functional.cross_entropy(hidden @ last + last_bias, torch.from_numpy(y))
        peer.zero_grad()
        loss.backward()
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(weights, limit)
        peer.step()
        assert found == pytest.approx(loss.item(), rel=1e-8)
    for parameter, weight in zip(model.parameters, weights, strict=True):
        assert_close(parameter.value, weight.detach().numpy(), 1e-8)


SCHEDULES: dict[str, tuple[schedules.Schedule, Callable[[Any], Any]]] = {
    "step": (schedules.step(0.3, 7, 0.5), lambda o: of.StepLR(o, 7, 0.5)),
    "multi_step": (schedules.multi_step(0.3, [3, 9], 0.5), lambda o: of.MultiStepLR(o, [3, 9], 0.5)),
    "exponential": (schedules.exponential(0.3, 0.9), lambda o: of.ExponentialLR(o, 0.9)),
    "polynomial": (schedules.polynomial(0.3, 20, 0.9), lambda o: of.PolynomialLR(o, 20, 0.9)),
    "cosine": (schedules.cosine(0.3, 30, 0.1), lambda o: of.CosineAnnealingLR(o, 30, 0.1)),
    "cosine_restarts": (
        schedules.cosine_restarts(0.3, 4, 2, 0.1),
        lambda o: of.CosineAnnealingWarmRestarts(o, 4, 2, 0.1),
    ),
    "one_cycle": (schedules.one_cycle(0.3, 30), lambda o: of.OneCycleLR(o, 0.3, 30, cycle_momentum=False)),
    "warmup": (
        schedules.warmup(schedules.exponential(0.3, 0.9), 5, 0.25),
        lambda o: of.SequentialLR(o, [of.LinearLR(o, 0.25, total_iters=5), of.ExponentialLR(o, 0.9)], [5]),
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch's own, on the order of calls
@pytest.mark.parametrize("name", SCHEDULES)
def test_thirty_rates_are_the_same(name: str) -> None:
    mine, make = SCHEDULES[name]
    peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.3)
    scheduler, rates = make(peer), []
    for _ in range(30):
        rates.append(peer.param_groups[0]["lr"])
        peer.step()
        if len(rates) < 30:
            scheduler.step()
    np.testing.assert_allclose([mine.at(step) for step in range(1, 31)], rates, 1e-9)
