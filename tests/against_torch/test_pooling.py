"""Pooling and its gradient; where elements are equal, both take the first."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from tests.against_torch.peer import assert_close, image_for_torch, image_of, torch, with_gradients

SIZES = {1: (13,), 2: (9, 8), 3: (5, 6, 4)}
WINDOWS = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 1), (4, 1, 0)]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("window", "strides", "padding"), WINDOWS)
@pytest.mark.parametrize("axes", SIZES)
def test_max_pooling(axes: int, window: int, strides: int, padding: int, dilation: int, ties: bool) -> None:
    rng, sizes = np.random.default_rng(0), SIZES[axes]
    if (window - 1) * dilation >= min(sizes):
        dilation = 1
    shape = (2, *sizes, 5)
    data = (rng.integers(-1, 2, shape) if ties else rng.normal(size=shape)).astype(np.float32)
    x = image_for_torch(data)
    function = getattr(torch.nn.functional, f"max_pool{axes}d")
    result = function(x, window, strides, padding, dilation)
    expected = image_of(result)
    weights = rng.integers(1, 9, expected.shape).astype(np.float32)
    (result * image_for_torch(weights)).sum().backward()
    zeros = [(padding, padding)] * axes
    found = with_gradients(lambda x: gc.max_pool(x, window, strides, zeros, dilation), {"x": data}, weights)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], image_of(x.grad))


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("window", "strides", "padding"), WINDOWS)
@pytest.mark.parametrize("axes", SIZES)
def test_average_pooling(axes: int, window: int, strides: int, padding: int, counted: bool) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, *SIZES[axes], 5)).astype(np.float32)
    x = image_for_torch(data)
    function = getattr(torch.nn.functional, f"avg_pool{axes}d")
    result = function(x, window, strides, padding, count_include_pad=counted)
    expected = image_of(result)
    weights = rng.normal(size=expected.shape).astype(np.float32)
    (result * image_for_torch(weights)).sum().backward()
    zeros = [(padding, padding)] * axes
    found = with_gradients(
        lambda x: gc.avg_pool(x, window, strides, zeros, count_include_pad=counted), {"x": data}, weights
    )
    assert_close(found[0], expected)
    assert_close(found[1], image_of(x.grad))
