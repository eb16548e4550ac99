"""Margins, blocks of pixels and pooling by norms, against plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
PAIRS: Any = [(1, 2), 3]
NUMPY = [(0, 0), (1, 2), (3, 3), (0, 0)]
ONE_END = [(0, 0), (0, 0), (0, 2), (0, 0)]


def blocks(x: Array) -> Array:
    """Pixels of blocks of two by two, one after the other."""
    return np.concatenate([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1)


def pooled(x: Array, order: float) -> Array:
    windows = np.abs(x.reshape(2, 2, 2, 3, 2, 3)) ** order
    return np.asarray(windows.sum((2, 4)) ** (1 / order))


CASES: dict[str, tuple[Callable[[gc.Tensor], gc.Tensor], Array]] = {
    "zeros": (layers.ZeroPad(PAIRS), np.pad(IMAGES, NUMPY)),
    "reflection": (layers.ReflectionPad(PAIRS), np.pad(IMAGES, NUMPY, mode="reflect")),
    "reflection at one end": (layers.ReflectionPad([0, (0, 2)]), np.pad(IMAGES, ONE_END, "reflect")),
    "crop": (layers.Crop([(1, 2), 1]), IMAGES[:, 1:2, 1:5]),
    "space to depth": (layers.SpaceToDepth(2), blocks(IMAGES)),
    "norm": (layers.LpPool2d(2), pooled(IMAGES, 2)),
    "norm of order 3": (layers.LpPool2d(2, order=3), pooled(IMAGES, 3)),
    "norm of order 1": (layers.LpPool2d(2, order=1), pooled(IMAGES, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layer_does_what_numpy_does(name: str) -> None:
    layer, expected = CASES[name]
    found = gc.evaluate(layer(gc.input("x", ("batch", 4, 6, 3), "float64")), {"x": IMAGES})
    np.testing.assert_allclose(found, expected, 1e-12)
    assert_slopes(layer, {"x": IMAGES})


def test_depth_to_space_is_the_way_back() -> None:
    x = gc.input("x", ("batch", "height", "width", 12), "float64")
    found = gc.evaluate(layers.DepthToSpace(2)(x), {"x": blocks(IMAGES)})
    np.testing.assert_array_equal(found, IMAGES)
    line = gc.constant(IMAGES[:, 0])
    both = gc.depth_to_space(gc.space_to_depth(line, 3), 3)
    np.testing.assert_array_equal(gc.evaluate(both), IMAGES[:, 0])
    assert_slopes(lambda x: gc.depth_to_space(x, 2), {"x": blocks(IMAGES)})


def test_no_margin_is_the_input_itself() -> None:
    x = gc.input("x", ("batch", "height", "width", 3))
    for function in (gc.zero_pad, gc.reflection_pad):
        assert function(x, 0).node is x.node
    assert str(gc.crop(x, 0).type) == "f32[batch, height, width, 3]"
    assert str(gc.zero_pad(gc.input("x", ("batch", 4, 3)), [(1, 0)]).type) == "f32[batch, 5, 3]"


def test_a_window_of_zeros_has_norm_zero_and_no_slope() -> None:
    x = gc.input("x", (1, 4, 1), "float64")
    y = gc.lp_pool(x, 2)
    slope = gc.grad(gc.sum(y), x)
    assert isinstance(slope, gc.Tensor)
    found, gradient = gc.evaluate([y, slope], {"x": [[[0.0], [0.0], [3.0], [4.0]]]})
    np.testing.assert_allclose(found.ravel(), [0, 5])
    np.testing.assert_allclose(gradient.ravel(), [0, 0, 0.6, 0.8])
    assert str(layers.LpPool1d(2, strides=1, padding="same")(x).type) == "f64[1, 4, 1]"


def test_padding_counts_as_zeros_in_norms() -> None:
    x = gc.constant(np.ones((1, 3, 1)))
    found = gc.evaluate(gc.lp_pool(x, 3, 2, 1, "same"))
    np.testing.assert_allclose(found.ravel(), np.sqrt([2, 3, 2]))


def test_what_does_not_fit_is_refused() -> None:
    x = gc.input("x", ("batch", 4, 6, 3))
    with pytest.raises(ShapeError, match="zero_pad needs an axis between the batch and the channels") as caught:
        gc.zero_pad(gc.input("x", ("batch", 3)), 1)
    assert "expected   [batch, *spatial, channels]\n  got        f32[batch, 3]" in str(caught.value)
    amounts: list[Any] = [-1, [1], [1, 2, 3], [(1, 2, 3), 1], [(1, -2), 1], [1.5, 1], 1.5]
    for amount in amounts:
        with pytest.raises(DeclarationError, match="crop: the amounts do not fit 2 spatial axes") as refused:
            gc.crop(x, amount)
        assert f"got        {amount!r}" in str(refused.value)
    with pytest.raises(ShapeError, match="reflection_pad: axis 1 is too small") as caught:
        gc.reflection_pad(x, 4)
    assert "expected   an integer of at least 5\n  got        f32[batch, 4, 6, 3]" in str(caught.value)
    with pytest.raises(ShapeError, match="crop: axis 1 is too small"):
        gc.crop(x, 2)
    with pytest.raises(ShapeError, match="crop: axis 1 is too small, or its size is known only at run time"):
        gc.crop(gc.input("x", ("batch", "time", 3)), 1)
    with pytest.raises(ShapeError, match="space_to_depth: the pixels do not fall into blocks") as caught:
        gc.space_to_depth(x, 3)
    assert "expected   spatial sizes that are multiples of 3" in str(caught.value)
    with pytest.raises(ShapeError, match="depth_to_space: the channels do not fall into blocks") as caught:
        gc.depth_to_space(x, 2)
    assert "expected   a multiple of 4 channels" in str(caught.value)
    with pytest.raises(DeclarationError, match="depth_to_space: the side of a block is a positive integer"):
        gc.depth_to_space(x, 0)
    with pytest.raises(DeclarationError, match="a norm needs an order of at least 1"):
        gc.lp_pool(x, 2, order=0.5)
