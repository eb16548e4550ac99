"""The task "autoencoder": handwritten digits through a code of a few numbers and back."""

from __future__ import annotations

from pathlib import Path

from graphc.frontend import losses, models, optimizers
from graphc.frontend.state import input as declare_input
from graphc.runtime.digits import load_digits
from graphc.runtime.examples.pictures import Row, draw_images
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task

__all__ = ["task"]

IS_USER_CODE = True


def task(
    hidden: int = 64,
    code: int = 12,
    tied: bool = True,
    sparse: float = 0.0,
    learning_rate: float = 1e-2,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Two layers each way, binary cross-entropy, Adam, 100 epochs; sparse: how much the sparsity of the code counts."""
    train, test = ({"image": part["image"]} for part in load_digits())
    image = declare_input("image", shape=("batch", 8, 8))
    rows = image.reshape((image.shape[0], 64))
    network = models.Autoencoder((hidden, code), tied=tied)
    logits = network(rows)
    loss = losses.binary_cross_entropy(logits, rows)
    model = compile_model(
        loss + sparse * models.sparsity(network.encode(rows)) if sparse else loss,
        optimizers.Adam(learning_rate),
        metrics={"error": losses.mean_squared_error(logits.sigmoid(), rows)},
        outputs={"image": logits.sigmoid().reshape((image.shape[0], 8, 8))},
        seed=seed,
        threads=threads,
        name="autoencoder",
    )

    def leave(folder: Path) -> None:
        some = {"image": test["image"][:12]}
        found = Row(f"the same from codes of {code} numbers", model.predict(some)["image"])
        draw_images(folder / "reconstructions.png", [Row("test images", some["image"]), found])

    return Task(model, train, test, epochs=100, batch_size=32, leave=leave)
