from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError
from graphc.runtime.function import Function
from graphc.scalar import Array
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model


def counting(**shapes: tuple[object, ...]) -> tuple[Function, gc.Parameter]:
    """A function of float32 inputs that counts its calls in a state."""
    calls = gc.state(0, name="calls")
    inputs = [gc.input(name, shape=shape) for name, shape in shapes.items()]
    return gc.function(inputs, [tensor.sum() for tensor in inputs], {calls: calls + 1}), calls


def refusal(function: Callable[[], object]) -> FeedError:
    with pytest.raises(FeedError) as caught:
        function()
    return caught.value


def test_a_missing_input_is_named_with_its_declaration() -> None:
    function, calls = counting(x=("n", 3), y=("n",))
    error = refusal(lambda: function(np.zeros((2, 3))))
    assert error.what == "input 'y' is missing"
    assert error.expected == "a dictionary with 'x', 'y'"
    assert error.got == "'x'"
    assert "y: f32[n] at" in str(error)
    assert f"{__file__}:" in str(error)
    assert calls.value == 0


def test_an_unknown_input_is_named() -> None:
    function, calls = counting(x=("n",))
    error = refusal(lambda: function(x=[1.0], z=[1.0]))
    assert error.what == "there is no input 'z'"
    assert error.got == "'x', 'z'"
    assert calls.value == 0


def test_a_wrong_rank_is_refused() -> None:
    function, calls = counting(x=("n", 3))
    error = refusal(lambda: function(np.zeros(3)))
    assert error.what == "input 'x' has 2 dimensions, the array has 1"
    assert (error.expected, error.got) == ("[n, 3]", "[3]")
    assert error.way_out == "add or remove dimensions with numpy's reshape"
    assert calls.value == 0


def test_a_wrong_size_is_refused() -> None:
    function, calls = counting(x=("n", 3))
    error = refusal(lambda: function(np.zeros((2, 4))))
    assert error.what == "input 'x': axis 1 has the wrong size"
    assert (error.expected, error.got) == ("[n, 3]", "[2, 4]")
    assert "x: f32[n, 3] at" in str(error)
    assert calls.value == 0


def test_one_name_is_one_size_in_all_inputs() -> None:
    function, calls = counting(x=("n", 3), y=("n",))
    error = refusal(lambda: function(np.zeros((2, 3)), np.zeros(5)))
    assert error.what == "dimension 'n' is 5 in 'y', but 2 in 'x'"
    assert (error.expected, error.got) == ("one number for 'n' in all inputs", "axis 0 of 'y' is 5")
    assert "y: f32[n] at" in str(error)
    assert calls.value == 0


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (["text"], "an array of <U4"),
        ([1j], "an array of complex128"),
        ([1e300], "the number 1e+300, which float32 cannot hold"),
        ([-1e39], "the number -1e+39, which float32 cannot hold"),
        ([object()], "an array of object"),
    ],
    ids=["text", "complex", "large", "negative", "object"],
)
def test_what_a_float_input_cannot_hold_is_refused(value: object, got: str) -> None:
    function, calls = counting(x=("n",))
    error = refusal(lambda: function(value))
    assert error.what == "input 'x' does not take this value"
    assert error.expected == "numbers that float32 holds, of shape [n]"
    assert error.got == got
    assert calls.value == 0


def test_ragged_lists_are_refused() -> None:
    function, _ = counting(x=("n", 2))
    error = refusal(lambda: function([[1.0, 2.0], [3.0]]))
    assert error.got is not None
    assert "inhomogeneous" in error.got


@pytest.mark.parametrize(
    ("dtype", "value", "got"),
    [
        ("int32", [1.0], "an array of float64"),
        ("int32", [2**31], "integers up to 2147483648 and down to 2147483648, which int32 cannot hold"),
        ("int32", [-(2**40), 5], "integers up to 5 and down to -1099511627776, which int32 cannot hold"),
        ("int64", np.array([2**64 - 1], np.uint64), "integers up to 18446744073709551615"),
        ("bool", [1], "an array of int64"),
    ],
)
def test_what_an_integer_input_cannot_hold_is_refused(dtype: str, value: object, got: str) -> None:
    x = gc.input("whole", shape=("n",), dtype=dtype)
    error = refusal(lambda: gc.function([x], x)(value))
    assert error.got is not None
    assert error.got.startswith(got)


def test_floats_for_an_integer_input_come_with_a_way_out() -> None:
    x = gc.input("whole", shape=("n",), dtype="int64")
    assert refusal(lambda: gc.function([x], x)([1.0])).way_out == 'convert it with array.astype("int64")'


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int64", np.array([1, 0], np.uint8)), ("int64", [True, False]), ("float64", [1, 0]), ("bool", [True, False])],
)
def test_conversions_that_lose_nothing_are_made(dtype: str, value: object) -> None:
    x = gc.input("kept", shape=("n",), dtype=dtype)
    found = gc.function([x], x)(value)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [1, 0]


def test_an_empty_list_fits_any_element_type() -> None:
    x = gc.input("none", shape=("n",), dtype="int64")
    found = gc.function([x], x)([])
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int64
    assert found.shape == (0,)


def test_infinities_and_nans_are_fed_as_they_are() -> None:
    x = gc.input("x", shape=("n",))
    found = gc.function([x], x)(np.array([np.inf, -np.inf, np.nan]))
    assert isinstance(found, np.ndarray)
    assert same_bits(found, np.array([np.inf, -np.inf, np.nan], np.float32))


def test_evaluate_refuses_the_same_feeds() -> None:
    x = gc.input("x", shape=("n", 3))
    assert refusal(lambda: gc.evaluate(x, {})).what == "input 'x' is missing"
    assert refusal(lambda: gc.evaluate(x, {"x": [1.0]})).got == "[1]"


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_label_out_of_range_stops_the_step_before_states_change(threads: int) -> None:
    model = digits_model()
    model.target = replace(model.target, threads=threads)
    data = digits_data(64)
    before = states_of(model)
    data["label"][[5, 9]] = 10, -1
    error = refusal(lambda: model.step(data))
    assert error.what == "input 'label': 2 of 64 integers are out of range"
    assert (error.expected, error.got) == ("0 <= value < 10", "10 at [5]")
    assert "networks.py" in str(error)
    assert all(same_bits(before[name], value) for name, value in states_of(model).items())


def test_the_model_trains_on_after_a_refused_batch() -> None:
    model, twin = digits_model(), digits_model()
    data = digits_data(32)
    refusal(lambda: model.step({**data, "label": data["label"] + 100}))
    assert model.step(data) == twin.step(data)


def test_check_finite_refuses_a_nan_in_the_feed() -> None:
    model = digits_model()
    data = digits_data(8)
    data["image"][3, 0, 7] = np.nan
    error = refusal(lambda: model.step(data, check_finite=True))
    assert error.what == "input 'image' does not take this value"
    assert (error.expected, error.got) == ("finite numbers", "nan at [3, 0, 7]")
    assert int(model.cells["step"].array) == 0


def test_a_computed_index_out_of_range_is_reported_with_its_line() -> None:
    index = gc.input("index", shape=("n",), dtype="int64")
    function = gc.function([index], gc.check_range(index * 2, 0, 7))
    assert isinstance(function([3]), np.ndarray)
    error = refusal(lambda: function([4]))
    assert error.what == "a computed integer is out of range; states may have been updated"
    assert error.expected == "0 <= value < 7"
    assert "gc.check_range(index * 2, 0, 7)" in str(error)
