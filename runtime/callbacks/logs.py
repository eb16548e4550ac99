"""Callbacks that write down the history."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.history import History

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["CSVLog", "Plot"]


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


class Plot(Callback):
    """Keep a picture of the curves of all epochs, drawn anew after every few epochs and at the end.

    path: PNG, SVG or PDF by the ending. Needs matplotlib (``pip install 'graphc[demo]'``), MissingPackageError without
    it.

    >>> import graphc as gc
    >>> gc.callbacks.Plot("run/history.png", every_epochs=10).every_epochs
    10
    """

    def __init__(self, path: str | os.PathLike[str], every_epochs: int = 1) -> None:
        self.path, self.every_epochs = Path(path), every_epochs

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Draw if it is time."""
        if epoch % self.every_epochs == 0:
            self._draw(model)

    def on_train_end(self, model: Model) -> None:
        """Draw what came after the last picture."""
        if model.position.history and model.position.epoch % self.every_epochs:
            self._draw(model)

    def _draw(self, model: Model) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        History(model.position.history).plot(self.path)
