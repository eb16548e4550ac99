"""Normalisation of groups, instances, root mean squares and neighbouring channels, against plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

DATA = np.random.default_rng(0).normal(1, 2, size=(3, 4, 5, 6))


def normalised(x: Array, axes: tuple[int, ...]) -> Array:
    centred = x - x.mean(axes, keepdims=True)
    return np.asarray(centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5))


def responses(x: Array, size: int, alpha: float, beta: float, bias: float) -> Array:
    total = np.zeros_like(x)
    for channel in range(x.shape[-1]):
        around = slice(max(channel - size // 2, 0), channel + (size - 1) // 2 + 1)
        total[..., channel] = (x[..., around] ** 2).sum(-1)
    return np.asarray(x / (bias + alpha * total) ** beta)


CASES: dict[str, tuple[Callable[[], layers.Layer], Array]] = {
    "group": (lambda: layers.GroupNorm(2), normalised(DATA.reshape(3, 4, 5, 2, 3), (1, 2, 4)).reshape(DATA.shape)),
    "one group": (lambda: layers.GroupNorm(1), normalised(DATA, (1, 2, 3))),
    "instance": (layers.InstanceNorm, normalised(DATA, (1, 2))),
    "root mean square": (layers.RMSNorm, DATA / np.sqrt((DATA**2).mean(-1, keepdims=True) + 1e-6)),
    "responses": (layers.LocalResponseNorm, responses(DATA, 5, 1e-4, 0.75, 2)),
    "four responses": (lambda: layers.LocalResponseNorm(4, 0.5, 0.5, 1.0), responses(DATA, 4, 0.5, 0.5, 1)),
    "many responses": (lambda: layers.LocalResponseNorm(15, 0.5, 2, 1.0), responses(DATA, 15, 0.5, 2, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_follows_its_formula(name: str) -> None:
    make, expected = CASES[name]
    found = gc.evaluate(make()(gc.input("x", ("batch", 4, 5, 6), "float64")), {"x": DATA})
    np.testing.assert_allclose(found, expected, 1e-12, 1e-13)
    assert_slopes(lambda x: make()(x), {"x": DATA[:2, :2, :2]})


def test_scale_and_offset_come_last() -> None:
    x = gc.input("x", ("batch", 4, 5, 6), "float64")
    rng = np.random.default_rng(1)
    for layer in (layers.GroupNorm(3), layers.InstanceNorm(), layers.RMSNorm()):
        plain = gc.evaluate(layer(x), {"x": DATA})
        for parameter in layer.parameters:
            assert str(parameter.type) == "f64[6]"
            parameter.value = rng.normal(size=6)
        expected = plain * layer.scale.value + (0 if isinstance(layer, layers.RMSNorm) else layer.offset.value)
        np.testing.assert_allclose(gc.evaluate(layer(x), {"x": DATA}), expected, 1e-12)
        kinds = ["scale"] if isinstance(layer, layers.RMSNorm) else ["scale", "offset"]
        assert [parameter.name.split("/")[-1] for parameter in layer.parameters] == kinds


def test_layers_without_scale_and_offset_have_no_parameters() -> None:
    x = gc.input("x", ("batch", 4, 6))
    for layer in (layers.GroupNorm(3, use_scale=False, use_offset=False), layers.RMSNorm(use_scale=False)):
        layer(x)
        assert layer.parameters == ()


def test_images_of_any_size_are_normalised() -> None:
    x = gc.input("x", ("batch", "height", "width", 6), "float64")
    y = layers.GroupNorm(2)(layers.InstanceNorm()(x))
    assert gc.evaluate(y, {"x": DATA}).shape == DATA.shape
    assert np.asarray(gc.function([x], y)(DATA[:, :3])).shape == (3, 3, 5, 6)


def test_inputs_that_do_not_fit_are_refused() -> None:
    x = gc.input("x", ("batch", 8, 6))
    with pytest.raises(ShapeError, match="GroupNorm 'norm': the channels do not fall into groups") as caught:
        layers.GroupNorm(4, name="norm")(x)
    text = str(caught.value)
    assert "expected   [batch, *spatial, channels] with a multiple of 4 channels\n  got        f32[batch, 8, 6]" in text
    with pytest.raises(ShapeError, match="InstanceNorm 'instance_norm' needs an axis between") as caught:
        layers.InstanceNorm()(gc.input("x", ("batch", 6)))
    assert "expected   [batch, *spatial, channels]\n  got        f32[batch, 6]" in str(caught.value)
    with pytest.raises(DTypeError, match="RMSNorm does not take int64"):
        layers.RMSNorm()(gc.input("x", ("batch", 6), "int64"))
    with pytest.raises(DTypeError, match="local_response_norm does not take int64"):
        gc.local_response_norm([[1, 2]])
    with pytest.raises(ShapeError, match="local_response_norm needs a fixed number of channels"):
        gc.local_response_norm(gc.input("x", (3, "n")))
    with pytest.raises(DeclarationError, match="local_response_norm: size is a number of channels"):
        gc.local_response_norm([[1.0]], size=0)
    with pytest.raises(DeclarationError, match="groups is a positive integer"):
        layers.GroupNorm(0)
