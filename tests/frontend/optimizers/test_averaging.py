"""Gradients summed over batches, and running averages of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers, schedules
from graphc.errors import DeclarationError
from graphc.frontend.optimizers import Optimizer
from graphc.scalar import Array
from tests.frontend.optimizers.descent import FEATURES, START, TARGETS, follow, gradient, regression
from tests.frontend.optimizers.rules import adam, heavy_ball

FEED = {"x": FEATURES, "y": TARGETS}


def in_quarters(optimizer: Optimizer, rounds: int) -> list[Array]:
    """The weights after each of the batches of two samples."""
    model, weight = regression(optimizer)
    path = []
    for number in range(4 * rounds):
        rows = slice(2 * (number % 4), 2 * (number % 4) + 2)
        model.step({"x": FEATURES[rows], "y": TARGETS[rows]})
        path.append(weight.value)
    return path


def test_four_accumulated_batches_are_one_large_batch() -> None:
    path = in_quarters(optimizers.Accumulate(optimizers.Adam(0.1), 4), 5)
    np.testing.assert_allclose(path[3::4], follow(adam(0.1), 5), 1e-11)


def test_parameters_stay_between_updates() -> None:
    path = in_quarters(optimizers.Accumulate(optimizers.Momentum(0.1), 4), 2)
    for number in range(3):
        np.testing.assert_array_equal(path[number], START)
        np.testing.assert_array_equal(path[4 + number], path[3])


def test_a_schedule_counts_updates_and_the_model_counts_batches() -> None:
    optimizer = optimizers.Accumulate(optimizers.SGD(schedules.exponential(0.4, 0.5)), 4)
    model, weight = regression(optimizer)
    rates = []
    for _ in range(8):
        model.step(FEED)
        rates.append(optimizer.learning_rate)
    assert rates == pytest.approx([0.4] * 7 + [0.2])
    assert int(model.cells["step"].array) == 8
    first = START - 0.4 * gradient(START)
    np.testing.assert_allclose(weight.value, first - 0.2 * gradient(first), 1e-12)


def test_accumulation_over_one_batch_changes_nothing() -> None:
    model, weight = regression(optimizers.Accumulate(optimizers.Momentum(0.1), 1))
    for expected in follow(heavy_ball(0.1, 0.9), 3):
        model.step(FEED)
        np.testing.assert_allclose(weight.value, expected, 1e-12)


def test_clipping_outside_sees_batches_and_inside_their_mean() -> None:
    weight = gc.parameter((), 0.0, "weight")
    slope = gc.input("slope", ())
    outside = gc.compile(weight * slope, optimizers.ClipByValue(optimizers.Accumulate(optimizers.SGD(1.0), 2), 1.0))
    for value in (5.0, -0.5):
        outside.step({"slope": value})
    assert float(weight.value) == -0.25
    weight.value = 0.0
    inside = gc.compile(weight * slope, optimizers.Accumulate(optimizers.ClipByValue(optimizers.SGD(1.0), 1.0), 2))
    for value in (5.0, -0.5):
        inside.step({"slope": value})
    assert float(weight.value) == -1.0


def test_a_checkpoint_between_updates_goes_on_as_if_nothing_happened(tmp_path: Path) -> None:
    def fresh() -> tuple[gc.Model, gc.Parameter]:
        return regression(optimizers.Average(optimizers.Accumulate(optimizers.Adam(0.1), 4), 0.5))

    model, weight = fresh()
    for _ in range(6):
        model.step(FEED)
    model.save(tmp_path / "six.safetensors")
    again, same = fresh()
    again.load(tmp_path / "six.safetensors")
    for _ in range(3):
        model.step(FEED)
        again.step(FEED)
    np.testing.assert_array_equal(weight.value, same.value)
    with model.averaged(), again.averaged():
        np.testing.assert_array_equal(weight.value, same.value)


def test_every_pass_keeps_the_values_of_wrappers_in_wrappers() -> None:
    rule = optimizers.Nesterov(schedules.warmup(0.1, 3, 0.5), look_ahead=True)
    wrapped = optimizers.Average(optimizers.ClipByGlobalNorm(optimizers.MaxNorm(rule, 2.0), 0.5))
    for optimizer in (wrapped, optimizers.Accumulate(optimizers.NAdam(schedules.cosine(0.1, 9)), 2)):
        model, _ = regression(optimizer)
        for _ in range(2):
            model.step(FEED)
            assert "same outputs" in model.check(FEED)[-1]


def test_averages_follow_their_formula() -> None:
    model, weight = regression(optimizers.Average(optimizers.Momentum(0.1), decay=0.8))
    average = np.zeros_like(START)
    for step, expected in enumerate(follow(heavy_ball(0.1, 0.9), 5), 1):
        model.step(FEED)
        average = expected if step == 1 else 0.8 * average + 0.2 * expected
        np.testing.assert_allclose(model.cells["weight/average"].array, average, 1e-12)
        np.testing.assert_allclose(weight.value, expected, 1e-12)


def test_averages_take_the_place_of_the_weights_and_give_it_back() -> None:
    model, weight = regression(optimizers.Average(optimizers.SGD(0.3), decay=0.8))
    with model.averaged():
        np.testing.assert_array_equal(weight.value, START)
    for _ in range(3):
        model.step(FEED)
    last, average = weight.value, model.cells["weight/average"].array.copy()
    with model.averaged():
        loss = model.evaluate(FEED)["loss"]
        np.testing.assert_array_equal(model.cells["weight/average"].array, last)
    assert loss == pytest.approx(((FEATURES @ average.T - TARGETS) ** 2).mean(), rel=1e-12)
    with pytest.raises(ZeroDivisionError):
        fail_with_averages(model)
    np.testing.assert_array_equal(weight.value, last)
    np.testing.assert_array_equal(model.cells["weight/average"].array, average)


def fail_with_averages(model: gc.Model) -> None:
    with model.averaged():
        raise ZeroDivisionError


def test_parameters_of_one_name_have_averages_of_their_own() -> None:
    first, second = gc.parameter((), 1.0, name="w"), gc.parameter((), 3.0, name="w")
    model = gc.compile(first * first + second, optimizers.Average(optimizers.SGD(0.25)))
    assert model.averages == {"w": "w/average", "w_1": "w_1/average"}
    model.step({})
    with model.averaged():
        assert (float(first.value), float(second.value)) == (0.5, 2.75)


def test_averages_inside_other_wrappers_and_groups_are_found() -> None:
    first, second = gc.parameter((), 1.0, name="first"), gc.parameter((), 3.0, name="second")
    groups = optimizers.Groups([([first], optimizers.Average(optimizers.SGD(0.1)))], default=optimizers.SGD(0.1))
    model = gc.compile(first * second, optimizers.ClipByValue(groups, 1.0))
    assert model.averages == {"first": "first/average"}


def test_a_model_without_averages_says_so() -> None:
    model, _ = regression(optimizers.SGD(0.1))
    with pytest.raises(DeclarationError, match="keeps no averages") as caught, model.averaged():
        pass
    assert "gc.optimizers.Average(optimizer)" in str(caught.value)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"decay must lie in \[0, 1\)"):
        optimizers.Average(optimizers.SGD(0.1), 1.0)
    with pytest.raises(DeclarationError, match="steps must be a whole number of at least 1"):
        optimizers.Accumulate(optimizers.SGD(0.1), 0)
    with pytest.raises(DeclarationError, match="gradients taken ahead cannot be accumulated"):
        optimizers.Accumulate(optimizers.Nesterov(0.1, look_ahead=True), 2)
