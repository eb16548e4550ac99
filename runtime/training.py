"""The training loop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from graphc.errors import DeclarationError, FeedError, NonFiniteError
from graphc.origin import user_location
from graphc.runtime.callbacks import Callback
from graphc.runtime.data.sources import Epoch, Source
from graphc.runtime.history import History
from graphc.runtime.nonfinite import explain_non_finite
from graphc.runtime.watching import Late, Total
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["evaluate_on", "fit"]


def fit(
    model: Model,
    data: Source,
    *,
    epochs: int,
    batch_size: int,
    shuffle: bool,
    validation: Source | None,
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
        while model.position.epoch < last and not loop.stopping:
            loop.epoch(last, progress)
    for callback in callbacks:
        callback.on_train_end(model)
    return History(model.position.history[first_row:], interruption.asked, loop.stop_reason)


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
        data: Source,
        batch_size: int,
        shuffle: bool,
        validation: Source | None,
        callbacks: Sequence[Callback],
        check_finite: bool,
        interruption: _Interruption,
    ) -> None:
        self.interruption = interruption
        self.model, self.data, self.batch_size = model, data, batch_size
        self.shuffle, self.validation, self.callbacks = shuffle, validation, callbacks
        self.after_batch = [one for one in callbacks if _overrides(one, "on_batch_end")]
        self.check_finite = check_finite
        self.executable = model.executable("train")

    @property
    def stop_reason(self) -> str | None:
        """Why a callback wants to stop; None if none does."""
        return next((one.stop_reason for one in self.callbacks if one.stop_reason is not None), None)

    @property
    def stopping(self) -> bool:
        """Whether Ctrl-C or a callback has asked for the end."""
        return self.interruption.asked or self.stop_reason is not None

    def epoch(self, last: int, progress: bool | None) -> None:
        """The rest of the present epoch."""
        model, position = self.model, self.model.position
        started = time.perf_counter()
        for callback in self.callbacks:
            callback.on_epoch_begin(model, position.epoch + 1)
        total = self.data.batch_count(self.batch_size)
        with _bar(f"epoch {position.epoch + 1}/{last}", total, position.batch, progress) as bar:
            if not self.batches(total, bar):
                return
            row = model.watching.results(position.totals, position.samples)
            if self.validation is not None:
                found = evaluate_on(model, self.validation, max(self.batch_size, 256))
                row |= {f"val_{key}": value for key, value in found.items()}
            bar.set_postfix({key: f"{value:.4f}" for key, value in row.items()})
        position.epoch, position.batch, position.samples, position.totals = position.epoch + 1, 0, 0, {}
        row = {"epoch": position.epoch, **row, "seconds": round(time.perf_counter() - started, 4)}
        position.history.append(row)
        for callback in self.callbacks:
            callback.on_epoch_end(model, position.epoch, row)

    def batches(self, total: int | None, bar: Any) -> bool:
        """The steps of the rest of the epoch; False if the training is to end before its last."""
        model, position = self.model, self.model.position
        which = Epoch(self.batch_size, int(model.cells["seed"].read()), position.epoch, self.shuffle)

        def add(found: Mapping[str, Array], samples: int) -> None:
            model.watching.add(position.totals, found, samples)
            position.samples += samples

        with closing(self.data.epoch(which, position.batch)) as batches, Late(add) as late:
            for batch in batches:
                found = self.step(batch)
                position.batch += 1
                late.put(found, self.data.samples_in(batch))
                if self.after_batch:
                    late.add_all_but()
                    logs = model.watching.values(found)
                    for callback in self.after_batch:
                        callback.on_batch_end(model, logs)
                bar.update()
                if not bar.disable and position.batch % 16 == 0:
                    bar.set_postfix(loss=f"{float(found['loss']):.4f}", refresh=False)
                if (self.interruption.asked or self.after_batch) and self.stopping and position.batch != total:
                    return False
        if not position.samples:
            raise FeedError(
                f"epoch {position.epoch + 1} has no batches",
                at=str(user_location()),
                expected=f"at least {self.batch_size} samples",
                way_out="a smaller batch_size, or a loader without drop_last",
            )
        return True

    def step(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """One step on a batch: the outputs of the program."""
        before = self._copy_states() if self.check_finite else {}
        arrays, sizes = self.executable.feeder.prepare(batch, self.check_finite)
        found = self.executable.run(arrays, sizes)
        if self.check_finite and not (isfinite(found["loss"]) and self._states_stayed_finite(before)):
            raise self._non_finite(batch, before)
        return found

    def _states_stayed_finite(self, before: Mapping[str, Array]) -> bool:
        """False if the step spoilt a state: a gradient may be NaN where the loss is a number."""
        spoilt = (name for name, cell in self.model.cells.items() if not np.isfinite(cell.read()).all())
        return not any(np.isfinite(before[name]).all() for name in spoilt)

    def _copy_states(self) -> dict[str, Array]:
        return {name: cell.read() for name, cell in self.model.cells.items()}

    def _non_finite(self, batch: Mapping[str, Array], before: Mapping[str, Array]) -> NonFiniteError:
        """The error for a loss or state that is not finite; states go back to what they were before the step."""
        for name, value in before.items():
            self.model.cells[name].set(value)
        return explain_non_finite(self.model.backward, batch, before)


def _overrides(callback: Callback, hook: str) -> bool:
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)


def evaluate_on(model: Model, data: Source, batch_size: int) -> dict[str, float]:
    """The loss and metrics of the model on data: means over samples, and finished counts."""
    data.require_samples("evaluate on")
    executable = model.executable("evaluate")
    totals: dict[str, Total] = {}
    samples = 0
    with (
        closing(data.epoch(Epoch(batch_size))) as batches,
        Late(lambda found, count: model.watching.add(totals, found, count)) as late,
    ):
        for batch in batches:
            arrays, sizes = executable.feeder.prepare(batch)
            count = data.samples_in(batch)
            samples += count
            late.put(executable.run(arrays, sizes), count)
    return model.watching.results(totals, samples)


@contextmanager
def _bar(title: str, total: int | None, done: int, progress: bool | None) -> Iterator[Any]:
    """A progress bar: on a terminal by default, or as asked."""
    hidden = None if progress is None else not progress
    with tqdm(total=total, initial=done, desc=title, disable=hidden, leave=True, unit="batch") as bar:
        yield bar
