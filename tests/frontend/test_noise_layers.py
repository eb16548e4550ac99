"""Layers that are random while training: their moments, their masks, and what inference makes of them."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array

IMAGES = np.random.default_rng(0).normal(3, 1, size=(40, 5, 4, 8))


def run(layer: layers.Layer, training: bool, data: Array = IMAGES) -> Array:
    x = gc.input("x", ("batch", *data.shape[1:]), "float64")
    return np.asarray(gc.function([x], layer(x), training=training)(data))


def test_spatial_dropout_drops_whole_channels_of_single_samples() -> None:
    found = run(layers.SpatialDropout(0.25), training=True)
    kept = found != 0
    assert (kept == kept[:, :1, :1]).all()
    np.testing.assert_allclose(found[kept], IMAGES[kept] / 0.75, 1e-12)
    assert kept[:, 0, 0].mean() == pytest.approx(0.75, abs=0.1)
    assert kept[:, 0, 0].std(0).min() > 0
    np.testing.assert_array_equal(run(layers.SpatialDropout(0.25), training=False), IMAGES)


def test_dropout_may_be_scaled_in_inference_in_place_of_training() -> None:
    layer = layers.Dropout(0.25, inverted=False)
    found = run(layer, training=True)
    kept = found != 0
    np.testing.assert_array_equal(found[kept], IMAGES[kept])
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    np.testing.assert_allclose(run(layer, training=False), IMAGES * 0.75, 1e-15)


def test_noise_is_added_while_training() -> None:
    noise = run(layers.GaussianNoise(0.5), training=True) - IMAGES
    assert (noise.mean(), noise.std()) == pytest.approx((0, 0.5), abs=0.02)
    np.testing.assert_array_equal(run(layers.GaussianNoise(0.5), training=False), IMAGES)


def test_noise_may_be_a_factor() -> None:
    factor = run(layers.GaussianDropout(0.2), training=True) / IMAGES
    assert (factor.mean(), factor.std()) == pytest.approx((1, 0.5), abs=0.02)
    np.testing.assert_array_equal(run(layers.GaussianDropout(0.2), training=False), IMAGES)


def test_two_layers_draw_different_numbers() -> None:
    both = layers.Sequential([layers.GaussianNoise(1.0), layers.GaussianNoise(1.0)])
    noise = run(both, training=True) - IMAGES
    assert noise.std() == pytest.approx(2**0.5, abs=0.05)


def test_nothing_to_do_is_the_input_itself() -> None:
    x = gc.input("x", ("batch", 4, 3))
    for layer in (
        layers.Dropout(0, inverted=False),
        layers.SpatialDropout(0),
        layers.GaussianNoise(0),
        layers.GaussianDropout(0),
    ):
        assert layer(x).node is x.node


def test_inputs_and_rates_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DeclarationError, match="a standard deviation is at least 0") as caught:
        layers.GaussianNoise(-1)
    assert "expected   a number of at least 0\n  got        -1" in str(caught.value)
    for kind in (layers.GaussianDropout, layers.SpatialDropout):
        with pytest.raises(DeclarationError, match="the rate of dropout is a probability below 1"):
            kind(1.0)
    with pytest.raises(DTypeError, match="GaussianNoise 'gaussian_noise' does not take int64"):
        layers.GaussianNoise(1.0)(gc.input("x", ("batch",), "int64"))
    with pytest.raises(ShapeError, match="SpatialDropout 'spatial_dropout' does not fit this input") as refused:
        layers.SpatialDropout(0.5)(gc.input("x", ("batch",)))
    assert "expected   [batch, *spatial, channels]\n  got        f32[batch]" in str(refused.value)
