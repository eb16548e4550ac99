"""Functions that move elements, against numpy, with sizes known and sizes named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, ShapeError
from graphc.scalar import Array

CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def value(function: Callable[[gc.Tensor], gc.Tensor], array: Array = CUBE) -> Array:
    """The function of an input with this value."""
    return gc.evaluate(function(gc.input("x", array.shape, array.dtype)), {"x": array})


def refusal(function: Callable[[], object], error: type[Exception] = ShapeError) -> str:
    """What the error says that the function raises."""
    with pytest.raises(error) as caught:
        function()
    assert "test_shaping.py" in str(caught.value)
    return str(caught.value)


def sized(shape: tuple[int | str, ...]) -> list[int]:
    """The shape with numbers for named sizes."""
    return [{"batch": 4, "time": 2}[size] if isinstance(size, str) else size for size in shape]


@pytest.mark.parametrize("shape", [(24,), (-1,), (4, -1), (2, -1, 2), (1, 24, 1), (6, 4)], ids=str)
def test_reshape_follows_numpy(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(value(lambda x: gc.reshape(x, shape)), CUBE.reshape(shape))
    np.testing.assert_array_equal(value(lambda x: x.reshape(*shape)), CUBE.reshape(shape))


@pytest.mark.parametrize(
    ("declared", "wanted", "result"),
    [
        (("batch", 8, 8), ("batch", -1), "f32[batch, 64]"),
        (("batch", 8, 8), (-1, 64), "f32[batch, 64]"),
        (("batch", 8, 8), (-1,), "f32[64*batch]"),
        (("batch", 8, 8), (-1, 16), "f32[4*batch, 16]"),
        (("batch", "time", 6), (-1, 6), "f32[batch*time, 6]"),
        (("batch", "time", 6), ("batch", -1), "f32[batch, 6*time]"),
        (("batch", "time", 6), ("time", "batch", 6), "f32[time, batch, 6]"),
        (("batch", "time", 6), (-1, "time", 2), "f32[3*batch, time, 2]"),
    ],
)
def test_reshape_computes_with_named_sizes(
    declared: tuple[int | str, ...], wanted: tuple[int | str, ...], result: str
) -> None:
    x = gc.input("x", declared)
    reshaped = x.reshape(wanted)
    assert str(reshaped.type) == result
    array = np.arange(np.prod(sized(declared)), dtype=np.float32)
    found = gc.evaluate(reshaped, {"x": array.reshape(sized(declared))})
    np.testing.assert_array_equal(found, array.reshape(sized(wanted)))


@pytest.mark.parametrize("wanted", [(7, -1), (-1, -1), ("n", -1), (-1, "batch", "batch")], ids=str)
def test_reshape_refuses_sizes_that_cannot_be_computed(wanted: tuple[object, ...]) -> None:
    x = gc.input("x", ("batch", 8, 8))
    text = refusal(lambda: x.reshape(wanted))
    assert text.startswith(f"f32[batch, 8, 8] cannot be reshaped to {tuple(map(str, wanted))}\n  at ")
    assert "operand    f32[batch, 8, 8]  input 'x', declared at " in text
    assert "expected   sizes whose product is the number of elements, with at most one -1" in text


def test_reshape_refuses_another_number_of_elements() -> None:
    x = gc.input("x", (4, 3))
    text = refusal(lambda: x.reshape(5))
    assert text.startswith("reshape changes the number of elements\n")
    assert "expected   a shape of 12 elements, from f32[4, 3]" in text
    assert "got        [5] of 5 elements" in text
    assert "way out    write -1 for one size to have it computed" in text


def test_a_reshape_to_the_same_shape_is_no_node() -> None:
    x = gc.input("x", ("batch", 3))
    assert x.reshape("batch", 3).node is x.node
    assert gc.transpose(x, (0, 1)).node is x.node


@pytest.mark.parametrize("axes", [None, (2, 0, 1), (0, 2, 1), (-1, 0, 1)], ids=str)
def test_transpose_follows_numpy(axes: tuple[int, ...] | None) -> None:
    np.testing.assert_array_equal(value(lambda x: gc.transpose(x, axes)), CUBE.transpose(axes))


def test_transpose_refuses_wrong_axes() -> None:
    x = gc.input("x", (4, 3))
    assert refusal(lambda: x.transpose(0, 0)).startswith("axis (0, 0) does not fit 2 dimensions\n")
    assert refusal(lambda: x.transpose(1, 2)).startswith("axis 2 does not fit 2 dimensions\n")
    assert refusal(lambda: x.transpose(0)).startswith("transpose: (0,) is no order of 2 axes\n")


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (0, -1), (1, 2)], ids=str)
def test_expand_dims_and_squeeze_follow_numpy(axis: int | tuple[int, ...]) -> None:
    expanded = np.expand_dims(CUBE, axis)
    np.testing.assert_array_equal(value(lambda x: gc.expand_dims(x, axis)), expanded)
    np.testing.assert_array_equal(value(lambda x: gc.squeeze(x, axis), expanded), CUBE)
    np.testing.assert_array_equal(value(gc.squeeze, expanded), CUBE)


def test_expand_dims_and_squeeze_refuse_wrong_axes() -> None:
    x = gc.input("x", (4, 3))
    text = refusal(lambda: gc.expand_dims(x, 3))
    assert text.startswith("the positions (3,) are no new axes of a tensor of rank 3\n")
    assert "expected   different numbers from -3 to 2" in text
    assert refusal(lambda: gc.expand_dims(x, (0, 0))).startswith("the positions (0, 0) are no new axes of a tensor")
    text = refusal(lambda: gc.squeeze(x, 0))
    assert text.startswith("axis 0 of size 4 cannot be squeezed\n")
    assert "expected   a size of 1" in text
    assert refusal(lambda: gc.squeeze(x, 2)).startswith("axis 2 does not fit 2 dimensions\n")


def test_broadcast_to_follows_numpy() -> None:
    row = np.array([[1.0], [2.0]], np.float32)
    shapes: list[tuple[int, ...]] = [(2, 1), (2, 3), (4, 2, 3)]
    for shape in shapes:
        np.testing.assert_array_equal(gc.evaluate(gc.broadcast_to(row, shape)), np.broadcast_to(row, shape))
    assert str(gc.broadcast_to([1.0, 2.0], ("batch", 2)).type) == "f32[batch, 2]"


@pytest.mark.parametrize("shape", [(3,), (4, 4), (3, 4), ("batch", 3)], ids=str)
def test_broadcast_to_refuses_what_does_not_fit(shape: tuple[object, ...]) -> None:
    x = gc.input("x", (4, 3))
    text = refusal(lambda: gc.broadcast_to(x, shape))
    wanted = ", ".join(map(str, shape))
    assert text.startswith(f"f32[4, 3] does not broadcast to [{wanted}]\n")
    assert "expected   sizes that are equal, or 1, counted from the last axis" in text


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_joining_follows_numpy(axis: int) -> None:
    parts = np.split(CUBE, 2 if axis != 1 else 3, axis)
    np.testing.assert_array_equal(
        value(lambda x: gc.concatenate([x, *parts, x], axis)), np.concatenate([CUBE, *parts, CUBE], axis)
    )
    np.testing.assert_array_equal(value(lambda x: gc.stack([x, CUBE], axis)), np.stack([CUBE, CUBE], axis))


def test_joined_tensors_are_promoted_and_named_sizes_add_up() -> None:
    x = gc.input("x", ("batch", 3))
    assert str(gc.concatenate([x, x, x]).type) == "f32[3*batch, 3]"
    assert str(gc.stack([x, x], axis=1).type) == "f32[batch, 2, 3]"
    mixed = gc.concatenate([gc.constant([1, 2]), np.array([0.5])])
    np.testing.assert_array_equal(gc.evaluate(mixed), np.array([1, 2, 0.5]), strict=True)
    assert gc.concatenate([x]).node is x.node


def test_joining_refuses_what_does_not_fit() -> None:
    x, y, z = gc.input("x", ("batch", 3)), gc.input("y", (4, 3)), gc.input("z", (4, 5))
    text = refusal(lambda: gc.concatenate([y, z]))
    assert text.startswith("concatenate: the shapes differ in other axes than 0\n")
    assert "operand 1  f32[4, 3]  input 'y', declared at " in text
    assert "operand 2  f32[4, 5]  input 'z', declared at " in text
    assert "expected   sizes as in f32[4, 3] but for axis 0" in text
    assert refusal(lambda: gc.concatenate([x, y])).startswith("concatenate: batch + 4 is no size that graphc can name")
    assert refusal(lambda: gc.concatenate([y, z], 2)).startswith("axis 2 does not fit 2 dimensions")
    assert refusal(lambda: gc.stack([y, y], 3)).startswith("the positions (3,) are no new axes of a tensor of rank 3")
    assert refusal(lambda: gc.stack([])).startswith("concatenate of no tensors")


@pytest.mark.parametrize("width", [[(1, 2), (0, 3), (2, 0)], [(0, 0), (0, 0), (1, 1)]], ids=str)
def test_pad_follows_numpy(width: list[tuple[int, int]]) -> None:
    np.testing.assert_array_equal(value(lambda x: gc.pad(x, width)), np.pad(CUBE, width))
    expected = np.pad(CUBE, width, constant_values=-7)
    np.testing.assert_array_equal(value(lambda x: gc.pad(x, width, -7)), expected, strict=True)


def test_pad_refuses_what_does_not_fit() -> None:
    x = gc.input("x", ("batch", 3))
    text = refusal(lambda: gc.pad(x, [(1, 2)]))
    assert text.startswith("pad: 1 pairs for 2 dimensions\n")
    assert "expected   one pair (before, after) for each axis" in text
    text = refusal(lambda: gc.pad(x, [(1, 0), (0, 0)]))
    assert text.startswith("pad (1, 0, 0) does not fit axis 0 of f32[batch, 3]\n")
    assert "expected   no padding, since the size is known only at run time" in text
    text = refusal(lambda: gc.pad(x, [(0, 0), (-1, 0)]))
    assert "expected   amounts of at least 0" in text


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
def test_flip_follows_numpy(axis: int | tuple[int, ...] | None) -> None:
    np.testing.assert_array_equal(value(lambda x: gc.flip(x, axis)), np.flip(CUBE, axis))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [1, [0, 1, 0], [[1], [-1]], np.zeros((2, 0), np.int32)], ids=str)
def test_take_follows_numpy(axis: int, indices: Any) -> None:
    np.testing.assert_array_equal(value(lambda x: gc.take(x, indices, axis)), np.take(CUBE, indices, axis))


def test_a_computed_index_out_of_range_takes_nan_or_zero() -> None:
    index = gc.constant([1]) + gc.constant([1])
    assert np.isnan(gc.evaluate(gc.take([1.0, 2.0], index))).tolist() == [True]
    assert gc.evaluate(gc.take([1, 2], index)).tolist() == [0]


def test_scatter_add_follows_numpy() -> None:
    indices, updates = np.array([2, 0, -2]), np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    expected = CUBE.copy()
    for number, index in enumerate(indices):
        expected[:, :, index] += updates[:, :, number]
    np.testing.assert_array_equal(value(lambda x: gc.scatter_add(x, indices, updates, axis=2)), expected)
    left_out = gc.scatter_add([1.0, 2.0], [5, 1, -3], [10.0, 20.0, 30.0])
    np.testing.assert_array_equal(gc.evaluate(left_out), [1.0, 22.0])


def test_the_order_of_scattered_updates_is_theirs() -> None:
    updates = np.array([1e8, 1.0, -1e8], np.float32)
    total = np.float32(0)
    for update in updates:
        total += update
    assert gc.evaluate(gc.scatter_add([0.0], [0, 0, 0], updates)).tolist() == [total] == [0.0]


def test_one_hot_marks_the_class() -> None:
    np.testing.assert_array_equal(
        gc.evaluate(gc.one_hot([[0, 2], [1, 1]], 3)), np.eye(3, dtype=np.float32)[[[0, 2], [1, 1]]]
    )
    np.testing.assert_array_equal(gc.evaluate(gc.one_hot([3, -1], 3)), np.zeros((2, 3)))
    assert str(gc.one_hot(gc.input("label", ("batch",), "int32"), 10, "bool").type) == "bool[batch, 10]"


def test_indices_are_integers() -> None:
    x, places = gc.input("x", (4, 3)), gc.input("places", (2,))
    uses: dict[str, Callable[[], object]] = {
        "take": lambda: gc.take(x, places),
        "one_hot": lambda: gc.one_hot(places, 3),
        "scatter_add": lambda: gc.scatter_add(x, places, x[:2]),
    }
    for name, use in uses.items():
        text = refusal(use, DTypeError)
        assert text.startswith(f"{name}: indices are integers\n")
        assert "indices    f32[2]  input 'places', declared at " in text
        assert 'way out    convert them with gc.cast(indices, "int64")' in text


def test_updates_have_the_shape_that_take_has() -> None:
    x, places = gc.input("x", (4, 3)), gc.input("places", (2,), "int64")
    text = refusal(lambda: gc.scatter_add(x, places, np.ones((2, 4))))
    assert text.startswith("scatter_add: the updates do not fit\n")
    assert "expected   f32[2, 3]" in text
    assert "got        f32[2, 4]" in text


def test_positions_and_sizes_are_known_at_run_time() -> None:
    x = gc.input("x", ("batch", 3))
    positions = [gc.iota(x.shape), gc.iota(x.shape, -1, "float32")]
    _, rows, columns, size = gc.evaluate([x, *positions, gc.dim_size(x, 0)], {"x": np.zeros((4, 3))})
    np.testing.assert_array_equal(rows, np.indices((4, 3))[0])
    np.testing.assert_array_equal(columns, np.indices((4, 3))[1].astype(np.float32), strict=True)
    np.testing.assert_array_equal(size, np.int64(4), strict=True)
    assert refusal(lambda: gc.dim_size(x, 2)).startswith("axis 2 does not fit 2 dimensions")
    assert refusal(lambda: gc.iota((2, 3), 2)).startswith("iota: the axes (2,) do not fit 2 dimensions")
