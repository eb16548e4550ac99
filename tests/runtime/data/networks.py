"""A model of one weight whose steps tell which samples it saw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import graphc as gc
from graphc.runtime.data.loader import Data


def counter(seed: int = 0) -> gc.Model:
    """The loss of a batch is the mean of ``x`` while the weight stays one."""
    x = gc.input("x", shape=("batch",))
    weight = gc.parameter((), initializer=gc.initializers.Constant(1.0), name="weight")
    return gc.compile((x * weight).mean(), gc.optimizers.SGD(1e-30), outputs={"doubled": 2.0 * x}, seed=seed)


class Seen(gc.callbacks.Callback):
    """The loss of each batch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        self.losses.append(logs["loss"])


def losses_of(data: Data, model: gc.Model | None = None, epochs: int = 1, batch_size: int = 4) -> list[float]:
    """The loss of each batch of a training."""
    seen = Seen()
    (model or counter()).fit(data, epochs=epochs, batch_size=batch_size, callbacks=[seen], shuffle=False)
    return seen.losses


def images(
    count: int = 6, height: int = 4, width: int = 5, channels: int = 3
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Images of numbers that are all different."""
    return np.arange(count * height * width * channels, dtype=np.float32).reshape(count, height, width, channels)


def batches(*values: list[float]) -> list[Mapping[str, object]]:
    """Batches of the input x."""
    return [{"x": value} for value in values]
