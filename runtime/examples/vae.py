"""The task "vae": a variational autoencoder of handwritten digits, which also draws new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc.frontend import models, optimizers
from graphc.frontend.initializers import Stream
from graphc.frontend.state import input as declare_input
from graphc.runtime.digits import load_digits
from graphc.runtime.examples.pictures import Row, draw_images
from graphc.runtime.function import function
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task

__all__ = ["task"]

IS_USER_CODE = True


def task(
    units: int = 8, hidden: int = 256, learning_rate: float = 5e-3, seed: int = 0, threads: int | None = None
) -> Task:
    """One hidden layer each way, a code of ``units`` numbers, Adam, 100 epochs."""
    train, test = ({"image": part["image"]} for part in load_digits())
    image = declare_input("image", shape=("batch", 8, 8))
    vae = models.VAE.dense(64, units, hidden)
    loss = vae.loss(image)
    mean, log_variance = vae.encode(image)
    model = compile_model(
        loss,
        optimizers.Adam(learning_rate),
        metrics={"kl": models.gaussian_kl(mean, log_variance)},
        outputs={"image": vae.decode(mean).sigmoid().reshape((image.shape[0], 8, 8))},
        seed=seed,
        threads=threads,
        name="vae",
    )

    def leave(folder: Path) -> None:
        code = declare_input("code", shape=("batch", units))
        draw = function([code], vae.decode(code).sigmoid().reshape((code.shape[0], 8, 8)), threads=threads)
        some = {"image": test["image"][:12]}
        found = Row(f"the same from codes of {units} numbers", model.predict(some)["image"])
        draw_images(folder / "reconstructions.png", [Row("test images", some["image"]), found])
        drawn = np.asarray(draw(Stream(seed, "codes").normal((36, units)))).reshape(3, 12, 8, 8)
        titles = ("images of random codes", "more", "more")
        draw_images(folder / "samples.png", [Row(title, row) for title, row in zip(titles, drawn, strict=True)])

    return Task(model, train, test, epochs=100, batch_size=32, leave=leave)
