"""Losses of differences and of vectors against plain numpy, their derivatives against slopes, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import losses
from graphc.errors import DeclarationError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

Loss = Callable[..., gc.Tensor]

RNG = np.random.default_rng(0)
VALUES, TARGETS, OTHERS = (RNG.normal(size=(6, 4)) * 2 for _ in range(3))
ERROR = VALUES - TARGETS
SAME = np.array([1.0, 0.0, 1.0, 0.0, 0.25, 0.0])


def huber(error: Array, delta: float) -> Array:
    size = np.abs(error)
    return np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))


def length(x: Array) -> Array:
    return np.asarray(np.sqrt((x**2).sum(-1)))


def contrastive(x: Array, y: Array, margin: float) -> Array:
    near = np.maximum(margin - length(x - y), 0)
    return np.asarray((SAME * length(x - y) ** 2 + (1 - SAME) * near**2) / 2)


ELEMENTWISE: dict[str, tuple[Loss, Array]] = {
    "absolute": (losses.mean_absolute_error, np.abs(ERROR)),
    "huber": (losses.huber, huber(ERROR, 1)),
    "huber 2.5": (lambda x, y, **rest: losses.huber(x, y, 2.5, **rest), huber(ERROR, 2.5)),
    "smooth_l1": (losses.smooth_l1, huber(ERROR, 1)),
    "smooth_l1 0.5": (lambda x, y, **rest: losses.smooth_l1(x, y, 0.5, **rest), huber(ERROR, 0.5) / 0.5),
    "smooth_l1 0": (lambda x, y, **rest: losses.smooth_l1(x, y, 0, **rest), np.abs(ERROR)),
    "log_cosh": (losses.log_cosh, np.log(np.cosh(ERROR))),
    "poisson": (losses.poisson, np.exp(VALUES) - TARGETS * VALUES),
}
VECTORS: dict[str, tuple[Loss, Array]] = {
    "cosine": (losses.cosine, 1 - (VALUES * TARGETS).sum(-1) / length(VALUES) / length(TARGETS)),
    "contrastive": (lambda x, y, **rest: losses.contrastive(x, y, SAME, 4, **rest), contrastive(VALUES, TARGETS, 4)),
    "triplet": (
        lambda x, y, **rest: losses.triplet(x, y, OTHERS, **rest),
        np.maximum(length(ERROR) - length(VALUES - OTHERS) + 1, 0),
    ),
    "squared triplet": (
        lambda x, y, **rest: losses.triplet(x, y, OTHERS, 2.0, squared=True, **rest),
        np.maximum(length(ERROR) ** 2 - length(VALUES - OTHERS) ** 2 + 2, 0),
    ),
}
ALL = ELEMENTWISE | VECTORS


@pytest.mark.parametrize("name", ALL)
def test_a_loss_follows_its_formula(name: str) -> None:
    loss, expected = ALL[name]
    x, y = gc.input("x", (6, 4), "float64"), gc.input("y", (6, 4), "float64")
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 3.0])
    asked = [loss(x, y), loss(x, y, reduction="sum"), loss(x, y, reduction="none"), loss(x, y, sample_weights=weights)]
    mean, total, each, weighted = gc.evaluate(asked, {"x": VALUES, "y": TARGETS})
    np.testing.assert_allclose(each, expected, 1e-12, 1e-14)
    np.testing.assert_allclose([mean, total], [expected.mean(), expected.sum()], 1e-12)
    rows = expected.reshape(6, -1).mean(1)
    np.testing.assert_allclose(weighted, (rows * weights).sum() / weights.sum(), 1e-12)


@pytest.mark.parametrize("name", ALL)
def test_the_derivatives_of_a_loss_are_slopes(name: str) -> None:
    assert_slopes(lambda x, y: ALL[name][0](x, y, reduction="none"), {"x": VALUES, "y": TARGETS})


def test_norms_of_all_differences() -> None:
    x, y = gc.input("x", (6, 4), "float64"), gc.input("y", (6, 4), "float64")
    asked = [losses.l2_norm(x, y), losses.l2_norm(x, y, "sum"), losses.root_mean_squared_error(x, y)]
    found = gc.evaluate(asked, {"x": VALUES, "y": TARGETS})
    norm = np.sqrt((ERROR**2).sum())
    np.testing.assert_allclose(found, [norm / 24, norm, np.sqrt((ERROR**2).mean())], 1e-14)
    data = {"x": VALUES, "y": TARGETS}
    assert_slopes(lambda x, y: losses.l2_norm(x, y) + 2 * losses.root_mean_squared_error(x, y), data)


@pytest.mark.parametrize(
    "loss", [losses.l2_norm, losses.root_mean_squared_error, losses.mean_absolute_error, losses.huber, losses.triplet]
)
def test_a_prediction_that_is_right_has_no_slope(loss: Loss) -> None:
    x = gc.input("x", (3, 2), "float64")
    others = (x, x) if loss is losses.triplet else (VALUES[:3, :2],)
    slope = gc.grad(loss(x, *others), x)
    assert isinstance(slope, gc.Tensor)
    np.testing.assert_array_equal(gc.evaluate(slope, {"x": VALUES[:3, :2]}), np.zeros((3, 2)))


def test_large_errors_do_not_overflow() -> None:
    x = gc.input("x", (2,))
    for loss, slopes in ((losses.huber, [0.5, -0.5]), (losses.smooth_l1, [0.5, -0.5]), (losses.log_cosh, [0.5, -0.5])):
        value = loss(x, [0.0, 0.0])
        slope = gc.grad(value, x)
        assert isinstance(slope, gc.Tensor)
        found, gradient = gc.evaluate([value, slope], {"x": [1e30, -1e30]})
        assert found == pytest.approx(1e30, rel=1e-6)
        np.testing.assert_array_equal(gradient, slopes)


def test_poisson_of_expected_counts() -> None:
    rates, counts = np.abs(VALUES) + 0.1, RNG.integers(0, 5, VALUES.shape)
    found = gc.evaluate(losses.poisson(rates, counts, from_log=False, reduction="none"))
    np.testing.assert_allclose(found, rates - counts * np.log(rates), 1e-6, 1e-6)


def test_the_cosine_with_a_vector_of_length_zero_is_zero_and_has_a_finite_slope() -> None:
    x = gc.input("x", (1, 2), "float64")
    loss = losses.cosine(x, [[1.0, 1.0]])
    slope = gc.grad(loss, x)
    assert isinstance(slope, gc.Tensor)
    value, gradient = gc.evaluate([loss, slope], {"x": [[0.0, 0.0]]})
    assert value == 1
    assert np.isfinite(gradient).all()


def test_weights_that_are_all_zero_give_zero() -> None:
    assert gc.evaluate(losses.mean_absolute_error([1.0, 2.0], [0.0, 0.0], sample_weights=[0, 0])) == 0


def test_weights_of_another_shape_are_refused() -> None:
    x, weights = gc.input("x", ("batch", 4)), gc.input("weights", (4,))
    with pytest.raises(ShapeError, match="huber: the weights do not fit the samples") as caught:
        losses.huber(x, x, sample_weights=weights)
    text = str(caught.value)
    assert "weights    f32[4]  input 'weights', declared at " in text
    assert "expected   weights of shape [batch, 4], or of its first axes\n  got        f32[4]" in text


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DeclarationError, match="huber: delta is positive") as caught:
        losses.huber([1.0], [2.0], delta=0)
    assert "expected   delta > 0\n  got        0" in str(caught.value)
    with pytest.raises(DeclarationError, match="smooth_l1: beta is at least 0") as caught:
        losses.smooth_l1([1.0], [2.0], beta=-1)
    assert "expected   beta >= 0\n  got        -1" in str(caught.value)
    with pytest.raises(DeclarationError, match="a norm has no reduction 'none'") as caught:
        losses.l2_norm([1.0], [2.0], reduction="none")
    assert "way out    gc.norm(x, axis=-1) is the norm of each row" in str(caught.value)


@pytest.mark.parametrize("loss", [losses.huber, losses.cosine, losses.poisson, losses.l2_norm])
def test_targets_that_would_broadcast_are_refused(loss: Loss) -> None:
    with pytest.raises(ShapeError, match="the target does not fit the prediction") as caught:
        loss(gc.input("x", ("batch", 4)), gc.input("y", ("batch", 1)))
    assert "expected   a target of shape [batch, 4]\n  got        f32[batch, 1]" in str(caught.value)


def test_pairs_need_one_answer_each() -> None:
    x, same = gc.input("x", ("batch", 4)), gc.input("same", ("batch", 4), "bool")
    with pytest.raises(ShapeError, match="contrastive: the target does not fit the prediction") as caught:
        losses.contrastive(x, x, same)
    assert "expected   a target of shape [batch]\n  got        bool[batch, 4]" in str(caught.value)
