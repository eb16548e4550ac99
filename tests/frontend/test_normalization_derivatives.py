"""Derivatives of normalising layers, compiled, by their input, scale and offset, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from tests.frontend.slopes import assert_slopes

SHAPES = [(6, 3), (3, 4, 2), (2, 3, 5, 3), (2, 2, 3, 2, 2)]


def normalised(x: gc.Tensor, scale: gc.Tensor, offset: gc.Tensor, layer: layers.Layer) -> gc.Tensor:
    """The layer with scale and offset that can be differentiated by as inputs."""
    return layer(x) * scale + offset


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives_of_batch_norm_are_slopes_in_training_and_inference(shape: tuple[int, ...], training: bool) -> None:
    rng = np.random.default_rng(0)
    layer = layers.BatchNorm(epsilon=1e-3, use_scale=False, use_offset=False)
    layer(gc.input("built", shape, "float64"))
    layer.running_mean.value, layer.running_variance.value = rng.normal(size=shape[-1]), rng.random(shape[-1]) + 0.5
    data = {
        "x": rng.normal(2, 1.5, size=shape),
        "scale": rng.normal(size=shape[-1]),
        "offset": rng.normal(size=shape[-1]),
    }
    assert_slopes(lambda x, scale, offset: normalised(x, scale, offset, layer), data, training)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 3), -1), ((3, 4, 2), 1), ((3, 4, 2), (1, 2)), ((2, 3, 5, 3), (1, 3)), ((2, 3, 4, 2), (1, 2, 3))],
    ids=str,
)
def test_derivatives_of_layer_norm_are_slopes(shape: tuple[int, ...], axes: int | tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    layer = layers.LayerNorm(axes, epsilon=1e-3, use_scale=False, use_offset=False)
    data = {
        "x": rng.normal(2, 1.5, size=shape),
        "scale": rng.normal(size=shape[1:]),
        "offset": rng.normal(size=shape[1:]),
    }
    assert_slopes(lambda x, scale, offset: normalised(x, scale, offset, layer), data)
