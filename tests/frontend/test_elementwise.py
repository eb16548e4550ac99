"""Functions of one element at a time: values far out, derivatives at corners, operands in any order."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, FeedError, ShapeError
from graphc.scalar import Array

Function = Callable[[gc.Tensor], gc.Tensor]


def value_and_slope(function: Function, points: Array) -> tuple[list[float], list[float]]:
    """The function and its derivative at float64 points."""
    x = gc.input("x", ("n",), "float64")
    y = function(x)
    slope = gc.grad(gc.sum(y), x, unused="zeros")
    assert isinstance(slope, gc.Tensor)
    value, derivative = gc.evaluate([y, slope], {"x": points})
    return value.tolist(), derivative.tolist()


FAR: list[tuple[Function, list[float], list[float]]] = [
    (gc.relu, [0, 1e4], [0, 1]),
    (gc.leaky_relu, [-100, 1e4], [0.01, 1]),
    (gc.elu, [-1, 1e4], [0, 1]),
    (gc.sigmoid, [0, 1], [0, 0]),
    (gc.tanh, [-1, 1], [0, 0]),
    (gc.softplus, [0, 1e4], [0, 1]),
    (gc.log_sigmoid, [-1e4, 0], [1, 0]),
]


@pytest.mark.parametrize(("function", "values", "slopes"), FAR, ids=lambda value: getattr(value, "__name__", ""))
def test_activations_are_exact_far_from_zero(function: Function, values: list[float], slopes: list[float]) -> None:
    assert value_and_slope(function, np.array([-1e4, 1e4])) == (values, slopes)


AT_ZERO: list[tuple[Function, float]] = [
    (gc.relu, 0.0),
    (lambda x: gc.leaky_relu(x, 0.2), 0.2),
    (lambda x: gc.elu(x, 0.5), 0.5),
    (gc.abs, 0.0),
    (gc.sign, 0.0),
    (lambda x: gc.maximum(x, 0.0), 0.5),
    (lambda x: gc.minimum(0.0, x), 0.5),
    (lambda x: gc.clip(x, -1.0, 1.0), 1.0),
    (lambda x: gc.clip(x, 1.0, 2.0), 0.0),
    (lambda x: gc.where(x > 0, x, x * 3), 3.0),
    (lambda x: gc.stop_gradient(x) * 2 + x * 5, 5.0),
]


@pytest.mark.parametrize(("function", "slope"), AT_ZERO)
def test_derivatives_at_corners_are_the_documented_ones(function: Function, slope: float) -> None:
    _, slopes = value_and_slope(function, np.zeros(1))
    assert slopes == [slope]


def test_not_a_number_passes_through() -> None:
    for function in (gc.relu, gc.leaky_relu, gc.elu, gc.sigmoid, gc.softplus, gc.abs):
        assert np.isnan(gc.evaluate(function(float("nan"))))
    assert np.isnan(gc.evaluate(gc.maximum([float("nan")], [1.0])))
    assert gc.evaluate(gc.isfinite([float("nan"), inf, 1.0])).tolist() == [False, False, True]


def test_extremes_take_operands_in_any_order() -> None:
    x = gc.input("x", (2, 1))
    feed = {"x": [[-1.0], [2.0]]}
    row = np.array([0.0, 3.0], np.float32)
    for left, right in ((x, row), (row, x)):
        np.testing.assert_array_equal(gc.evaluate(gc.maximum(left, right), feed), [[0, 3], [2, 3]])
        np.testing.assert_array_equal(gc.evaluate(gc.minimum(left, right), feed), [[-1, -1], [0, 2]])
    np.testing.assert_array_equal(gc.evaluate(gc.clip(x, row - 1, 1.0), feed), [[-1, 1], [1, 1]])


def test_where_broadcasts_and_promotes_all_three() -> None:
    rows, columns = np.array([[True], [False]]), np.array([1, 2, 3])
    found = gc.evaluate(gc.where(rows, columns, np.float64(0.5)))
    np.testing.assert_array_equal(found, np.where(rows, columns, 0.5), strict=True)
    x = gc.input("x", (3,))
    assert gc.where(x > 0, 1, x).dtype == gc.float32
    assert gc.where(True, 1, 2.0).dtype == gc.float32


def test_where_refuses_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ShapeError) as caught:
        gc.where(gc.input("mask", (2,), "bool"), gc.input("x", (3,)), 0.0)
    text = str(caught.value)
    assert text.startswith("where: the shapes [2] and [3] and [] do not broadcast\n")
    assert "operand 1  bool[2]  input 'mask', declared at " in text
    assert "operand 3  f32[]  constant" in text


def test_functions_of_floats_make_floats_of_integers() -> None:
    whole = gc.constant([0, 1])
    for function in (gc.exp, gc.sqrt, gc.tanh, gc.sigmoid, gc.floor):
        assert function(whole).dtype == gc.float32
    assert gc.abs(whole).dtype == gc.sign(whole).dtype == gc.relu(whole).dtype == gc.int64
    with pytest.raises(DTypeError, match="abs does not take bool"):
        gc.abs([True])


def test_casts_drop_the_fraction() -> None:
    x = gc.constant([1.9, -1.9, 0.0])
    assert gc.evaluate(gc.cast(x, "int64")).tolist() == [1, -1, 0]
    assert gc.evaluate(gc.cast(x, bool)).tolist() == [True, True, False]
    assert gc.cast(x, "float32").node is x.node
    with pytest.raises(DTypeError, match="'float16' is not an element type of graphc"):
        gc.cast(x, "float16")


def test_a_range_is_checked() -> None:
    x = gc.input("x", (3,), "int64")
    checked = gc.check_range(x, -1, 2)
    assert gc.evaluate(checked, {"x": [-1, 0, 1]}).tolist() == [-1, 0, 1]
    with pytest.raises(FeedError, match="2 of 3 integers are out of range") as caught:
        gc.evaluate(checked, {"x": [0, 2, -2]})
    assert "expected   -1 <= value < 2\n  got        2 at [1]" in str(caught.value)


def test_the_training_switch_has_two_sides() -> None:
    x = gc.input("x", (2,))
    switch = gc.training_switch(x * 2, x)
    data = np.array([1.0, 2.0], np.float32)
    np.testing.assert_array_equal(np.asarray(gc.function([x], switch, training=True)(data)), data * 2)
    np.testing.assert_array_equal(np.asarray(gc.function([x], switch, training=False)(data)), data)
