from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.dims import evaluate
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Contraction
from graphc.passes.lower import KernelCall
from graphc.passes.tile import tiles_apply
from graphc.passes.tiles import print_tile
from graphc.runtime.engine import Engine, assemble
from graphc.scalar import Array
from tests.harness import same_bits
from tests.passes.building import program_of

EXTENTS = [(1, 1), (2, 3), (17, 33), (33, 17), (40, 1), (0, 5), (5, 0)]
"""Rows and depths that one kernel is run with."""
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
UNITS = [VectorUnit(16, 16), VectorUnit(16, 32), VectorUnit(32, 16), VectorUnit(64, 32)]


def matrix(seed: int, shape: tuple[int, ...], dtype: str) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def assert_close(got: object, expected: Array, dtype: str, depth: int) -> None:
    """Rounding of a chain of sums grows with its length; elements are of size 1 at most."""
    assert isinstance(got, np.ndarray)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, 0, TOLERANCE[dtype] * max(depth, 1))


def in_order(left: Array, right: Array) -> Array:
    """The product as one chain of fused multiply-adds for each element, in the order of the contracted position.

    A product of two float32 is exact in float64, so that the sum is rounded to float32 nearly always once.
    """
    total = np.zeros((left.shape[0], right.shape[1]), np.float32)
    for position in range(left.shape[1]):
        exact = left[:, position, None].astype(np.float64) * right[position]
        total = (exact + total).astype(np.float32)
    return total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 2, 17, 33, 70])
def test_products_of_odd_shapes(columns: int, dtype: str) -> None:
    x = gc.input("x", shape=("rows", "depth"), dtype=dtype)
    w = gc.input("w", shape=("depth", columns), dtype=dtype)
    multiply = gc.function([x, w], x @ w)
    assert tiles_apply(multiply.program.calls[0].kernel)
    for rows, depth in EXTENTS:
        left, right = matrix(1, (rows, depth), dtype), matrix(2, (depth, columns), dtype)
        assert_close(multiply(left, right), left @ right, dtype, depth)


@pytest.mark.parametrize(("left_turned", "right_turned"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("columns", [1, 33])
def test_products_of_transposed_operands(left_turned: bool, right_turned: bool, columns: int) -> None:
    x = gc.input("x", shape=("depth", "rows") if left_turned else ("rows", "depth"))
    w = gc.input("w", shape=(columns, "depth") if right_turned else ("depth", columns))
    multiply = gc.function([x, w], (x.T if left_turned else x) @ (w.T if right_turned else w))
    for rows, depth in EXTENTS:
        left, right = matrix(1, (rows, depth), "float32"), matrix(2, (depth, columns), "float32")
        got = multiply(left.T if left_turned else left, right.T if right_turned else right)
        assert_close(got, left @ right, "float32", depth)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1)], ids=str)
def test_products_without_rows_depth_or_columns(shape: tuple[int, int, int]) -> None:
    rows, depth, columns = shape
    x, w = gc.input("x", shape=(rows, depth)), gc.input("w", shape=(depth, columns))
    got = gc.function([x, w], x @ w)(np.ones((rows, depth)), np.ones((depth, columns)))
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, np.full((rows, columns), depth, np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_stacks_of_matrices(dtype: str) -> None:
    x = gc.input("x", shape=("batch", 5, 7), dtype=dtype)
    w, shared = gc.input("w", shape=("batch", 7, 19), dtype=dtype), gc.input("shared", shape=(7, 19), dtype=dtype)
    results = gc.function([x, w, shared], [x @ w, x @ shared])
    for batch in (0, 1, 9):
        data = matrix(1, (batch, 5, 7), dtype), matrix(2, (batch, 7, 19), dtype), matrix(3, (7, 19), dtype)
        got = results(*data)
        assert isinstance(got, list)
        assert_close(got[0], data[0] @ data[1], dtype, 7)
        assert_close(got[1], data[0] @ data[2], dtype, 7)


def test_each_element_is_summed_in_the_order_of_the_contracted_position() -> None:
    x, w = gc.input("x", shape=("rows", 33)), gc.input("w", shape=(33, 21))
    left, right = matrix(1, (29, 33), "float32"), matrix(2, (33, 21), "float32")
    got = gc.function([x, w], x @ w)(left, right)
    assert isinstance(got, np.ndarray)
    assert same_bits(got, in_order(left, right))
    assert not same_bits(got, in_order(left[:, ::-1], right[::-1]))


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    x, w = gc.input("x", shape=("rows", 65)), gc.input("w", shape=(65, 37))
    data = matrix(1, (203, 65), "float32"), matrix(2, (65, 37), "float32")
    one, *others = (gc.function([x, w], x @ w, threads=threads)(*data) for threads in (1, 2, 3))
    assert isinstance(one, np.ndarray)
    for other in others:
        assert isinstance(other, np.ndarray)
        assert same_bits(one, other)


@pytest.mark.parametrize(("dtype", "depth"), [("float32", 1024), ("float32", 2048), ("float64", 512)])
@pytest.mark.parametrize("columns", [1, 5, 16])
def test_rows_that_collide_in_the_cache_have_the_bits_of_all_others(columns: int, depth: int, dtype: str) -> None:
    x, w = gc.input("x", shape=("rows", depth), dtype=dtype), gc.input("w", shape=(depth, columns), dtype=dtype)
    left, right = matrix(1, (61, depth), dtype), matrix(2, (depth, columns), dtype)
    one, two = (np.asarray(gc.function([x, w], x @ w, threads=threads)(left, right)) for threads in (1, 2))
    assert same_bits(one, two)
    assert_close(one, left @ right, dtype, depth)
    if dtype == "float32":
        assert same_bits(one, in_order(left, right))


def test_threads_share_the_columns_of_a_large_right_operand() -> None:
    x, w = gc.input("x", shape=("rows", 600)), gc.input("w", shape=(600, 520))
    data = matrix(1, (50, 600), "float32"), matrix(2, (600, 520), "float32")
    functions = [gc.function([x, w], gc.relu(x @ w + 1.0), threads=threads) for threads in (1, 2, 3, 5)]
    (contraction,) = functions[0].program.calls[0].kernel.body
    assert isinstance(contraction, Contraction)
    assert contraction.shared is contraction.column
    one, *others = (np.asarray(function(*data)) for function in functions)
    assert_close(one, np.maximum(data[0] @ data[1] + 1, 0), "float32", 600)
    for other in others:
        assert same_bits(one, other)


def run_tile(call: KernelCall, unit: VectorUnit, data: dict[str, Array], sizes: dict[str, int], parts: int) -> Array:
    """The result of a contraction's kernel for a vector unit, run part by part; it is filled with NaN before."""
    code = assemble(print_tile(call.kernel, unit), f"{unit.bytes}x{unit.registers}")
    engine = Engine([code])
    arrays = [
        data[storage.name]
        if storage.kind == "input"
        else np.full([evaluate(size, sizes) for size in storage.type.shape], np.nan, storage.type.dtype.numpy)
        for storage in call.arguments
    ]
    numbers = [ctypes.c_int64(evaluate(size, sizes)) for size in call.sizes]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    kernel = ctypes.CFUNCTYPE(ctypes.c_int32)(engine.address(code.symbol))
    for part in range(parts):
        kernel(ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int64(part), ctypes.c_int64(parts), *numbers, *pointers)
    return arrays[-1]


@pytest.mark.parametrize("columns", [3, 16, 50, 150])
@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_tiles_of_every_vector_unit_and_split_have_the_same_bits(unit: VectorUnit, columns: int) -> None:
    x, w = gc.input("x", shape=("rows", 9)), gc.input("w", shape=(9, columns))
    (call,) = program_of({"y": x @ w}).calls
    data = {"x": matrix(1, (130, 9), "float32"), "w": matrix(2, (9, columns), "float32")}
    expected = in_order(data["x"], data["w"])
    for parts in (1, 2, 5):  # 150 columns are copied if a part has rows enough
        assert same_bits(run_tile(call, unit, data, {"rows": 130}, parts), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [0, 1, 700, 9000])
def test_wide_operands_are_copied_unless_they_are_too_long(depth: int, dtype: str) -> None:
    x = gc.input("x", shape=("rows", "depth"), dtype=dtype)
    w = gc.input("w", shape=("depth", 130), dtype=dtype)
    left, right = matrix(1, (50, depth), dtype), matrix(2, (depth, 130), dtype)
    assert_close(gc.function([x, w], x @ w, threads=1)(left, right), left @ right, dtype, depth)


def test_named_sizes_do_not_clash_with_what_kernels_call_theirs() -> None:
    x, w = gc.input("x", shape=("n", "part")), gc.input("w", shape=("part", 3))
    results = gc.function([x, w], [x @ w, gc.sum(x, axis=1), x * 2.0])(np.ones((4, 5)), np.ones((5, 3)))
    assert isinstance(results, list)
    assert [np.unique(result).tolist() for result in results] == [[5.0], [5.0], [2.0]]


def test_vector_units_follow_from_the_features_of_the_processor() -> None:
    assert VectorUnit.of("+avx,+avx2,+avx512f,+fma") == VectorUnit(64, 32)
    assert VectorUnit.of("+avx,+avx2,-avx512f") == VectorUnit(32, 16)
    assert VectorUnit.of("+sse2,-avx") == VectorUnit(16, 16)
    assert VectorUnit.of("+neon") == VectorUnit(16, 32)


def test_tiles_are_for_floats_with_columns_of_a_known_number() -> None:
    known, named = gc.input("known", shape=(4, 4)), gc.input("named", shape=(4, "n"))
    whole = gc.input("whole", shape=(4, 4), dtype="int64")
    products = {"floats": known @ known, "symbolic": known @ named, "integers": whole @ whole}
    applies = {name: tiles_apply(program_of({name: y}).calls[-1].kernel) for name, y in products.items()}
    assert applies == {"floats": True, "symbolic": False, "integers": False}
    assert not tiles_apply(program_of({"y": known + 1.0}).calls[0].kernel)


def test_contractions_of_other_kinds_give_the_same_as_tiles() -> None:
    w = gc.input("w", shape=(6, "n"))
    x = gc.input("x", shape=("rows", 6))
    multiply = gc.function([x, w], x @ w)
    for rows, columns in itertools.product((1, 5, 18), (1, 19)):
        left, right = matrix(1, (rows, 6), "float32"), matrix(2, (6, columns), "float32")
        got = multiply(left, right)
        assert isinstance(got, np.ndarray)
        assert same_bits(got, in_order(left, right))
    counts = gc.input("counts", shape=(3, 4), dtype="int64")
    whole = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(np.asarray(gc.function([counts], counts @ counts.T)(whole)), whole @ whole.T)
