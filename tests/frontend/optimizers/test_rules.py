"""Every optimizer against its published formula, for twenty steps in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError
from graphc.frontend.optimizers import Optimizer
from tests.frontend.optimizers import rules
from tests.frontend.optimizers.descent import START, Rule, assert_follows, gradient, train

CASES: dict[str, tuple[Optimizer, Rule]] = {
    "SGD": (optimizers.SGD(0.3), rules.sgd(0.3)),
    "SGD, decay": (optimizers.SGD(0.3, weight_decay=0.1), rules.decayed(rules.sgd(0.3), 0.1)),
    "Momentum": (optimizers.Momentum(0.1), rules.heavy_ball(0.1, 0.9)),
    "Momentum, 0.5": (optimizers.Momentum(0.2, momentum=0.5), rules.heavy_ball(0.2, 0.5)),
    "Momentum, none": (optimizers.Momentum(0.2, momentum=0.0), rules.sgd(0.2)),
    "Momentum, decay": (
        optimizers.Momentum(0.1, weight_decay=0.1),
        rules.decayed(rules.heavy_ball(0.1, 0.9), 0.1),
    ),
    "Momentum, damped": (optimizers.Momentum(0.3, form="damped"), rules.damped(0.3, 0.9)),
    "Momentum, velocity": (optimizers.Momentum(0.1, form="velocity"), rules.heavy_ball(0.1, 0.9)),
    "Momentum, two points": (optimizers.Momentum(0.1, form="two_point"), rules.heavy_ball(0.1, 0.9)),
    "Momentum, previous gradient": (
        optimizers.Momentum(0.1, form="previous_gradient"),
        rules.previous_gradient(0.1, 0.9),
    ),
    "Nesterov": (optimizers.Nesterov(0.1), rules.nesterov(0.1, 0.9)),
    "Nesterov, look ahead": (optimizers.Nesterov(0.1, look_ahead=True), rules.look_ahead(0.1, 0.9)),
    "AdaGrad": (optimizers.AdaGrad(0.2), rules.adagrad(0.2, 1e-10)),
    "AdaGrad, initial": (optimizers.AdaGrad(0.2, 1e-3, 0.5), rules.adagrad(0.2, 1e-3, 0.5)),
    "AdaDelta": (optimizers.AdaDelta(0.7, 0.8, 1e-4), rules.adadelta(0.7, 0.8, 1e-4)),
    "RMSProp": (optimizers.RMSProp(0.05), rules.rmsprop(0.05, 0.99, 1e-8)),
    "RMSProp, centred, momentum": (
        optimizers.RMSProp(0.01, 0.9, 1e-2, 0.8, centred=True),
        rules.rmsprop(0.01, 0.9, 1e-2, 0.8, centred=True),
    ),
    "RMSProp, inside": (
        optimizers.RMSProp(0.05, 0.9, 1e-3, epsilon_inside=True),
        rules.rmsprop(0.05, 0.9, 1e-3, inside=True),
    ),
    "Adam": (optimizers.Adam(), rules.adam(1e-3)),
    "Adam, settings": (
        optimizers.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=1e-3),
        rules.adam(0.1, 0.5, 0.9, 1e-3),
    ),
    "Adam, no momentum": (optimizers.Adam(0.1, beta1=0.0), rules.adam(0.1, 0.0)),
    "Adam, decay": (optimizers.Adam(0.1, weight_decay=0.1), rules.decayed(rules.adam(0.1), 0.1)),
    "Adam, uncorrected": (
        optimizers.Adam(0.01, epsilon=1e-3, bias_correction=False),
        rules.adam_uncorrected(0.01, 1e-3),
    ),
    "Adam, Keras": (optimizers.Adam(0.1, epsilon=1e-3, epsilon_hat=True), rules.adam_of_keras(0.1, 1e-3)),
    "AdamW": (optimizers.AdamW(0.1, weight_decay=0.2), rules.adam(0.1, decay=0.2)),
    "AMSGrad": (optimizers.AMSGrad(0.1, beta2=0.7), rules.amsgrad(0.1, 0.7)),
    "AdaMax": (optimizers.AdaMax(0.1, beta2=0.8), rules.adamax(0.1, 0.8)),
    "NAdam": (optimizers.NAdam(0.1, momentum_decay=0.05), rules.nadam(0.1, 0.05)),
    "Lion": (optimizers.Lion(0.02, weight_decay=0.1), rules.lion(0.02, 0.1)),
    "LAMB": (optimizers.LAMB(0.05, weight_decay=0.1), rules.lamb(0.05, 0.1)),
}


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_follow_the_formula(name: str) -> None:
    assert_follows(*CASES[name])


def test_the_first_step_of_adam_has_the_length_of_the_learning_rate() -> None:
    (weight,) = train(optimizers.Adam(0.01, epsilon=1e-15), steps=1)
    np.testing.assert_allclose(weight, START - 0.01 * np.sign(gradient(START)), 1e-12)


def test_a_parameter_of_zeros_takes_a_step_of_lamb_without_scale() -> None:
    weight = gc.parameter((2,), "zeros", name="weight", dtype="float64")
    model = gc.compile(gc.sum(weight * gc.constant([2.0, -3.0], "float64")), optimizers.LAMB(0.1))
    model.step({})
    np.testing.assert_allclose(weight.value, [-0.1, 0.1], 1e-5)


def test_a_gradient_of_zeros_leaves_the_parameters_of_every_rule_finite() -> None:
    for optimizer in (optimizers.RMSProp(0.1, centred=True), optimizers.AdaGrad(0.1), optimizers.LAMB(0.1)):
        weight = gc.parameter((2,), "zeros", name="weight", dtype="float64")
        gc.compile(gc.sum(weight * weight), optimizer).step({})
        np.testing.assert_array_equal(weight.value, [0.0, 0.0])


Maker = Callable[[], Any]
NO_NUMBER: Any = "fast"


@pytest.mark.parametrize(
    ("make", "what", "expected", "got"),
    [
        (lambda: optimizers.SGD(0), "learning_rate must be positive", "a number above 0", "0"),
        (lambda: optimizers.SGD(float("nan")), "learning_rate must be positive", "a number above 0", "nan"),
        (lambda: optimizers.SGD(float("inf")), "learning_rate must be positive", "a number above 0", "inf"),
        (lambda: optimizers.SGD(NO_NUMBER), "learning_rate must be positive", "a number above 0", "fast"),
        (
            lambda: optimizers.SGD(0.1, weight_decay=-1),
            "weight_decay must not be negative",
            "a number of at least 0",
            "-1",
        ),
        (lambda: optimizers.Momentum(-0.1), "learning_rate must be positive", "a number above 0", "-0.1"),
        (lambda: optimizers.Momentum(0.1, 1.0), "momentum must lie in [0, 1)", "0 <= value < 1", "1.0"),
        (
            lambda: optimizers.Momentum(0.1, form="heavy"),
            "there is no form of momentum 'heavy'",
            "heavy_ball, damped, velocity, two_point, previous_gradient",
            "heavy",
        ),
        (lambda: optimizers.Nesterov(0.1, -0.1), "momentum must lie in [0, 1)", "0 <= value < 1", "-0.1"),
        (lambda: optimizers.AdaGrad(epsilon=0), "epsilon must be positive", "a number above 0", "0"),
        (lambda: optimizers.AdaGrad(initial=-1), "initial must not be negative", "a number of at least 0", "-1"),
        (lambda: optimizers.AdaDelta(rho=1.0), "rho must lie in [0, 1)", "0 <= value < 1", "1.0"),
        (lambda: optimizers.RMSProp(rho=2.0), "rho must lie in [0, 1)", "0 <= value < 1", "2.0"),
        (lambda: optimizers.RMSProp(momentum=1.5), "momentum must lie in [0, 1)", "0 <= value < 1", "1.5"),
        (lambda: optimizers.Adam(beta1=1.0), "beta1 must lie in [0, 1)", "0 <= value < 1", "1.0"),
        (lambda: optimizers.Adam(beta2=-0.5), "beta2 must lie in [0, 1)", "0 <= value < 1", "-0.5"),
        (lambda: optimizers.Adam(epsilon=0.0), "epsilon must be positive", "a number above 0", "0.0"),
        (lambda: optimizers.AdaMax(beta2=1), "beta2 must lie in [0, 1)", "0 <= value < 1", "1"),
        (
            lambda: optimizers.NAdam(momentum_decay=-1),
            "momentum_decay must not be negative",
            "a number of at least 0",
            "-1",
        ),
        (lambda: optimizers.Lion(beta2=1), "beta2 must lie in [0, 1)", "0 <= value < 1", "1"),
        (lambda: optimizers.LAMB(weight_decay=-1), "weight_decay must not be negative", "a number of at least 0", "-1"),
    ],
)
def test_settings_out_of_range_are_refused(make: Maker, what: str, expected: str, got: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    lines = str(caught.value).splitlines()
    assert lines[0] == what
    assert "test_rules.py" in lines[1]
    assert lines[2:] == [f"  expected   {expected}", f"  got        {got}"]
