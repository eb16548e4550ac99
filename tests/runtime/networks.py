"""Small networks that several tests train."""

from __future__ import annotations

import numpy as np

import graphc as gc
from graphc import layers, losses, metrics, optimizers
from graphc.scalar import Array


def digits_model(
    hidden: int = 16, dropout: float = 0.5, optimizer: optimizers.Optimizer | None = None, seed: int = 0
) -> gc.Model:
    """A classifier of 8 x 8 images with one hidden layer and dropout."""
    image = gc.input("image", shape=("batch", 8, 8))
    label = gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential(
        [layers.Flatten(), layers.Dense(hidden, activation="relu"), layers.Dropout(dropout), layers.Dense(10)],
        name="net",
    )
    logits = network(image)
    return gc.compile(
        losses.softmax_cross_entropy(logits, label),
        optimizer or optimizers.Adam(1e-2),
        metrics={"accuracy": metrics.accuracy(logits, label)},
        outputs={"logits": logits},
        name="digits",
        seed=seed,
    )


def digits_data(count: int = 200, seed: int = 0) -> dict[str, Array]:
    """Random images with labels that depend on them."""
    rng = np.random.default_rng(seed)
    images = rng.random((count, 8, 8)).astype(np.float32)
    return {"image": images, "label": images.reshape(count, -1)[:, :10].argmax(1).astype(np.int64)}
