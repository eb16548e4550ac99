"""CPU kernels as functions of the fake driver: whole programs go through the CUDA executable without a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphc.frontend.state import Cell
from graphc.node import Node
from graphc.passes.build import Program
from graphc.passes.cuda.grid import CudaKernel
from graphc.runtime.compilation import Task, compile_sources
from graphc.runtime.cuda.compiler import Cubin
from graphc.runtime.cuda.cublaslt import CublasLt
from graphc.runtime.cuda.device import CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.engine import Engine, host
from graphc.runtime.executable import source_for
from graphc.runtime.executor import executor_for
from tests.cuda.fake_driver import FakeDriver, Kernel

Run = Callable[[tuple[int, ...]], None]
"""Does what a kernel does with its arguments, but for the guards."""


def executable_on(
    fake: FakeDriver,
    program: Program,
    cells: Mapping[Node, Cell],
    device: CudaDevice | None = None,
    library: CublasLt | None = None,
) -> CudaExecutable:
    """A program whose kernels run on the CPU, on a device over a fake driver. library: computes its products."""

    def compile(kernels: Sequence[CudaKernel], capability: tuple[int, int]) -> list[Cubin]:
        return as_modules(fake, kernels, cpu_functions(kernels))

    precision = "exact" if library is None else "float32"
    device = device or CudaDevice(Driver(fake))
    return CudaExecutable(program, cells, precision, device, compile, lambda precision, device: library)


def as_modules(fake: FakeDriver, kernels: Sequence[CudaKernel], functions: Sequence[Run]) -> list[Cubin]:
    """A module of the fake driver for each kernel. A kernel whose guards say no does nothing; of two that compute a
    product in parts, the second does all."""
    cubins = []
    for number, (kernel, function) in enumerate(zip(kernels, functions, strict=True)):
        name = f"{kernel.kernel.name}_{number}"
        cubins.append(Cubin(name, fake.add(name, _guarded(kernel, function)), 0, 0, 0, 0))
    return cubins


def _guarded(kernel: CudaKernel, function: Run) -> Kernel:
    count = len(kernel.kernel.sizes) + len(kernel.kernel.buffers)

    first = count + bool(kernel.scratch)
    half = bool(kernel.scratch) and kernel.before is None

    def run(arguments: tuple[int, ...]) -> None:
        guards = list(zip(arguments[first::2], arguments[first + 1 :: 2], strict=True))
        if not half and all(ctypes.c_uint8.from_address(place).value == chosen for place, chosen in guards):
            function(arguments[:count])

    return Kernel(first + 2 * kernel.guards, run)


def cpu_functions(kernels: Sequence[CudaKernel]) -> list[Run]:
    """The machine code of kernels for this processor, run on one thread."""
    codes = compile_sources([_task(kernel) for kernel in kernels])
    engine = Engine(codes)

    def function(symbol: str) -> Run:
        def run(arguments: tuple[int, ...]) -> None:
            table = np.array([0, engine.address(symbol), len(arguments), *arguments], np.int64)
            executor_for(1).run(int(table.ctypes.data), len(table))

        return run

    return [function(code.symbol) for code in codes]


def _task(kernel: CudaKernel) -> Task:
    buffers = tuple(buffer.dtype for buffer in kernel.kernel.buffers)
    return source_for(kernel.kernel, host()[1]), 2 + len(kernel.kernel.sizes), buffers
