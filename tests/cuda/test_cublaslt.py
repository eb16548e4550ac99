"""Products by cuBLASLt without a GPU: what the library is told, read back from it and computed by numpy."""

from __future__ import annotations

import gc as garbage
import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.dims import Dim, evaluate
from graphc.dtypes import FLOAT32, FLOAT64
from graphc.errors import CompilationError, DeclarationError, DeviceError, GraphcError, MissingPackageError
from graphc.frontend.state import aligned_empty
from graphc.passes.gemm import Gemm, Matrix, as_gemm
from graphc.runtime.cuda import cublaslt
from graphc.runtime.cuda.cublaslt import CublasLt, Library, describe
from graphc.scalar import Array
from tests.cuda.host_products import LAYOUT, OPERATION, Memory, OnHost, read
from tests.passes.building import program_of

ROOT = Path(__file__).parents[2]
OWN_KERNELS = 'let the kernels of graphc compute it, with precision="exact"'


@pytest.fixture(params=["python", "library"])
def inner(request: pytest.FixtureRequest) -> Library:
    """Where descriptors are kept: by the library itself where it is installed, and by a few lines of Python."""
    if request.param == "python":
        return Memory()
    reason = cublaslt.available()
    if reason is not None:
        pytest.skip(reason)
    return CublasLt().library


@pytest.fixture
def host(inner: Library) -> OnHost:
    return OnHost(inner)


BATCH, ROWS, COLUMNS, DEPTH = 3, 4, 5, 6
PLAIN = Gemm(1, ROWS, COLUMNS, DEPTH, Matrix("x", DEPTH), Matrix("y", COLUMNS), Matrix("z", COLUMNS), FLOAT32)
LEFT_TURNED, RIGHT_TURNED = Matrix("x", ROWS, transposed=True), Matrix("y", DEPTH, transposed=True)
CASES = {
    "plain": PLAIN,
    "left transposed": replace(PLAIN, left=LEFT_TURNED),
    "right transposed": replace(PLAIN, right=RIGHT_TURNED),
    "both transposed": replace(PLAIN, left=LEFT_TURNED, right=RIGHT_TURNED),
    "lines apart": replace(PLAIN, left=Matrix("x", 9), right=Matrix("y", 8, 0, True), out=Matrix("z", 7)),
    "batch": replace(
        PLAIN, batch=BATCH, left=Matrix("x", DEPTH, 24), right=Matrix("y", COLUMNS, 30), out=Matrix("z", COLUMNS, 20)
    ),
    "one right for all": replace(PLAIN, batch=BATCH, left=Matrix("x", DEPTH, 24), out=Matrix("z", COLUMNS, 20)),
    "one left for all": replace(PLAIN, batch=BATCH, right=Matrix("y", DEPTH, 32, True), out=Matrix("z", COLUMNS, 20)),
    "bias": replace(PLAIN, epilogue="bias", bias="b"),
    "bias of a batch": replace(
        PLAIN, batch=BATCH, left=Matrix("x", DEPTH, 24), out=Matrix("z", COLUMNS, 20), epilogue="bias", bias="b"
    ),
    "relu": replace(PLAIN, epilogue="relu"),
    "relu and bias": replace(PLAIN, left=LEFT_TURNED, epilogue="relu_bias", bias="b"),
    "added to what is there": replace(PLAIN, accumulate=True),
    "float64": replace(PLAIN, dtype=FLOAT64, right=RIGHT_TURNED, epilogue="bias", bias="b"),
    "one column": replace(PLAIN, columns=1, right=Matrix("y", 1), out=Matrix("z", 1)),
}


def memory(size: int, gemm: Gemm, seed: int) -> Array:
    array = aligned_empty((size,), gemm.dtype.numpy)
    array[...] = np.random.default_rng(seed).normal(size=size)
    return array


def matrices(flat: Array, matrix: Matrix, shape: tuple[int, int, int]) -> Array:
    """The matrices that lie in an array, copied element by element."""
    found = np.empty(shape, flat.dtype)
    for n, i, j in np.ndindex(shape):
        line, place = (j, i) if matrix.transposed else (i, j)
        assert isinstance(matrix.leading, int)
        assert isinstance(matrix.step, int)
        found[n, i, j] = flat[n * matrix.step + line * matrix.leading + place]
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_product_computes_what_it_says(host: OnHost, name: str) -> None:
    gemm = CASES[name]
    assert isinstance(gemm.batch, int)
    assert isinstance(gemm.columns, int)
    left, right, out, bias = (memory(120, gemm, seed) for seed in range(4))
    shapes = (gemm.batch, ROWS, DEPTH), (gemm.batch, DEPTH, gemm.columns), (gemm.batch, ROWS, gemm.columns)
    before = out.copy()
    a, b = matrices(left, gemm.left, shapes[0]), matrices(right, gemm.right, shapes[1])
    expected = a @ b + (matrices(out, gemm.out, shapes[2]) if gemm.accumulate else 0)
    expected = expected + bias[: gemm.columns] if gemm.bias else expected
    expected = np.maximum(expected, 0) if "relu" in gemm.epilogue else expected
    product = CublasLt(host).plan(gemm, {})
    product.run(left.ctypes.data, right.ctypes.data, out.ctypes.data, bias.ctypes.data, workspace_address=256, stream=7)
    np.testing.assert_allclose(matrices(out, gemm.out, shapes[2]), expected, rtol=2e-5, atol=1e-5)
    assert host.last_run == (256, 7)
    assert np.count_nonzero(out != before) == expected.size  # and nothing else is written


def test_a_kernel_is_computed_from_its_own_buffers(host: OnHost) -> None:
    x, w, b = gc.input("x", shape=("batch", 8, 16)), gc.input("w", shape=(16, 4)), gc.input("b", shape=(4,))
    (call,) = program_of({"y": x @ w + b}).calls
    gemm = as_gemm(call.kernel)
    assert gemm is not None
    sizes = {name: evaluate(size, {"batch": 3}) for name, size in zip(call.kernel.sizes, call.sizes, strict=True)}
    arrays = {
        buffer.name: memory(evaluate(place.type.elements, {"batch": 3}), gemm, number)
        for number, (buffer, place) in enumerate(zip(call.kernel.buffers, call.arguments, strict=True))
    }
    names = {place.name: buffer.name for buffer, place in zip(call.kernel.buffers, call.arguments, strict=True)}
    product = CublasLt(host).plan(gemm, sizes)
    used = (gemm.left.buffer, gemm.right.buffer, gemm.out.buffer, gemm.bias)
    product.run(*(arrays[name].ctypes.data for name in used))
    expected = arrays[names["x"]].reshape(24, 16) @ arrays[names["w"]].reshape(16, 4) + arrays[names["b"]]
    np.testing.assert_allclose(arrays[names["y"]].reshape(24, 4), expected, rtol=1e-5, atol=1e-5)


def test_operands_change_places_and_lines_become_columns(inner: Library) -> None:
    n = Dim(1, ("n",))
    left, right, out = Matrix("x", 784, transposed=True), Matrix("y", 128, Dim(128, ("n",))), Matrix("z", 130, 102_000)
    gemm = Gemm(2, 784, 128, n, left, right, out, FLOAT32, "relu_bias", "b")
    known = describe(inner, gemm, {"n": 32})
    assert read(inner, "MatmulDesc", known.operation.pointer, OPERATION) == {
        "compute": 68,
        "scale": 0,
        "pointer mode": 0,
        "transpose a": 0,
        "transpose b": 1,
        "epilogue": 6,
        "bias": 0,
    }
    layouts = [read(inner, "MatrixLayout", each.pointer, LAYOUT) for each in (known.a, known.b, known.d)]
    told = [tuple(layout[name] for name in ("rows", "columns", "leading", "batch", "step")) for layout in layouts]
    assert told == [(128, 32, 128, 2, 4096), (784, 32, 784, 2, 0), (128, 784, 130, 2, 102_000)]
    assert [(layout["type"], layout["order"]) for layout in layouts] == [(0, 0)] * 3
    assert known.a.attributes() == layouts[0]


@pytest.mark.parametrize(
    ("gemm", "precision", "compute"),
    [
        (PLAIN, "float32", 68),
        (PLAIN, "tf32", 77),
        (PLAIN, "bfloat16", 75),
        (replace(PLAIN, dtype=FLOAT64), "float32", 70),
        (replace(PLAIN, dtype=FLOAT64), "tf32", 70),
    ],
)
def test_float32_is_exact_unless_asked_otherwise_and_float64_always(
    inner: Library, gemm: Gemm, precision: str, compute: int
) -> None:
    known = describe(inner, gemm, {}, precision)
    operation = read(inner, "MatmulDesc", known.operation.pointer, OPERATION)
    assert (operation["compute"], operation["scale"]) == (compute, 1 if gemm.dtype == FLOAT64 else 0)


def test_an_unknown_precision_is_refused(host: OnHost) -> None:
    with pytest.raises(DeclarationError) as caught:
        CublasLt(host).plan(PLAIN, {}, "float16")
    text = str(caught.value)
    assert "'float16' is no precision of matrix products" in text
    assert "float32, tf32, bfloat16" in text


def test_the_search_is_told_what_memory_there_is(host: OnHost) -> None:
    gemm = replace(PLAIN, epilogue="bias", bias="b")
    product = CublasLt(host).plan(gemm, {}, workspace=4096, alignment=32)
    assert host.asked == {"workspace": 4096, **{f"alignment {one}": 32 for one in "abcd"}}
    assert host.bias_asked == 32
    assert product.workspace == 512


def test_running_a_product_neither_searches_nor_allocates(host: OnHost) -> None:
    library = CublasLt(host)
    plain, biased = (library.plan(gemm, {}) for gemm in (PLAIN, CASES["bias"]))
    assert host.calls.count("cublasLtCreate") == 1
    host.calls.clear()
    arrays = [memory(40, PLAIN, seed) for seed in range(4)]
    left, right, out, bias = (array.ctypes.data for array in arrays)
    plain.run(left, right, out)
    assert host.calls == ["cublasLtMatmul"]
    biased.run(left, right, out, bias)
    assert host.calls[1:] == ["cublasLtMatmulDescSetAttribute", "cublasLtMatmul"]


def test_what_the_library_made_is_given_back(host: OnHost) -> None:
    library = CublasLt(host)
    product = library.plan(PLAIN, {})
    del library
    garbage.collect()
    assert "cublasLtDestroy" not in host.calls  # the product still needs it
    del product
    garbage.collect()
    for kind, count in (("", 1), ("MatmulDesc", 1), ("MatrixLayout", 3), ("MatmulPreference", 1)):
        assert host.calls.count(f"cublasLt{kind}Create") == count
        assert host.calls.count(f"cublasLt{kind}Destroy") == count


def test_a_result_without_elements_needs_no_library(host: OnHost) -> None:
    gemm = replace(PLAIN, rows=Dim(1, ("n",)))
    product = CublasLt(host).plan(gemm, {"n": 0})
    product.run(0, 0, 0)
    assert product.workspace == 0
    assert host.calls == []


def test_a_sum_of_nothing_is_refused(host: OnHost) -> None:
    with pytest.raises(CompilationError, match=r"the product f32\[4, 0\] @ f32\[0, 5\] adds up nothing"):
        CublasLt(host).plan(replace(PLAIN, depth=Dim(1, ("n",))), {"n": 0})


def test_lines_that_overlap_are_refused(host: OnHost) -> None:
    with pytest.raises(CompilationError) as caught:
        CublasLt(host).plan(replace(PLAIN, depth=Dim(1, ("n",))), {"n": 7})
    text = str(caught.value)
    assert "the lines of an operand of the product f32[4, 7] @ f32[7, 5] overlap" in text
    assert "7 elements apart" in text


def test_an_address_off_its_alignment_is_refused(host: OnHost) -> None:
    product = CublasLt(host).plan(CASES["bias"], {}, alignment=16)
    with pytest.raises(DeviceError) as caught:
        product.run(1024, 2048, 4096, 8192 + 8)
    text = str(caught.value)
    assert "an operand of the product f32[4, 6] @ f32[6, 5] + bias lies off its alignment" in text
    assert "multiples of 16" in text
    assert "0x400, 0x800, 0x1000, 0x2008" in text
    assert "cublasLtMatmul" not in host.calls


@pytest.mark.parametrize(
    ("function", "status", "name", "way_out", "kind"),
    [
        ("cublasLtCreate", 1, "NOT_INITIALIZED", "NVIDIA driver", DeviceError),
        ("cublasLtMatmulAlgoGetHeuristic", 15, "NOT_SUPPORTED", OWN_KERNELS, CompilationError),
        ("cublasLtMatmulAlgoGetHeuristic", 14, "INTERNAL_ERROR", OWN_KERNELS, DeviceError),
        ("cublasLtMatrixLayoutCreate", 3, "ALLOC_FAILED", "a smaller batch", DeviceError),
        ("cublasLtMatmul", 13, "EXECUTION_FAILED", OWN_KERNELS, DeviceError),
        ("cublasLtMatmul", 99, "UNKNOWN", OWN_KERNELS, DeviceError),
    ],
)
def test_an_error_names_the_product_and_the_status(
    host: OnHost, function: str, status: int, name: str, way_out: str, kind: type[GraphcError]
) -> None:
    host.refuses[function] = status
    with pytest.raises(kind) as caught:
        CublasLt(host).plan(CASES["batch"], {}).run(64, 128, 192)
    text = str(caught.value)
    assert "cuBLASLt does not compute 3 products f32[4, 6] @ f32[6, 5]" in text
    assert f"refused    {function}\n" in text
    assert f"CUBLAS_STATUS_{name} ({status})" in text
    assert way_out in text


@pytest.mark.parametrize(("found", "workspace"), [(0, 512), (1, 1 << 30)])
def test_a_product_without_an_algorithm_is_refused(host: OnHost, found: int, workspace: int) -> None:
    host.found, host.workspace = found, workspace
    with pytest.raises(CompilationError, match=r"CUBLAS_STATUS_NOT_SUPPORTED \(15\)"):
        CublasLt(host).plan(PLAIN, {})


@pytest.fixture
def found_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The library is looked for anew, and afterwards again."""
    cublaslt._load.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    cublaslt._load.cache_clear()


def test_a_missing_library_says_what_brings_it(found_again: pytest.MonkeyPatch) -> None:
    found_again.setattr(cublaslt, "_files", lambda: iter(()))
    assert cublaslt.available() == "cuBLASLt is not installed"
    with pytest.raises(MissingPackageError) as caught:
        CublasLt()
    assert "cuBLASLt is not installed" in str(caught.value)
    assert 'pip install "graphc[cublas]"' in str(caught.value)


def test_a_broken_or_old_library_is_passed_over(found_again: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "libcublasLt.so.13"
    broken.write_bytes(b"no library")
    found_again.setattr(cublaslt, "_files", lambda: iter([str(broken)]))
    assert str(cublaslt.available()).startswith("cuBLASLt cannot be loaded: ")

    class Old:
        major, version = 11, "11.4"

        def __init__(self, path: str) -> None:
            self.path = path

    cublaslt._load.cache_clear()
    found_again.setattr(cublaslt, "_Loaded", Old)
    assert cublaslt.available() == "cuBLASLt 11.4 is too old; 12.0 is the first that will do"


def test_the_newest_library_of_the_wheels_comes_first(found_again: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, version in (("cublas", 12), ("cu13", 13), ("cu9", 9)):
        (tmp_path / folder / "lib").mkdir(parents=True)
        (tmp_path / folder / "lib" / f"libcublasLt.so.{version}").touch()

    class Package:
        submodule_search_locations = (str(tmp_path),)

    found_again.setattr(cublaslt, "find_spec", lambda name: Package())
    found_again.setattr(cublaslt, "find_library", lambda name: "libcublasLt.so.8")
    assert [path.rpartition(".")[2] for path in cublaslt._files()] == ["13", "12", "9", "8"]


def test_importing_the_module_loads_no_library() -> None:
    code = "import graphc.runtime.cuda.cublaslt as m; print(m._load.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "0"


def test_without_a_driver_the_installed_library_says_so() -> None:
    reason = cublaslt.available()
    if reason is not None or find_library("cuda") is not None:
        pytest.skip(reason or "this machine has a driver")
    library = CublasLt()
    assert int(library.library.version.partition(".")[0]) >= 12
    with pytest.raises(DeviceError, match=r"CUBLAS_STATUS_NOT_INITIALIZED \(1\)"):
        library.plan(PLAIN, {})
