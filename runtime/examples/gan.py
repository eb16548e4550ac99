"""The task "gan": two small networks against each other, over points of a ring in the plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc.frontend import layers, models, optimizers, sampling
from graphc.frontend.initializers import Stream
from graphc.frontend.state import input as declare_input
from graphc.runtime.examples.pictures import draw_points
from graphc.runtime.function import function
from graphc.runtime.model import compile as compile_model
from graphc.runtime.objective import objective
from graphc.runtime.tasks import Task
from graphc.scalar import Array

__all__ = ["ring", "task"]

IS_USER_CODE = True


def ring(count: int, seed: int = 0) -> Array:
    """Points at a distance of about 2 from the origin, [count, 2].

    >>> ring(3).shape
    (3, 2)
    """
    angle = 2 * np.pi * Stream(seed, "angle").uniform((count,))
    radius = 2 + 0.1 * Stream(seed, "radius").normal((count,))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).astype(np.float32)


def task(
    hidden: int = 64,
    noise: int = 4,
    points: int = 16_384,
    learning_rate: float = 1e-3,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Two hidden layers each, Adam with a first decay of 0.5, 50 epochs."""
    generator = layers.Sequential(
        [layers.Dense(hidden, "relu"), layers.Dense(hidden, "relu"), layers.Dense(2)], name="generator"
    )
    discriminator = layers.Sequential(
        [layers.Dense(hidden, "silu"), layers.Dense(hidden, "silu"), layers.Dense(1)], name="discriminator"
    )
    real = declare_input("real", shape=("batch", 2))
    fake = generator(sampling.normal((*real.shape[:1], noise), name="noise"))
    for_discriminator, for_generator = models.adversarial_losses(discriminator, real, fake)
    model = compile_model(
        [
            objective(
                for_discriminator, optimizers.Adam(learning_rate, 0.5), discriminator.parameters, name="discriminator"
            ),
            objective(for_generator, optimizers.Adam(learning_rate, 0.5), generator.parameters, name="generator"),
        ],
        metrics={"radius": (fake * fake).sum(-1).sqrt().mean()},
        seed=seed,
        threads=threads,
        name="gan",
    )
    data = {"real": ring(points)}

    def leave(folder: Path) -> None:
        code = declare_input("code", shape=("batch", noise))
        drawn = function([code], generator(code), threads=threads)(Stream(seed, "codes").normal((1500, noise)))
        draw_points(folder / "samples.png", {"data": data["real"][:1500], "generated": np.asarray(drawn)})

    return Task(model, data, epochs=50, batch_size=128, leave=leave)
