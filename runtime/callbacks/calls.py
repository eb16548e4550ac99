"""Callbacks that call the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.callbacks.rules import rules_of

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["LambdaCallback", "LearningRate"]

_HOOKS = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end")


class LearningRate(Callback):
    """Set the learning rate before each epoch, the same for all optimizers of the model.

    schedule: a function of the epoch (numbered from 1), or the rates of the first epochs, of which the last one stays.
    Rates of single steps, or of groups of parameters, are told by ``gc.schedules``. Raises DeclarationError for an
    optimizer whose rate follows a schedule already, and for a rate that is not positive.

    >>> import graphc as gc
    >>> gc.callbacks.LearningRate(lambda epoch: 0.1 / epoch).rate(4)
    0.025
    >>> gc.callbacks.LearningRate([0.1, 0.1, 0.01]).rate(7)
    0.01
    """

    def __init__(self, schedule: Callable[[int], float] | Sequence[float]) -> None:
        if not callable(schedule) and not len(schedule):
            raise DeclarationError(
                "a schedule of learning rates has at least one",
                at=str(user_location()),
                expected="a function of the epoch, or a list of rates",
                got=repr(schedule),
            )
        self.schedule = schedule

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        if callable(self.schedule):
            return self.schedule(epoch)
        return self.schedule[min(epoch, len(self.schedule)) - 1]

    def on_epoch_begin(self, model: Model, epoch: int) -> None:
        """Set the rate."""
        for rule in rules_of(model):
            rule.learning_rate = self.rate(epoch)


class LambdaCallback(Callback):
    """Functions instead of methods: each is called with the arguments of the method of its name.

    Raises DeclarationError for a name that is no method of Callback.

    >>> import graphc as gc
    >>> show = gc.callbacks.LambdaCallback(on_epoch_end=lambda model, epoch, logs: print(epoch, logs["loss"]))
    >>> show.on_epoch_end(None, 1, {"loss": 0.5})
    1 0.5
    """

    def __init__(self, **functions: Callable[..., object]) -> None:
        for name, function in functions.items():
            if name not in _HOOKS or not callable(function):
                raise DeclarationError(
                    f"{name} is no function that the training calls"
                    if name in _HOOKS
                    else f"there is no hook {name!r}",
                    at=str(user_location()),
                    expected=", ".join(_HOOKS),
                    got=repr(function) if name in _HOOKS else name,
                )
            setattr(self, name, function)
