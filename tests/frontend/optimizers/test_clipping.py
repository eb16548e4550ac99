"""Limits on gradients and weights, each against numpy for twenty steps."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import DeclarationError
from graphc.scalar import Array
from tests.frontend.optimizers.descent import Rule, assert_follows, train
from tests.frontend.optimizers.rules import heavy_ball, sgd

LEFT, RIGHT = np.array([3.0, -4.0]), np.array([[12.0, 0.0], [0.0, 84.0]])


def clipped(rule: Rule, limit: float) -> Rule:
    """With gradients no longer than a limit."""
    return lambda w, g, t: rule(w, g * min(1.0, limit / (float(np.linalg.norm(g)) + 1e-6)), t)


def moved(wrapped: optimizers.Optimizer) -> list[Array]:
    """What one step at rate 1 takes off two parameters whose gradients are LEFT and RIGHT."""
    left, right = gc.parameter((2,), "zeros", "left", "float64"), gc.parameter((2, 2), "zeros", "right", "float64")
    loss = gc.sum(left * gc.constant(LEFT)) + gc.sum(right * gc.constant(RIGHT))
    gc.compile(loss, wrapped).step({})
    return [-left.value, -right.value]


def test_gradients_are_clipped_element_by_element() -> None:
    rule, optimizer = heavy_ball(0.1, 0.9), optimizers.ClipByValue(optimizers.Momentum(0.1), 0.2)
    assert_follows(optimizer, lambda w, g, t: rule(w, np.clip(g, -0.2, 0.2), t))


def test_long_gradients_are_shortened_and_short_ones_stay() -> None:
    optimizer = optimizers.ClipByNorm(optimizers.Momentum(0.1), 1.0)
    assert_follows(optimizer, clipped(heavy_ball(0.1, 0.9), 1.0))


def test_with_one_parameter_the_global_norm_is_its_norm() -> None:
    optimizer = optimizers.ClipByGlobalNorm(optimizers.SGD(0.3), 0.5)
    assert_follows(optimizer, clipped(sgd(0.3), 0.5))


def test_each_parameter_has_a_norm_of_its_own() -> None:
    left, right = moved(optimizers.ClipByNorm(optimizers.SGD(1.0), 10.0))
    np.testing.assert_allclose(left, LEFT, 1e-15)
    np.testing.assert_allclose(right, RIGHT * 10 / np.linalg.norm(RIGHT), 1e-7)


def test_the_global_norm_scales_all_gradients_by_one_factor() -> None:
    left, right = moved(optimizers.ClipByGlobalNorm(optimizers.SGD(1.0), 17.0))
    norm = np.sqrt((LEFT**2).sum() + (RIGHT**2).sum())
    np.testing.assert_allclose(left, LEFT * 17 / norm, 1e-7)
    np.testing.assert_allclose(right, RIGHT * 17 / norm, 1e-7)


def test_the_global_norm_takes_parameters_of_several_types() -> None:
    single, double = gc.parameter((), 0.0, "single"), gc.parameter((), 0.0, "double", "float64")
    loss = 3.0 * single.cast("float64") + 4.0 * double
    gc.compile(loss, optimizers.ClipByGlobalNorm(optimizers.SGD(1.0), 1.0)).step({})
    assert float(single.value) == pytest.approx(-0.6, rel=1e-6)
    assert float(double.value) == pytest.approx(-0.8, rel=1e-6)


def test_zero_gradients_are_clipped_to_zero() -> None:
    weight = gc.parameter((2,), "zeros", "weight", "float64")
    gc.compile(gc.sum(weight * weight), optimizers.ClipByGlobalNorm(optimizers.SGD(1.0), 1.0)).step({})
    np.testing.assert_array_equal(weight.value, [0.0, 0.0])


def test_columns_stay_within_the_largest_norm() -> None:
    def rule(w: Array, g: Array, t: int) -> Array:
        new = w - 0.3 * g
        return np.asarray(new * np.minimum(1.0, 1.5 / np.maximum(np.linalg.norm(new, axis=0), 1e-30)))

    assert_follows(optimizers.MaxNorm(optimizers.SGD(0.3), 1.5), rule)


def test_the_largest_norm_holds_for_matrices_unless_others_are_chosen() -> None:
    left, right = moved(optimizers.MaxNorm(optimizers.SGD(1.0), 1.0))
    np.testing.assert_array_equal(left, LEFT)
    np.testing.assert_allclose(right, [[1.0, 0.0], [0.0, 1.0]], 1e-15)
    left, right = moved(optimizers.MaxNorm(optimizers.SGD(1.0), 1.0, lambda parameter: parameter.ndim == 1))
    np.testing.assert_allclose(left, LEFT / 5, 1e-15)
    np.testing.assert_array_equal(right, RIGHT)


def test_a_scalar_is_limited_by_its_magnitude() -> None:
    weight = gc.parameter((), 5.0, "weight")
    gc.compile(weight * weight, optimizers.MaxNorm(optimizers.SGD(1.0), 2.0, [weight])).step({})
    assert float(weight.value) == -2.0


def test_wrappers_have_the_learning_rate_of_what_they_wrap() -> None:
    inner = optimizers.SGD(0.1)
    outer = optimizers.ClipByNorm(optimizers.ClipByValue(inner, 1.0), 1.0)
    outer.learning_rate = 0.3
    assert (inner.learning_rate, outer.learning_rate, outer.rules) == (0.3, 0.3, (inner,))


def test_the_outermost_wrapper_sees_the_gradients_first() -> None:
    outer = optimizers.ClipByValue(optimizers.ClipByNorm(optimizers.SGD(1.0), 1.0), 3.0)
    left, _ = moved(outer)
    np.testing.assert_allclose(left, np.array([3.0, -3.0]) / np.sqrt(18), 1e-6)


def test_an_own_step_may_wrap_too() -> None:
    (weight,) = train(optimizers.ClipByValue(optimizers.Lion(0.1), 1e-9), steps=1)
    (free,) = train(optimizers.Lion(0.1), steps=1)
    np.testing.assert_array_equal(weight, free)


@pytest.mark.parametrize(
    "kind", [optimizers.ClipByValue, optimizers.ClipByNorm, optimizers.ClipByGlobalNorm, optimizers.MaxNorm]
)
def test_a_limit_of_zero_is_refused(kind: type[optimizers.ClipByNorm]) -> None:
    with pytest.raises(DeclarationError, match="limit must be positive") as caught:
        kind(optimizers.SGD(0.1), 0.0)
    assert "test_clipping.py" in str(caught.value)


def test_what_is_no_optimizer_cannot_be_wrapped() -> None:
    kind: type = optimizers.ClipByNorm
    with pytest.raises(DeclarationError) as caught:
        kind("adam", 1.0)
    assert str(caught.value).splitlines()[2:] == [
        "  expected   one such as gc.optimizers.Adam(1e-3)",
        "  got        'adam'",
    ]
