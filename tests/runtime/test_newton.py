"""Newton's method with conjugate gradients: on Rosenbrock's function, quadratics and logistic regression."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, FeedError, NonFiniteError


def test_a_quadratic_takes_one_step_per_correct_solution() -> None:
    w = gc.parameter((2,), np.array([1.0, 1.0]), "w", "float64")
    curvature = gc.constant([1.0, 10.0], "float64")
    result = gc.newton_cg(0.5 * gc.sum(curvature * w * w) - gc.sum(w), [w], tolerance=1e-9)
    assert result.converged
    assert result.steps <= 5
    np.testing.assert_allclose(w.value, [1.0, 0.1], 1e-8)
    assert result.loss == pytest.approx(-0.55, rel=1e-12)


def test_rosenbrock_is_minimised_from_the_usual_start() -> None:
    x, y = gc.parameter((), -1.2, "x", "float64"), gc.parameter((), 1.0, "y", "float64")
    result = gc.newton_cg((1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y], tolerance=1e-9)
    assert result.converged
    assert result.steps < 80
    assert (float(x.value), float(y.value)) == pytest.approx((1.0, 1.0), abs=1e-8)
    assert list(result.losses) == sorted(result.losses, reverse=True)
    assert result.losses[0] == pytest.approx(24.2)
    assert len(result.losses) == result.steps + 1


def test_a_logistic_regression_reaches_the_point_where_its_gradient_vanishes() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    labels = (features @ [1.0, -2.0, 0.5] + rng.normal(size=60) > 0).astype(np.float64)
    x, y = gc.input("x", ("batch", 3), "float64"), gc.input("y", ("batch",), "float64")
    w, b = gc.parameter((3,), "zeros", "w", "float64"), gc.parameter((), "zeros", "b", "float64")
    logits = x @ w + b
    loss = gc.mean(gc.softplus(logits) - y * logits) + gc.regularizers.l2(w, 0.01)
    result = gc.newton_cg(loss, [w, b], {"x": features, "y": labels}, tolerance=1e-10)
    wrong = 1 / (1 + np.exp(-(features @ w.value + b.value))) - labels
    np.testing.assert_allclose(features.T @ wrong / 60 + 0.02 * w.value, 0, atol=1e-9)
    assert float(wrong.mean()) == pytest.approx(0, abs=1e-9)
    assert result.converged
    assert result.steps < 15


def test_negative_curvature_still_leads_down() -> None:
    w = gc.parameter((), 0.1, "w", "float64")
    result = gc.newton_cg((w * w - 1) ** 2, [w])
    assert result.converged
    assert float(w.value) == pytest.approx(1.0, abs=1e-6)


def test_it_ends_after_the_steps_that_were_allowed() -> None:
    x, y = gc.parameter((), -1.2, "x", "float64"), gc.parameter((), 1.0, "y", "float64")
    result = gc.newton_cg((1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y], steps=2)
    assert (result.steps, result.converged) == (2, False)
    assert result.loss == result.losses[-1] < result.losses[0]


def test_float32_ends_where_rounding_ends_it() -> None:
    w = gc.parameter((2,), np.array([1.0, 2.0]), "w")
    result = gc.newton_cg(gc.sum((w - 3.0) ** 2), [w], tolerance=1e-30, damping=0.1)
    assert w.value.dtype == np.float32
    np.testing.assert_allclose(w.value, 3.0, 1e-5)
    assert result.steps < 100


def test_what_does_not_fit_is_refused() -> None:
    w = gc.parameter((), 1.0, "w", "float64")
    tensor: type = gc.Parameter
    with pytest.raises(DeclarationError, match="newton_cg changes parameters"):
        gc.newton_cg(w * w, [tensor((w * 1.0).node)])
    with pytest.raises(FeedError, match="there is no input 'x'"):
        gc.newton_cg(w * w, [w], {"x": 1.0})
    with pytest.raises(DeclarationError, match="tolerance must be positive"):
        gc.newton_cg(w * w, [w], tolerance=0)
    with pytest.raises(NonFiniteError, match="not finite at the start"):
        gc.newton_cg(gc.log(w - 2.0), [w])
