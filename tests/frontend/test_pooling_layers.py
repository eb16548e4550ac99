"""Pooling layers: the functions of the same names, on inputs of the right rank, and inside a network that trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, ShapeError


def batch(axes: int) -> gc.Tensor:
    return gc.input("x", ("batch", *(6, 7, 5)[:axes], 2))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_layer_declares_what_its_function_does(axes: int) -> None:
    x = batch(axes)
    for name, function in (("MaxPool", gc.max_pool), ("AvgPool", gc.avg_pool)):
        kind = getattr(layers, f"{name}{axes}d")
        assert kind(2)(x).node is function(x, 2).node
        assert kind(3, 2, "same")(x).node is function(x, 3, 2, "same").node
        assert kind((2,) * axes, strides=1)(x).node is function(x, 2, 1).node
        assert kind(2).name == f"{name[:3]}_pool{axes}d".lower()
    dilated = getattr(layers, f"MaxPool{axes}d")(2, 1, dilation=2)
    assert dilated(x).node is gc.max_pool(x, 2, 1, dilation=2).node
    counted = getattr(layers, f"AvgPool{axes}d")(2, padding="same", count_include_pad=True)
    assert counted(x).node is gc.avg_pool(x, 2, padding="same", count_include_pad=True).node
    assert layers.GlobalMaxPool()(x).node is gc.global_max_pool(x).node
    assert layers.GlobalAvgPool()(x).node is gc.global_avg_pool(x).node


@pytest.mark.parametrize("name", ["MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d"])
def test_a_layer_refuses_an_input_of_another_rank(name: str) -> None:
    axes = int(name[-2])
    x = batch(axes % 3 + 1)
    with pytest.raises(ShapeError, match=f"{name} does not fit this input") as caught:
        getattr(layers, name)(2)(x)
    text = str(caught.value)
    assert "    getattr(layers, name)(2)(x)\n" in text
    assert f"  expected   [batch, {'*, ' * axes}channels]\n  got        {x.type}" in text


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"window": 0}, "window does not fit 2 spatial axes"),
        ({"window": (2, 2, 2)}, "window does not fit 2 spatial axes"),
        ({"window": 2, "strides": -1}, "strides does not fit 2 spatial axes"),
        ({"window": 2, "dilation": (0, 1)}, "dilation does not fit 2 spatial axes"),
    ],
)
def test_wrong_numbers_are_refused_when_the_layer_is_made(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(DeclarationError, match=what) as caught:
        layers.MaxPool2d(**arguments)
    assert "test_pooling_layers.py" in str(caught.value.at)


def test_a_network_with_pooling_learns_where_a_bright_spot_is() -> None:
    rng = np.random.default_rng(0)
    images = 0.1 * rng.random((64, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 4, 64)
    images[np.arange(64), 2 + 4 * (labels // 2), 2 + 4 * (labels % 2)] = 1
    image, label = gc.input("image", ("batch", 8, 8, 1)), gc.input("label", ("batch",), "int64")
    features = [layers.BatchNorm(), layers.MaxPool2d(2), layers.Dense(4, "tanh"), layers.AvgPool2d(2)]
    network = layers.Sequential([*features, layers.Flatten(), layers.LayerNorm(), layers.Dense(4)])
    logits = network(image)
    loss = gc.losses.softmax_cross_entropy(logits, label)
    accuracy = gc.metrics.accuracy(logits, label)
    model = gc.compile(loss, gc.optimizers.Adam(0.05), metrics={"accuracy": accuracy})
    data = {"image": images, "label": labels}
    assert "same outputs" in model.check(data)[-1]
    model.fit(data, epochs=10, batch_size=16)
    assert model.evaluate(data)["accuracy"] > 0.95
