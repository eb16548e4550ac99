"""Tensors: operators as in numpy, element types, and what is refused where it is written."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array

Binary = Callable[[Any, Any], Any]

FLOATS: list[Binary] = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]
COMPARISONS: list[Binary] = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
LOGICAL: list[Binary] = [operator.and_, operator.or_, operator.xor]
PAIRS = shapes.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)


def numbers(shape: Iterable[int], dtype: str = "float64", seed: int = 0) -> Array:
    """Multiples of 1/4 without 0, so that quotients and remainders of arrays have one right answer."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(1, 20, tuple(shape)) * rng.choice([-1, 1], tuple(shape))
    return np.asarray(whole if dtype.startswith("int") else whole / 4, dtype)


def tensor(array: Array, name: str = "x") -> tuple[gc.Tensor, dict[str, object]]:
    """An input for an array, and its feed."""
    return gc.input(name, array.shape, array.dtype), {name: array}


def check(function: Binary, left: Array, right: Array) -> None:
    """The function of two tensors is the function of two arrays, in value and element type."""
    (x, x_feed), (y, y_feed) = tensor(left, "x"), tensor(right, "y")
    found = gc.evaluate(function(x, y), {**x_feed, **y_feed})
    expected = np.asarray(function(left, right))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-14, strict=True)


@pytest.mark.parametrize("function", [*FLOATS, *COMPARISONS], ids=lambda function: function.__name__)
@given(PAIRS, st.integers(0, 9))
def test_operators_broadcast_as_in_numpy(function: Binary, pair: shapes.BroadcastableShapes, seed: int) -> None:
    left, right = pair.input_shapes
    check(function, numbers(left, seed=seed), numbers(right, seed=seed + 1))


@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, *COMPARISONS],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_operators_of_integers_follow_numpy(function: Binary, dtype: str) -> None:
    check(function, numbers((5, 1), dtype), numbers((6,), dtype, 1))


@pytest.mark.parametrize("function", LOGICAL, ids=lambda function: function.__name__)
def test_logic_of_truth_values_follows_numpy(function: Binary) -> None:
    left, right = np.array([[False], [True]]), np.array([False, True])
    check(function, left, right)
    x, feed = tensor(right)
    np.testing.assert_array_equal(gc.evaluate(function(left, x), feed), function(left, right))
    np.testing.assert_array_equal(gc.evaluate(function(True, x), feed), function(True, right))


@pytest.mark.parametrize("function", [*FLOATS, *COMPARISONS], ids=lambda function: function.__name__)
@pytest.mark.parametrize("other", [2, 2.5, numbers((3, 1)), numbers((2, 1, 1))], ids=["int", "float", "wide", "deep"])
def test_numbers_and_arrays_stand_on_either_side(function: Binary, other: Any) -> None:
    array = numbers((3, 4), seed=4)
    x, feed = tensor(array)
    np.testing.assert_allclose(gc.evaluate(function(x, other), feed), function(array, other), 1e-14, strict=True)
    np.testing.assert_allclose(gc.evaluate(function(other, x), feed), function(other, array), 1e-14, strict=True)


def test_lists_stand_on_either_side() -> None:
    x, feed = tensor(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(gc.evaluate([10, 20] - x, feed), [9, 18])
    np.testing.assert_array_equal(gc.evaluate(x - [10, 20], feed), [-9, -18])


def test_unary_operators_follow_numpy() -> None:
    array = numbers((3, 2))
    x, feed = tensor(array)
    found = gc.evaluate([-x, abs(x), x.T, ~(x > 0)], feed)
    for value, expected in zip(found, [-array, abs(array), array.T, ~(array > 0)], strict=True):
        np.testing.assert_array_equal(value, expected, strict=True)


def test_powers_follow_numpy() -> None:
    floats, whole = np.array([0.5, 2.0, 3.0]), np.array([-2, 0, 3])
    check(operator.pow, floats, np.array([2.0, -1.0, 0.5]))
    x, feed = tensor(whole)
    powers = gc.evaluate([x**0, x**3, x**-1, 2**x], feed)
    np.testing.assert_array_equal(powers[0], [1, 1, 1])
    np.testing.assert_array_equal(powers[1], whole**3)
    np.testing.assert_allclose(powers[2], [-0.5, np.inf, 1 / 3], 1e-7)
    np.testing.assert_array_equal(powers[3], [0.25, 1, 8])
    assert [value.dtype.name for value in powers] == ["int64", "int64", "float32", "float32"]


MATRICES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((2, 0), (0, 4)),
    ((0, 3), (3, 4)),
]


@pytest.mark.parametrize(("left", "right"), MATRICES, ids=str)
def test_matrix_products_follow_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    check(operator.matmul, numbers(left), numbers(right, seed=1))
    a, b = numbers(left), numbers(right, seed=1)
    y, feed = tensor(b)
    np.testing.assert_allclose(gc.evaluate(a @ y, feed), a @ b, 1e-14, strict=True)
    np.testing.assert_allclose(gc.evaluate(gc.matmul(gc.constant(a), b)), a @ b, 1e-14, strict=True)


def result_type(left: str, right: str) -> str:
    x, y = gc.input("x", (2,), left), gc.input("y", (2,), right)
    total = x + y
    assert (y + x).dtype == total.dtype
    return total.dtype.name


def test_element_types_are_promoted_as_in_pytorch() -> None:
    assert result_type("int32", "int64") == "int64"
    assert result_type("int64", "float32") == "float32"
    assert result_type("float32", "float64") == "float64"
    assert result_type("bool", "int32") == "int32"
    assert (gc.input("i", (), "int64") / gc.input("j", (), "int64")).dtype == gc.float32


@pytest.mark.parametrize(
    ("dtype", "other", "expected"),
    [
        ("float32", 1, "float32"),
        ("float32", 0.1, "float32"),
        ("float32", np.float64(0.1), "float32"),
        ("float32", np.ones(2), "float32"),
        ("float32", 2**40, "float32"),
        ("float32", True, "float32"),
        ("float64", np.float32(1), "float64"),
        ("int32", 7, "int32"),
        ("int32", 2**31, "int64"),
        ("int32", -(2**31), "int32"),
        ("int32", 0.5, "float32"),
        ("int32", np.arange(2), "int64"),
        ("int64", np.ones(2), "float32"),
        ("bool", 1, "int64"),
    ],
)
def test_data_beside_a_tensor_takes_its_element_type_where_that_can_hold_it(
    dtype: str, other: Any, expected: str
) -> None:
    x = gc.input("x", (2,), dtype)
    assert (x + other).dtype.name == expected
    assert (other + x).dtype.name == expected


def test_a_number_too_large_for_int32_keeps_its_value() -> None:
    x = gc.input("x", (2,), "int32")
    np.testing.assert_array_equal(gc.evaluate(x + 2**40, {"x": [1, -1]}), [2**40 + 1, 2**40 - 1])


def test_methods_and_functions_are_the_same_nodes() -> None:
    x = gc.input("x", ("batch", 3))
    assert x.exp().node is gc.exp(x).node
    assert x.sum(axis=-1).node is gc.sum(x, axis=1).node
    assert x.astype("float64").node is x.cast(np.float64).node is gc.cast(x, gc.float64).node
    assert x.equals(1.0).node is (x == 1.0).node


def test_a_tensor_knows_its_type() -> None:
    x = gc.input("x", ("batch", 3))
    assert (str(x.type), x.ndim, str(x.size), x.dtype) == ("f32[batch, 3]", 2, "3*batch", gc.float32)
    assert repr(x) == "<Tensor f32[batch, 3]>"
    assert len(gc.input("y", (4, 2))) == 4


def test_iteration_gives_the_rows() -> None:
    x, feed = tensor(numbers((3, 2)))
    np.testing.assert_array_equal(gc.evaluate([*x], feed), numbers((3, 2)))


def test_a_tensor_has_no_truth_value() -> None:
    x = gc.input("x", (2,))
    with pytest.raises(DeclarationError) as caught:
        assert x > 0, "so this line is in the message"
    text = str(caught.value)
    assert text.startswith("a tensor of the graph is neither true nor false: it has no value yet\n  at ")
    assert "test_tensor.py" in text
    assert 'assert x > 0, "so this line is in the message"' in text
    assert "operand    bool[2]  result of less" in text
    assert "way out    choose between tensors with gc.where; for a Python decision evaluate the graph first" in text


@pytest.mark.parametrize("shape", [(), ("batch", 2)])
def test_a_tensor_of_unknown_length_cannot_be_counted_or_iterated(shape: tuple[object, ...]) -> None:
    x = gc.input("rows", shape)
    for use in (len, list):
        with pytest.raises(DeclarationError, match="this tensor has no length that is known here") as caught:
            use(x)
        assert f"operand    {x.type}  input 'rows', declared at " in str(caught.value)
        assert "way out    work on whole tensors; gc.dim_size(x, axis) is a size as a tensor" in str(caught.value)


def test_shapes_that_do_not_broadcast_are_reported_with_both_declarations() -> None:
    left = gc.input("broad_left", ("batch", 3))
    right = gc.input("broad_right", ("time", 3))
    with pytest.raises(ShapeError) as caught:
        left + right
    lines = str(caught.value).splitlines()
    assert lines[0] == "add: the shapes [batch, 3] and [time, 3] do not broadcast"
    assert lines[1].startswith("  at ")
    assert lines[1].endswith("    left + right")
    assert lines[2].startswith("  operand 1  f32[batch, 3]  input 'broad_left', declared at ")
    assert lines[2].endswith('left = gc.input("broad_left", ("batch", 3))')
    assert lines[3].endswith('right = gc.input("broad_right", ("time", 3))')
    assert lines[4:] == [
        "  expected   sizes that are equal, or 1, counted from the last axis",
        "  got        [batch, 3] and [time, 3]",
        "  way out    reshape one of them, or add axes with x[:, None]",
    ]


def test_a_constant_in_a_message_comes_without_a_line() -> None:
    with pytest.raises(ShapeError) as caught:
        gc.input("x", (4, 3)) + np.ones(4)
    assert "\n  operand 2  f32[4]  constant\n" in str(caught.value)


def test_a_matrix_product_that_does_not_fit_is_reported() -> None:
    left, right = gc.input("left", (2, 3)), gc.input("right", (2, 4))
    with pytest.raises(ShapeError) as caught:
        left @ right
    text = str(caught.value)
    assert text.startswith("matmul: the inner dimensions differ, 3 and 2\n  at ")
    assert "left       f32[2, 3]  input 'left', declared at " in text
    assert "right      f32[2, 4]  input 'right', declared at " in text
    assert "expected   a right operand with 3 rows, as the left has 3 columns" in text
    assert "got        f32[2, 3] @ f32[2, 4]" in text
    assert "way out    transpose one operand with .T" in text


def test_scalars_and_unequal_batches_have_no_matrix_product() -> None:
    matrix, scalar = gc.input("matrix", (2, 2)), gc.input("scalar", ())
    with pytest.raises(ShapeError, match="matmul: a scalar has no matrix product"):
        scalar @ matrix
    with pytest.raises(ShapeError, match="matmul: the batch dimensions do not broadcast"):
        gc.input("many", (3, 2, 2)) @ gc.input("more", (4, 2, 2))


def test_element_types_that_do_not_fit_are_refused_at_the_line() -> None:
    flags = gc.input("flags", (3,), "bool")
    with pytest.raises(DTypeError) as caught:
        flags * True
    text = str(caught.value)
    assert text.startswith("multiply does not take bool\n  at ")
    assert "flags * True" in text
    assert "operand 1  bool[3]  input 'flags', declared at " in text
    assert "expected   float32 or float64 or int32 or int64" in text
    assert 'way out    convert the operand with gc.cast(x, "float32")' in text
    with pytest.raises(DTypeError, match="logical_and does not take int64"):
        gc.input("whole", (3,), "int64") & 1
    with pytest.raises(DTypeError, match="select does not take float32"):
        gc.where(gc.input("x", (3,)), 1.0, 0.0)


@pytest.mark.parametrize("other", [None, "a", 1j, np.float16(1), 2**70, object()])
def test_what_is_no_number_cannot_stand_beside_a_tensor(other: Any) -> None:
    with pytest.raises(DTypeError, match="a constant is made of numbers of graphc's element types") as caught:
        gc.input("x", (2,)) + other
    assert "expected   floats of 32 or 64 bits, integers or truth values" in str(caught.value)
    assert "test_tensor.py" in str(caught.value)
