"""Tiles for few columns and for long rows: when they are taken, and that no bit changes."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Contraction
from graphc.passes.lower import KernelCall
from graphc.passes.tile import TilePrinter
from graphc.passes.tile_blocks import blocks_apply
from graphc.passes.tile_turned import turned_applies
from tests.harness import same_bits
from tests.passes.building import program_of
from tests.passes.test_tile import UNITS, in_order, matrix, run_tile

WIDE = VectorUnit(64, 32)


def contraction_of(call: KernelCall) -> Contraction:
    (contraction,) = call.kernel.body
    assert isinstance(contraction, Contraction)
    return contraction


def gradient_by_weight(rows: object, columns: int) -> KernelCall:
    """The call for x' g, with the rows of x' side by side in memory."""
    x, g = gc.input("x", ("batch", rows)), gc.input("g", ("batch", columns))
    (call,) = program_of({"y": x.T @ g}).calls
    return call


def takes_blocks(rows: int, depth: int, columns: int) -> bool:
    x, w = gc.input("x", (rows, depth)), gc.input("w", (depth, columns))
    (call,) = program_of({"y": x @ w}).calls
    return blocks_apply(contraction_of(call), TilePrinter(call.kernel, contraction_of(call), WIDE))


@pytest.mark.parametrize("columns", [1, 3, 6, 10, 14, 15])
@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_few_columns_are_computed_in_lanes_of_rows(unit: VectorUnit, columns: int) -> None:
    call = gradient_by_weight("rows", columns)
    assert turned_applies(contraction_of(call), unit) == (columns * 4 < unit.bytes)
    for rows in (1, 5, 16, 33, 150):
        data = {"x": matrix(1, (9, rows), "float32"), "g": matrix(2, (9, columns), "float32")}
        for parts in (1, 3):
            found = run_tile(call, unit, data, {"rows": rows, "batch": 9}, parts)
            assert same_bits(found, in_order(data["x"].T, data["g"]))


def test_lanes_of_rows_are_for_rows_side_by_side_and_few_columns() -> None:
    assert turned_applies(contraction_of(gradient_by_weight(784, 10)), WIDE)
    assert not turned_applies(contraction_of(gradient_by_weight(784, 16)), WIDE)
    x, w = gc.input("x", ("batch", 784)), gc.input("w", (784, 10))
    (call,) = program_of({"y": x @ w}).calls
    assert not turned_applies(contraction_of(call), WIDE)


def test_an_update_follows_on_a_turned_tile() -> None:
    start = matrix(3, (40, 10), "float32")
    x, g, w = gc.input("x", ("batch", 40)), gc.input("g", ("batch", 10)), gc.parameter((40, 10), start, "w")
    model = gc.compile(gc.sum((x @ w) * g), gc.optimizers.SGD(0.5))
    data = {"x": matrix(1, (7, 40), "float32"), "g": matrix(2, (7, 10), "float32")}
    model.step(data)
    np.testing.assert_allclose(w.value, start - 0.5 * (data["x"].T @ data["g"]), 1e-5, 1e-6)


def test_blocks_are_for_long_rows_and_for_rows_that_collide() -> None:
    assert takes_blocks(128, 3072, 1024)
    assert takes_blocks(128, 1024, 128)
    assert not takes_blocks(128, 1000, 128)
    assert not takes_blocks(128, 3072, 10)


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize(("rows", "depth", "columns"), [(3, 1300, 40), (150, 1024, 70), (131, 2100, 33)])
def test_blocks_have_the_bits_of_a_single_chain(unit: VectorUnit, rows: int, depth: int, columns: int) -> None:
    x, w = gc.input("x", ("rows", depth)), gc.input("w", (depth, columns))
    (call,) = program_of({"y": x @ w}).calls
    data = {"x": matrix(1, (rows, depth), "float32"), "w": matrix(2, (depth, columns), "float32")}
    expected = in_order(data["x"], data["w"])
    for parts in (1, 3):
        assert same_bits(run_tile(call, unit, data, {"rows": rows}, parts), expected)


def test_many_columns_come_in_groups() -> None:
    x, w = gc.input("x", ("rows", 1300)), gc.input("w", (1300, 1100))
    data = matrix(1, (9, 1300), "float32"), matrix(2, (1300, 1100), "float32")
    one, two = (np.asarray(gc.function([x, w], gc.relu(x @ w), threads=threads)(*data)) for threads in (1, 2))
    assert same_bits(one, two)
    assert same_bits(one, np.maximum(in_order(*data), 0))
