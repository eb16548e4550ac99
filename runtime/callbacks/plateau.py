"""A callback that lowers the learning rate when progress stalls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.frontend.settings import check_fraction, check_not_negative
from graphc.origin import user_location
from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.callbacks.monitor import Monitor
from graphc.runtime.callbacks.rules import rules_of

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["ReduceOnPlateau"]


class ReduceOnPlateau(Callback):
    """Multiply the learning rates by a factor when a number of the history has not become better for some epochs.

    monitor: the column to watch. factor: below 1. patience: so many epochs without progress are let pass, the next one
    lowers the rates. min_delta: progress is a change by more than this. mode: "min", "max" or "auto". cooldown: epochs
    after a change that do not count. min_rate: rates go no lower. The rules are those of PyTorch's ReduceLROnPlateau
    with ``threshold_mode="abs"``. Epochs before this call of ``fit`` count too, so that a training that is resumed from
    a checkpoint goes on as it would have. Raises DeclarationError for an optimizer whose learning rate follows a
    schedule, and after the first epoch if the history has no such column.

    >>> import graphc as gc
    >>> gc.callbacks.ReduceOnPlateau(factor=0.5, patience=3).factor
    0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        mode: str = "auto",
        cooldown: int = 0,
        min_rate: float = 0.0,
    ) -> None:
        check_fraction("factor", factor)
        for name, value in {
            "patience": patience,
            "min_delta": min_delta,
            "cooldown": cooldown,
            "min_rate": min_rate,
        }.items():
            check_not_negative(name, value)
        self.monitor = Monitor(monitor, mode)
        self.factor, self.patience, self.min_delta = factor, patience, min_delta
        self.cooldown, self.min_rate = cooldown, min_rate
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self._waited = self._resting = 0

    def on_train_begin(self, model: Model) -> None:
        """Look at the epochs so far."""
        for rule in rules_of(model):
            if rule.scheduled:
                raise DeclarationError(
                    "a learning rate that follows a schedule cannot be lowered",
                    at=str(user_location()),
                    expected="an optimizer whose learning rate is a number",
                    got=type(rule).__name__,
                    way_out="leave out the schedule or ReduceOnPlateau",
                )
        self._forget()
        for row in model.position.history:
            if self.monitor.name in row:
                self._stalls(row)

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Lower the rates if it is time."""
        if self._stalls(logs):
            for rule in rules_of(model):
                present = rule.learning_rate
                lower = max(present * self.factor, self.min_rate)
                if 0 < lower < present:
                    rule.learning_rate = lower

    def _stalls(self, logs: Mapping[str, float]) -> bool:
        """Count one epoch; True if the rates are to be lowered after it."""
        value = self.monitor.of(logs)
        if self.monitor.better(value, self.best, self.min_delta):
            self.best, self._waited = value, 0
        else:
            self._waited += 1
        if self._resting:
            self._resting -= 1
            self._waited = 0
        if self._waited <= self.patience:
            return False
        self._resting, self._waited = self.cooldown, 0
        return True
