"""The task "shapes": a small DeepLab that tells discs, squares and triangles from a noisy background."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc.frontend import losses, metrics, models, optimizers, schedules
from graphc.frontend.initializers import Stream
from graphc.frontend.reductions import argmax
from graphc.frontend.state import input as declare_input
from graphc.runtime.examples.pictures import Row, draw_images
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task
from graphc.scalar import Array

__all__ = ["draw_shapes", "task"]

IS_USER_CODE = True


def draw_shapes(count: int, side: int = 32, seed: int = 0) -> tuple[Array, Array]:
    """Grey images [count, side, side, 1] of two shapes each, and their pixels' classes [count, side, side].

    Classes: 0 background, 1 disc, 2 square, 3 triangle; the second shape may cover the first.

    >>> images, classes = draw_shapes(2)
    >>> images.shape, classes.shape, sorted(set(classes.ravel().tolist())) <= [0, 1, 2, 3]
    ((2, 32, 32, 1), (2, 32, 32), True)
    """
    stream = Stream(seed, "shapes")
    numbers = stream.uniform((count, 2, 5))
    rows, columns = np.mgrid[:side, :side]
    classes = np.zeros((count, side, side), np.int64)
    images = np.full((count, side, side), 0.2)
    for sample, shape in np.ndindex(count, 2):
        kind, down, right, size, light = numbers[sample, shape]
        radius = side * (0.17 + 0.08 * size)
        y, x = rows - side * (0.2 + 0.6 * down), columns - side * (0.2 + 0.6 * right)
        inside = [
            y**2 + x**2 <= radius**2,
            np.maximum(abs(y), abs(x)) <= 0.85 * radius,
            (y <= 0.8 * radius) & (2 * abs(x) <= y + 1.2 * radius),
        ][int(3 * kind)]
        classes[sample][inside] = int(3 * kind) + 1
        images[sample][inside] = 0.5 + 0.5 * light
    images += 0.1 * Stream(seed, "noise").normal(images.shape)
    return images[..., None].astype(np.float32), classes


def task(
    samples: int = 800, side: int = 32, learning_rate: float = 5e-3, seed: int = 0, threads: int | None = None
) -> Task:
    """DeepLab with rates 1, 2 and 4 at a quarter of the image, Adam, the poly schedule over 30 epochs."""
    epochs, batch_size = 30, 16
    images, classes = draw_shapes(samples + samples // 5, side)
    train = {"image": images[:samples], "label": classes[:samples]}
    test = {"image": images[samples:], "label": classes[samples:]}
    image = declare_input("image", shape=("batch", side, side, 1))
    label = declare_input("label", shape=("batch", side, side), dtype="int64")
    logits = models.DeepLab(4, widths=(16, 32), rates=(1, 2, 4), name="deeplab")(image)
    model = compile_model(
        losses.softmax_cross_entropy(logits, label),
        optimizers.Adam(schedules.polynomial(learning_rate, epochs * -(-samples // batch_size), 0.9, 1e-4)),
        metrics={"accuracy": metrics.accuracy(logits, label)},
        outputs={"class": argmax(logits, axis=-1)},
        seed=seed,
        threads=threads,
        name="shapes",
    )

    def leave(folder: Path) -> None:
        found = model.predict({"image": test["image"][:8]})["class"]
        rows = [
            Row("input", test["image"][:8, ..., 0], 0, 1.2),
            Row("target: disc blue, square green, triangle yellow", test["label"][:8], 0, 3, "viridis"),
            Row("prediction", found, 0, 3, "viridis"),
        ]
        draw_images(folder / "predictions.png", rows)

    return Task(model, train, test, epochs=epochs, batch_size=batch_size, leave=leave)
