"""A GPU of numba's simulator: the device over the fake driver, whose kernels run in the simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.frontend.state import Cell
from graphc.node import Node
from graphc.passes.build import Program
from graphc.passes.cuda.grid import CudaKernel
from graphc.runtime.cuda.compiler import Cubin
from graphc.runtime.cuda.device import CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.scalar import Array
from tests.cuda.fake_driver import FakeDriver, Kernel
from tests.simulated.simulate import run_kernel


def simulated(program: Program, cells: Mapping[Node, Cell], precision: str, fake: FakeDriver) -> CudaExecutable:
    """A program on a device whose kernels run in the simulator, over memory of a fake driver."""

    def compile(kernels: Sequence[CudaKernel], capability: tuple[int, int]) -> list[Cubin]:
        return [_module(fake, kernel) for kernel in kernels]

    return CudaExecutable(program, cells, precision, CudaDevice(Driver(fake)), compile, lambda precision, device: None)


def _module(fake: FakeDriver, kernel: CudaKernel) -> Cubin:
    values, places = len(kernel.kernel.sizes), len(kernel.kernel.sizes) + len(kernel.buffers)

    def run(arguments: tuple[int, ...]) -> None:
        buffers = [
            _array(fake, address, dtype.numpy)
            for address, dtype in zip(arguments[values:places], kernel.buffers, strict=True)
        ]
        pairs = zip(arguments[places::2], arguments[places + 1 :: 2], strict=True)
        guards = [(_array(fake, address, np.dtype(np.bool_)), chosen) for address, chosen in pairs]
        run_kernel(kernel, arguments[:values], buffers, guards)

    name = kernel.source.name
    return Cubin(name, fake.add(name, Kernel(places + 2 * kernel.guards, run)), 0, 0, 0, 0)


def _array(fake: FakeDriver, address: int, dtype: np.dtype[np.generic]) -> Array:
    """Everything from an address to the end of its memory; truth values as bytes."""
    found = fake.bytes_at(address)
    kind = np.dtype(np.uint8) if dtype == np.bool_ else dtype
    return found[: found.size // kind.itemsize * kind.itemsize].view(kind)
