"""Layers: what they compute, how they are named, and how their parameters are shared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.ops.sampling import Random
from graphc.scalar import Array

DATA = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def names(layer: layers.Layer) -> list[str]:
    return [parameter.name for parameter in layer.parameters]


def rows(features: int = 3) -> gc.Tensor:
    return gc.input("x", ("batch", features))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def test_dense_is_an_affine_map_and_an_activation() -> None:
    layer = layers.Dense(4, activation="relu", bias_initializer="normal")
    y = layer(rows())
    assert str(y.type) == "f32[batch, 4]"
    assert str(layer.weight.type) == "f32[3, 4]"
    expected = relu(DATA @ layer.weight.value + layer.bias.value)
    np.testing.assert_allclose(gc.evaluate(y, {"x": DATA}), expected, 1e-6)


def test_dense_takes_any_number_of_leading_axes_and_float64() -> None:
    layer = layers.Dense(2, use_bias=False)
    y = layer(gc.input("x", ("batch", "time", 3), "float64"))
    assert str(y.type) == "f64[batch, time, 2]"
    assert names(layer) == ["dense/weight"]
    data = np.random.default_rng(1).normal(size=(2, 4, 3))
    np.testing.assert_allclose(gc.evaluate(y, {"x": data}), data @ layer.weight.value, 1e-14)


def test_dense_takes_initializers() -> None:
    layer = layers.Dense(2, kernel_initializer=gc.initializers.Constant(0.5), bias_initializer="ones")
    layer(rows())
    assert layer.weight.value.tolist() == [[0.5, 0.5]] * 3
    assert layer.bias.value.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "softmax"])
def test_an_activation_has_the_name_of_its_function(name: str) -> None:
    x = rows()
    layer = layers.Activation(name)
    expected = x if name == "linear" else getattr(gc, name)(x)
    assert layer(x).node is expected.node
    assert layer.name == name


def test_an_activation_may_be_any_function() -> None:
    x = rows()
    assert layers.Activation(lambda value: value * 2 + 1)(x).node is (x * 2 + 1).node
    np.testing.assert_allclose(
        gc.evaluate(layers.Dense(2, activation=gc.exp, kernel_initializer="zeros")(x), {"x": DATA}), np.ones((5, 2))
    )


def test_flatten_keeps_the_first_axis() -> None:
    image = gc.input("image", ("batch", 2, 3))
    data = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    np.testing.assert_array_equal(gc.evaluate(layers.Flatten()(image), {"image": data}), data.reshape(4, 6))
    assert str(layers.Flatten()(rows()).type) == "f32[batch, 3]"
    assert str(layers.Flatten()(gc.input("line", ("batch",))).type) == "f32[batch, 1]"


def test_sequential_chains_layers_and_numbers_their_names() -> None:
    network = layers.Sequential(
        [layers.Dense(4, "tanh"), layers.Dense(4), layers.Sequential([layers.Dense(2)]), layers.Dense(1, name="head")],
        name="net",
    )
    y = network(rows())
    assert names(network) == [
        f"net/{name}/{kind}" for name in ("dense", "dense_1", "sequential/dense", "head") for kind in ("weight", "bias")
    ]
    value = np.tanh(DATA @ network[0].weight.value)
    for layer in (network[1], network[2][0], network[3]):
        value = value @ layer.weight.value
    np.testing.assert_allclose(gc.evaluate(y, {"x": DATA}), value, 1e-4, 1e-6)


def test_a_given_name_is_not_taken_twice() -> None:
    network = layers.Sequential([layers.Dense(3, name="dense_1"), layers.Dense(3), layers.Dense(3)])
    assert [layer.name for layer in network.layers] == ["dense_1", "dense", "dense_2"]


def test_sequential_is_indexed_like_a_list() -> None:
    first, last = layers.Dense(2), layers.Activation("relu")
    network = layers.Sequential([first, last])
    assert (len(network), network[0], network[-1]) == (2, first, last)
    with pytest.raises(IndexError):
        network[2]
    x = rows()
    assert layers.Sequential([])(x).node is x.node


def test_the_scopes_that_are_open_name_parameters_and_values() -> None:
    layer = layers.Dense(2, name="head")
    with gc.scope("model"):
        y = layer(rows())
    assert names(layer) == ["model/head/weight", "model/head/bias"]
    assert y.node.origin.scope == ("model", "head")


def test_a_value_of_a_layer_remembers_the_line_that_called_it() -> None:
    y = layers.Dense(2)(rows())
    location = y.node.origin.location
    assert location is not None
    assert location.source == "y = layers.Dense(2)(rows())"


def test_a_layer_called_twice_has_one_weight_whose_gradients_add_up() -> None:
    layer = layers.Dense(3, use_bias=False, kernel_initializer="normal")
    x = rows()
    total = gc.sum(layer(layer(x)))
    assert len(layer.parameters) == 1
    weight, ones = layer.weight.value, np.ones((5, 3), np.float32)
    expected = DATA.T @ (ones @ weight.T) + (DATA @ weight).T @ ones
    np.testing.assert_allclose(gc.evaluate(gc.grad(total, layer.weight), {"x": DATA}), expected, 1e-5, 1e-6)
    repeated = layers.Sequential([layer, layer])
    repeated(x)
    assert repeated.parameters == layer.parameters


class Residual(layers.Layer):
    """x + inner(x) * gain, with a list of layers inside."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.hidden = layers.Dense(units, activation="relu")
        self.rest = [layers.Dense(units), layers.Dense(3, name="out")]
        self.built = 0

    def build(self, *inputs: gc.Tensor) -> None:
        self.built += 1
        self.gain = self.parameter("gain", (), 2.0)

    def call(self, *inputs: gc.Tensor) -> gc.Tensor:
        (x,) = inputs
        value = self.hidden(x)
        for layer in self.rest:
            value = layer(value)
        return x + value * self.gain


def test_an_own_layer_has_children_parameters_and_a_name() -> None:
    layer = Residual(4)
    y = layer(rows())
    layer(rows())
    assert layer.built == 1
    assert layer.name == "residual"
    assert layer.children == (layer.hidden, *layer.rest)
    assert names(layer) == ["residual/gain"] + [
        f"residual/{name}/{kind}" for name in ("hidden", "dense", "out") for kind in ("weight", "bias")
    ]
    value = relu(DATA @ layer.hidden.weight.value)
    for inner in layer.rest:
        value = value @ inner.weight.value
    np.testing.assert_allclose(gc.evaluate(y, {"x": DATA}), DATA + 2 * value, 1e-4, 1e-6)


def test_a_parameter_that_two_layers_share_is_listed_once() -> None:
    class Tied(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.left = layers.Dense(3)
            self.right = self.left

        def call(self, *inputs: gc.Tensor) -> gc.Tensor:
            return self.right(self.left(*inputs))

    layer = Tied()
    layer(rows())
    assert names(layer) == ["tied/left/weight", "tied/left/bias"]


def test_a_layer_has_no_parameters_before_its_first_call() -> None:
    with pytest.raises(DeclarationError, match="layer 'dense' has no parameters yet") as caught:
        names(layers.Dense(3))
    assert "way out    call the layer on an input first" in str(caught.value)


def test_dense_refuses_what_is_no_row_of_floats() -> None:
    with pytest.raises(ShapeError) as caught:
        layers.Dense(3)(gc.input("ragged", (3, "n")))
    text = str(caught.value)
    assert text.startswith("Dense needs a last axis of fixed size\n  at ")
    assert 'layers.Dense(3)(gc.input("ragged", (3, "n")))' in text
    assert "input      f32[3, n]  input 'ragged', declared at " in text
    assert "expected   [..., features] with an integer" in text
    with pytest.raises(ShapeError, match="Dense needs a last axis of fixed size"):
        layers.Dense(3)(gc.input("scalar", ()))
    with pytest.raises(DTypeError, match="Dense does not take int64") as refused:
        layers.Dense(3)(gc.input("whole", ("batch", 3), "int64"))
    assert 'way out    declare the input as float, or convert it with gc.cast(x, "float32")' in str(refused.value)


def test_a_layer_that_is_built_refuses_other_features() -> None:
    layer = layers.Dense(2)
    layer(rows())
    with pytest.raises(ShapeError, match="matmul: the inner dimensions differ, 5 and 3") as caught:
        layer(gc.input("wide", ("batch", 5)))
    assert "right      f32[3, 2]  state 'dense/weight', declared at " in str(caught.value)
    assert "test_layers.py" in str(caught.value)


@pytest.mark.parametrize(
    "layer", [layers.Dense(2), layers.Activation("relu"), layers.Flatten(), layers.Dropout(0.5), layers.Sequential([])]
)
def test_layers_take_one_tensor(layer: Any) -> None:
    for arguments, got in (((), "nothing"), ((DATA,), "ndarray"), ((rows(), rows()), "Tensor, Tensor")):
        with pytest.raises(DeclarationError, match=f"layer '{layer.name}' takes one tensor") as caught:
            layer(*arguments)
        assert f"got        {got}" in str(caught.value)
        assert "way out    make data a tensor with gc.constant" in str(caught.value)


def test_flatten_refuses_a_scalar() -> None:
    with pytest.raises(ShapeError, match="Flatten needs a first axis") as caught:
        layers.Flatten()(gc.input("scalar", ()))
    assert "input      f32[]  input 'scalar', declared at " in str(caught.value)


@pytest.mark.parametrize("units", [0, -1, 2.5, "4"])
def test_units_are_positive_integers(units: Any) -> None:
    with pytest.raises(DeclarationError, match="units is a positive integer") as caught:
        layers.Dense(units)
    assert f"got        {units!r}" in str(caught.value)


def test_unknown_activations_and_layers_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no activation 'rely'") as caught:
        layers.Dense(3, activation="rely")
    assert "expected   a function of a tensor, or one of linear, celu, " in str(caught.value)
    function: Any = gc.relu
    with pytest.raises(DeclarationError, match="is no layer") as refused:
        layers.Sequential([layers.Dense(3), function])
    assert "way out    wrap a function in layers.Activation" in str(refused.value)


def ones_dropped(rate: float = 0.25) -> tuple[gc.Tensor, gc.Tensor]:
    """An input and its dropout."""
    x = gc.input("x", ("batch", 100))
    return x, layers.Dropout(rate)(x)


def test_dropout_zeroes_a_share_and_scales_the_rest() -> None:
    _, y = ones_dropped()
    found = gc.evaluate(y, {"x": np.ones((100, 100))})
    assert set(np.unique(found)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert found.mean() == pytest.approx(1, abs=0.02)


def test_dropout_differs_from_step_to_step_and_is_the_same_in_the_backward_pass() -> None:
    x, y = ones_dropped()
    slope = gc.grad(gc.sum(y), x)
    assert isinstance(slope, gc.Tensor)
    step = gc.function([x], [y, slope], training=True, seed=3)
    data = np.ones((10, 100), np.float32)
    first, second = step(data), step(data)
    assert isinstance(first, list)
    assert isinstance(second, list)
    for value, gradient in (first, second):
        np.testing.assert_array_equal(value, gradient)
    assert 0.2 < (first[0] != second[0]).mean() < 0.6
    again = gc.function([x], y, training=True, seed=3)
    np.testing.assert_array_equal(np.asarray(again(data)), first[0])


def test_dropout_is_off_in_inference() -> None:
    x, y = ones_dropped()
    function = gc.function([x], y, training=False)
    data = np.random.default_rng(2).normal(size=(4, 100)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(function(data)), data)
    assert not any(isinstance(node.op, Random) for node in function.graph.nodes)


def test_two_dropout_layers_have_different_masks() -> None:
    x = gc.input("x", ("batch", 100))
    network = layers.Sequential([layers.Dropout(0.5), layers.Dropout(0.5)])
    network(x)
    first, second = gc.evaluate([network[0](x), network[1](x)], {"x": np.ones((10, 100))})
    assert 0.4 < (first != second).mean() < 0.6


def test_dropout_at_rate_zero_does_nothing() -> None:
    x, y = ones_dropped(0.0)
    assert y.node is x.node


@pytest.mark.parametrize("rate", [1.0, -0.1, 1.5, float("nan")])
def test_the_rate_of_dropout_is_a_probability_below_one(rate: float) -> None:
    with pytest.raises(DeclarationError, match="the rate of dropout is a probability below 1") as caught:
        layers.Dropout(rate)
    assert "expected   0 <= rate < 1" in str(caught.value)
    assert f"got        {rate!r}" in str(caught.value)
