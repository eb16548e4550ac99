"""Callbacks: what happens between batches and epochs."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["CSVLog", "Callback", "Checkpoint"]


class Callback:
    """Base: override what you need. The training loop calls the methods in the order of the list of callbacks.

    >>> import graphc as gc
    >>> class Print(gc.callbacks.Callback):
    ...     def on_epoch_end(self, model, epoch, logs):
    ...         print(epoch, logs["loss"])
    """

    def on_train_begin(self, model: Model) -> None:
        """Before the first batch."""
        return

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """After each step, with the batch's loss and metrics."""
        return

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch (numbered from 1), with its row of the history."""
        return

    def on_train_end(self, model: Model) -> None:
        """After the last batch, also when Ctrl-C ended the training."""
        return


class Checkpoint(Callback):
    """Save the model after every epoch, and every so many batches if asked.

    path: the file, replaced each time. every_batches: None for epochs only.

    >>> import graphc as gc
    >>> gc.callbacks.Checkpoint("run/checkpoint.safetensors", every_batches=100).every_batches
    100
    """

    def __init__(self, path: str | os.PathLike[str], every_batches: int | None = None) -> None:
        self.path = Path(path)
        self.every_batches = every_batches
        self._count = 0

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """Save if it is time."""
        self._count += 1
        if self.every_batches and self._count % self.every_batches == 0:
            model.save(self.path)

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Save."""
        model.save(self.path)


class CSVLog(Callback):
    """Keep the history of all epochs as a CSV file, rewritten after each epoch.

    >>> import graphc as gc
    >>> gc.callbacks.CSVLog("run/history.csv").path.name
    'history.csv'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Write the rows so far; those before a resumption are in the model's position."""
        rows = model.position.history
        names = list(dict.fromkeys(name for row in rows for name in row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.new")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self.path)
