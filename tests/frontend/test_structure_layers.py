"""Layers that put others together, change shapes, or are activations that learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError

DATA = np.random.default_rng(0).normal(size=(5, 6))


def rows(features: int = 6) -> gc.Tensor:
    return gc.input("x", ("batch", features), "float64")


def test_a_residual_adds_its_input() -> None:
    inner = layers.Dense(6, activation="tanh")
    layer = layers.Residual(inner)
    found = gc.evaluate(layer(rows()), {"x": DATA})
    np.testing.assert_allclose(found, np.tanh(DATA @ inner.weight.value) + DATA, 1e-12)
    assert [parameter.name for parameter in layer.parameters] == ["residual/layer/weight", "residual/layer/bias"]


def test_a_shortcut_changes_the_shape_of_what_is_added() -> None:
    inner, shortcut = layers.Dense(2), layers.Dense(2, use_bias=False)
    found = gc.evaluate(layers.Residual(inner, shortcut, name="block")(rows()), {"x": DATA})
    np.testing.assert_allclose(found, DATA @ inner.weight.value + DATA @ shortcut.weight.value, 1e-12)
    assert shortcut.parameters[0].name == "block/shortcut/weight"


def test_sums_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ShapeError, match="Residual 'block': the layer's result and the shortcut have") as caught:
        layers.Residual(layers.Dense(1), name="block")(rows())
    text = str(caught.value)
    assert "shortcut   f64[batch, 6]  input 'x', declared at " in text
    assert "expected   f64[batch, 1]\n  got        f64[batch, 6]\n  way out    give Residual a shortcut" in text
    function: Any = gc.relu
    with pytest.raises(DeclarationError, match="is no layer") as refused:
        layers.Residual(function)
    assert "way out    wrap a function in layers.Lambda" in str(refused.value)


def test_samples_are_reshaped_and_permuted() -> None:
    network = layers.Sequential([layers.Reshape((2, -1)), layers.Permute((2, 1)), layers.Lambda(gc.relu)])
    found = gc.evaluate(network(rows()), {"x": DATA})
    np.testing.assert_array_equal(found, np.maximum(DATA.reshape(5, 2, 3).transpose(0, 2, 1), 0))
    assert network.parameters == ()


def test_orders_and_functions_that_are_none_are_refused() -> None:
    for order in ((0, 1), (1, 1), (2, 3)):
        with pytest.raises(DeclarationError, match="Permute takes every axis but the batch once") as refused:
            layers.Permute(order)
        assert f"expected   the numbers from 1, such as (2, 1)\n  got        {order!r}" in str(refused.value)
    with pytest.raises(ShapeError, match="Permute 'permute' does not fit this input") as caught:
        layers.Permute((2, 1))(rows())
    assert "expected   [batch, ...] with 3 axes, for the order [2, 1]\n  got        f64[batch, 6]" in str(caught.value)
    with pytest.raises(ShapeError, match="cannot be reshaped"):
        layers.Reshape((4, -1))(rows())
    wrong: Any = "relu"
    with pytest.raises(DeclarationError, match="'relu' is no function"):
        layers.Lambda(wrong)


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_learns_its_slopes(shared: bool) -> None:
    layer = layers.PReLU(shared=shared)
    y = layer(rows())
    assert layer.slope.value.tolist() == [0.25] * (1 if shared else 6)
    slope = gc.grad(gc.sum(y), layer.slope)
    assert isinstance(slope, gc.Tensor)
    found, gradient = gc.evaluate([y, slope], {"x": DATA})
    np.testing.assert_array_equal(found, np.where(DATA > 0, DATA, DATA / 4))
    expected = np.minimum(DATA, 0).sum(None if shared else 0)
    np.testing.assert_allclose(gradient.squeeze(), expected, 1e-12)


def test_prelu_takes_channels_of_floats() -> None:
    with pytest.raises(DTypeError, match="PReLU 'prelu' does not take int64"):
        layers.PReLU(name="prelu")(gc.input("x", ("batch", 3), "int64"))
    with pytest.raises(ShapeError, match="does not fit this input") as caught:
        layers.PReLU()(gc.input("x", (3, "n")))
    assert "expected   [..., channels] with an integer\n  got        f32[3, n]" in str(caught.value)


def test_maxout_takes_the_largest_of_neighbours() -> None:
    found = gc.evaluate(layers.Maxout(3)(rows()), {"x": DATA})
    np.testing.assert_array_equal(found, DATA.reshape(5, 2, 3).max(-1))
