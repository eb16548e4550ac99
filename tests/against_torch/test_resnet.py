"""ResNet-20 for images of 32 by 32: the losses of twenty training steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from tests.against_torch.peer import image_for_torch, kernel_for_torch, torch

STAGES = ((16, 1), (32, 2), (64, 2))
"""Filters, and strides of the first of three blocks."""


class Residual(layers.Layer):
    """The network, with the order of its convolutions and normalisations in lists."""

    def __init__(self) -> None:
        super().__init__("resnet")
        self.made: list[layers.Layer] = []

    def unit(self, x: gc.Tensor, filters: int, window: int, strides: int) -> gc.Tensor:
        padding = window // 2
        convolution = layers.Conv2d(filters, window, strides, padding, use_bias=False, kernel_initializer="he_normal")
        norm = layers.BatchNorm()
        self.made += [convolution, norm]
        return norm(convolution(x))

    def call(self, *inputs: gc.Tensor) -> gc.Tensor:
        value = gc.relu(self.unit(inputs[0], 16, 3, 1))
        for filters, first in STAGES:
            for strides in (first, 1, 1):
                inner = self.unit(gc.relu(self.unit(value, filters, 3, strides)), filters, 3, 1)
                value = gc.relu(inner + (self.unit(value, filters, 1, strides) if strides > 1 else value))
        last = layers.Dense(10)
        self.made.append(last)
        return last(gc.global_avg_pool(value))


def scores_of_torch(x: Any, weights: list[Any]) -> Any:
    """The same network; weights in the order in which its layers were made."""
    left = iter(weights)

    def unit(x: Any, strides: int) -> Any:
        kernel, scale, offset = next(left), next(left), next(left)
        x = torch.nn.functional.conv2d(x, kernel, None, strides, kernel.shape[-1] // 2)
        return torch.nn.functional.batch_norm(x, None, None, scale, offset, training=True)

    value = torch.relu(unit(x, 1))
    for _, first in STAGES:
        for strides in (first, 1, 1):
            inner = unit(torch.relu(unit(value, strides)), 1)
            value = torch.relu(inner + (unit(value, strides) if strides > 1 else value))
    weight, bias = next(left), next(left)
    return value.mean((2, 3)) @ weight + bias


@pytest.mark.parametrize(("dtype", "rate", "tolerance"), [("float32", 1e-3, 1e-3), ("float64", 1e-2, 1e-8)])
def test_twenty_steps_have_the_same_losses(dtype: str, rate: float, tolerance: float) -> None:
    # Every step makes a difference a few times larger, and the faster the larger the steps.
    image, label = gc.input("image", ("batch", 32, 32, 3), dtype), gc.input("label", ("batch",), "int64")
    network = Residual()
    model = gc.compile(losses.softmax_cross_entropy(network(image), label), optimizers.Momentum(rate, 0.9))
    values = [parameter.value for layer in network.made for parameter in layer.parameters]
    assert sum(value.size for value in values) == 272_474
    weights = [
        kernel_for_torch(value) if value.ndim == 4 else torch.from_numpy(value.copy()).requires_grad_()
        for value in values
    ]
    peer = torch.optim.SGD(weights, lr=rate, momentum=0.9)
    rng = np.random.default_rng(0)
    data = [(rng.normal(size=(8, 32, 32, 3)).astype(dtype), rng.integers(0, 10, 8)) for _ in range(4)]
    found, expected = [], []
    for step in range(20):
        x, y = data[step % 4]
        found.append(model.step({"image": x, "label": y})["loss"])
        loss = torch.nn.functional.cross_entropy(scores_of_torch(image_for_torch(x), weights), torch.from_numpy(y))
        peer.zero_grad()
        loss.backward()
        peer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(found, expected, tolerance)
    assert np.mean(expected[-4:]) < 0.9 * np.mean(expected[:4]), "nothing was learnt"
