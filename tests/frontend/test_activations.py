"""Activations against plain numpy, their derivatives against slopes, and values far out."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
import pytest

import graphc as gc
from graphc import activations, layers
from graphc.errors import DeclarationError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(5, 8)) * 4
POINTS = np.array([-7.5, -2.0, -0.5, 0.25, 1.5, 7.0])


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softplus(x: Array) -> Array:
    return np.asarray(np.log1p(np.exp(x)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FORMULAS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "celu": elu,
    "elu": elu,
    "gelu": lambda x: x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "maxout": lambda x: x.reshape(5, 4, 2).max(-1),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "swish": lambda x: x * sigmoid(x),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_by_name_follows_its_formula(name: str) -> None:
    x = gc.input("x", (5, 8), "float64")
    found = gc.evaluate(layers.Activation(name)(x), {"x": DATA})
    np.testing.assert_allclose(found, FORMULAS[name](DATA), 1e-12, 1e-14)


def test_every_name_has_a_formula_here() -> None:
    with pytest.raises(DeclarationError, match="there is no activation 'nothing'") as caught:
        activations.as_activation("nothing")
    assert f"expected   a function of a tensor, or one of {', '.join(FORMULAS)}\n" in str(caught.value)
    functions = set(activations.__all__) - {"as_activation", "prelu"}
    assert functions <= set(FORMULAS)


def test_the_derivatives_of_all_activations_are_slopes() -> None:
    def together(x: gc.Tensor) -> gc.Tensor:
        smooth = [name for name in FORMULAS if name not in ("maxout", "linear")]
        return gc.stack([activations.as_activation(name)(x) for name in smooth])

    assert_slopes(together, {"x": POINTS})
    assert_slopes(activations.maxout, {"x": DATA})


def test_options_of_activations() -> None:
    x = gc.input("x", (6,), "float64")
    asked = [
        gc.softplus(x, beta=3.0),
        activations.leaky_relu(x, 0.2),
        activations.celu(x, 2.0),
        activations.elu(x, 0.5),
        activations.hard_tanh(x, -2.0, 5.0),
        activations.prelu(x, np.full(6, 0.3)),
    ]
    expected = [
        softplus(3 * POINTS) / 3,
        np.where(POINTS > 0, POINTS, 0.2 * POINTS),
        np.where(POINTS > 0, POINTS, 2 * np.expm1(np.minimum(POINTS, 0) / 2)),
        elu(POINTS, 0.5),
        np.clip(POINTS, -2, 5),
        np.where(POINTS > 0, POINTS, 0.3 * POINTS),
    ]
    for found, wanted in zip(gc.evaluate(asked, {"x": POINTS}), expected, strict=True):
        np.testing.assert_allclose(found, wanted, 1e-13)
    assert gc.softplus(x, beta=1.0).node is gc.softplus(x).node


def test_the_slope_of_prelu_is_learned() -> None:
    assert_slopes(activations.prelu, {"x": DATA, "slope": np.linspace(0.1, 0.8, 8)})


EXTREMES = np.array([-3e38, -1e4, 0.0, 1e4, 3e38], np.float32)
RIGHT = np.array([0, 0, 0, 1e4, 3e38], np.float32)


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "mish", "softplus", "hard_swish"])
def test_values_and_slopes_far_out_are_those_of_relu(name: str) -> None:
    x = gc.input("x", (5,))
    y = activations.as_activation(name)(x)
    slope = gc.grad(gc.sum(y), x)
    assert isinstance(slope, gc.Tensor)
    found, gradient = gc.evaluate([y, slope], {"x": EXTREMES})
    far = EXTREMES != 0
    np.testing.assert_allclose(found[far], RIGHT[far], 1e-6)
    np.testing.assert_allclose(gradient[far], [0, 0, 1, 1], 1e-6, 1e-6)


@pytest.mark.parametrize("name", ["elu", "celu", "selu", "softsign", "hard_sigmoid", "hard_tanh", "log_sigmoid"])
def test_nothing_overflows_far_out(name: str) -> None:
    x = gc.input("x", (5,))
    y = activations.as_activation(name)(x)
    slope = gc.grad(gc.sum(y * 1e-9), x)
    assert isinstance(slope, gc.Tensor)
    assert all(np.isfinite(value).all() for value in gc.evaluate([y * 1e-9, slope], {"x": EXTREMES}))


def test_not_a_number_stays_one() -> None:
    x = gc.input("x", (2,))
    found = gc.evaluate([activations.as_activation(name)(x) for name in FORMULAS], {"x": [np.nan, np.nan]})
    assert [name for name, value in zip(FORMULAS, found, strict=True) if not np.isnan(value).all()] == []


@pytest.mark.parametrize(("name", "place"), [("relu", 0.0), ("relu6", 0.0), ("relu6", 6.0), ("hard_tanh", 1.0)])
def test_the_slope_at_a_corner_is_zero(name: str, place: float) -> None:
    x = gc.input("x", ())
    slope = gc.grad(activations.as_activation(name)(x), x)
    assert isinstance(slope, gc.Tensor)
    assert gc.evaluate(slope, {"x": place}) == 0


def test_maxout_needs_channels_in_groups() -> None:
    x = gc.input("x", ("batch", 8))
    assert str(activations.maxout(x, 4).type) == "f32[batch, 2]"
    with pytest.raises(ShapeError, match="maxout: the channels do not fall into groups") as caught:
        activations.maxout(x, 3)
    assert "expected   [..., channels] with a multiple of 3 channels\n  got        f32[batch, 8]" in str(caught.value)
    with pytest.raises(DeclarationError, match="maxout takes the largest of a number of pieces"):
        activations.maxout(x, 0)
