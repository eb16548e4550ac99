"""Worked examples of lecture notes: six steps of twenty update rules on a quadratic."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.optimizers.optimizer import Rate
from graphc.scalar import Array
from tests.end_to_end.seed_cases import Case, cases

CASES = {case["id"].removeprefix("opt."): case for case in cases("updates")}
CURVATURE, START = [1.0, 10.0], [1.0, 1.0]

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "gd": lambda: optimizers.SGD(0.05),
    "momentum-damped": lambda: optimizers.Momentum(0.05, form="damped"),
    "momentum-heavy-ball": lambda: optimizers.Momentum(0.05, momentum=0.9),
    "momentum-heavy-ball-two-point": lambda: optimizers.Momentum(0.05, form="two_point"),
    "momentum-previous-gradient": lambda: optimizers.Momentum(0.05, form="previous_gradient"),
    "momentum-velocity": lambda: optimizers.Momentum(0.05, form="velocity"),
    "nesterov": lambda: optimizers.Nesterov(0.05, look_ahead=True),
    "adagrad": lambda: optimizers.AdaGrad(0.1, epsilon=1e-8),
    "rmsprop": lambda: optimizers.RMSProp(0.01, rho=0.9),
    "adam": lambda: optimizers.Adam(0.01, beta1=0.9, beta2=0.999, epsilon=1e-8),
    "adam-no-bias": lambda: optimizers.Adam(0.01, bias_correction=False),
    "adam-eps-hat": lambda: optimizers.Adam(0.01, epsilon_hat=True),
    "adadelta": lambda: optimizers.AdaDelta(1.0),
    "adamax": lambda: optimizers.AdaMax(0.002),
    "nadam": lambda: optimizers.NAdam(0.002),
}
DECAYED: dict[str, Callable[[Rate], Optimizer]] = {
    "gd-c/t": optimizers.SGD,
    "momentum-decayed-1": optimizers.Momentum,
    "momentum-decayed-2": lambda rate: optimizers.Momentum(rate, form="two_point"),
    "momentum-decayed-3": lambda rate: optimizers.Momentum(rate, form="velocity"),
}
WITHOUT_OPTIMIZER = {"newton"}


def quadratic(w: gc.Tensor) -> gc.Tensor:
    return 0.5 * gc.sum(gc.constant(CURVATURE, "float64") * w * w)


def start() -> gc.Parameter:
    return gc.parameter((2,), np.array(START), "w", "float64")


def weights(optimizer: Optimizer, steps: int, decay: bool = False) -> Iterator[Array]:
    """The parameter after each step; with ``decay`` the rate is divided by the number of the step."""
    w = start()
    model = gc.compile(quadratic(w), optimizer)
    rate = optimizer.learning_rate
    for number in range(1, steps + 1):
        if decay:
            optimizer.learning_rate = rate / number
        model.step({})
        yield w.value


def check(found: Iterator[Array], case: Case) -> None:
    np.testing.assert_allclose(np.array(list(found)), case["trajectory"], 1e-9, 1e-12)


def test_every_rule_is_tested_on_the_same_quadratic() -> None:
    assert CASES.keys() == OPTIMIZERS.keys() | DECAYED.keys() | WITHOUT_OPTIMIZER
    for case in CASES.values():
        assert (case["curvature"], case["w0"]) == (CURVATURE, START)
        assert np.shape(case["trajectory"]) == (6, 2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rule_gives_the_worked_trajectory(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    assert optimizer.learning_rate == CASES[name]["hyper"]["lr"]
    check(weights(optimizer, 6), CASES[name])


@pytest.mark.parametrize("name", DECAYED)
def test_a_learning_rate_set_between_steps_gives_the_worked_trajectory(name: str) -> None:
    rate = CASES[name]["hyper"]["c"]
    check(weights(DECAYED[name](rate), 6, decay=True), CASES[name])


@pytest.mark.parametrize("name", DECAYED)
def test_a_schedule_gives_the_worked_trajectory(name: str) -> None:
    rate = gc.schedules.inverse(CASES[name]["hyper"]["c"])
    check(weights(DECAYED[name](rate), 6), CASES[name])


def test_damped_momentum_is_the_heavy_ball_at_a_smaller_rate() -> None:
    check(weights(optimizers.Momentum(0.05 * (1 - 0.9), momentum=0.9), 6), CASES["momentum-damped"])


def test_nesterov_takes_the_gradient_at_another_point_than_the_weights() -> None:
    w = start()
    velocity = gc.state([0.0, 0.0], "velocity", "float64")
    ahead = w + 0.9 * velocity
    slope = gc.grad(quadratic(ahead), ahead)
    assert isinstance(slope, gc.Tensor)
    changed = 0.9 * velocity - 0.05 * slope
    step = gc.function([], quadratic(w), updates=[(velocity, changed), (w, w + changed)])
    check(_values_after(step, w), CASES["nesterov"])


def test_newton_takes_second_derivatives() -> None:
    w = start()
    slope = gc.grad(quadratic(w), w)
    assert isinstance(slope, gc.Tensor)
    curvature = gc.grad(gc.sum(slope), w)
    assert isinstance(curvature, gc.Tensor)
    step = gc.function([], quadratic(w), updates=[(w, w - slope / curvature)])
    check(_values_after(step, w), CASES["newton"])


def _values_after(step: gc.Function, w: gc.Parameter) -> Iterator[Array]:
    for _ in range(6):
        step()
        yield w.value
