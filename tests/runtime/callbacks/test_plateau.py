"""The learning rate goes down where progress stalls, by the rules of PyTorch's ReduceLROnPlateau."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import callbacks, optimizers, schedules
from graphc.errors import DeclarationError

LOSSES = [5.0, 4.0, 4.0, 4.1, 3.99995, 4.2, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, float("nan"), 3.0, 2.0]


def model_of(optimizer: optimizers.Optimizer) -> gc.Model:
    w = gc.parameter((), 1.0, name="w")
    return gc.compile((w * gc.input("x", ("batch",))).mean(), optimizer)


def rates(callback: callbacks.ReduceOnPlateau, values: list[float] = LOSSES, name: str = "loss") -> list[float]:
    """The learning rate after each epoch of a training with these values, from 1."""
    model, found = model_of(optimizers.SGD(1.0)), []
    callback.on_train_begin(model)
    for epoch, value in enumerate(values, 1):
        callback.on_epoch_end(model, epoch, {name: value})
        found.append(model.optimizer.learning_rate)
    return found


def expected(patience: int, cooldown: int, least: float) -> list[float]:
    """PyTorch's rule with the factor 0.5, written out."""
    best, waited, resting, rate, found = np.inf, 0, 0, 1.0, []
    for value in LOSSES:
        progress = value < best - 1e-4
        best, waited = (value, 0) if progress else (best, waited + 1)
        if resting > 0:
            resting, waited = resting - 1, 0
        if waited > patience:
            rate, resting, waited = max(rate * 0.5, least), cooldown, 0
        found.append(rate)
    return found


@pytest.mark.parametrize(("patience", "cooldown", "least"), [(0, 0, 0.0), (1, 0, 0.3), (2, 2, 0.0), (10, 0, 0.0)])
def test_rates_follow_the_rule_of_torch(patience: int, cooldown: int, least: float) -> None:
    callback = callbacks.ReduceOnPlateau("loss", 0.5, patience, cooldown=cooldown, min_rate=least)
    assert rates(callback) == expected(patience, cooldown, least)


def test_an_accuracy_is_better_when_it_is_larger() -> None:
    callback = callbacks.ReduceOnPlateau("accuracy", 0.5, patience=0)
    assert rates(callback, [0.1, 0.2, 0.3, 0.2], "accuracy") == [1.0, 1.0, 1.0, 0.5]


def test_all_rules_of_groups_are_lowered_and_other_wrappers_looked_through() -> None:
    first, second = optimizers.SGD(0.5), optimizers.Adam(0.1)
    groups = optimizers.Groups([(lambda p: False, first)], default=optimizers.ClipByValue(second, 1.0))
    model, callback = model_of(groups), callbacks.ReduceOnPlateau("loss", 0.5, patience=0)
    callback.on_train_begin(model)
    for epoch in (1, 2):
        callback.on_epoch_end(model, epoch, {"loss": 1.0})
    assert (first.learning_rate, second.learning_rate) == (0.25, 0.05)


def test_fit_lowers_the_rate_and_epochs_before_count() -> None:
    model = model_of(optimizers.SGD(1e-30))
    callback = callbacks.ReduceOnPlateau("loss", 0.5, patience=1)
    data = {"x": np.zeros(4, np.float32)}
    model.fit(data, epochs=2, callbacks=[callback])
    assert model.optimizer.learning_rate == 1e-30
    model.fit(data, epochs=1, callbacks=[callback])
    assert model.optimizer.learning_rate == 5e-31


def test_a_schedule_cannot_be_lowered() -> None:
    model = model_of(optimizers.SGD(schedules.step(0.1, 10)))
    with pytest.raises(DeclarationError, match="follows a schedule cannot be lowered"):
        model.fit({"x": [1.0]}, callbacks=[callbacks.ReduceOnPlateau("loss")])


def test_a_column_that_is_not_there_is_named() -> None:
    model = model_of(optimizers.SGD(0.1))
    with pytest.raises(DeclarationError, match="there is no 'val_loss' to watch") as caught:
        model.fit({"x": [1.0]}, callbacks=[callbacks.ReduceOnPlateau()])
    assert "validation_data" in str(caught.value)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"factor must lie in \[0, 1\)"):
        callbacks.ReduceOnPlateau(factor=1.0)
    with pytest.raises(DeclarationError, match="patience must not be negative"):
        callbacks.ReduceOnPlateau(patience=-1)
