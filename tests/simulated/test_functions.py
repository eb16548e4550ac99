"""Each operation and function, as source that a simulated kernel runs, against the arrays of ``graphc.scalar``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphc.dtypes import BOOL, FLOAT32, FLOAT64, INT32, INT64, UINT64, DType
from graphc.functions import FUNCTIONS
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.expressions import function_label
from graphc.philox import RANDOM
from graphc.scalar import Array
from tests.cuda.sources import kernel_of, map_kernel
from tests.simulated.scalars import ExactScalars
from tests.simulated.simulate import run_kernel

S = ExactScalars()
FLOATS = [FLOAT32, FLOAT64]
INTEGERS = [INT32, INT64]


def floats(dtype: DType) -> Array:
    limits = np.finfo(dtype.name)
    sizes = [0.0, limits.smallest_subnormal, limits.tiny, 1e-7, 0.3, 0.5, 1.0, 1.5, 2.5, 7.3, 88.7, 1e10, limits.max]
    positive = np.array([*sizes, np.inf], dtype.name)
    return np.concatenate([positive, -positive, np.array([np.nan], dtype.name)])


def integers(dtype: DType) -> Array:
    limits = np.iinfo(dtype.name)
    return np.array([0, 1, 2, 3, 7, 1000, limits.max, -1, -2, -7, limits.min], dtype.name)


def every(dtype: DType) -> Array:
    if dtype.kind == "b":
        return np.array([0, 1], np.uint8)
    return floats(dtype) if dtype.is_float else integers(dtype)


def grid(*parts: Array) -> list[Array]:
    """All combinations of some values."""
    return [np.ascontiguousarray(part.ravel()) for part in np.meshgrid(*parts, indexing="ij")]


def simulated(kernel: CudaKernel, arguments: list[Array], own_threads: bool = False) -> Array:
    size = arguments[0].size
    result = kernel.kernel.buffers[-1].dtype
    got = np.zeros(size, np.uint8 if result.kind == "b" else result.name)
    run_kernel(kernel, [size], [*arguments, got], own_threads=own_threads)
    return got


def check(got: Array, expected: Array) -> None:
    """The same bits, but for those of NaNs."""
    assert got.dtype == expected.dtype
    if got.dtype.kind != "f":
        assert got.tolist() == expected.tolist()
        return
    integer = np.int32 if got.dtype == np.float32 else np.int64
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    held = ~np.isnan(got)
    assert got[held].view(integer).tolist() == expected[held].view(integer).tolist()


OPERATIONS: list[tuple[str, str, list[list[DType]], DType | None]] = [
    ("add", "x + y", [[dtype, dtype] for dtype in (FLOAT32, FLOAT64, INT64)], None),
    ("add", "int32(x + y)", [[INT32, INT32]], None),
    ("subtract", "x - y", [[dtype, dtype] for dtype in FLOATS], None),
    ("multiply", "x * y", [[dtype, dtype] for dtype in (FLOAT32, FLOAT64, INT64)], None),
    ("multiply", "int32(x * y)", [[INT32, INT32]], None),
    ("divide", "x / y", [[dtype, dtype] for dtype in FLOATS], None),
    ("negate", "-x", [[dtype] for dtype in FLOATS], None),
    ("absolute", "abs(x)", [[dtype] for dtype in FLOATS], None),
    ("sqrt", "sqrt(x)", [[dtype] for dtype in FLOATS], None),
    ("floor", "floor(x)", [[dtype] for dtype in FLOATS], None),
    ("round_even", "round_even(x)", [[dtype] for dtype in FLOATS], None),
    ("copysign", "copysign(x, y)", [[dtype, dtype] for dtype in FLOATS], None),
    ("maximum", "maximum(x, y)", [[dtype, dtype] for dtype in (*FLOATS, *INTEGERS)], None),
    ("minimum", "minimum(x, y)", [[dtype, dtype] for dtype in (*FLOATS, *INTEGERS)], None),
    ("fma", "fma(x, y, z)", [[dtype] * 3 for dtype in FLOATS], None),
    ("floor_divide", "floor_divide(x, y)", [[dtype, dtype] for dtype in INTEGERS], None),
    ("remainder", "remainder(x, y)", [[dtype, dtype] for dtype in INTEGERS], None),
    ("select", "select(x, y, z)", [[BOOL, dtype, dtype] for dtype in (*FLOATS, *INTEGERS)], None),
    ("ldexp", "ldexp(x, y)", [[dtype, INT32] for dtype in FLOATS], None),
    ("less", "x < y", [[dtype, dtype] for dtype in (*FLOATS, *INTEGERS)], BOOL),
    ("less_equal", "x <= y", [[dtype, dtype] for dtype in FLOATS], BOOL),
    ("equal", "x == y", [[dtype, dtype] for dtype in FLOATS], BOOL),
    ("logical_not", "not x", [[BOOL]], BOOL),
    ("logical_and", "x & y", [[BOOL, BOOL]], BOOL),
    ("logical_or", "x | y", [[BOOL, BOOL]], BOOL),
    ("bit_xor", "x ^ y", [[dtype, dtype] for dtype in INTEGERS], None),
    ("convert", "saturate_int32(x)", [[dtype] for dtype in FLOATS], INT32),
    ("convert", "saturate_int64(x)", [[dtype] for dtype in FLOATS], INT64),
    ("convert", "float32(x)", [[dtype] for dtype in (FLOAT64, INT32, INT64)], FLOAT32),
    ("convert", "int32(x)", [[INT64]], INT32),
    ("bitcast", "int32_bits(x)", [[FLOAT32]], INT32),
    ("bitcast", "int64_bits(x)", [[FLOAT64]], INT64),
    ("bitcast", "float32_bits(x)", [[INT32]], FLOAT32),
    ("bitcast", "float64_bits(x)", [[INT64]], FLOAT64),
    ("libm_sin", "libm_sin(x)", [[FLOAT64]], None),
    ("libm_cos", "libm_cos(x)", [[FLOAT64]], None),
    ("libm_erf", "libm_erf(x)", [[FLOAT64]], None),
    ("libm_pow", "libm_pow(x, y)", [[FLOAT64, FLOAT64]], None),
]


@pytest.mark.parametrize(
    ("name", "text", "inputs", "result"),
    [
        pytest.param(name, text, inputs, result or inputs[-1], id=f"{text} of {', '.join(map(str, inputs))}")
        for name, text, forms, result in OPERATIONS
        for inputs in forms
        if name != "ldexp"
    ],
)
def test_an_operation_is_that_of_numpy(name: str, text: str, inputs: list[DType], result: DType) -> None:
    few = 1 if len(inputs) < 3 else 2
    arguments = grid(*(every(dtype)[::few] for dtype in inputs))
    got = simulated(map_kernel("one_kernel", text, inputs, result), arguments)
    booleans = [part != 0 if dtype.kind == "b" else part for part, dtype in zip(arguments, inputs, strict=True)]
    expected = S.primitive(name, result, *booleans)
    check(got, expected.astype(np.uint8) if result.kind == "b" else expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_ldexp_rounds_once(dtype: DType) -> None:
    exponents = np.array([0, 1, -1, 24, -24, 127, -126, -149, 300, -300, -1074, 2000, -2000], np.int32)
    arguments = grid(floats(dtype), exponents)
    got = simulated(map_kernel("ldexp_kernel", "ldexp(x, y)", [dtype, INT32], dtype), arguments)
    check(got, S.primitive("ldexp", dtype, *arguments))


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_are_ordered_and_a_nan_stays(dtype: DType) -> None:
    x = np.array([0.0, -0.0, np.nan, 1.0], dtype.name)
    y = np.array([-0.0, 0.0, 1.0, np.nan], dtype.name)
    largest = simulated(map_kernel("max_kernel", "maximum(x, y)", [dtype, dtype], dtype), [x, y])
    smallest = simulated(map_kernel("min_kernel", "minimum(x, y)", [dtype, dtype], dtype), [x, y])
    assert np.signbit(largest[:2]).tolist() == [False, False]
    assert np.signbit(smallest[:2]).tolist() == [True, True]
    assert np.isnan(largest[2:]).all()
    assert np.isnan(smallest[2:]).all()


def test_a_fused_product_is_rounded_once() -> None:
    x = np.array([1 + 2.0**-12], np.float32)
    z = np.array([-(1 + 2.0**-11)], np.float32)
    fused = simulated(map_kernel("fma_kernel", "fma(x, x, y)", [FLOAT32, FLOAT32], FLOAT32), [x, z])
    apart = simulated(map_kernel("two_kernel", "x * x + y", [FLOAT32, FLOAT32], FLOAT32), [x, z])
    assert (float(fused[0]), float(apart[0])) == (2.0**-24, 0.0)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in RANDOM])
def test_a_function_is_that_of_numpy(name: str, dtype: DType) -> None:
    values = floats(dtype)
    if name.endswith("_of_turn"):
        values = np.linspace(0, 1, 23, endpoint=False).astype(dtype.name)
    arguments = grid(values, values) if name == "power" else [values]
    call = f"{function_label(name, dtype)}({', '.join('xy'[: len(arguments)])})"
    got = simulated(map_kernel(f"{name}_kernel", call, [dtype] * len(arguments), dtype, [(name, dtype)]), arguments)
    check(got, np.asarray(_applied(name, *arguments)))


def _applied(name: str, *arguments: Array) -> Any:
    with np.errstate(all="ignore"):
        return FUNCTIONS[name](S, *arguments)


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_those_of_numpy(name: str) -> None:
    dtype = RANDOM[name][1]
    element = np.array([0, 1, 15, 16, 63, 64, 1000, 2**40 + 5], np.int64)
    key = np.array([0, 2**64 - 1, 15380419375099781653, 7, 8, 9, 2**63, 1], np.uint64)
    seed = np.arange(-4, 4, dtype=np.int64)
    kernel = map_kernel(f"{name}_kernel", f"{name}(x, y, z, z)", [INT64, UINT64, INT64], dtype, [(name, dtype)])
    check(simulated(kernel, [element, key, seed]), np.asarray(_applied(name, element, key, seed, seed)))


def exchange_kernel(dtype: DType, half: int) -> CudaKernel:
    code = (
        "def exchange_kernel(n, a, out):\n"
        "    i = cuda.blockIdx.x * 64 + cuda.threadIdx.x\n"
        f"    out[i] = exchange(a[i], {half})\n"
    )
    return kernel_of(code, [("a", dtype), ("out", dtype)])


@pytest.mark.parametrize("half", [8, 4, 2, 1])
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
def test_threads_exchange_values_within_groups_of_sixteen(dtype: DType, half: int) -> None:
    values = np.arange(128).astype(dtype.name)
    got = simulated(exchange_kernel(dtype, half), [values])
    assert got.tolist() == [number ^ half for number in range(128)]


def test_the_schedulers_of_numba_and_of_these_tests_agree() -> None:
    kernel = exchange_kernel(FLOAT32, 4)
    values = np.arange(64, dtype=np.float32)
    assert simulated(kernel, [values]).tolist() == simulated(kernel, [values], own_threads=True).tolist()


def test_an_index_out_of_bounds_is_an_error() -> None:
    kernel = kernel_of("def wild_kernel(n, out):\n    out[cuda.threadIdx.x - 1] = 0\n", [("out", INT32)])
    with pytest.raises(IndexError, match="place -1 of 64"):
        run_kernel(kernel, [64], [np.zeros(64, np.int32)])


def test_a_barrier_that_some_threads_miss_is_an_error() -> None:
    code = "def stuck_kernel(n, out):\n    if cuda.threadIdx.x < 16:\n        cuda.syncthreads()\n    out[0] = 1\n"
    with pytest.raises(AssertionError, match="48 threads miss the barrier of line 3"):
        run_kernel(kernel_of(code, [("out", INT32)]), [1], [np.zeros(1, np.int32)])


def test_a_guard_decides_whether_a_kernel_runs() -> None:
    code = (
        "def guarded_kernel(n, out, when0, chosen0):\n"
        "    if (when0[0] != 0) != (chosen0 != 0):\n"
        "        return\n"
        "    out[cuda.threadIdx.x] = 1\n"
    )
    kernel = kernel_of(code, [("out", INT32)], guards=1)
    outs = []
    for held in (0, 1):
        outs.append(np.zeros(64, np.int32))
        run_kernel(kernel, [64], [outs[-1]], [(np.array([held], np.uint8), 0)])
    assert [int(out.sum()) for out in outs] == [64, 0]
