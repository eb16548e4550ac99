from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError
from graphc.runtime.callbacks import LambdaCallback, LearningRate
from tests.runtime.callbacks.scripted import scripted_model, train


def rates_of(schedule: Any, epochs: int) -> list[float]:
    model, found = scripted_model(), list[float]()
    optimizer: Any = model.optimizer
    watch = LambdaCallback(on_batch_end=lambda model, logs: found.append(optimizer.learning_rate))
    model.fit({"x": [1.0]}, epochs=epochs, callbacks=[LearningRate(schedule), watch])
    return found


def test_a_function_gives_the_rate_of_each_epoch() -> None:
    assert rates_of(lambda epoch: 1.0 / epoch, 3) == [1.0, 0.5, pytest.approx(1 / 3)]


def test_the_last_rate_of_a_list_stays() -> None:
    assert rates_of([0.5, 0.25], 4) == [0.5, 0.25, 0.25, 0.25]


def test_a_resumed_training_has_the_rate_of_its_epoch() -> None:
    model = scripted_model()
    optimizer: Any = model.optimizer
    model.fit({"x": [1.0]}, epochs=2)
    model.fit({"x": [1.0]}, epochs=1, callbacks=[LearningRate([0.1, 0.2, 0.3])])
    assert optimizer.learning_rate == 0.3


def test_schedules_that_cannot_be_are_refused() -> None:
    with pytest.raises(DeclarationError, match="a schedule of learning rates has at least one"):
        LearningRate([])
    with pytest.raises(DeclarationError, match="learning_rate must be positive"):
        rates_of([-1.0], 1)
    scheduled = gc.optimizers.SGD(lambda t: 0.1 / t)
    weight = gc.parameter((), initializer="zeros", name="weight")
    model = gc.compile((weight * gc.input("x", shape=("n",))).mean(), scheduled)
    with pytest.raises(DeclarationError, match="the learning rate follows a schedule") as caught:
        model.fit({"x": [1.0]}, callbacks=[LearningRate([1.0])])
    assert "model.fit" in str(caught.value.at)


def test_all_optimizers_of_a_model_get_the_rate() -> None:
    one, two = (gc.parameter((), initializer="zeros", name=name) for name in ("one", "two"))
    rules = [gc.optimizers.SGD(1.0), gc.optimizers.Adam(1.0)]
    groups = gc.optimizers.Groups([([one], rules[0])], default=rules[1])
    model = gc.compile(((one + two) * gc.input("x", shape=("n",))).mean(), groups)
    model.fit({"x": [1.0]}, callbacks=[LearningRate([0.25])])
    assert [rule.learning_rate for rule in rules] == [0.25, 0.25]


def test_functions_are_called_at_their_places() -> None:
    events: list[str] = []
    functions: dict[str, Any] = {
        "on_train_begin": lambda model: events.append("train begins"),
        "on_epoch_begin": lambda model, epoch: events.append(f"epoch {epoch} begins"),
        "on_batch_end": lambda model, logs: events.append(f"batch {logs['loss']}"),
        "on_epoch_end": lambda model, epoch, logs: events.append(f"epoch {epoch} ends at {logs['val_loss']}"),
        "on_train_end": lambda model: events.append("train ends"),
    }
    train([3.0], LambdaCallback(**functions))
    assert events == ["train begins", "epoch 1 begins", "batch 3.0", "epoch 1 ends at 3.0", "train ends"]


def test_functions_without_a_place_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no hook 'on_epoch'") as caught:
        LambdaCallback(on_epoch=print)
    assert caught.value.expected == "on_train_begin, on_epoch_begin, on_batch_end, on_epoch_end, on_train_end"
    wrong: Any = 3
    with pytest.raises(DeclarationError, match="on_batch_end is no function that the training calls"):
        LambdaCallback(on_batch_end=wrong)


def test_an_epoch_that_goes_on_begins_again() -> None:
    model, begun = scripted_model(), list[int]()

    class Stop(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            self.stop_reason = "enough"

    watch = LambdaCallback(on_epoch_begin=lambda model, epoch: begun.append(epoch))
    model.fit({"x": np.ones(4)}, batch_size=1, callbacks=[watch, Stop()])
    model.fit({"x": np.ones(4)}, batch_size=1, epochs=2, callbacks=[watch])
    assert begun == [1, 1, 2]
