"""Training: the loop, the order of samples, callbacks, what Ctrl-C leaves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError, FeedError
from graphc.scalar import Array
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model

DATA = digits_data(100)


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


def same_states(left: gc.Model, right: gc.Model) -> bool:
    others = states_of(right)
    return all(same_bits(value, others[name]) for name, value in states_of(left).items())


def without_seconds(history: gc.History) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


class Recorder(gc.callbacks.Callback):
    """Notes every call."""

    def __init__(self, events: list[str], name: str = "") -> None:
        self.events, self.name = events, name

    def on_train_begin(self, model: gc.Model) -> None:
        self.events.append(f"{self.name}begin")

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        self.events.append(f"{self.name}batch {model.position.batch}")

    def on_epoch_end(self, model: gc.Model, epoch: int, logs: dict[str, float]) -> None:
        self.events.append(f"{self.name}epoch {epoch}")

    def on_train_end(self, model: gc.Model) -> None:
        self.events.append(f"{self.name}end")


class Interrupt(gc.callbacks.Callback):
    """Presses Ctrl-C after a number of steps."""

    def __init__(self, steps: int, times: int = 1) -> None:
        self.steps, self.times = steps, times

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        if int(model.cells["step"].array) == self.steps:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def _control_c() -> Iterator[None]:
    """Ctrl-C as Python has it; a process in the background may have been started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_training_lowers_the_loss_and_records_each_epoch() -> None:
    history = digits_model(dropout=0.0).fit(DATA, epochs=8, batch_size=20, validation_data=digits_data(30, seed=1))
    assert history["epoch"] == list(range(1, 9))
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert history.names == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert not history.interrupted
    assert len(history) == 8


def test_fit_takes_the_steps_that_single_steps_take() -> None:
    fitted, stepped = digits_model(), digits_model()
    history = fitted.fit(DATA, batch_size=40, shuffle=False)
    logs = [stepped.step({name: column[first : first + 40] for name, column in DATA.items()}) for first in (0, 40, 80)]
    assert same_states(fitted, stepped)
    assert history["loss"] == [(logs[0]["loss"] * 40 + logs[1]["loss"] * 40 + logs[2]["loss"] * 20) / 100]


def test_the_seed_decides_every_bit() -> None:
    first, second, other = digits_model(seed=3), digits_model(seed=3), digits_model(seed=4)
    histories = [model.fit(DATA, epochs=2) for model in (first, second, other)]
    assert without_seconds(histories[0]) == without_seconds(histories[1])
    assert same_states(first, second)
    assert histories[0]["loss"] != histories[2]["loss"]
    assert not same_bits(first.cells["net/dense/weight"].array, other.cells["net/dense/weight"].array)


def test_each_epoch_has_an_order_of_its_own() -> None:
    position = gc.input("position", shape=("batch",))
    weight = gc.parameter((), initializer="zeros", name="weight")
    seen: list[list[float]] = []
    model = gc.compile((position * weight).sum(), optimizers.SGD(1.0))

    class Watch(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            seen[-1].append(float(model.cells["weight"].array))

        def on_epoch_end(self, model: gc.Model, epoch: int, logs: dict[str, float]) -> None:
            seen.append([0.0])
            weight.value = 0.0

    seen.append([0.0])
    model.fit({"position": np.arange(12)}, epochs=2, batch_size=1, callbacks=[Watch()])
    orders = [[-round(step) for step in np.diff(epoch)] for epoch in seen[:2]]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))
    assert orders[0] != orders[1] != list(range(12))


@pytest.mark.parametrize("threads", [1, 3, 5])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    model, other = digits_model(hidden=64), digits_model(hidden=64)
    model.target, other.target = (replace(model.target, threads=number) for number in (2, threads))
    model.fit(DATA, batch_size=64)
    other.fit(DATA, batch_size=64)
    assert same_states(model, other)


def test_the_last_batch_holds_what_is_left() -> None:
    events: list[str] = []
    digits_model().fit(digits_data(70), batch_size=32, callbacks=[Recorder(events)])
    assert events == ["begin", "batch 1", "batch 2", "batch 3", "epoch 1", "end"]


def test_callbacks_are_called_in_the_order_of_the_list() -> None:
    events: list[str] = []
    digits_model().fit(digits_data(4), batch_size=4, callbacks=[Recorder(events, "a "), Recorder(events, "b ")])
    assert events == [f"{name} {event}" for event in ("begin", "batch 1", "epoch 1", "end") for name in "ab"]


def test_training_goes_on_where_it_stood() -> None:
    once, twice = digits_model(), digits_model()
    whole = once.fit(DATA, epochs=3)
    parts = [twice.fit(DATA, epochs=1), twice.fit(DATA, epochs=2)]
    assert same_states(once, twice)
    assert [row["epoch"] for part in parts for row in part] == [1, 2, 3]
    assert without_seconds(whole) == without_seconds(parts[0]) + without_seconds(parts[1])


def test_no_epochs_leave_the_model_alone() -> None:
    model, twin = digits_model(), digits_model()
    assert len(model.fit(DATA, epochs=0)) == 0
    assert same_states(model, twin)


def test_the_learning_rate_is_set_between_steps() -> None:
    weight = gc.parameter((), initializer="zeros", name="slope")
    rate = optimizers.SGD(0.5)
    model = gc.compile(weight * gc.input("x", shape=()), rate)
    model.step({"x": 1.0})
    assert weight.value == -0.5
    rate.learning_rate = 0.25
    model.step({"x": 1.0})
    assert weight.value == -0.75
    assert rate.learning_rate == 0.25
    with pytest.raises(DeclarationError, match="learning_rate must be positive"):
        rate.learning_rate = 0.0


def test_a_callback_sets_the_learning_rate() -> None:
    weight = gc.parameter((), initializer="zeros", name="slope")
    rate = optimizers.SGD(1.0)

    class Halve(gc.callbacks.Callback):
        def on_epoch_end(self, model: gc.Model, epoch: int, logs: dict[str, float]) -> None:
            rate.learning_rate /= 2

    model = gc.compile((weight * gc.input("x", shape=("batch",))).sum(), rate)
    model.fit({"x": [1.0]}, epochs=3, callbacks=[Halve()])
    assert weight.value == -1.75


def test_control_c_ends_training_after_the_present_step() -> None:
    model, events = digits_model(), list[str]()
    history = model.fit(DATA, epochs=9, batch_size=10, callbacks=[Interrupt(13), Recorder(events)])
    assert history.interrupted
    assert history["epoch"] == [1]
    assert (model.position.epoch, model.position.batch) == (1, 3)
    assert events[-2:] == ["batch 3", "end"]


def test_training_after_control_c_reaches_the_same_bits() -> None:
    whole, stopped = digits_model(), digits_model()
    expected = whole.fit(DATA, epochs=3, batch_size=10)
    first = stopped.fit(DATA, epochs=3, batch_size=10, callbacks=[Interrupt(13)])
    second = stopped.fit(DATA, epochs=2, batch_size=10)
    assert same_states(whole, stopped)
    assert without_seconds(expected) == without_seconds(first) + without_seconds(second)


@pytest.mark.usefixtures("_control_c")
def test_a_second_control_c_interrupts_at_once_and_the_model_is_usable() -> None:
    whole, stopped = digits_model(), digits_model()
    whole.fit(DATA, epochs=2, batch_size=10)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(DATA, epochs=2, batch_size=10, callbacks=[Interrupt(13, times=2)])
    assert int(stopped.cells["step"].array) == 13
    stopped.fit(DATA, epochs=1, batch_size=10)
    assert same_states(whole, stopped)


@pytest.mark.usefixtures("_control_c")
def test_control_c_works_as_before_when_training_is_over() -> None:
    handler = signal.getsignal(signal.SIGINT)
    model = digits_model()
    model.fit(DATA, callbacks=[Interrupt(1)])
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(KeyboardInterrupt):
        model.fit(DATA, callbacks=[Interrupt(int(model.cells["step"].array) + 1, times=2)])
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_in_a_callback_keeps_the_model() -> None:
    class Fail(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            if model.position.batch == 2:
                raise OSError("the disk is full")

    whole, failed = digits_model(), digits_model()
    whole.fit(DATA, batch_size=25)
    with pytest.raises(OSError, match="the disk is full"):
        failed.fit(DATA, batch_size=25, callbacks=[Fail()])
    failed.fit(DATA, batch_size=25)
    assert same_states(whole, failed)


def test_no_bar_is_drawn_when_errors_go_to_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    digits_model().fit(digits_data(8))
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_drawn_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    digits_model().fit(digits_data(8), epochs=2, progress=True)
    drawn = capfd.readouterr().err
    assert "epoch 1/2" in drawn
    assert "epoch 2/2: 100%" in drawn
    assert "accuracy=" in drawn


@pytest.mark.parametrize(("epochs", "batch_size"), [(-1, 32), (1, 0)])
def test_wrong_numbers_of_epochs_and_samples_are_refused(epochs: int, batch_size: int) -> None:
    with pytest.raises(DeclarationError, match="fit needs epochs of at least 0 and batches of at least 1") as caught:
        digits_model().fit(DATA, epochs=epochs, batch_size=batch_size)
    assert caught.value.got == f"epochs={epochs}, batch_size={batch_size}"
    assert "digits_model().fit(DATA, epochs=epochs" in str(caught.value.at)


def test_training_without_samples_is_refused() -> None:
    with pytest.raises(FeedError, match="there are no samples to train on"):
        digits_model().fit({name: column[:0] for name, column in DATA.items()})


def test_validation_without_samples_is_refused_before_training() -> None:
    model, twin = digits_model(), digits_model()
    with pytest.raises(FeedError, match="there are no samples to validate on") as caught:
        model.fit(DATA, validation_data={name: column[:0] for name, column in DATA.items()})
    assert caught.value.got == "label: [0], image: [0, 8, 8]"
    assert "model.fit(DATA, validation_data=" in str(caught.value.at)
    assert same_states(model, twin)
