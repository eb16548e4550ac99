"""Regularizers against numpy, with gradients, at zero too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers, regularizers
from graphc.errors import DeclarationError, DTypeError
from graphc.scalar import Array
from tests.harness import slope

LEFT, RIGHT = np.array([1.5, -2.0, 0.25]), np.array([[0.5], [-3.0]])
ALL = np.concatenate([LEFT, RIGHT.ravel()])

CASES: dict[str, tuple[Callable[[list[gc.Tensor]], gc.Tensor], Callable[[Array], Any]]] = {
    "l1": (lambda w: regularizers.l1(w, 0.3), lambda w: 0.3 * np.abs(w).sum()),
    "l2": (lambda w: regularizers.l2(w, 0.3), lambda w: 0.3 * (w**2).sum()),
    "l2_norm": (lambda w: regularizers.l2_norm(w, 0.3), lambda w: 0.3 * np.linalg.norm(w)),
    "lp, 3": (lambda w: regularizers.lp(w, 3, 0.3), lambda w: 0.3 * (np.abs(w) ** 3).sum() ** (1 / 3)),
    "lp, 1.5": (lambda w: regularizers.lp(w, 1.5), lambda w: (np.abs(w) ** 1.5).sum() ** (1 / 1.5)),
    "lp, 1": (lambda w: regularizers.lp(w, 1), lambda w: np.abs(w).sum()),
    "lp, 2": (lambda w: regularizers.lp(w, 2), lambda w: np.linalg.norm(w)),
    "elastic_net": (
        lambda w: regularizers.elastic_net(w, 0.3, 0.2),
        lambda w: 0.3 * (0.2 * np.abs(w).sum() + 0.8 * (w**2).sum()),
    ),
}


def parameters(left: Array = LEFT, right: Array = RIGHT) -> list[gc.Tensor]:
    return [gc.parameter(left.shape, left, "left", "float64"), gc.parameter(right.shape, right, "right", "float64")]


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_numpy(name: str) -> None:
    mine, formula = CASES[name]
    tensors = parameters()
    value = mine(tensors)
    left, right = gc.evaluate(list(gc.grad(value, tensors)))
    assert float(gc.evaluate(value)) == pytest.approx(float(formula(ALL)), rel=1e-14)
    for number in range(ALL.size):
        expected = slope(lambda w: float(formula(w)), ALL, np.eye(ALL.size)[number])
        assert np.concatenate([left, right.ravel()])[number] == pytest.approx(expected, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_at_zero_is_zero(name: str) -> None:
    tensors = parameters(LEFT * 0, RIGHT * 0)
    value = CASES[name][0](tensors)
    assert float(gc.evaluate(value)) == 0.0
    for gradient in gc.evaluate(list(gc.grad(value, tensors))):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_some_zeros_among_others_have_gradient_zero() -> None:
    w = gc.parameter((2,), np.array([0.0, 2.0]), "w", "float64")
    found = gc.evaluate(gc.grad(regularizers.lp(w, 1.5), w))
    np.testing.assert_allclose(found, [0.0, 1.0], 1e-15)


def test_a_regularizer_is_part_of_a_compiled_loss() -> None:
    w = gc.parameter((3,), LEFT, "w", "float64")
    model = gc.compile(regularizers.l2(w, 0.1) + regularizers.l2_norm(w, 0.2), optimizers.SGD(0.5))
    model.step({})
    expected = LEFT - 0.5 * (0.2 * LEFT + 0.2 * LEFT / np.linalg.norm(LEFT))
    np.testing.assert_allclose(w.value, expected, 1e-14)


@pytest.mark.parametrize(
    ("make", "what", "got"),
    [
        (lambda w: regularizers.l1(w, -1.0), "strength must not be negative", "-1.0"),
        (lambda w: regularizers.lp(w, 0.5), "lp needs a power of at least 1", "0.5"),
        (lambda w: regularizers.elastic_net(w, share=1.5), "the share of l1 lies between 0 and 1", "1.5"),
        (lambda w: regularizers.l2([]), "l2 got no parameters", "none"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[gc.Tensor], gc.Tensor], what: str, got: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make(parameters()[0])
    lines = str(caught.value).splitlines()
    assert lines[0] == what
    assert "test_regularizers.py" in lines[1]
    assert lines[-1] == f"  got        {got}"


def test_integers_and_mixed_types_are_refused() -> None:
    with pytest.raises(DTypeError, match="l1 takes float tensors of one type") as caught:
        regularizers.l1(gc.constant([1, 2]))
    assert "expected   float32 or float64" in str(caught.value)
    with pytest.raises(DTypeError) as caught:
        regularizers.l2([gc.constant([1.0]), parameters()[0]])
    assert "expected   float32" in str(caught.value)
