"""Small models whose programs have what a GPU must do: sums, random numbers, loops, choices, labels."""

from __future__ import annotations

import numpy as np

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.frontend.tensor import Tensor
from graphc.scalar import Array


def perceptron() -> gc.Model:
    """A classifier with dropout, trained with momentum."""
    image = gc.input("image", shape=("batch", 6))
    label = gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential(
        [layers.Dense(5, activation="relu"), layers.Dropout(0.5), layers.Dense(3)], name="perceptron"
    )
    logits = network(image)
    return gc.compile(
        losses.softmax_cross_entropy(logits, label),
        optimizers.Momentum(0.1),
        metrics={"accuracy": gc.metrics.accuracy(logits, label)},
        outputs={"logits": logits},
        name="perceptron",
    )


def perceptron_feed(count: int, seed: int = 0) -> dict[str, Array]:
    """A batch for the perceptron."""
    rng = np.random.default_rng(seed)
    return {"image": rng.random((count, 6)).astype(np.float32), "label": rng.integers(0, 3, count)}


def recurrent() -> gc.Model:
    """A loop over 5 elements with a choice in each round, and a choice after it."""
    x, y = gc.input("x", shape=(5, "batch", 3)), gc.input("y", shape=("batch", 2))
    w = gc.parameter((5, 2), name="w")

    def step(state: Tensor, element: Tensor) -> tuple[Tensor, Tensor]:
        new = gc.tanh(gc.concatenate([element, state], axis=1) @ w)
        chosen = gc.cond(gc.mean(new) > 0, lambda: new * 0.5, lambda: new - state)
        assert isinstance(chosen, Tensor)
        return chosen, chosen * 2.0

    last, states = gc.scan(step, y * 0.0, x)
    assert isinstance(last, Tensor)
    assert isinstance(states, Tensor)
    found = gc.cond(gc.mean(states) > 0, lambda: last * gc.exp(last), lambda: last - 1.0)
    assert isinstance(found, Tensor)
    return gc.compile(losses.mean_squared_error(found, y), optimizers.Momentum(0.1), name="recurrent")


def recurrent_feed(count: int, seed: int = 0) -> dict[str, Array]:
    """A batch for the recurrent network."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((5, count, 3)).astype(np.float32),
        "y": rng.standard_normal((count, 2)).astype(np.float32),
    }
