from __future__ import annotations

import math
import time

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError
from graphc.runtime.callbacks import EarlyStopping, NaNGuard, TimeBudget
from tests.runtime.callbacks.scripted import scripted_model, train
from tests.runtime.networks import digits_data, digits_model


def test_training_ends_when_patience_does() -> None:
    history = train([5, 3, 4, 3, 3.5, 1, 0], EarlyStopping(patience=3))
    assert history["val_loss"] == [5, 3, 4, 3, 3.5]
    assert history.stopped == "val_loss has not become better since epoch 2 (3.0)"
    assert not history.interrupted


def test_training_that_gets_better_goes_on() -> None:
    history = train([5, 4, 4.5, 3, 3.5, 2], EarlyStopping(patience=2))
    assert len(history) == 6
    assert history.stopped is None


def test_small_steps_are_no_progress() -> None:
    assert len(train([5, 4.9, 4.8, 4.7, 4.6], EarlyStopping(patience=2, min_delta=0.5))) == 3


@pytest.mark.parametrize(("mode", "epochs"), [("min", 3), ("max", 5), ("auto", 3)])
def test_better_is_what_the_mode_says(mode: str, epochs: int) -> None:
    assert len(train([1, 2, 3, 4, 5], EarlyStopping(patience=2, mode=mode))) == epochs


@pytest.mark.parametrize(("name", "more"), [("val_accuracy", True), ("mean_iou", True), ("mean_squared_error", False)])
def test_whether_more_is_better_depends_on_the_name(name: str, more: bool) -> None:
    monitor = EarlyStopping(name).monitor
    assert monitor.better(0.9, 0.8) == more
    assert monitor.better(0.8, 0.9) != more
    assert monitor.better(0.1, math.nan)
    assert not monitor.better(math.nan, None)


@pytest.mark.parametrize(("restore", "weight"), [(True, 3.0), (False, 4.0)])
def test_the_best_parameters_come_back(restore: bool, weight: float) -> None:
    model = scripted_model()
    stop = EarlyStopping(patience=2, restore_best=restore)
    train([5, 3, 6, 4], stop, model=model)
    assert (stop.best, stop.best_epoch) == (3.0, 2)
    assert float(model.cells["weight"].array) == weight


def test_the_best_parameters_come_back_also_after_the_last_epoch() -> None:
    model = scripted_model()
    train([5, 3, 6], EarlyStopping(patience=9), model=model)
    assert float(model.cells["weight"].array) == 3.0


def test_states_of_the_optimizer_and_the_step_stay() -> None:
    model = digits_model()
    data = digits_data(20)
    model.fit(data, epochs=3, validation_data=data, callbacks=[EarlyStopping()])
    assert int(model.cells["step"].array) == 3
    assert "net/dense/weight" in model.learned
    assert not {"seed", "step", "learning_rate"} & model.learned.keys()
    assert not any("adam" in name or "moment" in name for name in model.learned)


def test_each_training_begins_anew() -> None:
    stop, model = EarlyStopping(patience=1), scripted_model()
    assert len(train([1, 2, 3], stop, model=model)) == 2
    assert len(train([1, 2, 3, 2], stop, model=model)) == 2


def test_a_number_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no 'val_loss' to watch") as caught:
        scripted_model().fit({"x": np.ones(4)}, callbacks=[EarlyStopping()])
    assert caught.value.expected == "epoch, loss, seconds"
    assert caught.value.way_out == "give fit validation_data or validation_split"
    assert "scripted_model().fit" in str(caught.value.at)


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(DeclarationError, match="early stopping needs some patience") as caught:
        EarlyStopping(patience=0)
    assert caught.value.got == "patience=0, min_delta=0.0"
    with pytest.raises(DeclarationError, match="there is no such mode") as caught:
        EarlyStopping(mode="low")
    assert (caught.value.expected, caught.value.got) == ("auto, min or max", "'low'")
    with pytest.raises(DeclarationError, match="a budget of time is positive"):
        TimeBudget(0)


def test_a_loss_that_is_not_finite_ends_the_training_within_the_epoch() -> None:
    model = scripted_model()
    history = model.fit({"x": [1.0, np.nan, 1.0]}, batch_size=1, shuffle=False, callbacks=[NaNGuard()])
    assert len(history) == 0
    assert model.position.batch == 2
    assert history.stopped == "the loss is nan in batch 2 of epoch 1; fit(check_finite=True) finds the line"


def test_training_ends_when_its_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Tick(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            now[0] += 1.0

    model = scripted_model()
    history = model.fit({"x": np.ones(10)}, epochs=3, batch_size=2, callbacks=[Tick(), TimeBudget(7)])
    assert history.stopped == "the budget of 7 s is spent"
    assert (model.position.epoch, model.position.batch) == (1, 2)


def test_a_stopped_training_goes_on_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            self.stop_reason = "enough" if model.position.batch == 3 else None

    data = digits_data(100)
    whole, stopped = digits_model(), digits_model()
    expected = whole.fit(data, batch_size=20)
    assert stopped.fit(data, batch_size=20, callbacks=[Stop()]).stopped == "enough"
    assert stopped.fit(data, batch_size=20)["loss"] == expected["loss"]
