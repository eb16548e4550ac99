"""What all optimizers share: the step, the learning rate, the slots, own rules."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError
from graphc.frontend.optimizers import Optimizer, Slots
from graphc.scalar import Array
from tests.frontend.optimizers.descent import FEATURES, START, TARGETS, follow, gradient, regression


def test_the_loss_of_a_step_is_that_before_the_update() -> None:
    model, _ = regression(optimizers.SGD(0.3))
    loss = model.step({"x": FEATURES, "y": TARGETS})["loss"]
    assert loss == pytest.approx(((FEATURES @ START.T - TARGETS) ** 2).mean(), rel=1e-12)


def test_the_learning_rate_may_change_between_steps_without_compiling_again() -> None:
    optimizer = optimizers.SGD(0.3)
    model, weight = regression(optimizer)
    executable = model.executable("train")
    expected = START.copy()
    for rate in (0.3, 0.05, 0.7):
        optimizer.learning_rate = rate
        assert optimizer.learning_rate == rate
        model.step({"x": FEATURES, "y": TARGETS})
        expected = expected - rate * gradient(expected)
        np.testing.assert_allclose(weight.value, expected, 1e-12)
    assert model.executable("train") is executable


def test_the_state_of_an_optimizer_is_named_after_its_parameter() -> None:
    model, _ = regression(optimizers.Adam())
    states = {name for name in model.cells if name.startswith("weight")}
    assert states == {"weight", "weight/moment1", "weight/moment2"}
    assert {"seed", "step"} <= model.cells.keys()
    model.step({"x": FEATURES, "y": TARGETS})
    assert int(model.cells["step"].array) == 1
    np.testing.assert_allclose(model.cells["weight/moment1"].array, 0.1 * gradient(START), 1e-12)


def test_each_parameter_has_a_state_of_its_own() -> None:
    x = gc.input("x", ("batch", 3))
    network = gc.layers.Sequential([gc.layers.Dense(2), gc.layers.Dense(2)])
    model = gc.compile(gc.mean(network(x) ** 2), optimizers.Momentum(0.1))
    velocities = [name for name in model.cells if name.endswith("/velocity")]
    assert sorted(velocities) == sorted(f"{parameter.name}/velocity" for parameter in network.parameters)
    for parameter in network.parameters:
        assert model.cells[f"{parameter.name}/velocity"].type == parameter.type


def test_parameters_that_are_not_trainable_stay() -> None:
    fixed = gc.parameter((), 2.0, name="fixed", trainable=False)
    moving = gc.parameter((), 3.0, name="moving")
    model = gc.compile(fixed * moving, optimizers.SGD(0.5))
    assert model.step({}) == {"loss": 6.0}
    assert (float(fixed.value), float(moving.value)) == (2.0, 2.0)


class Adagrad(Optimizer):
    """w <- w - rate * g / (sqrt(s) + 1e-10), where s is the sum of all squared gradients."""

    def step(self, parameter: gc.Tensor, gradient: gc.Tensor, slots: Slots, rate: gc.Tensor, t: gc.Tensor) -> gc.Tensor:
        slots["squares"] = slots["squares"] + gradient * gradient
        slots["steps"] = slots["steps"] * 0 + t.cast(parameter.dtype)
        return parameter - rate * gradient / (gc.sqrt(slots["squares"] + gradient * gradient) + 1e-10)


def test_an_own_optimizer_is_one_method() -> None:
    squares = np.zeros_like(START)

    def rule(weight: Array, slope: Array, step: int) -> Array:
        squares[:] += slope**2
        return np.asarray(weight - 0.2 * slope / (np.sqrt(squares) + 1e-10))

    optimizer = Adagrad(0.2)
    model, weight = regression(optimizer)
    for _ in range(3):
        model.step({"x": FEATURES, "y": TARGETS})
    np.testing.assert_allclose(weight.value, follow(rule)[2], 1e-12)
    np.testing.assert_array_equal(model.cells["weight/steps"].array, np.full((2, 3), 3.0))


def test_a_float32_parameter_takes_a_float32_rate() -> None:
    weight = gc.parameter((3,), "ones", name="weight")
    model = gc.compile(gc.sum(weight * weight), optimizers.Adam(0.1))
    model.step({})
    assert weight.value.dtype == np.float32
    np.testing.assert_allclose(weight.value, np.full(3, 1 - 0.1 * 2 / (sqrt(4) + 1e-8)), 1e-6)


def test_a_learning_rate_set_later_is_checked_too() -> None:
    optimizer = optimizers.SGD(0.1)
    with pytest.raises(DeclarationError, match="learning_rate must be positive") as caught:
        optimizer.learning_rate = -1
    assert "optimizer.learning_rate = -1" in str(caught.value)
    assert optimizer.learning_rate == 0.1
