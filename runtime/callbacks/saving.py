"""Callbacks that save the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.callbacks.monitor import Monitor

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["BestCheckpoint", "Checkpoint"]


class Checkpoint(Callback):
    """Save the model after every epoch or every few, and every so many batches if asked.

    path: the file, replaced each time. every_batches: None for epochs only. every_epochs: save after each epoch whose
    number it divides.

    >>> import graphc as gc
    >>> gc.callbacks.Checkpoint("run/checkpoint.safetensors", every_batches=100).every_batches
    100
    """

    def __init__(self, path: str | os.PathLike[str], every_batches: int | None = None, every_epochs: int = 1) -> None:
        if every_epochs < 1:
            raise DeclarationError(
                "a checkpoint is saved every so many epochs",
                at=str(user_location()),
                expected="every_epochs: an integer of at least 1",
                got=f"every_epochs={every_epochs}",
            )
        self.path = Path(path)
        self.every_batches = every_batches
        self.every_epochs = every_epochs
        self._count = 0

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """Save if it is time."""
        self._count += 1
        if self.every_batches and self._count % self.every_batches == 0:
            model.save(self.path)

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Save if it is time."""
        if epoch % self.every_epochs == 0:
            model.save(self.path)


class BestCheckpoint(Callback):
    """Save the model after each epoch that is the best so far, those before a resumption included.

    path: the file, replaced each time. monitor: the column of the history to watch. mode: "min", "max" or "auto".
    Raises DeclarationError after the first epoch if the history has no such column.

    >>> import graphc as gc
    >>> gc.callbacks.BestCheckpoint("run/best.safetensors", monitor="val_accuracy").monitor.name
    'val_accuracy'
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", mode: str = "auto") -> None:
        self.path = Path(path)
        self.monitor = Monitor(monitor, mode)

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Save if no epoch before was as good."""
        value = self.monitor.of(logs)
        before = [row[self.monitor.name] for row in model.position.history[:-1] if self.monitor.name in row]
        if all(self.monitor.better(value, than) for than in before):
            model.save(self.path)
