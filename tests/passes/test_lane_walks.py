"""Short rows in one long row of lanes, and transpositions in squares: the bits are those of plain loops."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.passes.lane_walks import short_rows, turn
from graphc.passes.loops import Loop, Statement
from graphc.scalar import Array
from tests.passes.building import program_of
from tests.passes.printers import assert_same_bits

WIDTHS = [2, 3, 5, 6, 7, 10, 12, 20, 24, 31, 100]
ROWS = [0, 1, 2, 3, 8, 9, 50]


def numbers(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def nests(result: Tensor) -> list[Loop]:
    """The loops of a program that hold one loop."""
    found: list[Loop] = []
    stack: list[Statement] = [part for call in program_of({"result": result}).calls for part in call.kernel.body]
    while stack:
        statement = stack.pop()
        if isinstance(statement, Loop):
            found.append(statement)
            stack.extend(statement.body)
    return [loop for loop in found if len(loop.body) == 1 and isinstance(loop.body[0], Loop)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_every_width_have_the_same_bits(dtype: str) -> None:
    inputs, outputs = [], {}
    for width in WIDTHS:
        x, bias = gc.input(f"x{width}", ("rows", width), dtype), gc.input(f"bias{width}", (width,), dtype)
        inputs += [x, bias]
        outputs[f"shifted{width}"] = gc.tanh(x + bias)
        outputs[f"kept{width}"] = gc.where(x < bias, 1.0, x * x)
    feeds = [
        {
            name: array
            for width in WIDTHS
            for name, array in (
                (f"x{width}", numbers(rows, width, dtype=dtype)),
                (f"bias{width}", numbers(width, dtype=dtype)),
            )
        }
        for rows in ROWS
    ]
    assert_same_bits(inputs, outputs, feeds)


def test_rows_of_few_channels_are_one_row_of_lanes() -> None:
    image, bias = gc.input("image", ("batch", 28, 28, 6)), gc.input("bias", (6,))
    ((nest),) = map(short_rows, nests(gc.tanh(image + bias)))
    assert nest is not None
    assert (nest.width, nest.vectors) == (6, 3)
    assert [term.kind for term in nest.repeating] == ["load"]


@pytest.mark.parametrize("width", [16, 32, 35])
def test_rows_that_fill_lanes_or_repeat_late_stay_rows(width: int) -> None:
    image, bias = gc.input("image", ("batch", 4, width)), gc.input("bias", (width,))
    assert [short_rows(loop) for loop in nests(gc.tanh(image + bias))] == [None]


def test_what_depends_on_the_row_keeps_rows_apart() -> None:
    image, scale = gc.input("image", ("batch", 6)), gc.input("scale", ("batch", 1))
    assert [short_rows(loop) for loop in nests(image * scale)] == [None]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_transpositions_of_every_size_have_the_same_bits(dtype: str) -> None:
    shapes = [(16, 16), (33, 32), (100, 48), (5, 64), (16, 7)]
    inputs = [gc.input(f"x{number}", shape, dtype) for number, shape in enumerate(shapes)]
    batch = gc.input("batch", (3, 20, 2, 32), dtype)
    outputs = {f"y{number}": gc.transpose(x, (1, 0)) for number, x in enumerate(inputs)}
    outputs |= {"heads": gc.transpose(batch, (0, 2, 3, 1)), "kept": gc.transpose(batch, (2, 0, 1, 3))}
    feed = {f"x{number}": (numbers(*shape) * 9).astype(dtype) for number, shape in enumerate(shapes)}
    feed["batch"] = (numbers(3, 20, 2, 32) * 9).astype(dtype)
    assert_same_bits([*inputs, batch], outputs, [feed])


def test_squares_are_turned_where_columns_fill_lanes() -> None:
    assert any(turn(loop) for loop in nests(gc.transpose(gc.input("x", (48, 100)), (1, 0))))
    assert not any(turn(loop) for loop in nests(gc.transpose(gc.input("x", (100, 48)), (1, 0))))
