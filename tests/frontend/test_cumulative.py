"""Running sums against numpy."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

RNG = np.random.default_rng(0)


def cumsum(x: Array, axis: int, reverse: bool, exclusive: bool) -> Array:
    turned = np.flip(x, axis) if reverse else x
    total = np.cumsum(turned, axis)
    if exclusive:
        total = total - turned
    return np.flip(total, axis) if reverse else total


@pytest.mark.parametrize("size", [0, 1, 5, 64, 65, 130, 5000])
def test_running_sums_of_any_length_are_exact_for_integers(size: int) -> None:
    data = RNG.integers(-9, 9, (2, size))
    x = gc.input("x", data.shape, "int64")
    found = gc.function([x], gc.cumsum(x, axis=1))(data)
    np.testing.assert_array_equal(found, np.cumsum(data, 1), strict=True)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 70, 2)])
def test_directions_and_axes(shape: tuple[int, ...], reverse: bool, exclusive: bool) -> None:
    data = RNG.normal(size=shape)
    for axis in (0, 1, -1):
        found = gc.evaluate(gc.cumsum(data, axis, reverse, exclusive))
        np.testing.assert_allclose(found, cumsum(data, axis, reverse, exclusive), 1e-12, 1e-12)


def test_the_derivative_is_the_sum_in_the_other_direction() -> None:
    weights = RNG.normal(size=70)
    x = gc.input("x", (70,), "float64")
    slope = gc.grad(gc.sum(gc.cumsum(x) * weights), x)
    assert isinstance(slope, gc.Tensor)
    found = gc.evaluate(slope)
    np.testing.assert_allclose(found, np.cumsum(weights[::-1])[::-1], 1e-12, 1e-13)
    assert_slopes(lambda x: gc.cumsum(x, axis=1, reverse=True), {"x": RNG.normal(size=(2, 6))})


def test_what_is_no_number_spoils_only_what_comes_after() -> None:
    data = np.ones(200)
    data[[70, 150]] = np.inf, np.nan
    found = gc.evaluate(gc.cumsum(data))
    np.testing.assert_array_equal(found, np.cumsum(data))
    assert found[69] == 70


def test_truth_values_are_counted() -> None:
    found = gc.evaluate(gc.cumsum([True, False, True]))
    np.testing.assert_array_equal(found, np.array([1, 1, 2]), strict=True)
    assert str(gc.cumsum(gc.input("x", (3,), "int32")).type) == "i64[3]"


def test_sizes_may_be_known_at_run_time_only() -> None:
    x = gc.input("x", ("batch", "time"), "float64")
    running = gc.function([x], gc.cumsum(x, axis=1))
    for shape in ((2, 3), (1, 100), (3, 0)):
        data = RNG.normal(size=shape)
        np.testing.assert_allclose(np.asarray(running(data)), np.cumsum(data, 1), 1e-12)


def test_axes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ShapeError, match="axis 1 does not fit 1 dimensions"):
        gc.cumsum([1.0], axis=1)
