"""Convolution layers: what they compute, their parameters, their initial values, and what they refuse."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array


def image(channels: int = 3, dtype: str = "float32") -> gc.Tensor:
    return gc.input("image", ("batch", 6, 7, channels), dtype)


def pixels(channels: int = 3) -> Array:
    return np.random.default_rng(0).normal(size=(2, 6, 7, channels))


@pytest.mark.parametrize(
    ("layer", "sizes", "weight", "result"),
    [
        (layers.Conv1d(5, 4), (9,), "f32[4, 3, 5]", "f32[batch, 6, 5]"),
        (layers.Conv1d(5, 4, 2, "same"), (9,), "f32[4, 3, 5]", "f32[batch, 5, 5]"),
        (layers.Conv2d(5, 3), (6, 7), "f32[3, 3, 3, 5]", "f32[batch, 4, 5, 5]"),
        (layers.Conv2d(5, (1, 4), (2, 1)), (6, 7), "f32[1, 4, 3, 5]", "f32[batch, 3, 4, 5]"),
        (layers.Conv2d(5, 3, padding=1, dilation=(1, 2)), (6, 7), "f32[3, 3, 3, 5]", "f32[batch, 6, 5, 5]"),
        (layers.Conv2d(6, 3, padding=[(0, 1), (2, 0)], groups=3), (6, 7), "f32[3, 3, 1, 6]", "f32[batch, 5, 7, 6]"),
        (layers.Conv3d(2, (1, 2, 3)), (4, 4, 4), "f32[1, 2, 3, 3, 2]", "f32[batch, 4, 3, 2, 2]"),
        (layers.ConvTranspose2d(5, 4, 2, "same"), (6, 7), "f32[4, 4, 3, 5]", "f32[batch, 12, 14, 5]"),
        (layers.ConvTranspose2d(5, 4, 2), (6, 7), "f32[4, 4, 3, 5]", "f32[batch, 14, 16, 5]"),
    ],
)
def test_shapes_of_weights_and_results(layer: Any, sizes: tuple[int, ...], weight: str, result: str) -> None:
    found = layer(gc.input("x", ("batch", *sizes, 3)))
    assert (str(layer.weight.type), str(found.type)) == (weight, result)
    assert layer.bias.shape == (layer.filters,)


@pytest.mark.parametrize(
    ("kind", "axes", "label"),
    [
        (layers.Conv1d, 1, "conv1d"),
        (layers.Conv2d, 2, "conv2d"),
        (layers.Conv3d, 3, "conv3d"),
        (layers.ConvTranspose2d, 2, "conv_transpose2d"),
    ],
)
def test_parameters_are_named_after_the_layer(kind: Any, axes: int, label: str) -> None:
    layer, named = kind(4, 2), kind(4, 2, name="first")
    x = gc.input("x", ("batch", *[5] * axes, 2))
    with gc.scope("net"):
        layer(x)
        named(x)
    assert [parameter.name for parameter in layer.parameters] == [f"net/{label}/weight", f"net/{label}/bias"]
    assert [parameter.name for parameter in named.parameters] == ["net/first/weight", "net/first/bias"]


def test_the_result_is_an_activation_of_the_convolution_and_a_bias() -> None:
    x = image(dtype="float64")
    layer = layers.Conv2d(4, 3, 2, "same", 1, activation="tanh", bias_initializer="normal")
    y = layer(x)
    assert (str(y.type), str(layer.bias.type)) == ("f64[batch, 3, 4, 4]", "f64[4]")
    plain = gc.evaluate(gc.convolution(pixels(), layer.weight.value, 2, "same"))
    found = gc.evaluate(y, {"image": pixels()})
    np.testing.assert_allclose(found, np.tanh(plain + layer.bias.value), 1e-12)
    assert layer.bias.value.all()


def test_a_transposed_layer_is_an_activation_of_the_transposed_convolution_and_a_bias() -> None:
    x = image(dtype="float64")
    layer = layers.ConvTranspose2d(4, 3, 2, "same", activation=gc.exp, bias_initializer="ones")
    y = layer(x)
    plain = gc.evaluate(gc.convolution_transpose(pixels(), layer.weight.value, 2, "same"))
    np.testing.assert_allclose(gc.evaluate(y, {"image": pixels()}), np.exp(plain + 1), 1e-12)


def test_a_bias_may_be_left_out() -> None:
    x = image(dtype="float64")
    for layer in (layers.Conv2d(4, 3, use_bias=False), layers.ConvTranspose2d(4, 3, use_bias=False)):
        y = layer(x)
        assert [parameter.shape for parameter in layer.parameters] == [(3, 3, 3, 4)]
        assert not gc.evaluate(y, {"image": np.zeros((2, 6, 7, 3))}).any()


def test_groups_have_weights_of_their_own() -> None:
    layer = layers.Conv2d(6, 2, groups=3, kernel_initializer="ones", bias_initializer="zeros")
    y = layer(image(channels=6))
    assert layer.weight.shape == (2, 2, 2, 6)
    lit = np.zeros((1, 6, 7, 6))
    lit[..., 2] = 1
    np.testing.assert_array_equal(gc.evaluate(y, {"image": lit})[0, 0, 0], [0, 0, 4, 4, 0, 0])


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs"),
    [
        (layers.Conv2d(32, 5), 5 * 5 * 16, 5 * 5 * 32),
        (layers.Conv2d(32, (7, 3)), 7 * 3 * 16, 7 * 3 * 32),
        (layers.Conv2d(32, 5, groups=4), 5 * 5 * 4, 5 * 5 * 32),
        (layers.ConvTranspose2d(32, 5), 5 * 5 * 16, 5 * 5 * 32),
    ],
)
def test_weights_start_within_the_bound_of_glorot_for_the_whole_window(layer: Any, inputs: int, outputs: int) -> None:
    layer(gc.input("x", ("batch", 9, 9, 16)))
    bound = sqrt(6 / (inputs + outputs))
    values = layer.weight.value
    assert 0.99 * bound < abs(values).max() <= bound * (1 + 1e-6)
    assert values.mean() == pytest.approx(0, abs=0.05 * bound)
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.05)
    assert not layer.bias.value.any()


def test_initializers_are_taken_by_name_and_as_objects() -> None:
    layer = layers.Conv1d(2, 3, kernel_initializer=gc.initializers.Constant(0.5), bias_initializer="ones")
    y = layer(gc.input("x", ("batch", 4, 1)))
    np.testing.assert_array_equal(gc.evaluate(y, {"x": np.ones((1, 4, 1))}), np.full((1, 2, 2), 2.5))


def test_a_layer_called_twice_has_one_weight_whose_gradients_add_up() -> None:
    layer = layers.Conv2d(3, 3, padding="same", use_bias=False)
    x = image(dtype="float64")
    once = layer(x)
    twice = layer(once)
    assert len(layer.parameters) == 1
    weight = layer.weight
    (gradient,) = gc.grad(gc.sum(twice), [weight])
    first, second = gc.parameter(weight.shape, weight.value, dtype="float64"), gc.constant(weight.value)
    inner = gc.convolution(gc.convolution(x, first, padding="same"), second, padding="same")
    outer = gc.convolution(gc.convolution(x, second, padding="same"), first, padding="same")
    parts = [gc.grad(gc.sum(value), [first])[0] for value in (inner, outer)]
    found, *expected = gc.evaluate([gradient, *parts], {"image": pixels()})
    np.testing.assert_allclose(found, sum(expected), 1e-10)


def test_a_layer_that_is_built_refuses_other_channels() -> None:
    layer = layers.Conv2d(4, 3)
    layer(image())
    with pytest.raises(ShapeError, match="the kernel takes 3 input features, the input has 5") as caught:
        layer(image(channels=5))
    text = str(caught.value)
    assert "layer(image(channels=5))" in text
    assert "operand 2  f32[3, 3, 3, 4]  state 'conv2d/weight', declared at " in text


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv2d(4, 3), ("batch", 6, 3), "[batch, *, *, channels] with a multiple of 1 channels"),
        (layers.Conv1d(4, 3), ("batch", 6, 6, 3), "[batch, *, channels] with a multiple of 1 channels"),
        (layers.Conv3d(4, 3), (), "[batch, *, *, *, channels] with a multiple of 1 channels"),
        (layers.Conv2d(4, 3, groups=2), ("batch", 6, 6, 3), "[batch, *, *, channels] with a multiple of 2 channels"),
        (layers.ConvTranspose2d(4, 3), (2, 6, 6, "n"), "[batch, *, *, channels] with a multiple of 1 channels"),
    ],
)
def test_inputs_of_other_ranks_or_channels_are_refused(layer: layers.Layer, shape: Any, expected: str) -> None:
    x = gc.input("x", shape)
    with pytest.raises(ShapeError) as caught:
        layer(x)
    text = str(caught.value)
    assert text.startswith(f"{type(layer).__name__} does not fit this input\n  at ")
    assert text.splitlines()[1].endswith(" layer(x)")
    assert f"input      {x.type}  input 'x', declared at " in text
    assert f"expected   {expected}\n  got        {x.type}" in text


def test_filters_that_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 groups do not fit the kernel") as caught:
        layers.Conv2d(4, 3, groups=3)(image())
    text = str(caught.value)
    assert "layers.Conv2d(4, 3, groups=3)(image())" in text
    assert "expected   features = groups * the kernel's input features, outputs a multiple of groups" in text
    assert "got        3 features, 1 input features and 4 outputs of the kernel" in text


@pytest.mark.parametrize("value", [0, -3, 2.5, "8", None])
@pytest.mark.parametrize("what", ["filters", "groups"])
def test_filters_and_groups_are_positive_integers(what: str, value: Any) -> None:
    options: dict[str, Any] = {"filters": 4, "kernel_size": 3, what: value}
    with pytest.raises(DeclarationError, match=f"{what} is a positive integer") as caught:
        layers.Conv2d(**options)
    assert "layers.Conv2d(**options)" in str(caught.value)
    assert f"got        {value!r}" in str(caught.value)


@pytest.mark.parametrize("value", [0, (3, 3, 3), (3, 0), 2.5])
@pytest.mark.parametrize("what", ["kernel_size", "strides", "dilation"])
def test_windows_strides_and_dilation_have_a_number_for_each_axis(what: str, value: Any) -> None:
    options: dict[str, Any] = {"filters": 4, "kernel_size": 3, what: value}
    with pytest.raises(DeclarationError, match=f"{what} does not fit 2 spatial axes") as caught:
        layers.Conv2d(**options)
    assert "layers.Conv2d(**options)" in str(caught.value)
    assert f"expected   an integer of at least 1, or 2 of them\n  got        {value!r}" in str(caught.value)


def test_an_unknown_padding_is_refused_where_the_layer_is_called() -> None:
    layer = layers.Conv2d(4, 3, padding="full")
    with pytest.raises(DeclarationError, match="this is no padding") as caught:
        layer(image())
    assert str(caught.value).splitlines()[1].endswith(" layer(image())")
    assert "got        'full'" in str(caught.value)


@pytest.mark.parametrize("layer", [layers.Conv2d(4, 3), layers.ConvTranspose2d(4, 3)])
def test_an_image_of_integers_is_refused_with_the_name_of_the_layer(layer: layers.Layer) -> None:
    x = gc.input("x", ("batch", 6, 6, 3), "int64")
    with pytest.raises(DTypeError) as caught:
        layer(x)
    text = str(caught.value)
    assert text.startswith(f"{type(layer).__name__} does not take int64\n  at ")
    assert "input      i64[batch, 6, 6, 3]  input 'x', declared at " in text
    assert "expected   float32 or float64\n  got        i64[batch, 6, 6, 3]" in text
    assert text.endswith('way out    declare the input as float, or convert it with gc.cast(x, "float32")')
