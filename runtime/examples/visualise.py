"""The task "visualise": a convolutional network of handwritten digits, and images that its outputs like best."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc.frontend import layers, losses, metrics, models, optimizers
from graphc.frontend.reductions import log_softmax
from graphc.frontend.state import input as declare_input
from graphc.frontend.state import parameter
from graphc.runtime.digits import load_digits
from graphc.runtime.examples.pictures import Row, draw_images
from graphc.runtime.function import function
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task
from graphc.scalar import Array

__all__ = ["liked_images", "task"]

IS_USER_CODE = True


def liked_images(network: layers.Sequential, steps: int, threads: int | None = None) -> Array:
    """For each of ten outputs an image [8, 8] of values in (0, 1) that raises it, found by Adam from a dark one."""
    inner = parameter((10, 8, 8, 1), -1.0, name="picture")
    image = inner.sigmoid()
    liked = log_softmax(network(image)) * np.eye(10, dtype=np.float32)
    loss = models.activation_score(10 * liked, image, decay=1.0, smooth=1.0)
    model = compile_model(loss, optimizers.Adam(0.02), parameters=[inner], threads=threads, name="liked")
    for _ in range(steps):
        model.step({})
    return np.asarray(function([], image, threads=threads)())[..., 0]


def task(
    width: int = 16,
    noise: float = 0.4,
    steps: int = 300,
    learning_rate: float = 2e-3,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Two convolutions and a dense layer on noisy images, AdamW, 15 epochs; then so many steps on images of its own."""
    train, test = (part | {"image": part["image"][..., None]} for part in load_digits())
    image = declare_input("image", shape=("batch", 8, 8, 1))
    label = declare_input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential(
        [
            layers.GaussianNoise(noise),
            layers.Conv2d(width, 3, padding="same", activation="elu", kernel_initializer="he_normal"),
            layers.MaxPool2d(2),
            layers.Conv2d(2 * width, 3, padding="same", activation="elu", kernel_initializer="he_normal"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name="digits_cnn",
    )
    logits = network(image)
    model = compile_model(
        losses.softmax_cross_entropy(logits, label),
        optimizers.AdamW(learning_rate, weight_decay=0.1),
        metrics={"accuracy": metrics.accuracy(logits, label)},
        outputs={"logits": logits},
        seed=seed,
        threads=threads,
        name="visualise",
    )

    def leave(folder: Path) -> None:
        means = np.stack([train["image"][train["label"] == digit].mean(0)[..., 0] for digit in range(10)])
        liked = Row("images that the outputs for 0 to 9 like best", liked_images(network, steps, threads))
        draw_images(folder / "liked.png", [Row("mean of the digits 0 to 9", means), liked])

    return Task(model, train, test, epochs=15, batch_size=32, leave=leave)
