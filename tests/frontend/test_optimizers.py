"""Optimizers against the published formulas, written once more in numpy."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError
from graphc.frontend.optimizers import Optimizer, Slots
from graphc.scalar import Array

Rule = Callable[[Array, Array, int], Array]

START = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]])
FEATURES = np.random.default_rng(0).normal(size=(8, 3))
TARGETS = (FEATURES[:, :1] > 0).astype(np.float64) * np.array([1.0, -1.0])
STEPS = 20


def regression(optimizer: Optimizer) -> tuple[gc.Model, gc.Parameter]:
    """Least squares in float64."""
    x, y = gc.input("x", ("batch", 3), "float64"), gc.input("y", ("batch", 2), "float64")
    weight = gc.parameter((2, 3), START, name="weight", dtype="float64")
    return gc.compile(gc.losses.mean_squared_error(x @ weight.T, y), optimizer), weight


def gradient(weight: Array) -> Array:
    return np.asarray(2 * (FEATURES @ weight.T - TARGETS).T @ FEATURES / TARGETS.size)


def train(optimizer: Optimizer, steps: int = STEPS) -> list[Array]:
    """The weights after each step."""
    model, weight = regression(optimizer)
    path = []
    for _ in range(steps):
        model.step({"x": FEATURES, "y": TARGETS})
        path.append(weight.value)
    return path


def follow(rule: Rule) -> list[Array]:
    """The weights after each step of a rule."""
    weight, path = START.copy(), []
    for step in range(1, STEPS + 1):
        weight = rule(weight, gradient(weight), step)
        path.append(weight)
    return path


def sgd(rate: float) -> Rule:
    return lambda weight, slope, step: weight - rate * slope


def momentum(rate: float, mu: float) -> Rule:
    velocity = np.zeros_like(START)

    def rule(weight: Array, slope: Array, step: int) -> Array:
        velocity[:] = mu * velocity + slope
        return weight - rate * velocity

    return rule


def adam(rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Rule:
    first, second = np.zeros_like(START), np.zeros_like(START)

    def rule(weight: Array, slope: Array, step: int) -> Array:
        first[:] = beta1 * first + (1 - beta1) * slope
        second[:] = beta2 * second + (1 - beta2) * slope**2
        corrected = first / (1 - beta1**step)
        return np.asarray(weight - rate * corrected / (np.sqrt(second / (1 - beta2**step)) + epsilon))

    return rule


CASES: list[tuple[Optimizer, Rule]] = [
    (optimizers.SGD(0.3), sgd(0.3)),
    (optimizers.Momentum(0.1), momentum(0.1, 0.9)),
    (optimizers.Momentum(0.2, momentum=0.5), momentum(0.2, 0.5)),
    (optimizers.Momentum(0.2, momentum=0.0), sgd(0.2)),
    (optimizers.Adam(), adam(1e-3)),
    (optimizers.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=1e-3), adam(0.1, 0.5, 0.9, 1e-3)),
    (optimizers.Adam(0.1, beta1=0.0), adam(0.1, 0.0)),
]


@pytest.mark.parametrize(("optimizer", "rule"), CASES)
def test_twenty_steps_follow_the_formula(optimizer: Optimizer, rule: Rule) -> None:
    np.testing.assert_allclose(train(optimizer), follow(rule), 1e-11, 1e-13)


def test_the_first_step_of_adam_has_the_length_of_the_learning_rate() -> None:
    (weight,) = train(optimizers.Adam(0.01, epsilon=1e-15), steps=1)
    np.testing.assert_allclose(weight, START - 0.01 * np.sign(gradient(START)), 1e-12)


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


Maker = Callable[[], Any]


@pytest.mark.parametrize(
    ("make", "what", "expected", "got"),
    [
        (lambda: optimizers.SGD(0), "learning_rate must be positive", "a number above 0", "0"),
        (lambda: optimizers.SGD(float("nan")), "learning_rate must be positive", "a number above 0", "nan"),
        (lambda: optimizers.Momentum(-0.1), "learning_rate must be positive", "a number above 0", "-0.1"),
        (lambda: optimizers.Momentum(0.1, 1.0), "momentum must lie in [0, 1)", "0 <= value < 1", "1.0"),
        (lambda: optimizers.Adam(beta1=1.0), "beta1 must lie in [0, 1)", "0 <= value < 1", "1.0"),
        (lambda: optimizers.Adam(beta2=-0.5), "beta2 must lie in [0, 1)", "0 <= value < 1", "-0.5"),
        (lambda: optimizers.Adam(epsilon=0.0), "epsilon must be positive", "a number above 0", "0.0"),
    ],
)
def test_settings_out_of_range_are_refused(make: Maker, what: str, expected: str, got: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    lines = str(caught.value).splitlines()
    assert lines[0] == what
    assert "test_optimizers.py" in lines[1]
    assert lines[2:] == [f"  expected   {expected}", f"  got        {got}"]


def test_a_learning_rate_set_later_is_checked_too() -> None:
    optimizer = optimizers.SGD(0.1)
    with pytest.raises(DeclarationError, match="learning_rate must be positive") as caught:
        optimizer.learning_rate = -1
    assert "optimizer.learning_rate = -1" in str(caught.value)
    assert optimizer.learning_rate == 0.1
