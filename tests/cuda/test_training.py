"""Training loops and functions on a device, over the fake driver: when the host waits, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import FeedError
from graphc.scalar import Array
from tests.cuda.fake_driver import OK, Event, FakeDriver
from tests.cuda.networks import perceptron, perceptron_feed
from tests.cuda.pairs import Pair, on_device

STEPS = 50
BATCH = 4


class Waits:
    """Counts how often the host waits for kernels that have not run."""

    def __init__(self, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake, self.count = fake, 0
        monkeypatch.setattr(fake, "finish_event", self.finish)

    def finish(self, event: Event) -> object:
        stream = event.stream
        self.count += stream is self.fake.streams[0] and event.count > stream.done
        event.finish()
        return OK


DATA = perceptron_feed(BATCH * STEPS - 1)
"""Samples for so many steps, of which the last is smaller."""


def numbers(history: gc.History) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def test_an_epoch_waits_for_the_last_steps_alone_and_has_the_bits_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    waits = Waits(fake, monkeypatch)
    pair = Pair(perceptron, fake)
    wanted, found = (model.fit(DATA, batch_size=BATCH) for model in (pair.cpu, pair.model))
    assert numbers(found) == numbers(wanted)
    pair.check_states()
    assert 1 <= waits.count <= 5


class Look(gc.callbacks.Callback):
    """Looks at every step."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, object, float]] = []

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        position = model.position
        self.seen.append((position.batch, position.samples, dict(position.totals), logs["loss"]))


def test_a_callback_after_each_batch_sees_its_loss_and_the_exact_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    waits = Waits(fake, monkeypatch)
    pair = Pair(perceptron, fake)
    looks = Look(), Look()
    for model, look in zip((pair.cpu, pair.model), looks, strict=True):
        model.fit(DATA, batch_size=BATCH, callbacks=[look])
    assert looks[0].seen == looks[1].seen
    assert [entry[:2] for entry in looks[1].seen[-2:]] == [(STEPS - 1, 196), (STEPS, 199)]
    assert waits.count == STEPS


class BrokenError(Exception):
    pass


def test_sums_are_complete_when_the_data_break_off() -> None:
    def batches(epoch: int) -> Iterator[dict[str, Array]]:
        for step in range(7):
            yield perceptron_feed(BATCH, step)
        raise BrokenError

    pair = Pair(perceptron, FakeDriver())
    positions = []
    for model in (pair.cpu, pair.model):
        with pytest.raises(BrokenError):
            model.fit(batches)
        positions.append(model.position)
    assert positions[0] == positions[1]
    assert (positions[1].batch, positions[1].samples) == (7, 28)


def moved() -> gc.Model:
    """A model that looks numbers up at indices which a state moves, so that the device alone can check them."""
    index = gc.input("index", shape=("batch",), dtype="int64")
    shift = gc.state(1, name="shift")
    table = gc.parameter((4,), np.arange(4.0, dtype=np.float32), name="table")
    return gc.compile(gc.mean(gc.take(table, gc.check_range(index + shift, 0, 4))), optimizers.SGD(1e-9))


def test_a_late_range_check_stops_the_epoch_and_leaves_sums_of_the_other_steps() -> None:
    pair = Pair(moved, FakeDriver())
    index = np.zeros((STEPS, 2), np.int64)
    index[5] = 3
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        pair.model.fit({"index": index.ravel()}, batch_size=2, shuffle=False)
    position = pair.model.position
    step = int(pair.model.cells["step"].read())
    assert position.batch == step < 30
    assert position.samples == 2 * (step - 1)  # all but the step that failed
    assert position.totals == {"loss": pytest.approx(1.0 * position.samples)}


def test_evaluation_reads_late_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    waits = Waits(fake, monkeypatch)
    pair = Pair(perceptron, fake, "evaluate")
    wanted, found = (model.evaluate(DATA, batch_size=BATCH) for model in (pair.cpu, pair.model))
    assert found == wanted
    assert 1 <= waits.count <= 5


def test_a_function_returns_arrays_also_for_single_numbers() -> None:
    x = gc.input("x", shape=("n",))
    total, double = gc.sum(x), x * 2.0
    for outputs in (total, [total, double], {"total": total, "double": double}):
        function = gc.function([x], outputs)
        function._executable = on_device(function, FakeDriver())
        found = function([1.0, 2.0])
        arrays = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]
        assert all(isinstance(array, np.ndarray) for array in arrays)
        assert [np.asarray(array).tolist() for array in arrays] == [3.0, [2.0, 4.0]][: len(arrays)]
