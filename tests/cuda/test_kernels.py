"""Every kernel of real training steps, compiled and assembled for three generations of GPUs."""

from __future__ import annotations

import re

import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.runtime.cuda.compiler import Task, assemble_task, lower_task
from graphc.runtime.cuda.listing import kernel_rows
from graphc.runtime.target import Target
from tests.end_to_end.workloads import WORKLOADS

CAPABILITIES = ((7, 5), (8, 0), (9, 0))
DOUBLE_INSIDE = {"sin", "cos", "power", "cos_of_turn", "sin_of_turn", "normal32"}
"""Functions of float32 that are defined by way of float64."""
CARRIES_DOUBLE = re.compile(r"\s*(@\S+ )?(ld|st|mov|cvt|selp|\.reg|\.param)\b")
"""Lines of PTX that hand a float64 on, or round it, but do not compute with it."""
SHARED_MEMORY = 48 * 1024


def kernels_of(name: str) -> list[CudaKernel]:
    """The kernels that a training step of a workload launches, equal ones once."""
    model, target = WORKLOADS[name].compiled(1), Target("cuda")
    found: dict[str, CudaKernel] = {}
    for call in target.program(model.graph("train", target)).calls:
        kernel = cuda_kernel(call, exact=False)
        for one in kernel.launched:
            found.setdefault(one.source.code, one)
    return list(found.values())


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", WORKLOADS)
def test_kernels_assemble_without_spills_or_needless_double_precision(name: str) -> None:
    for kernel in kernels_of(name):
        lowered = lower_task(Task.of(kernel))
        for capability in CAPABILITIES:
            cubin = assemble_task(lowered, capability)
            assert cubin.data.startswith(b"\x7fELF")
            assert (cubin.spilled, cubin.stack) == (0, 0), kernel.source.code
            assert cubin.shared <= SHARED_MEMORY
            assert cubin.registers * kernel.threads <= 65536
        assert not computes_in_double(kernel, lowered.ptx(CAPABILITIES[0])), kernel.source.code


def computes_in_double(kernel: CudaKernel, ptx: str) -> bool:
    """True if a kernel computes with float64 though nothing that it computes is declared so."""
    if "float64" in kernel.source.code or DOUBLE_INSIDE & {function for function, _ in kernel.source.functions}:
        return False
    lines = [line for line in ptx.splitlines() if ".f64" in line]
    if any(dtype.name == "float64" for dtype in kernel.buffers):
        return any(not CARRIES_DOUBLE.match(line) for line in lines)
    return bool(lines)


@pytest.mark.usefixtures("compiler")
def test_a_report_says_what_kernels_take_before_there_is_a_gpu() -> None:
    x, y = gc.input("x", shape=("batch", 300)), gc.input("y", shape=("batch", 2))
    loss = losses.mean_squared_error(layers.Dense(2, name="dense")(x), y)
    lines = gc.compile(loss, optimizers.SGD(0.1), target="cuda").report(timed=False, batch=1000).splitlines()
    assert lines[0] == "model: one training step, batch = 1000, compiled for sm_90"
    assert "registers  shared  spilled" in lines[7]
    rows = [line.split() for line in lines[8:]]
    assert all(int(row[-1].replace(",", "")) == 0 for row in rows), "spills"
    assert any(int(row[-2].replace(",", "")) > 1024 for row in rows), "no shared memory"


@pytest.mark.usefixtures("compiler")
def test_a_report_says_what_the_host_does() -> None:
    x, label = gc.input("x", shape=("batch", 6)), gc.input("label", shape=("batch",), dtype="int64")
    loss = losses.softmax_cross_entropy(layers.Dense(3, name="dense")(x), label)
    calls = gc.compile(loss, optimizers.SGD(0.1), target="cuda").program("train").calls
    times = [0.0, *(1e-6 for _ in calls[1:])]
    rows = list(kernel_rows(calls, {"batch": 4}, False, (9, 0), times))
    assert rows[1].split() == ["1", "check_range_kernel", "0", "40", "by", "the", "host"]
    assert len(rows[2].split()) == 13
    assert rows[-1].split()[-1] == f"{len(calls) - 1}.00"
