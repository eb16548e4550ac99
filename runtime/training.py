"""The training loop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from graphc.errors import DeclarationError, NonFiniteError
from graphc.origin import user_location
from graphc.runtime.callbacks import Callback
from graphc.runtime.data import ArrayData, shuffled
from graphc.runtime.history import History
from graphc.runtime.nonfinite import explain_non_finite
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["evaluate_on", "fit"]


def fit(
    model: Model,
    data: ArrayData,
    *,
    epochs: int,
    batch_size: int,
    shuffle: bool,
    validation: ArrayData | None,
    callbacks: Sequence[Callback],
    check_finite: bool,
    progress: bool | None,
) -> History:
    """Train from the model's position for a number of epochs; a begun epoch counts as the first."""
    if not isinstance(epochs, int) or not isinstance(batch_size, int) or epochs < 0 or batch_size < 1:
        raise DeclarationError(
            "fit needs epochs of at least 0 and batches of at least 1",
            at=str(user_location()),
            got=f"epochs={epochs}, batch_size={batch_size}",
        )
    data.require_samples("train on")
    if validation is not None:
        validation.require_samples("validate on")
    first_row = len(model.position.history)
    last = model.position.epoch + epochs
    for callback in callbacks:
        callback.on_train_begin(model)
    with _Interruption() as interruption:
        loop = _Loop(model, data, batch_size, shuffle, validation, list(callbacks), check_finite, interruption)
        while model.position.epoch < last and not interruption.asked:
            loop.epoch(last, progress)
    for callback in callbacks:
        callback.on_train_end(model)
    return History(model.position.history[first_row:], interruption.asked)


class _Interruption:
    """Turns the first Ctrl-C into a wish that the loop grants between two steps; the second one interrupts as usual."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None
        self._mine = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> _Interruption:
        if self._mine:
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._previous)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._previous)


class _Loop:
    def __init__(
        self,
        model: Model,
        data: ArrayData,
        batch_size: int,
        shuffle: bool,
        validation: ArrayData | None,
        callbacks: Sequence[Callback],
        check_finite: bool,
        interruption: _Interruption,
    ) -> None:
        self.interruption = interruption
        self.model, self.data, self.batch_size = model, data, batch_size
        self.shuffle, self.validation, self.callbacks = shuffle, validation, callbacks
        self.check_finite = check_finite
        self.executable = model.executable("train")

    def epoch(self, last: int, progress: bool | None) -> None:
        """The rest of the present epoch."""
        model, position = self.model, self.model.position
        started = time.perf_counter()
        seed = int(model.cells["seed"].array)
        order = shuffled(self.data.count, seed, position.epoch) if self.shuffle else None
        total = self.data.batch_count(self.batch_size)
        with _bar(f"epoch {position.epoch + 1}/{last}", total, position.batch, progress) as bar:
            for batch in self.data.batches(self.batch_size, order, position.batch):
                logs = self.step(batch)
                count = len(next(iter(batch.values())))
                for key, value in logs.items():
                    position.totals[key] = position.totals.get(key, 0.0) + value * count
                position.batch += 1
                for callback in self.callbacks:
                    callback.on_batch_end(model, logs)
                bar.update()
                if not bar.disable and position.batch % 16 == 0:
                    bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
                if self.interruption.asked and position.batch < total:
                    return
            row = {key: value / self.data.count for key, value in position.totals.items()}
            if self.validation is not None:
                found = evaluate_on(model, self.validation, max(self.batch_size, 256))
                row |= {f"val_{key}": value for key, value in found.items()}
            bar.set_postfix({key: f"{value:.4f}" for key, value in row.items()})
        position.epoch, position.batch, position.totals = position.epoch + 1, 0, {}
        row = {"epoch": position.epoch, **row, "seconds": round(time.perf_counter() - started, 4)}
        position.history.append(row)
        for callback in self.callbacks:
            callback.on_epoch_end(model, position.epoch, row)

    def step(self, batch: Mapping[str, Array]) -> dict[str, float]:
        """One step on a batch."""
        before = self._copy_states() if self.check_finite else {}
        arrays, sizes = self.executable.feeder.prepare(batch)
        logs = {key: float(value) for key, value in self.executable.run(arrays, sizes).items()}
        if self.check_finite and not (isfinite(logs["loss"]) and self._states_stayed_finite(before)):
            raise self._non_finite(batch, before)
        return logs

    def _states_stayed_finite(self, before: Mapping[str, Array]) -> bool:
        """False if the step spoilt a state: a gradient may be NaN where the loss is a number."""
        spoilt = (name for name, cell in self.model.cells.items() if not np.isfinite(cell.array).all())
        return not any(np.isfinite(before[name]).all() for name in spoilt)

    def _copy_states(self) -> dict[str, Array]:
        return {name: cell.array.copy() for name, cell in self.model.cells.items()}

    def _non_finite(self, batch: Mapping[str, Array], before: Mapping[str, Array]) -> NonFiniteError:
        """The error for a loss or state that is not finite; states go back to what they were before the step."""
        for name, value in before.items():
            self.model.cells[name].set(value)
        return explain_non_finite(self.model.backward, batch, before)


def evaluate_on(model: Model, data: ArrayData, batch_size: int) -> dict[str, float]:
    """The loss and metrics of the model on data, averaged over samples."""
    data.require_samples("evaluate on")
    executable = model.executable("evaluate")
    totals: dict[str, float] = {}
    for batch in data.batches(batch_size):
        arrays, sizes = executable.feeder.prepare(batch)
        count = len(next(iter(batch.values())))
        for key, value in executable.run(arrays, sizes).items():
            totals[key] = totals.get(key, 0.0) + float(value) * count
    return {key: value / data.count for key, value in totals.items()}


@contextmanager
def _bar(title: str, total: int, done: int, progress: bool | None) -> Iterator[Any]:
    """A progress bar: on a terminal by default, or as asked."""
    hidden = None if progress is None else not progress
    with tqdm(total=total, initial=done, desc=title, disable=hidden, leave=True, unit="batch") as bar:
        yield bar
