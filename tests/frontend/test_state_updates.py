"""States that move on their own while a model trains: running means, counts, and their order."""

from __future__ import annotations

import gc as collector
import weakref

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.state import updates_on_step
from graphc.graph import toposort


def line() -> tuple[gc.Tensor, gc.Tensor]:
    """An input and a loss whose gradient by its parameter is the mean of the input."""
    x = gc.input("x", ("batch",))
    return x, (gc.parameter((), 2.0, name="slope") * x).mean()


def train(loss: gc.Tensor, *values: float, **metrics: gc.Tensor) -> gc.Model:
    model = gc.compile(loss, gc.optimizers.SGD(0.5), metrics=metrics)
    for value in values:
        model.step({"x": [value]})
    return model


def test_an_update_follows_each_step_of_training_and_nothing_else() -> None:
    x, loss = line()
    average = gc.state(0.0, name="average")
    average.update_on_step(0.75 * average + 0.25 * x.mean())
    model = train(loss, 4.0, 8.0, average=average)
    assert average.value == 0.75 * 1.0 + 0.25 * 8
    assert model.evaluate({"x": [100.0]})["average"] == 2.75
    assert model.step({"x": [0.0]})["average"] == 2.75
    assert average.value == 0.75 * 2.75
    gc.function([x], average + x.mean())([1.0])
    assert average.value == 0.75 * 2.75


def test_a_model_without_the_state_does_not_update_it() -> None:
    _, loss = line()
    count = gc.state(0, name="count")
    count.update_on_step(count + 1)
    model = train(loss, 1.0, 1.0)
    assert count.value == 0
    assert "count" not in model.cells


def test_a_state_that_only_an_output_reads_is_updated() -> None:
    x, loss = line()
    count = gc.state(0.0, name="count")
    count.update_on_step(count + 1)
    model = gc.compile(loss, gc.optimizers.SGD(0.5), outputs={"shifted": x + count})
    model.fit({"x": [1.0, 2.0, 3.0]}, batch_size=1, epochs=2)
    assert model.predict({"x": [10.0]})["shifted"].tolist() == [16.0]


def test_a_state_that_only_another_update_reads_is_updated() -> None:
    _, loss = line()
    count, total = gc.state(0, name="count"), gc.state(0, name="total")
    count.update_on_step(count + 1)
    total.update_on_step(total + count)
    train(loss, 1.0, 1.0, 1.0, 1.0, total=total.cast("float32"))
    assert [int(count.value), int(total.value)] == [4, 0 + 1 + 2 + 3]


def test_updates_read_the_states_before_the_step() -> None:
    x = gc.input("x", ("batch",))
    weight = gc.parameter((), 2.0, name="weight")
    last = gc.state(0.0, name="last")
    last.update_on_step(weight)
    train((weight * x).mean(), 1.0, 1.0, last=last)
    assert [float(weight.value), float(last.value)] == [1.0, 1.5]


def test_several_updates_of_one_state_follow_each_other() -> None:
    _, loss = line()
    number = gc.state(1.0, name="number")
    number.update_on_step(number * 10)
    number.update_on_step(number + 3)
    number.update_on_step(number * 10)
    train(loss, 1.0, number=number)
    assert number.value == 13  # a cell of a notebook that runs again declares the same update again


def test_an_update_within_a_tensor_counts_where_the_model_contains_it() -> None:
    x, loss = line()
    number = gc.state(0.0, name="number")
    other = gc.input("other", ("batch",))
    number.update_on_step(number + other.sum(), within=other)
    number.update_on_step(number + x.sum(), within=x)
    train(loss, 5.0, number=number)
    assert number.value == 5
    both = gc.compile(loss + 0 * other.sum(), gc.optimizers.SGD(0.1), metrics={"number": number})
    both.step({"x": [5.0], "other": [100.0]})
    assert number.value == 110


def test_an_update_sees_the_training_side_of_switches() -> None:
    _, loss = line()
    seen = gc.state(0.0, name="seen")
    seen.update_on_step(gc.training_switch(1.0, 2.0))
    train(loss, 1.0, seen=seen)
    assert seen.value == 1


def test_check_compares_updates_with_the_reference() -> None:
    x, loss = line()
    average = gc.state(0.0, name="average")
    average.update_on_step(0.5 * average + x.exp().mean())
    model = train(loss, 1.0, average=average)
    before = float(average.value)
    assert "same outputs and 3 updates" in model.check({"x": [1.0, 2.0]})[-1]
    assert average.value == before


def test_states_of_one_name_are_told_apart() -> None:
    _, loss = line()
    first, second = gc.state(0.0, name="count"), gc.state(0.0, name="count")
    first.update_on_step(first + 1)
    second.update_on_step(second + 2)
    model = train(loss, 1.0, 1.0, sum=first + second)
    assert [float(first.value), float(second.value)] == [2, 4]
    assert {"count", "count_1"} <= model.cells.keys()


def test_a_state_and_its_update_are_collected_together() -> None:
    count = gc.state(np.zeros(3), name="count")
    count.update_on_step(count + 1)
    gone = weakref.ref(count.node)
    del count
    collector.collect()
    assert gone() is None


def test_a_trainable_parameter_is_refused() -> None:
    weight = gc.parameter((), 1.0, name="weight")
    with pytest.raises(DeclarationError, match="a trainable parameter is updated by the optimizer alone") as caught:
        weight.update_on_step(weight * 2)
    text = str(caught.value)
    assert "    weight.update_on_step(weight * 2)\n" in text
    assert "  parameter  f32[]  state 'weight', declared at " in text
    assert "  way out    declare it with gc.state, or with trainable=False" in text


def test_a_value_of_another_type_is_refused() -> None:
    average = gc.state(np.zeros(2, np.float32), name="average")
    with pytest.raises(ShapeError, match="the new value of a state has another type") as caught:
        average.update_on_step(average.sum())
    text = str(caught.value)
    assert "    average.update_on_step(average.sum())\n" in text
    assert "  state      f32[2]  state 'average', declared at " in text
    assert "  value      f32[]  result of reduce_sum, declared at " in text
    assert "  expected   f32[2]\n  got        f32[]" in text
    with pytest.raises(DTypeError, match="the new value of a state has another type"):
        average.update_on_step(average.cast("float64"))


def test_states_may_have_any_name_and_equal_updates() -> None:
    _, loss = line()
    first, second = gc.state(1.0, name="before"), gc.state(10.0, name="before")
    for moved in (first, second):
        moved.update_on_step(2 * moved)
    train(loss, 1.0, first=first, second=second)
    assert [float(first.value), float(second.value)] == [2, 20]


def test_an_update_leaves_what_is_older_than_its_state_as_it_is() -> None:
    x, loss = line()
    squared = x * x
    last = gc.state(0.0, name="last")
    last.update_on_step(last + squared.sum())
    ((_, value),) = updates_on_step([("loss", loss.node), ("last", last.node)])
    assert squared.node in toposort([value])
    assert squared.node not in toposort([value], since=last.node.born)
    train(loss, 3.0, last=last)
    assert last.value == 9
