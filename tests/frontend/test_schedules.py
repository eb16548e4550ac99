"""Schedules against PyTorch's formulas, written out, and inside the compiled step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, pi
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers, schedules
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.schedules import Schedule
from tests.frontend.optimizers.descent import FEATURES, TARGETS, assert_follows, regression

STEPS = 40


def restarts(step: int, first: int, growth: int) -> float:
    """Half a cosine from 1 to 0 in each run."""
    length = first
    while step >= length:
        step, length = step - length, length * growth
    return (1 + cos(pi * step / length)) / 2


def cycle(step: int, total: int, rise: float) -> float:
    """OneCycleLR of the largest rate 1 as PyTorch computes it, phase by phase."""
    start, end = 1 / 25, 1 / 25 / 1e4
    first = rise * total - 1
    if step <= first:
        return 1 + (start - 1) / 2 * (cos(pi * step / first) + 1)
    part = (step - first) / (total - 1 - first)
    return end + (1 - end) / 2 * (cos(pi * part) + 1)


CASES: dict[str, tuple[Schedule, Callable[[int], float]]] = {
    "constant": (schedules.constant(0.3), lambda k: 0.3),
    "inverse": (schedules.inverse(0.3), lambda k: 0.3 / (k + 1)),
    "inverse_time": (schedules.inverse_time(0.3, 0.5, steps=4), lambda k: 0.3 / (1 + 0.5 * k / 4)),
    "step": (schedules.step(0.3, steps=7, factor=0.5), lambda k: 0.3 * 0.5 ** (k // 7)),
    "multi_step": (
        schedules.multi_step(0.3, [3, 4, 30], factor=0.2),
        lambda k: 0.3 * 0.2 ** sum(k >= milestone for milestone in (3, 4, 30)),
    ),
    "exponential": (schedules.exponential(0.3, 0.9), lambda k: 0.3 * 0.9**k),
    "exponential, slow": (schedules.exponential(0.3, 0.5, steps=10), lambda k: 0.3 * 0.5 ** (k / 10)),
    "polynomial": (schedules.polynomial(0.3, 20, power=0.9), lambda k: 0.3 * (1 - min(k, 20) / 20) ** 0.9),
    "polynomial, end": (schedules.polynomial(0.3, 20, 2.0, 0.1), lambda k: 0.1 + 0.2 * (1 - min(k, 20) / 20) ** 2),
    "cosine": (schedules.cosine(0.3, 20, end=0.1), lambda k: 0.1 + 0.2 * (1 + cos(pi * min(k, 20) / 20)) / 2),
    "cosine_restarts": (schedules.cosine_restarts(0.3, 7), lambda k: 0.3 * restarts(k, 7, 1)),
    "cosine_restarts, doubled": (schedules.cosine_restarts(0.3, 5, growth=2), lambda k: 0.3 * restarts(k, 5, 2)),
    "cosine_restarts, tripled": (
        schedules.cosine_restarts(0.3, 1, growth=3, end=0.1),
        lambda k: 0.1 + 0.2 * restarts(k, 1, 3),
    ),
    "warmup": (
        schedules.warmup(schedules.exponential(0.3, 0.9), 6, start=0.25),
        lambda k: 0.3 * (0.25 + 0.75 * k / 6) if k < 6 else 0.3 * 0.9 ** (k - 6),
    ),
    "warmup, number": (schedules.warmup(0.3, 6), lambda k: 0.3 * min(k / 6, 1)),
    "one_cycle": (schedules.one_cycle(1.0, 40, rise=0.3), lambda k: cycle(k, 40, 0.3)),
    "one_cycle, odd": (schedules.one_cycle(1.0, 33, rise=0.45), lambda k: cycle(min(k, 32), 33, 0.45)),
}


@pytest.mark.parametrize("name", CASES)
def test_rates_of_forty_steps_follow_the_formula(name: str) -> None:
    schedule, formula = CASES[name]
    found = [schedule.at(step + 1) for step in range(STEPS)]
    np.testing.assert_allclose(found, [formula(step) for step in range(STEPS)], 1e-12, 1e-15)


def test_long_restarts_begin_at_the_right_step() -> None:
    schedule = schedules.cosine_restarts(1.0, 10, growth=2)
    for run in range(1, 18):
        begin = 10 * (2**run - 1)
        assert schedule.at(begin + 1) == pytest.approx(1.0, abs=1e-12)
        assert schedule.at(begin) < 0.03


def test_a_schedule_compiles_into_the_step() -> None:
    schedule = schedules.warmup(schedules.cosine(0.3, 15), 5)
    assert_follows(optimizers.SGD(schedule), lambda w, g, t: w - schedule.at(t) * g)


def test_a_function_of_the_step_is_a_schedule() -> None:
    assert_follows(optimizers.SGD(lambda t: 0.5 / t), lambda w, g, t: w - 0.5 / t * g)


def test_the_learning_rate_reads_as_that_of_the_latest_step() -> None:
    optimizer = optimizers.Adam(schedules.exponential(0.4, 0.5))
    model, _ = regression(optimizer)
    found = [optimizer.learning_rate]
    for _ in range(3):
        model.step({"x": FEATURES, "y": TARGETS})
        found.append(optimizer.learning_rate)
    assert found == pytest.approx([0.4, 0.4, 0.2, 0.1], rel=1e-15)


def test_a_scheduled_learning_rate_cannot_be_set() -> None:
    optimizer = optimizers.SGD(schedules.step(0.1, 10))
    with pytest.raises(DeclarationError) as caught:
        optimizer.learning_rate = 0.2
    lines = str(caught.value).splitlines()
    assert lines[0] == "the learning rate follows a schedule"
    assert "optimizer.learning_rate = 0.2" in lines[1]
    assert lines[3:] == [
        "  got        step(0.1, 10, 0.1)",
        "  way out    put what is to change into the schedule, or give the optimizer a number",
    ]


def test_a_schedule_prints_as_it_was_made() -> None:
    assert repr(schedules.warmup(schedules.step(0.1, 10), 5)) == "warmup(step(0.1, 10, 0.1), 5, 0.0)"


def test_a_schedule_of_several_numbers_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        optimizers.SGD(lambda t: t * gc.constant([1.0, 2.0], "float64"))
    lines = str(caught.value).splitlines()
    assert lines[0] == "a schedule gives one number"
    assert lines[-2:] == ["  expected   f64[]", "  got        f64[2]"]


def shifted(factor: float, shift: int, t: gc.Tensor) -> gc.Tensor:
    return factor / (t - shift)


def test_a_schedule_that_begins_below_zero_or_nowhere_is_refused() -> None:
    for factor, shift, got in ((-0.1, 0, "-0.1"), (0.1, 1, "inf")):
        with np.errstate(divide="ignore"), pytest.raises(DeclarationError) as caught:
            optimizers.SGD(partial(shifted, factor, shift))
        lines = str(caught.value).splitlines()
        assert lines[0] == "the learning rate of step 1 must not be negative"
        assert lines[-1] == f"  got        {got}"


def test_a_schedule_that_needs_more_than_the_step_is_refused() -> None:
    loss = gc.state(1.0, name="latest_loss")
    with pytest.raises(DeclarationError, match="depends on the number of the step alone") as caught:
        optimizers.SGD(lambda t: loss / t)
    assert "state 'latest_loss'" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "what", "got"),
    [
        (lambda: schedules.constant(0.0), "rate must be positive", "0.0"),
        (lambda: schedules.inverse(-1.0), "rate must be positive", "-1.0"),
        (lambda: schedules.inverse_time(0.1, -1.0), "decay must not be negative", "-1.0"),
        (lambda: schedules.step(0.1, 0), "steps must be a whole number of at least 1", "0"),
        (lambda: schedules.step(0.1, 5, factor=0), "factor must be positive", "0"),
        (lambda: schedules.multi_step(0.1, [0]), "a milestone must be a whole number of at least 1", "0"),
        (lambda: schedules.multi_step(0.1, [4, 4]), "milestones must increase", "[4, 4]"),
        (lambda: schedules.exponential(0.1, 0.0), "factor must be positive", "0.0"),
        (lambda: schedules.polynomial(0.1, 10, power=0), "power must be positive", "0"),
        (lambda: schedules.cosine(0.1, 10, end=-0.1), "end must not be negative", "-0.1"),
        (lambda: schedules.cosine_restarts(0.1, 10, growth=0), "growth must be a whole number of at least 1", "0"),
        (lambda: schedules.warmup(0.1, 10, start=1.0), "start must lie in [0, 1)", "1.0"),
        (
            lambda: schedules.one_cycle(0.1, 3, rise=0.3),
            "one_cycle has no step to rise or none to fall",
            "rise=0.3, steps=3",
        ),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], Any], what: str, got: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    lines = str(caught.value).splitlines()
    assert lines[0] == what
    assert "test_schedules.py" in lines[1]
    assert lines[-1] == f"  got        {got}"
