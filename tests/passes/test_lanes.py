"""Every operation on 16 lanes gives the bits of the Python source, for values at which mistakes show; and the code of
other processors than this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import llvmlite.binding as llvm
import numpy as np
import pytest

import graphc as gc
from graphc.dtypes import BOOL, FLOAT32, FLOAT64, UINT32
from graphc.frontend.tensor import Tensor
from graphc.passes.lanes import number_in_llvm
from graphc.passes.source import Source
from graphc.passes.vector import vectors_apply
from graphc.runtime.executable import source_for
from graphc.scalar import Array
from tests.conftest import Golden
from tests.harness import same_bits
from tests.passes.building import program_of
from tests.passes.printers import assert_same_bits, function_in_python, results_of, run_source

FLOATS = ["float32", "float64"]
DTYPES = ["float32", "float64", "int32", "int64", "bool"]
FEATURES = ["+sse2", "+avx", "+avx512f"]
"""What processors with vectors of 16, 32 and 64 bytes say of themselves."""
GROWING: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": gc.exp,
    "expm1": gc.expm1,
    "sigmoid": gc.sigmoid,
    "softplus": gc.softplus,
    "tanh": gc.tanh,
    "erf": gc.erf,
}
"""The functions that multiply by powers of two."""
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = GROWING | {
    "log": gc.log,
    "log1p": gc.log1p,
    "sin": gc.sin,
    "cos": gc.cos,
    "sqrt": gc.sqrt,
    "rsqrt": gc.rsqrt,
    "floor": gc.floor,
    "sign": gc.sign,
    "abs": gc.abs,
}


def extremes(dtype: str) -> Array:
    """The values of an element type that are special, or next to one."""
    if dtype == "bool":
        return np.array([False, True])
    if dtype.startswith("int"):
        limits = np.iinfo(dtype)
        return np.array([0, 1, -1, 2, -2, 7, -7, limits.max, limits.max - 1, limits.min, limits.min + 1], dtype)
    floats = np.finfo(dtype)
    small = [0.0, floats.smallest_subnormal, floats.tiny / 2, floats.tiny]
    large = [2.0**31 - 128, 2.0**31, 1e10, 2.0**63 - 2.0**40, 2.0**63, floats.max, np.inf, np.nan]
    sizes = np.array([*small, 0.5, 1.0, 1.5, 2.5, 3.0, 88.5, 104.0, 745.5, *large], dtype)
    return np.concatenate([sizes, -sizes])


def of_all_exponents(dtype: str, count: int = 5000) -> Array:
    """Random bits read as floats."""
    return np.frombuffer(np.random.default_rng(4).bytes(count * np.dtype(dtype).itemsize), dtype)


def pairs_of(values: Array) -> tuple[Array, Array]:
    """Every value with every other."""
    left, right = np.meshgrid(values, values)
    return left.ravel(), right.ravel()


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_special_values(dtype: str) -> None:
    x = gc.input("x", shape=("n",), dtype=dtype)
    near = np.random.default_rng(5).uniform(-12, 12, 3001).astype(dtype)
    data = np.concatenate([extremes(dtype), of_all_exponents(dtype), near])
    assert_same_bits([x], {name: function(x) for name, function in FUNCTIONS.items()}, [{"x": data}])


@pytest.mark.parametrize("dtype", FLOATS)
def test_operations_on_pairs_of_special_values(dtype: str) -> None:
    x, y = gc.input("x", shape=("n",), dtype=dtype), gc.input("y", shape=("n",), dtype=dtype)
    left, right = pairs_of(extremes(dtype))
    outputs = {
        "power": x**y,
        "quotient": x / y,
        "product": x * y,
        "sum": x + y,
        "larger": gc.maximum(x, y),
        "smaller": gc.minimum(x, y),
        "less": x < y,
        "at_most": x <= y,
        "equal": x == y,
        "chosen": gc.where(x > y, x, -y),
        "finite": gc.isfinite(x * y),
    }
    assert_same_bits([x, y], outputs, [{"x": left, "y": right}])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_wrap_around_and_never_trap(dtype: str) -> None:
    x, y = gc.input("x", shape=("n",), dtype=dtype), gc.input("y", shape=("n",), dtype=dtype)
    left, right = pairs_of(extremes(dtype))
    outputs = {
        "quotient": x // y,
        "rest": x % y,
        "sum": x + y,
        "difference": x - y,
        "product": x * y,
        "negated": -x,
        "size": gc.abs(x),
        "sign": gc.sign(x),
        "larger": gc.maximum(x, y),
        "less": x < y,
        "total": gc.sum(x * y),
        "total_product": gc.prod(x * 2 + 1),
        "largest": gc.max(x),
    }
    (found,) = assert_same_bits([x, y], outputs, [{"x": left, "y": right}])
    lowest = int(np.iinfo(dtype).min)
    assert found["quotient"][(left == lowest) & (right == -1)].tolist() == [lowest]
    assert found["rest"][(left == lowest) & (right == -1)].tolist() == [0]
    assert not found["quotient"][right == 0].any()
    assert found["quotient"][(left == -7) & (right == 2)].tolist() == [-4]
    assert found["rest"][(left == -7) & (right == 2)].tolist() == [1]
    assert found["size"][left == lowest].tolist() == [lowest] * len(extremes(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_casts_from_every_type_to_every_type(dtype: str) -> None:
    x = gc.input("x", shape=("n",), dtype=dtype)
    data = np.tile(extremes(dtype), 3)
    (found,) = assert_same_bits([x], {f"to_{other}": gc.cast(x, other) for other in DTYPES}, [{"x": data}])
    if dtype in FLOATS:
        assert found["to_int32"][np.isnan(data)].tolist() == [0] * 6
        assert found["to_int64"][data == np.inf].tolist() == [2**63 - 1] * 3
        assert found["to_int32"][data == -1e10].tolist() == [-(2**31)] * 3
        assert found["to_bool"][np.isnan(data)].all()


def test_numbers_alone() -> None:
    x, whole = gc.input("x", shape=(), dtype="float32"), gc.input("whole", shape=(), dtype="int64")
    outputs = {name: function(x) for name, function in FUNCTIONS.items()}
    outputs |= {"power": x**x, "rest": whole % 7, "quotient": whole // -3, "cast": gc.cast(x, "int64") + whole}
    outputs |= {"flag": (x < 0.5) | (whole == 3), "truth": gc.where(x == x, x, 1.0)}
    feeds = [{"x": np.array(value), "whole": np.array(7)} for value in extremes("float32")]
    assert_same_bits([x, whole], outputs, feeds)


def dense(dtype: str) -> Array:
    """Every part of the range in which exp neither overflows nor is 0, most of it where results are denormal."""
    low, normal, high = (-104.5, -87.0, 89.5) if dtype == "float32" else (-746.0, -708.0, 711.0)
    parts = [np.linspace(low, normal, 20_001), np.linspace(normal, high, 30_001), np.linspace(-1, 1, 10_001)]
    return np.concatenate([*(part.astype(dtype) for part in parts), extremes(dtype)])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("features", FEATURES)
def test_powers_of_two_of_every_vector_unit(features: str, dtype: str) -> None:
    x = gc.input("x", shape=("n",), dtype=dtype)
    data = dense(dtype)
    outputs = {name: function(x) for name, function in GROWING.items()}
    expected = results_of(function_in_python([x], outputs), {"x": data})
    for name, output in outputs.items():
        (call,) = program_of({name: output}).calls
        found = run_source(call, source_for(call.kernel, features), {"x": data}, {"n": len(data)}, parts=2)
        assert same_bits(found, expected[name]), name
    denormal = (expected["exp"] > 0) & (expected["exp"] < np.finfo(dtype).tiny)
    assert denormal.sum() > 10_000


@pytest.mark.parametrize("features", FEATURES)
def test_powers_of_every_vector_unit(features: str) -> None:
    x, y = gc.input("x", shape=("n",)), gc.input("y", shape=("n",))
    left, right = pairs_of(np.concatenate([extremes("float32"), np.linspace(0.001, 40, 80, dtype=np.float32)]))
    data = {"x": left, "y": -right}
    (call,) = program_of({"power": x**y}).calls
    found = run_source(call, source_for(call.kernel, features), data, {"n": len(left)})
    assert same_bits(found, results_of(function_in_python([x, y], {"power": x**y}), data)["power"])


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 17, 33, 100])
def test_kernels_write_their_results_and_nothing_behind(rows: int) -> None:
    x, whole = gc.input("x", shape=("rows", 3)), gc.input("whole", shape=("rows",), dtype="int32")
    matrix, column = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3), np.arange(rows, dtype=np.int32)
    expected = {
        "double": (x * 2.0, matrix * np.float32(2)),
        "turned": (x.T + 1.0, matrix.T + np.float32(1)),
        "sums": (gc.sum(x, axis=0), matrix.sum(axis=0)),
        "outer": (x * gc.cast(whole, "float32")[:, None], matrix * column[:, None].astype(np.float32)),
        "small": (whole < 20, column < 20),
        "bytes": (gc.cast(whole, "bool"), column != 0),
    }
    for name, (output, wanted) in expected.items():
        (call,) = program_of({name: output}).calls
        for parts in (1, 3):
            found = run_source(call, source_for(call.kernel, ""), {"x": matrix, "whole": column}, {"rows": rows}, parts)
            assert same_bits(found, wanted), name


def of_every_kind() -> dict[str, Tensor]:
    """Values whose kernels need every instruction that the printer knows."""
    x, wide = gc.input("x", shape=("rows", 37)), gc.input("wide", shape=("rows", 37), dtype="float64")
    whole = gc.input("whole", shape=("rows", 37), dtype="int32")
    flag, pick = gc.input("flag", shape=("rows", 37), dtype="bool"), gc.input("pick", shape=("n",), dtype="int64")
    return {
        "softmax": gc.softmax(x, axis=1),
        "columns": gc.sum(x * x, axis=0),
        "total": gc.max(x),
        "turned": gc.sin(x).T + gc.erf(x).T,
        "wide": gc.exp(wide) + gc.sin(wide) ** gc.floor(wide),
        "integers": whole // 7 + whole % (whole * whole),
        "casts": gc.cast(x, "int64") + gc.cast(wide, "int64"),
        "flags": (flag & (x < 0.5))[:, ::-1],
        "taken": gc.take(x, pick) * 2.0,
        "added": gc.scatter_add(x, pick, gc.random.normal(("n", 37), name="noise")),
        "best": gc.argmax(x, axis=1),
        "checked": gc.check_range(pick, 0, 9),
    }


def targets() -> Iterator[tuple[str, str, int]]:
    """Processors that this LLVM knows: the triple, a plain model, and the number that object files give it."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    for triple, model, number in (
        ("x86_64-unknown-linux-gnu", "x86-64", 62),
        ("aarch64-unknown-linux-gnu", "generic", 183),
    ):
        try:
            llvm.Target.from_triple(triple)
        except RuntimeError:
            continue
        yield triple, model, number


def object_for(source: Source, triple: str, model: str) -> bytes:
    module = llvm.parse_assembly(source.code.replace("@KERNEL", "@kernel"))
    module.verify()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=model, features="", opt=3)
    return bytes(machine.emit_object(module))


@pytest.mark.parametrize(("triple", "model", "number"), list(targets()))
def test_kernels_compile_for_other_processors(triple: str, model: str, number: int) -> None:
    kernels = [call.kernel for call in program_of(of_every_kind()).calls]
    assert [kernel.name for kernel in kernels if not vectors_apply(kernel)] == []
    for kernel in kernels:
        code = object_for(source_for(kernel, ""), triple, model)
        assert code.startswith(b"\x7fELF"), kernel.name
        assert int.from_bytes(code[18:20], "little") == number, kernel.name


def test_code_is_what_the_golden_file_holds(golden: Golden) -> None:
    x = gc.input("amounts", shape=("samples", 20))
    (call,) = program_of({"y": gc.sum(gc.maximum(x, 0.0), axis=1)}).calls
    golden.check("vector-row-sums.txt", source_for(call.kernel, "+avx").code)


def test_numbers_are_written_without_rounding() -> None:
    assert number_in_llvm(0.1, FLOAT32) == "0x3FB99999A0000000"
    assert number_in_llvm(0.1, FLOAT64) == "0x3FB999999999999A"
    assert number_in_llvm(float("inf"), FLOAT32) == number_in_llvm(1e300, FLOAT32) == "0x7FF0000000000000"
    assert number_in_llvm(2.0**31, UINT32) == "-2147483648"
    assert number_in_llvm(1, BOOL) == "true"
