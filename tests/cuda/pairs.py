"""Programs twice: on the CPU, and through the CUDA executable over a fake driver, with states of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

import graphc as gc
from graphc.passes.build import build_program
from graphc.runtime.cuda.cublaslt import CublasLt
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.executable import Executable
from graphc.scalar import Array
from tests.cuda.cpu_kernels import executable_on
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.host_products import OnStreams
from tests.harness import same_bits

Feed = Mapping[str, object]


class Pair:
    """A model on the CPU and an equal one on a device. library: computes the products of the second."""

    def __init__(
        self, make: Callable[[], gc.Model], fake: FakeDriver, mode: str = "train", library: OnStreams | None = None
    ) -> None:
        self.fake = fake
        self.cpu, self.model = make(), make()
        self.mode = mode
        graph = self.model.graph(mode)
        cells = {node: self.model.cells[str(getattr(node.op, "label", ""))] for node in graph.states}
        program = build_program(graph, split=library is not None)
        self.gpu = executable_on(fake, program, cells, library=None if library is None else CublasLt(library))
        self.model._executables[mode] = self.gpu

    def start(self, feed: Feed) -> dict[str, Array]:
        """One step on the device."""
        return run(self.gpu, feed)

    def check(self, feeds: Sequence[Feed]) -> None:
        """Run steps on both, which must give the same outputs and states to the bit; outputs are read at the end."""
        wanted = [run(self.cpu.executable(self.mode), feed) for feed in feeds]
        found = [self.start(feed) for feed in feeds]
        for expected, got in zip(wanted, found, strict=True):
            assert expected.keys() == got.keys()
            for name, value in expected.items():
                assert same_bits(value, np.asarray(got[name])), name
        self.check_states()

    def check_near(self, feeds: Sequence[Feed]) -> None:
        """Run steps on both, which must give the same outputs and states but for rounding."""
        for feed in feeds:
            wanted, found = run(self.cpu.executable(self.mode), feed), self.start(feed)
            for name, value in wanted.items():
                np.testing.assert_allclose(np.asarray(found[name]), value, rtol=1e-4, atol=1e-6, err_msg=name)
        for name, cell in self.cpu.cells.items():
            np.testing.assert_allclose(self.model.cells[name].read(), cell.read(), rtol=1e-4, atol=1e-6, err_msg=name)

    def check_states(self) -> None:
        """All states are the same to the bit."""
        for name, cell in self.cpu.cells.items():
            assert same_bits(cell.read(), self.model.cells[name].read()), name


def run(executable: Executable | CudaExecutable, feed: Feed) -> dict[str, Array]:
    """One step."""
    arrays, sizes = executable.feeder.prepare(feed)
    return executable.run(arrays, sizes)


def on_device(function: gc.Function, fake: FakeDriver) -> CudaExecutable:
    """A function's program on a device, with the states of the function."""
    return executable_on(fake, function.program, function._executable.cells)
