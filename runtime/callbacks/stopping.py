"""Callbacks that end the training."""

from __future__ import annotations

import time
from math import isfinite
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.callbacks.monitor import Monitor
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["EarlyStopping", "NaNGuard", "TimeBudget"]


class EarlyStopping(Callback):
    """End the training when a number of the history has not become better for some epochs (Prechelt, 1998).

    monitor: the column to watch. patience: so many epochs without progress end the training. min_delta: progress is a
    change by more than this. mode: "min", "max" or "auto". restore_best: at the end the parameters, and the states of
    layers, are set to what they were after the best epoch; those of the optimizer stay. Each call of ``fit`` begins
    anew. Raises DeclarationError after the first epoch if the history has no such column.

    >>> import graphc as gc
    >>> gc.callbacks.EarlyStopping(patience=3).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        if not isinstance(patience, int) or patience < 1 or min_delta < 0:
            raise DeclarationError(
                "early stopping needs some patience",
                at=str(user_location()),
                expected="patience: an integer of at least 1; min_delta: at least 0",
                got=f"patience={patience}, min_delta={min_delta}",
            )
        self.monitor, self.patience, self.min_delta = Monitor(monitor, mode), patience, min_delta
        self.restore_best = restore_best
        self._forget()

    def _forget(self) -> None:
        self.stop_reason = None
        self.best: float | None = None
        self.best_epoch = 0
        self._waited = 0
        self._kept: dict[str, Array] = {}

    def on_train_begin(self, model: Model) -> None:
        """Begin anew."""
        self._forget()

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Keep the best, count the others."""
        value = self.monitor.of(logs)
        if self.monitor.better(value, self.best, self.min_delta):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            if self.restore_best:
                self._kept = {name: cell.read() for name, cell in model.learned.items()}
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.stop_reason = f"{self.monitor.name} has not become better since epoch {self.best_epoch} ({self.best})"

    def on_train_end(self, model: Model) -> None:
        """Set parameters and states to the best."""
        for name, value in self._kept.items():
            model.learned[name].set(value)


class NaNGuard(Callback):
    """End the training when a batch's loss is NaN or infinite.

    It costs a comparison a batch and tells when; ``fit(check_finite=True)`` finds the line that made the number and
    undoes the step, but copies the states before each step.

    >>> import graphc as gc
    >>> gc.callbacks.NaNGuard().stop_reason is None
    True
    """

    def on_train_begin(self, model: Model) -> None:
        """Begin anew."""
        self.stop_reason = None

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """Look at the loss."""
        if not isfinite(logs["loss"]):
            place = f"batch {model.position.batch} of epoch {model.position.epoch + 1}"
            self.stop_reason = f"the loss is {logs['loss']} in {place}; fit(check_finite=True) finds the line"


class TimeBudget(Callback):
    """End the training after the batch at which so many seconds have passed since ``fit`` began.

    >>> import graphc as gc
    >>> gc.callbacks.TimeBudget(60).seconds
    60
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise DeclarationError(
                "a budget of time is positive",
                at=str(user_location()),
                expected="seconds: more than 0",
                got=f"seconds={seconds}",
            )
        self.seconds = seconds
        self._end = 0.0

    def on_train_begin(self, model: Model) -> None:
        """Start the clock."""
        self.stop_reason, self._end = None, time.monotonic() + self.seconds

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """Look at the clock."""
        if time.monotonic() >= self._end:
            self.stop_reason = f"the budget of {self.seconds} s is spent"
