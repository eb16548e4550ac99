"""Subscripts of tensors, against numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

import graphc as gc
from graphc.errors import DeclarationError, ShapeError

SHAPES = shapes.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(st.data())
def test_basic_subscripts_follow_numpy(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    key: Any = data.draw(shapes.basic_indices(shape, allow_newaxis=True))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    found = gc.evaluate(gc.input("x", shape, "int64")[key], {"x": array})
    np.testing.assert_array_equal(found, array[key], strict=True)


@pytest.mark.parametrize(
    "key",
    [np.s_[::-2], np.s_[-2::-1, 1:], np.s_[10:], np.s_[-100:100:3], np.s_[None, ..., None, -1], np.s_[3:1], ()],
    ids=str,
)
def test_chosen_subscripts_follow_numpy(key: Any) -> None:
    array = np.arange(24).reshape(4, 6)
    found = gc.evaluate(gc.input("x", (4, 6), "int64")[key], {"x": array})
    np.testing.assert_array_equal(found, array[key], strict=True)


def test_a_named_axis_is_taken_whole_or_reversed() -> None:
    x = gc.input("x", ("batch", 4))
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert str(x[:, 1:3].type) == "f32[batch, 2]"
    for key in (
        np.s_[:, 0],
        np.s_[0:, 1:],
        np.s_[0:None, 2],
        np.s_[0::1],
        np.s_[::-1, ::-1],
        np.s_[..., None],
        np.s_[None, :, 1:],
    ):
        np.testing.assert_array_equal(gc.evaluate(x[key], {"x": array}), array[key])


@pytest.mark.parametrize("key", [0, slice(1, None), slice(None, None, 2)], ids=str)
def test_a_part_of_a_named_axis_is_refused(key: Any) -> None:
    x = gc.input("rows", ("batch", 4))
    with pytest.raises(ShapeError) as caught:
        x[key]
    text = str(caught.value)
    assert text.startswith("axis 0 has the size batch, known only at run time, and is taken whole or reversed\n  at ")
    assert "x[key]" in text
    assert "operand    f32[batch, 4]  input 'rows', declared at " in text
    assert "way out    take elements at positions computed at run time with gc.take" in text


def test_whole_subscripts_make_no_node() -> None:
    x = gc.input("x", ("batch", 4))
    assert x[:].node is x[...].node is x[:, 0:4].node is x.node
    assert x[0:].node is x[0:None].node is x[:None].node is x[0::1, 0:].node is x.node


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (4, "index 4 is out of range for axis 0 of size 4"),
        (-5, "index -5 is out of range for axis 0 of size 4"),
        (np.s_[..., 3], "index 3 is out of range for axis 1 of size 3"),
        (np.s_[0, 0, 0], "3 subscripts for 2 dimensions"),
        (np.s_[..., 0, ...], "a subscript has one ... at most"),
    ],
)
def test_subscripts_out_of_range_are_refused(key: Any, message: str) -> None:
    x = gc.input("x", (4, 3))
    with pytest.raises(ShapeError) as caught:
        x[key]
    lines = str(caught.value).splitlines()
    assert lines[0] == message
    assert lines[1].endswith("    x[key]")
    assert lines[2].startswith("  operand    f32[4, 3]  input 'x', declared at ")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (True, "bool"),
        (1.5, "float"),
        ([0, 1], "list"),
        ("a", "str"),
        (np.array([0, 1]), "ndarray"),
        (np.array([True, False, True]), "ndarray"),
    ],
)
def test_other_subscripts_are_refused_with_a_way_out(key: Any, kind: str) -> None:
    x = gc.input("x", (3, 3))
    with pytest.raises(DeclarationError) as caught:
        x[key]
    text = str(caught.value)
    assert text.startswith(f"{key!r} is no subscript of a tensor\n  at ")
    assert "expected   integers, slices, None and ..." in text
    assert f"got        {kind}" in text
    assert "way out    take elements at integer positions with gc.take, mask with gc.where" in text


def test_a_tensor_is_no_subscript() -> None:
    x, where = gc.input("x", (3,)), gc.input("where", (), "int64")
    key: Any = where
    with pytest.raises(DeclarationError, match=r"<Tensor i64\[\]> is no subscript of a tensor"):
        x[key]


def test_integers_of_numpy_are_subscripts() -> None:
    x = gc.input("x", (3, 2))
    one: Any = np.int64(1)
    assert x[one].node is x[1].node


@pytest.mark.parametrize("place", ["start", "stop", "step"])
def test_the_bounds_of_a_slice_are_integers_of_python(place: str) -> None:
    x, where = gc.input("x", (3, 2)), gc.input("where", (), "int64")
    for bound, shown, kind in ((where, "<Tensor i64[]>", "Tensor"), (1.5, "1.5", "float"), ("a", "'a'", "str")):
        key: Any = slice(*(bound if place == name else None for name in ("start", "stop", "step")))
        with pytest.raises(DeclarationError) as caught:
            x[key]
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{shown} is no {place} of a slice"
        assert lines[1].endswith("    x[key]")
        assert lines[2].startswith("  operand    f32[3, 2]  input 'x', declared at ")
        assert lines[3:] == [
            "  expected   integers of Python, known when the graph is declared",
            f"  got        {kind}",
            "  way out    take elements at positions computed at run time with gc.take, or mask with gc.where",
        ]
