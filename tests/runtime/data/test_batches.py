from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import graphc as gc
from graphc.errors import DeclarationError, FeedError
from tests.runtime.data.networks import batches, counter, losses_of


def test_a_list_of_batches_is_trained_on_in_its_order_each_epoch() -> None:
    assert losses_of(batches([1, 3], [5]), epochs=2) == [2.0, 5.0, 2.0, 5.0]


def test_batches_of_different_sizes_count_by_their_samples() -> None:
    history = counter().fit(batches([1, 2, 3], [10]))
    assert history["loss"] == [4.0]


def test_a_function_makes_the_batches_of_each_epoch() -> None:
    assert losses_of(lambda epoch: batches([float(epoch)]), epochs=3) == [1.0, 2.0, 3.0]


def test_a_generator_serves_one_epoch() -> None:
    generator = (batch for batch in batches([1], [2]))
    model = counter()
    assert losses_of(generator, model) == [1.0, 2.0]
    with pytest.raises(FeedError, match="there are no batches in epoch 2") as caught:
        model.fit(generator)
    assert caught.value.got == "a generator that is used up"
    assert caught.value.way_out == "give a function of the epoch that makes its batches, or a list"


def test_a_generator_is_closed_when_training_ends_early() -> None:
    events: list[str] = []

    def endless() -> Iterator[Mapping[str, object]]:
        try:
            while True:
                yield {"x": [1.0]}
        finally:
            events.append("closed")

    def stop(model: gc.Model, logs: dict[str, float]) -> None:
        raise OSError("enough")

    with pytest.raises(OSError, match="enough"):
        counter().fit(endless(), callbacks=[gc.callbacks.LambdaCallback(on_batch_end=stop)])
    assert events == ["closed"]


def test_training_within_an_epoch_of_batches_goes_on_where_it_stood() -> None:
    def stop(model: gc.Model, logs: dict[str, float]) -> None:
        if model.position.batch == 2:
            raise OSError("enough")

    model, data = counter(), batches([1, 1, 1], [2], [6])
    with pytest.raises(OSError, match="enough"):
        model.fit(data, callbacks=[gc.callbacks.LambdaCallback(on_batch_end=stop)])
    assert model.fit(data)["loss"] == [pytest.approx(11 / 5)]


def test_models_are_evaluated_and_predict_on_batches() -> None:
    model = counter()
    assert model.evaluate(batches([1, 2, 3], [10])) == {"loss": 4.0}
    assert model.predict(batches([1, 2], [10]))["doubled"].tolist() == [2.0, 4.0, 20.0]
    assert model.fit({"x": [1.0]}, validation_data=batches([3], [5]))["val_loss"] == [4.0]


def test_inputs_without_samples_may_come_in_batches() -> None:
    weight = gc.parameter((), initializer=gc.initializers.Constant(1.0), name="weight")
    model = gc.compile(weight * gc.input("x", shape=()), gc.optimizers.SGD(1e-30))
    assert model.fit([{"x": 1.0}, {"x": 4.0}])["loss"] == [2.5]


def refusal(data: Any) -> FeedError:
    with pytest.raises(FeedError) as caught:
        counter().fit(data)
    return caught.value


def test_wrong_batches_are_refused_with_their_number() -> None:
    error = refusal([{"x": [1.0]}, {"y": [1.0]}])
    assert error.what == "input 'x' is missing"
    assert ("batch", "2 of epoch 1") in error.facts
    error = refusal([{"x": ["a"]}])
    assert error.what == "input 'x' does not take this value"
    assert ("batch", "1 of epoch 1") in error.facts
    error = refusal([[1.0]])
    assert error.what == "batch 1 of epoch 1 is no dictionary"
    assert (error.expected, error.got) == ("a dictionary with 'x'", "list")
    error = refusal([{"x": []}])
    assert (error.what, error.got) == ("batch 1 of epoch 1 holds no samples", "x: [0]")


def test_an_empty_list_and_things_that_are_no_data_are_refused() -> None:
    error = refusal([])
    assert error.what == "there are no batches to train on"
    assert "counter().fit(data)" in str(error.at)
    error = refusal(3)
    assert (error.what, error.got) == ("these are no data", "int")


def test_batches_cannot_be_split() -> None:
    with pytest.raises(DeclarationError, match="validation_split needs arrays, not batches") as caught:
        counter().fit(batches([1.0]), validation_split=0.5)
    assert caught.value.way_out == "give validation_data, or split the arrays with gc.data.split"
    assert caught.value.got == "validation_split=0.5 with list"
