"""Inputs, constants, parameters and other state, and the cells that hold values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, FeedError, ShapeError
from graphc.frontend.state import cell_of


def test_an_input_has_the_declared_type() -> None:
    assert str(gc.input("image", ("batch", 8, 8)).type) == "f32[batch, 8, 8]"
    assert str(gc.input("flag", (), "bool").type) == "bool[]"
    assert str(gc.input("line", 4, np.int32).type) == "i32[4]"
    assert str(gc.input("line", "n", gc.float64).type) == "f64[n]"
    assert str(gc.input("deep", [2, "n"]).type) == "f32[2, n]"


@pytest.mark.parametrize("name", ["", "two words", 3, None, "dot.ted"])
def test_an_input_needs_a_name(name: Any) -> None:
    with pytest.raises(DeclarationError, match="an input needs a name") as caught:
        gc.input(name, (2,))
    text = str(caught.value)
    assert "gc.input(name, (2,))" in text
    assert f"expected   letters, digits, underscores and slashes\n  got        {name!r}" in text


@pytest.mark.parametrize("size", [-1, 2.5, None, (2,)])
def test_a_size_is_an_integer_or_a_name(size: Any) -> None:
    declarations: list[Callable[[], gc.Tensor]] = [lambda: gc.input("x", (size,)), lambda: gc.parameter((size,))]
    for declare in declarations:
        with pytest.raises(ShapeError, match="a dimension is an integer of at least 0 or a name") as caught:
            declare()
        text = str(caught.value)
        assert "test_state.py" in text
        assert 'expected   an integer such as 64 or a name such as "batch"' in text
        assert f"got        {size!r}" in text


def test_a_size_cannot_have_a_name_of_the_text_form() -> None:
    with pytest.raises(DeclarationError, match="'f32' cannot name a dimension") as caught:
        gc.input("x", ("f32", 3))
    assert "test_state.py" in str(caught.value)
    assert 'way out    name it "batch", "time" or the like' in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "uint8", "number", np.uint32])
def test_unknown_element_types_are_refused(dtype: Any) -> None:
    declarations: list[Callable[[], gc.Tensor]] = [
        lambda: gc.input("x", (2,), dtype),
        lambda: gc.parameter((2,), dtype=dtype),
    ]
    for declare in declarations:
        with pytest.raises(DTypeError, match="is not an element type of graphc") as caught:
            declare()
        text = str(caught.value)
        assert "test_state.py" in text
        assert "expected   one of float32, float64, int32, int64, bool" in text
        assert "way out    name one of these, or convert the data with numpy's astype first" in text


def test_each_declaration_of_an_input_keeps_its_own_line() -> None:
    first = gc.input("x", ("batch", 3))
    second = gc.input("x", ("batch", 3))
    lines = [tensor.node.origin.location for tensor in (first, second)]
    assert [line.source for line in lines if line] == [
        'first = gc.input("x", ("batch", 3))',
        'second = gc.input("x", ("batch", 3))',
    ]


def test_two_inputs_of_one_name_are_refused() -> None:
    narrow = gc.input("x", ("batch", 3))
    wide = gc.input("x", ("batch", 4))
    total = narrow.sum() + wide.sum()
    weight = gc.parameter((), 1.0)
    uses = (
        lambda: gc.evaluate(total, {"x": np.ones((2, 3))}),
        lambda: gc.function([narrow, wide], total),
        lambda: gc.compile(total * weight, gc.optimizers.SGD(0.1)),
    )
    for use in uses:
        with pytest.raises(DeclarationError, match="two inputs are called 'x'") as caught:
            use()
        text = str(caught.value)
        assert "first      f32[batch, 3]  input 'x', declared at " in text
        assert "second     f32[batch, 4]  input 'x', declared at " in text
        assert "way out    declare it once and use that tensor everywhere, or give one of them another name" in text


def test_a_feed_of_another_size_names_the_declaration() -> None:
    fed = gc.input("fed", ("batch", 3))
    with pytest.raises(FeedError, match="input 'fed': axis 1 has the wrong size") as caught:
        gc.evaluate(fed, {"fed": np.ones((2, 4))})
    assert 'fed = gc.input("fed", ("batch", 3))' in str(caught.value)
    assert "expected   [batch, 3]\n  got        [2, 4]" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, "f32[]"),
        (3, "i64[]"),
        (True, "bool[]"),
        ([[1, 2.5]], "f32[1, 2]"),
        ([], "f32[0]"),
        (np.float64(1), "f64[]"),
        (np.array([1], np.float32), "f32[1]"),
        (np.int32(1), "i32[]"),
        (np.array([1, 2], np.uint8), "i64[2]"),
        (np.array([1], np.int16), "i64[1]"),
    ],
    ids=str,
)
def test_constants_keep_numpys_element_types_and_choose_short_ones(value: Any, expected: str) -> None:
    constant = gc.constant(value)
    assert str(constant.type) == expected
    np.testing.assert_array_equal(gc.evaluate(constant), value)


def test_a_constant_takes_the_element_type_it_is_given() -> None:
    assert str(gc.constant([1, 0], "bool").type) == "bool[2]"
    np.testing.assert_array_equal(gc.evaluate(gc.constant([1, 2], "float64")), np.array([1.0, 2.0]), strict=True)


def test_a_constant_does_not_follow_its_array() -> None:
    array = np.zeros(3)
    constant = gc.constant(array)
    array[:] = 1
    assert gc.evaluate(constant).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "value", ["a", None, 1j, [None, 1], 2**70, np.float16(1), np.datetime64("2020-01-01")], ids=str
)
def test_what_is_no_number_is_no_constant(value: Any) -> None:
    with pytest.raises(DTypeError, match="a constant is made of numbers of graphc's element types") as caught:
        gc.constant(value)
    assert "gc.constant(value)" in str(caught.value)
    assert "expected   floats of 32 or 64 bits, integers or truth values" in str(caught.value)


def test_rows_of_different_lengths_are_no_constant() -> None:
    rows = [[1], [1, 2]]
    uses: list[Callable[[], gc.Tensor]] = [
        lambda: gc.constant(rows),
        lambda: gc.constant(rows, "float32"),
        lambda: gc.state(rows),
        lambda: gc.constant([1.0, 2.0]) + rows,
    ]
    for use in uses:
        with pytest.raises(DeclarationError, match="a constant is a number or an array") as caught:
            use()
        text = str(caught.value)
        assert "test_state.py" in text
        assert "expected   rows of one length\n  got        [[1], [1, 2]]\n  way out    pad the shorter rows" in text


def test_a_parameter_has_a_value_that_can_be_set() -> None:
    weight = gc.parameter((2,), "ones", name="weight")
    copied = weight.value
    weight.value = [3, 4.5]
    assert copied.tolist() == [1, 1]
    np.testing.assert_array_equal(weight.value, np.array([3, 4.5], np.float32), strict=True)
    assert gc.evaluate(weight * 2).tolist() == [6, 9]
    assert (weight.name, repr(weight)) == ("weight", "<Parameter f32[2]>")


@pytest.mark.parametrize("value", [[1, 2, 3], 1.0, [[1, 2]]], ids=str)
def test_a_value_of_another_shape_is_refused_and_changes_nothing(value: Any) -> None:
    weight = gc.parameter((2,), "ones")
    with pytest.raises(ShapeError, match="the value has another shape than the state") as caught:
        weight.value = value
    assert "weight.value = value" in str(caught.value)
    assert "expected   [2]\n  got        [" in str(caught.value)
    assert weight.value.tolist() == [1, 1]


def test_a_parameter_has_a_fixed_shape() -> None:
    with pytest.raises(ShapeError, match="state 'rows' has a size that is known only at run time") as caught:
        gc.parameter(("batch", 3), name="rows")
    text = str(caught.value)
    assert "test_state.py" in text
    assert "expected   integers, since the state is stored between steps\n  got        f32[batch, 3]" in text


def test_a_name_in_the_place_of_a_shape_is_refused() -> None:
    with pytest.raises(DeclarationError, match="a parameter's shape comes first") as caught:
        gc.parameter("weight")
    assert "way out    write gc.parameter((3, 4), name='weight')" in str(caught.value)


def test_parameters_of_one_name_are_two_and_get_numbers_when_compiled() -> None:
    first, second = gc.parameter((), 2.0, name="w"), gc.parameter((), 5.0, name="w")
    assert first.name == second.name == "w"
    model = gc.compile(first * second, gc.optimizers.SGD(0.1))
    assert {"w", "w_1"} <= model.cells.keys()
    assert model.step({}) == {"loss": 10.0}
    assert float(first.value) == 1.5
    assert float(second.value) == pytest.approx(4.8)


def test_scopes_are_part_of_a_name() -> None:
    with gc.scope("encoder"), gc.scope("layer"):
        assert gc.parameter((2,), name="weight").name == "encoder/layer/weight"
        assert gc.state(0, name="count").name == "encoder/layer/count"


def test_values_start_at_multiples_of_64_bytes() -> None:
    for size in (1, 3, 1000):
        weight = gc.parameter((size,), "ones")
        assert cell_of(weight.node).array.ctypes.data % 64 == 0


def test_updates_of_a_function_change_state() -> None:
    count, total = gc.state(0, name="count"), gc.state(np.zeros(2, np.float32), name="total")
    x = gc.input("x", (2,))
    function = gc.function([x], total, updates={count: count + 1, total: total + x})
    assert str(total.type) == "f32[2]"
    np.testing.assert_array_equal(np.asarray(function([1, 2])), [0, 0])
    np.testing.assert_array_equal(np.asarray(function([10, 20])), [1, 2])
    assert count.value == 2
    assert total.value.tolist() == [11, 22]


def test_state_takes_an_element_type() -> None:
    counter = gc.state(1, name="counter", dtype="float64")
    assert str(counter.type) == "f64[]"
    assert counter.value.dtype == np.float64
    with pytest.raises(DTypeError, match="a constant is made of numbers"):
        gc.state("zero")


def test_integers_and_truth_values_can_be_state() -> None:
    flags = gc.parameter((2,), np.array([True, False]), dtype="bool", trainable=False)
    np.testing.assert_array_equal(flags.value, np.array([True, False]), strict=True)
    np.testing.assert_array_equal(gc.evaluate(~flags), [False, True])
