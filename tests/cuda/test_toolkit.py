"""Kernels compiled for GPUs on a machine that has none: what the PTX holds, what the assembler says, the cache."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphc.dtypes import BOOL, FLOAT32, FLOAT64, INT32, INT64, UINT64, DType
from graphc.errors import CompilationError
from graphc.functions import FUNCTIONS
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.expressions import function_label
from graphc.philox import RANDOM
from graphc.runtime.cache import KernelCache
from graphc.runtime.cuda import toolkit
from graphc.runtime.cuda.compiler import Cubin, compile_cuda, compile_ptx
from graphc.runtime.cuda.worker import worthwhile
from graphc.runtime.executor import default_threads
from graphc.runtime.objects import ObjectCode
from tests.cuda.sources import kernel_of, map_kernel

CAPABILITIES = [(7, 5), (8, 0), (9, 0)]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(toolkit, "_is_installed", lambda name: False)
    toolkit.available.cache_clear()
    yield
    toolkit.available.cache_clear()


def unfused(factor: float = 3.0) -> CudaKernel:
    return map_kernel("scale_kernel", f"x * float32({factor}) + y", [FLOAT32, FLOAT32], FLOAT32)


def sum_of_lanes(dtype: DType) -> CudaKernel:
    code = (
        "def sum_kernel(n, a, out):\n"
        "    total = a[cuda.blockIdx.x * 64 + cuda.threadIdx.x]\n"
        "    half = 8\n"
        "    while half > 0:\n"
        f"        total = {dtype.name}(total + exchange(total, half))\n"
        "        half = half // 2\n"
        "    out[cuda.blockIdx.x * 64 + cuda.threadIdx.x] = total\n"
    )
    return kernel_of(code, [("a", dtype), ("out", dtype)])


def calls_of(name: str, dtype: DType) -> CudaKernel:
    label = function_label(name, dtype)
    if name in RANDOM:
        return map_kernel(f"{name}_kernel", f"{label}(x, y, x, x)", [INT64, UINT64], RANDOM[name][1], [(name, dtype)])
    arguments = [dtype] * (2 if name == "power" else 1)
    return map_kernel(
        f"{name}_kernel", f"{label}({', '.join('xy'[: len(arguments)])})", arguments, dtype, [(name, dtype)]
    )


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_kernel_is_assembled_for_a_capability(capability: tuple[int, int]) -> None:
    (cubin,) = compile_cuda([unfused()], capability, cache=KernelCache(None))
    assert cubin.data.startswith(b"\x7fELF")
    assert re.fullmatch(r"scale_kernel_[0-9a-f]{24}", cubin.entry)
    assert cubin.entry.encode() in cubin.data
    assert 0 < cubin.registers < 64
    assert (cubin.shared, cubin.spilled, cubin.stack) == (0, 0, 0)


@pytest.mark.usefixtures("compiler")
def test_products_and_sums_stay_apart() -> None:
    ptx = compile_ptx(unfused(), (9, 0))
    assert "mul.rn.f32" in ptx
    assert "add.rn.f32" in ptx
    assert "fma" not in ptx
    assert ".ftz" not in ptx
    assert ".f64" not in ptx


@pytest.mark.usefixtures("compiler")
def test_a_fused_product_is_one_instruction() -> None:
    ptx = compile_ptx(map_kernel("fma_kernel", "fma(x, y, z)", [FLOAT32] * 3, FLOAT32), (9, 0))
    assert ptx.count("fma.rn.f32") == 1
    assert "mul.rn.f32" not in ptx


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("value", "instruction"),
    [
        ("x / y", "div.rn.f32"),
        ("sqrt(x)", "sqrt.rn.f32"),
        ("floor(x)", "cvt.rmi.f32.f32"),
        ("round_even(x)", "cvt.rni.f32.f32"),
        ("copysign(x, y)", "copysign.f32"),
        ("maximum(x, y)", "max.f32"),
        ("minimum(x, y)", "min.f32"),
        ("abs(x)", "abs.f32"),
        ("select(x < y, x, y)", "selp.f32"),
    ],
)
def test_an_operation_is_the_instruction_that_rounds_as_the_cpu_does(value: str, instruction: str) -> None:
    ptx = compile_ptx(map_kernel("one_kernel", value, [FLOAT32, FLOAT32], FLOAT32), (7, 5))
    assert instruction in ptx
    assert ".approx" not in ptx
    assert ".f64" not in ptx
    assert "call" not in ptx


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_assembled_without_spills_or_calls(name: str) -> None:
    dtype = RANDOM[name][1] if name in RANDOM else FLOAT32
    kernel = calls_of(name, dtype)
    (cubin,) = compile_cuda([kernel], (9, 0), cache=KernelCache(None))
    assert (cubin.spilled, cubin.stack) == (0, 0)
    ptx = compile_ptx(kernel, (9, 0))
    assert "call" not in ptx
    assert ".approx" not in ptx
    in_double = {"sin", "cos", "power", "sin_of_turn", "cos_of_turn", "normal32", "normal64", "uniform64"}
    assert (".f64" in ptx) == (name in in_double)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sin", "cos", "erf", "power"])
def test_a_function_of_float64_is_assembled(name: str) -> None:
    (cubin,) = compile_cuda([calls_of(name, FLOAT64)], (8, 0), cache=KernelCache(None))
    assert cubin.spilled == 0


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, INT32, INT64])
def test_threads_exchange_by_shuffles_or_through_shared_memory(dtype: DType) -> None:
    kernel = sum_of_lanes(dtype)
    by_shuffles, through_memory = compile_ptx(kernel, (8, 0)), compile_ptx(kernel, (8, 0), shuffles=False)
    assert "shfl.sync.bfly" in by_shuffles
    assert "bar.sync" not in by_shuffles
    assert "shfl" not in through_memory
    assert "bar.sync" in through_memory
    (cubin,) = compile_cuda([kernel], (8, 0), shuffles=False, cache=KernelCache(None))
    assert cubin.shared == 256 * dtype.itemsize


@pytest.mark.usefixtures("compiler")
def test_guards_and_truth_values_are_bytes() -> None:
    code = (
        "def guarded_kernel(n, a, out, when0, chosen0):\n"
        "    if (when0[0] != 0) != (chosen0 != 0):\n"
        "        return\n"
        "    out[cuda.threadIdx.x] = uint8(not a[cuda.threadIdx.x] != 0)\n"
    )
    ptx = compile_ptx(kernel_of(code, [("a", BOOL), ("out", BOOL)], guards=1), (9, 0))
    assert ptx.count(".param .u64") == 5
    assert "ld.global.nc.u8" in ptx
    assert "st.global.u8" in ptx


@pytest.mark.usefixtures("compiler")
def test_registers_and_spills_are_those_of_the_assembler() -> None:
    lines = [f"    t{number} = a[cuda.threadIdx.x + {number * 1024}]" for number in range(120)]
    total = " + ".join(f"t{number} * t{119 - number}" for number in range(120))
    code = "\n".join(["def wide_kernel(n, a, out):", *lines, "    cuda.syncthreads()", f"    out[n] = {total}", ""])
    kernel = kernel_of(code, [("a", FLOAT32), ("out", FLOAT32)])
    crowded = CudaKernel(kernel.kernel, kernel.source, 1024, kernel.shares)
    roomy, full = compile_cuda([kernel, crowded], (9, 0), cache=KernelCache(None))
    assert roomy.registers > 100
    assert roomy.spilled == 0
    assert full.registers <= 64
    assert full.spilled > 0


@pytest.mark.usefixtures("compiler")
def test_equal_kernels_are_compiled_once_and_found_the_second_time(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path)
    first = compile_cuda([unfused(), unfused(5.0), unfused()], (8, 0), cache=cache)
    assert first[0] == first[2] != first[1]
    assert cache.counts == Counter(new=2)
    assert compile_cuda([unfused(5.0)], (8, 0), cache=cache) == [first[1]]
    assert cache.counts == Counter(new=2, hit=1)
    compile_cuda([unfused()], (9, 0), cache=cache)
    assert cache.counts == Counter(new=3, hit=1)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("damage", [b"", b"\x00garbage"])
def test_a_broken_entry_is_compiled_again(tmp_path: Path, damage: bytes) -> None:
    cache = KernelCache(tmp_path)
    (first,) = compile_cuda([unfused()], (8, 0), cache=cache)
    (path,) = tmp_path.glob("*.o")
    path.write_bytes(path.read_bytes()[:-40] + damage)
    assert compile_cuda([unfused()], (8, 0), cache=cache) == [first]
    assert cache.counts == Counter(new=1, broken=1)
    assert compile_cuda([unfused()], (8, 0), cache=cache) == [first]
    assert cache.counts == Counter(new=1, broken=1, hit=1)


@pytest.mark.usefixtures("compiler")
def test_workers_make_what_this_process_makes() -> None:
    kernels = [unfused(), sum_of_lanes(FLOAT32), calls_of("exp", FLOAT32)]
    here = compile_cuda(kernels, (8, 0), cache=KernelCache(None), workers=0)
    assert compile_cuda(kernels, (8, 0), cache=KernelCache(None), workers=2) == here


def test_few_kernels_are_compiled_without_workers() -> None:
    assert worthwhile(63) == 0
    assert worthwhile(64) == default_threads()


@pytest.mark.usefixtures("compiler")
def test_a_refused_kernel_is_an_error_with_its_source() -> None:
    kernel = map_kernel("wrong_kernel", "x + undefined", [FLOAT32], FLOAT32)
    with pytest.raises(CompilationError, match="numba-cuda refuses a kernel") as caught:
        compile_cuda([kernel], (8, 0), cache=KernelCache(None))
    assert "wrong_kernel" in str(caught.value)
    assert "out[i] = x + undefined" in str(caught.value)


@pytest.mark.usefixtures("compiler")
def test_what_the_assembler_refuses_is_an_error_with_its_log() -> None:
    with pytest.raises(CompilationError, match="nvJitLink refuses a kernel") as caught:
        toolkit.assemble(".version 8.0\n.target sm_80\n.address_size 64\nnonsense", (8, 0))
    assert "nonsense" in str(caught.value)


@pytest.mark.usefixtures("nothing_installed")
def test_missing_packages_are_an_error_that_says_what_to_install() -> None:
    assert toolkit.available() == "not installed: numba_cuda, cuda.bindings, cuda.core"
    with pytest.raises(CompilationError) as caught:
        compile_cuda([unfused()], (8, 0), cache=KernelCache(None))
    first, at, *others = str(caught.value).splitlines()
    assert first == "kernels cannot be compiled for CUDA"
    assert "test_toolkit.py" in at
    assert "compile_cuda([unfused()]" in at
    assert others == [
        "  got        not installed: numba_cuda, cuda.bindings, cuda.core",
        '  way out    pip install "graphc[cuda]"',
    ]
    with pytest.raises(CompilationError, match="not installed"):
        compile_ptx(unfused(), (8, 0))


def test_the_simulator_is_to_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit, "_is_installed", lambda name: True)
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    toolkit.available.cache_clear()
    try:
        with pytest.raises(CompilationError, match="simulator is switched on") as caught:
            toolkit.require()
    finally:
        toolkit.available.cache_clear()
    assert caught.value.way_out == "unset NUMBA_ENABLE_CUDASIM and start again"


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_in_the_cache_needs_no_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cubin = Cubin("scale_kernel_1", b"machine code", registers=24, shared=1024, spilled=0, stack=16)
    code = cubin.as_object()
    assert code == ObjectCode(
        "scale_kernel_1", b"machine code", (("registers", 24), ("shared", 1024), ("spilled", 0), ("stack", 16))
    )
    monkeypatch.setattr(KernelCache, "load", lambda cache, key: ObjectCode.from_bytes(code.to_bytes("scale_kernel")))
    assert compile_cuda([unfused()], (8, 0), cache=KernelCache(tmp_path)) == [cubin]


def test_importing_the_cuda_modules_loads_no_numba() -> None:
    code = (
        "import sys, graphc.runtime.cuda.compiler, graphc.runtime.cuda.worker; "
        "print([name for name in ('numba', 'numba_cuda', 'cuda') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
