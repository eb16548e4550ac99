"""Sorting, the largest elements and elements along an axis against numpy, with ties, NaN and few elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

RNG = np.random.default_rng(0)
INF, NAN = np.inf, np.nan
DATA: dict[str, Array] = {
    "numbers": RNG.normal(size=(4, 7)),
    "ties": RNG.integers(-2, 3, (5, 9)).astype(np.float32),
    "integers": RNG.integers(-5, 5, (3, 8)).astype(np.int32),
    "extremes": np.array([[2**63 - 1, -(2**63), 0, -(2**63)]]),
    "not all numbers": np.array([[NAN, 1.0, INF, -INF, NAN, -INF, 0.0, -0.0], [NAN] * 8, [-INF] * 8]),
    "one": np.array([[3.0], [NAN]]),
    "none": np.zeros((2, 0)),
    "no rows": np.zeros((0, 3)),
    "a line": np.array([3.0, 1.0, 2.0]),
}


def descending(x: Array) -> Array:
    """The order from large to small, in which equal elements stay in theirs."""
    turned = np.flip(x, -1)
    order = np.argsort(turned, axis=-1, kind="stable")
    return np.asarray(np.flip(x.shape[-1] - 1 - order, -1))


@pytest.mark.parametrize("name", DATA)
def test_orders_are_those_of_numpy(name: str) -> None:
    data = DATA[name]
    x = gc.input("x", data.shape, data.dtype)
    asked = [gc.argsort(x), gc.sort(x), gc.argsort(x, descending=True), gc.sort(x, descending=True)]
    up, down = np.argsort(data, axis=-1, kind="stable"), descending(data)
    expected = [up, np.take_along_axis(data, up, -1), down, np.take_along_axis(data, down, -1)]
    compiled = gc.function([x], asked)(data)
    assert isinstance(compiled, list)
    for found in (gc.evaluate(asked, {"x": data}), compiled):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs, strict=True)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_the_largest_are_the_first_in_order(name: str, long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if long:
        monkeypatch.setattr("graphc.frontend.sorting._LONG", 0)
    data = DATA[name]
    for k in range(min(data.shape[-1], 4) + 1):
        values, indices = gc.top_k(gc.constant(data), k)
        found = gc.evaluate([values, indices])
        expected = descending(data)[..., :k]
        np.testing.assert_array_equal(found[1], expected)
        np.testing.assert_array_equal(found[0], np.take_along_axis(data, expected, -1), strict=True)


def test_the_largest_of_a_long_axis() -> None:
    data = RNG.permutation(6000).reshape(2, 3000).astype(np.float32)
    x = gc.input("x", data.shape)
    values, indices = gc.top_k(x, 3)
    found = gc.function([x], [values, indices])(data)
    assert isinstance(found, list)
    np.testing.assert_array_equal(found[0], np.sort(data, -1)[:, :-4:-1])
    np.testing.assert_array_equal(found[1], np.argsort(data, -1)[:, :-4:-1])


def test_any_axis_is_sorted() -> None:
    data = RNG.normal(size=(3, 4, 5))
    x = gc.input("x", data.shape, "float64")
    for axis in (0, 1, -1, -3):
        values, indices = gc.top_k(x, 2, axis)
        found = gc.evaluate([gc.sort(x, axis), gc.argsort(x, axis), values, indices], {"x": data})
        np.testing.assert_array_equal(found[0], np.sort(data, axis))
        np.testing.assert_array_equal(found[1], np.argsort(data, axis))
        order = np.flip(np.argsort(data, axis), axis).take([0, 1], axis)
        np.testing.assert_array_equal(found[3], order)
        np.testing.assert_array_equal(found[2], np.take_along_axis(data, order, axis))


def test_sizes_may_be_known_at_run_time_only() -> None:
    x = gc.input("x", ("batch", "time"), "float64")
    sort = gc.function([x], [gc.sort(x), gc.argsort(x, descending=True)])
    for shape in ((2, 5), (3, 1), (1, 9), (2, 0)):
        data = RNG.normal(size=shape)
        found = sort(data)
        assert isinstance(found, list)
        np.testing.assert_array_equal(found[0], np.sort(data))
        np.testing.assert_array_equal(found[1], descending(data))


def test_gradients_go_back_to_where_elements_came_from() -> None:
    data = RNG.normal(size=(3, 6))
    assert_slopes(gc.sort, {"x": data})
    assert_slopes(lambda x: gc.top_k(x, 2)[0], {"x": data})
    x = gc.input("x", (4,), "float64")
    slope = gc.grad(gc.sum(gc.top_k(x, 2)[0] * [1.0, 10.0]), x)
    assert isinstance(slope, gc.Tensor)
    np.testing.assert_array_equal(gc.evaluate(slope, {"x": [3.0, 5.0, 5.0, 1.0]}), [0, 1, 10, 0])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_elements_along_an_axis_are_numpys(axis: int) -> None:
    data = RNG.normal(size=(3, 4, 5))
    shape = [3, 4, 5]
    shape[axis] = 7
    indices = RNG.integers(-data.shape[axis], data.shape[axis], shape)
    found = gc.evaluate(gc.take_along_axis(data, indices, axis))
    np.testing.assert_array_equal(found, np.take_along_axis(data, indices, axis))
    assert_slopes(lambda x: gc.take_along_axis(x, indices, axis), {"x": data})


def test_indices_out_of_range_read_nothing_of_the_next_row() -> None:
    found = gc.evaluate(gc.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[2, -3, -2], [1, 2, -1]]))
    np.testing.assert_array_equal(found, [[NAN, NAN, 1.0], [4.0, NAN, 4.0]])


def test_what_does_not_fit_is_refused() -> None:
    x = gc.input("x", ("batch", 3))
    with pytest.raises(ShapeError, match="top_k: there are no 4 elements along this axis") as caught:
        gc.top_k(x, 4)
    assert "expected   an axis with an integer of at least 4 elements\n  got        3" in str(caught.value)
    with pytest.raises(ShapeError, match="top_k: there are no 1 elements along this axis"):
        gc.top_k(x, 1, axis=0)
    wrong: Any = 1.5
    for k in (-1, wrong):
        with pytest.raises(DeclarationError, match="top_k: k is a number of elements"):
            gc.top_k(x, k)
    with pytest.raises(DTypeError, match="sort takes numbers") as refused:
        gc.sort(x > 0)
    assert 'way out    convert it with gc.cast(x, "int32")' in str(refused.value)
    with pytest.raises(ShapeError, match="axis 2 does not fit 2 dimensions"):
        gc.argsort(x, axis=2)
    with pytest.raises(ShapeError, match="take_along_axis: the indices do not fit") as caught:
        gc.take_along_axis(x, gc.input("indices", (1, 2), "int64"))
    assert "expected   the shape [batch, 3] but along axis 1\n  got        i64[1, 2]" in str(caught.value)
    with pytest.raises(DTypeError, match="take_along_axis: indices are integers"):
        gc.take_along_axis(x, x)
