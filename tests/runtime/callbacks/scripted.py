"""A model whose validation loss follows a script, and rows of epochs for callbacks that only look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import graphc as gc
from graphc.scalar import Array


class Script(gc.callbacks.Callback):
    """Sets the weight before each epoch to the next number of a script."""

    def __init__(self, model: gc.Model, values: Sequence[float]) -> None:
        self.weight, self.values = model.cells["weight"], list(values)

    def on_epoch_begin(self, model: gc.Model, epoch: int) -> None:
        self.weight.set(np.float32(self.values[epoch - 1]))


def scripted_model() -> gc.Model:
    """The loss is the weight, which training leaves as it is."""
    x = gc.input("x", shape=("batch",))
    weight = gc.parameter((), initializer="zeros", name="weight")
    return gc.compile((x * weight).mean(), gc.optimizers.SGD(1e-30))


def train(values: Sequence[float], *callbacks: gc.callbacks.Callback, model: gc.Model | None = None) -> gc.History:
    """Train for one epoch a value; ``loss`` and ``val_loss`` of an epoch are its value."""
    model = model or scripted_model()
    data: dict[str, Array] = {"x": np.ones(4)}
    epochs = len(values) - model.position.epoch
    return model.fit(data, validation_data=data, epochs=epochs, callbacks=[Script(model, values), *callbacks])
