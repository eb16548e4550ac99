"""The base of callbacks: what the training loop calls, and how a callback ends the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["Callback"]


class Callback:
    """Base: override what you need. The training loop calls the methods in the order of the list of callbacks.

    stop_reason: None; a callback that sets it to a text ends the training after the present batch or epoch, and
    ``history.stopped`` tells why.

    >>> import graphc as gc
    >>> class Print(gc.callbacks.Callback):
    ...     def on_epoch_end(self, model, epoch, logs):
    ...         print(epoch, logs["loss"])
    """

    stop_reason: str | None = None

    def on_train_begin(self, model: Model) -> None:
        """Before the first batch."""
        return

    def on_epoch_begin(self, model: Model, epoch: int) -> None:
        """Before the first batch of an epoch (numbered from 1), also before the rest of one that was interrupted."""
        return

    def on_batch_end(self, model: Model, logs: dict[str, float]) -> None:
        """After each step, with the batch's loss and metrics; a callback that does not override it costs no time."""
        return

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch (numbered from 1), with its row of the history."""
        return

    def on_train_end(self, model: Model) -> None:
        """After the last batch, also when Ctrl-C ended the training."""
        return
