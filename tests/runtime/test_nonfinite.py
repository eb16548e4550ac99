from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import FeedError, NonFiniteError
from graphc.runtime.nonfinite import explain_non_finite
from graphc.scalar import Array
from tests.harness import same_bits


def logarithm() -> tuple[gc.Model, gc.Parameter]:
    """A loss that is NaN for negative numbers."""
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((), initializer=1.0, name="inside_log")
    scaled = slope * x
    return gc.compile(gc.log(scaled).mean(), optimizers.Momentum(0.01)), slope


def root() -> tuple[gc.Model, gc.Parameter]:
    """A loss that is 0 at 0, where its derivative is infinite."""
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((2,), initializer="zeros", name="inside_root")
    flat = gc.sqrt(slope)
    return gc.compile(flat.sum() * x.mean(), optimizers.SGD(0.1)), slope


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


def test_the_first_nan_is_named_with_the_users_line_and_its_operands() -> None:
    model, _ = logarithm()
    with pytest.raises(NonFiniteError) as caught:
        model.fit({"x": [3.0, 1.0, -2.0, 5.0]}, batch_size=4, shuffle=False, check_finite=True)
    error = caught.value
    assert error.what == "log made nan at [2] (1 of 4 elements)"
    assert str(error.at).startswith(f"{__file__}:")
    assert str(error.at).endswith("return gc.compile(gc.log(scaled).mean(), optimizers.Momentum(0.01)), slope")
    ((label, operand),) = error.facts
    assert label == "operand 1"
    assert "result of multiply" in operand
    assert operand.endswith("scaled = slope * x: from -2 to 5, mean 1.75")
    assert error.way_out is not None
    assert "the states are as before the step" in error.way_out


def test_an_infinity_of_the_loss_is_named() -> None:
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((), initializer=1.0, name="slope")
    model = gc.compile(gc.exp(slope * x).sum(), optimizers.SGD(0.1))
    with pytest.raises(NonFiniteError, match=r"exp made inf at \[1\] \(1 of 2 elements\)"):
        model.fit({"x": [1.0, 1000.0]}, shuffle=False, check_finite=True)


def test_an_infinite_derivative_of_a_finite_loss_is_named() -> None:
    model, slope = root()
    with pytest.raises(NonFiniteError) as caught:
        model.fit({"x": [1.0, 1.0]}, check_finite=True)
    error = caught.value
    assert error.what == "divide made inf at [0] (2 of 2 elements)"
    assert "flat = gc.sqrt(slope)" in str(error.at)
    label, text = error.facts[-1]
    assert label == "derivative"
    assert text.startswith("of f32[2]  result of sqrt, declared at")
    assert slope.value.tolist() == [0.0, 0.0]


def test_states_and_position_are_those_before_the_step() -> None:
    model, twin = logarithm()[0], logarithm()[0]
    good, bad = [1.0, 2.0], [-1.0, 3.0]
    twin.fit({"x": good}, batch_size=2, shuffle=False)
    with pytest.raises(NonFiniteError):
        model.fit({"x": [*good, *bad]}, batch_size=2, shuffle=False, check_finite=True)
    expected = states_of(twin)
    assert all(same_bits(value, expected[name]) for name, value in states_of(model).items())
    assert model.position.batch == 1
    assert model.step({"x": good}) == twin.step({"x": good})


def test_a_finite_training_has_the_same_bits_with_the_check() -> None:
    checked, free = logarithm()[0], logarithm()[0]
    data = {"x": [1.0, 2.0, 3.0]}
    checked.fit(data, epochs=3, batch_size=2, check_finite=True)
    free.fit(data, epochs=3, batch_size=2)
    expected = states_of(free)
    assert all(same_bits(value, expected[name]) for name, value in states_of(checked).items())


def test_without_the_check_training_goes_on() -> None:
    model, slope = logarithm()
    history = model.fit({"x": [1.0, -1.0]}, shuffle=False)
    assert np.isnan(history["loss"][0])
    assert np.isfinite(slope.value)


def test_a_state_that_was_infinite_before_is_no_reason_to_stop() -> None:
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((), initializer=1.0, name="slope")
    best = gc.state(np.float32(np.inf), name="best")
    model = gc.compile((slope * x).sum(), optimizers.SGD(0.1), metrics={"best": best})
    history = model.fit({"x": [1.0]}, check_finite=True)
    assert history["best"] == [np.inf]


def test_nan_in_the_data_is_refused_before_the_first_step() -> None:
    model, _ = logarithm()
    with pytest.raises(FeedError, match="input 'x' holds a number that is not finite") as caught:
        model.fit({"x": [1.0, 2.0, np.inf]}, check_finite=True)
    assert caught.value.got == "inf at [2]"
    assert caught.value.way_out == "clean the data, or leave out check_finite"
    assert int(model.cells["step"].array) == 0


def test_what_only_the_kernels_overflow_is_told_apart() -> None:
    model, _ = logarithm()
    error = explain_non_finite(model.backward, {"x": np.ones(2, np.float32)}, states_of(model))
    assert error.what.endswith("though the reference interpreter finds all values finite")
    assert error.way_out is not None
    assert "float64" in error.way_out
