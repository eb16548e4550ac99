"""Reductions and what is built on them, against numpy; extreme values; wrong axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, ShapeError
from graphc.scalar import Array

Reduction = Callable[..., Any]

VALUES = np.random.default_rng(0).normal(size=(2, 3, 4))
AXES = [None, 0, -1, (0, 1), (-1, 0), (), (0, 1, 2)]
PAIRS: list[tuple[Reduction, Reduction]] = [
    (gc.sum, np.sum),
    (gc.mean, np.mean),
    (gc.var, np.var),
    (gc.prod, np.prod),
    (gc.max, np.max),
    (gc.min, np.min),
]


def name(value: object) -> str:
    return getattr(value, "__name__", str(value))


def log_of_sum(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return np.asarray(np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)))


@pytest.mark.parametrize(("ours", "theirs"), [*PAIRS, (gc.logsumexp, log_of_sum)], ids=name)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_follow_numpy(ours: Reduction, theirs: Reduction, axis: Any, keepdims: bool) -> None:
    found = gc.evaluate(ours(gc.input("x", (2, 3, 4), "float64"), axis, keepdims), {"x": VALUES})
    np.testing.assert_allclose(found, theirs(VALUES, axis=axis, keepdims=keepdims), 1e-12, 1e-15, strict=True)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_argmax_follows_numpy(axis: int | None) -> None:
    ties = np.round(VALUES)
    found = gc.evaluate(gc.argmax(gc.constant(ties), axis))
    np.testing.assert_array_equal(found, np.argmax(ties, axis))
    assert found.dtype == np.int64


@pytest.mark.parametrize("axis", [(0, 1), [0], 1.0, "rows"], ids=str)
def test_argmax_goes_along_one_axis(axis: Any) -> None:
    x = gc.input("x", (2, 3))
    with pytest.raises(DeclarationError, match="argmax goes along one axis") as caught:
        gc.argmax(x, axis)
    text = str(caught.value)
    assert "    gc.argmax(x, axis)\n  operand    f32[2, 3]  input 'x', declared at " in text
    assert f"expected   an integer\n  got        {axis!r}\n  way out    reshape the tensor so that " in text


def test_integers_of_numpy_are_axes() -> None:
    x, one = gc.input("x", (2, 3)), np.int64(-1)
    assert gc.argmax(x, cast(Any, one)).node is gc.argmax(x, 1).node
    assert gc.sum(x, cast(Any, one)).node is gc.sum(x, 1).node


def test_reductions_run_over_named_sizes() -> None:
    x = gc.input("x", ("batch", 3), "float64")
    array = VALUES.reshape(-1, 3)
    found = gc.evaluate([x.mean(0), x.var(), x.mean(), x.argmax()], {"x": array})
    expected = [array.mean(0), array.var(), array.mean(), array.argmax()]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, 1e-12)


def test_sums_of_integers_and_truth_values_are_int64() -> None:
    large = gc.constant(np.array([2**31 - 1, 1], np.int32))
    assert gc.evaluate(large.sum()) == 2**31
    assert gc.evaluate(gc.prod(large + 0)) == 2**31 - 1
    assert gc.evaluate(gc.sum([True, False, True])) == 2
    assert [t.dtype.name for t in (large.sum(), gc.sum([True]), large.max())] == ["int64", "int64", "int32"]


def test_means_of_integers_are_float32() -> None:
    found = gc.evaluate([gc.mean([1, 2]), gc.var([1, 2]), gc.mean([True, False, False, False])])
    assert [(float(value), value.dtype.name) for value in found] == [
        (1.5, "float32"),
        (0.25, "float32"),
        (0.25, "float32"),
    ]


def test_reductions_over_no_elements() -> None:
    empty = gc.input("x", ("batch", 2))
    feed = {"x": np.zeros((0, 2))}
    total, product, mean = gc.evaluate([empty.sum(0), empty.prod(0), empty.mean(0)], feed)
    assert total.tolist() == [0, 0]
    assert product.tolist() == [1, 1]
    assert np.isnan(mean).all()
    with pytest.raises(ShapeError, match="reduce_max over no elements") as caught:
        gc.max(gc.constant([]))
    assert "expected   at least one element along the axes" in str(caught.value)


def test_variance_does_not_cancel() -> None:
    shifted = np.array([1e8, 1e8 + 1, 1e8 + 2])
    assert gc.evaluate(gc.var(gc.constant(shifted))) == pytest.approx(2 / 3)


def test_logsumexp_of_extreme_values_is_exact() -> None:
    cases = {
        (1e4, 1e4): 1e4 + np.log(2),
        (-1e4, -1e4): -1e4 + np.log(2),
        (1e4, -1e4): 1e4,
        (-np.inf, 0.0): 0.0,
        (-np.inf, -np.inf): -np.inf,
        (np.inf, 0.0): np.inf,
    }
    for values, expected in cases.items():
        assert gc.evaluate(gc.logsumexp(gc.constant(np.array(values)))) == expected


def test_the_gradient_of_logsumexp_is_softmax() -> None:
    x = gc.input("x", (2, 3), "float64")
    extreme = np.array([[1e4, 0, -1e4], [1.0, 2.0, 3.0]])
    slope = gc.grad(gc.logsumexp(x, axis=1).sum(), x)
    shifted = np.exp(extreme - extreme.max(1, keepdims=True))
    expected = shifted / shifted.sum(1, keepdims=True)
    np.testing.assert_allclose(gc.evaluate(slope, {"x": extreme}), expected, 1e-12)
    np.testing.assert_allclose(gc.evaluate(gc.softmax(x), {"x": extreme}), expected, 1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_sums_to_one_and_has_its_logarithm(axis: int) -> None:
    x = gc.constant(VALUES)
    chances, logarithms = gc.evaluate([gc.softmax(x, axis), gc.log_softmax(x, axis)])
    np.testing.assert_allclose(chances.sum(axis), np.ones(chances.sum(axis).shape), 1e-14)
    np.testing.assert_allclose(np.exp(logarithms), chances, 1e-13)


def test_log_softmax_of_extreme_values_is_exact() -> None:
    found = gc.evaluate(gc.log_softmax(gc.constant(np.array([1e4, 0.0, -1e4]))))
    assert found.tolist() == [0.0, -1e4, -2e4]


@pytest.mark.parametrize("order", [1, 2, 2.5, 3, np.inf])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_norms_follow_numpy(order: float, axis: int | None) -> None:
    matrix = VALUES[0]
    found = gc.evaluate(gc.norm(gc.constant(matrix), order, axis))
    vector = matrix.ravel() if axis is None else matrix
    np.testing.assert_allclose(found, np.linalg.norm(vector, order, axis), 1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_derivative_of_a_norm_at_zero_is_zero(order: float) -> None:
    x = gc.input("x", (2, 2), "float64")
    slope = gc.grad(gc.norm(x, order, axis=1).sum(), x)
    found = gc.evaluate(slope, {"x": [[0, 0], [3, 4]]})
    assert found[0].tolist() == [0, 0]
    assert (found[1] > 0).all()


@pytest.mark.parametrize("order", [0, 0.5, -1, float("nan")])
def test_norms_of_lower_order_are_refused(order: float) -> None:
    with pytest.raises(DeclarationError, match="a norm needs an order of at least 1") as caught:
        gc.norm([1.0], order)
    assert f"got        {order}" in str(caught.value)
    assert "test_reductions.py" in str(caught.value)


@pytest.mark.parametrize(
    ("axis", "first", "got"),
    [
        (2, "axis 2", "(2,)"),
        (-3, "axis -3", "(-3,)"),
        ((0, 0), "axis (0, 0)", "(0, 0)"),
        ((1, -1), "axis (1, -1)", "(1, -1)"),
    ],
)
def test_wrong_axes_are_refused(axis: Any, first: str, got: str) -> None:
    x = gc.input("x", (4, 3))
    for function in (gc.sum, gc.max, gc.mean, gc.softmax, gc.logsumexp):
        reduce: Reduction = function
        with pytest.raises(ShapeError) as caught:
            reduce(x, axis=axis)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{first} does not fit 2 dimensions"
        assert lines[1].endswith("    reduce(x, axis=axis)")
        assert lines[2].startswith("  operand    f32[4, 3]  input 'x', declared at ")
        assert lines[3:] == ["  expected   different numbers from -2 to 1", f"  got        {got}"]


def test_a_scalar_has_no_axis() -> None:
    with pytest.raises(ShapeError, match="axis 0 does not fit 0 dimensions") as caught:
        gc.input("x", ()).sum(0)
    assert "expected   no axis" in str(caught.value)
