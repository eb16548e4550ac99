"""Lists of launches: a program's calls as a GPU runs them, every round of a loop written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from graphc.dims import evaluate
from graphc.errors import DeviceError
from graphc.node import describe
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Side, Storage
from graphc.passes.threads import Command
from graphc.runtime.cuda.device import Launch, Work
from graphc.runtime.cuda.products import PlannedProduct
from graphc.runtime.walk import ProgramWalk

__all__ = ["LaunchWriter", "Part"]

Part = tuple[CudaKernel, object]
"""A kernel, and the function that a device has loaded for it."""


_COUNTED = 2**31
"""Elements that threads count with 32 bits."""


def _check_range(call: KernelCall, elements: int) -> None:
    """Refuse to launch a kernel over more elements than its arithmetic holds."""
    if elements >= _COUNTED:
        line = call.nodes[0].origin.location if call.nodes else None
        raise DeviceError(
            f"kernel {call.kernel.name} would count more elements than a GPU's kernels do",
            at=None if line is None else str(line),
            facts=[("computes", describe(node)) for node in call.nodes],
            expected=f"fewer than {_COUNTED:,}",
            got=f"{elements:,}",
            way_out="a smaller batch, or compile for the CPU",
        )


class LaunchWriter(ProgramWalk):
    """Writes the launches of a program for given sizes; a call with nothing to do has none.

    parts: the kernels of a call, by its number, in the order in which they are launched. address: of a piece of memory.
    scratch: where kernels leave something for the next. products: those that a library computes, by the number of the
    call. workspace: of the library. A kernel on a side of a choice gets where the condition lies
    and for which value it is to run, from the outermost choice to the innermost.
    """

    def __init__(
        self,
        calls: Sequence[KernelCall],
        parts: Mapping[int, Sequence[Part]],
        sizes: Mapping[str, int],
        address: Callable[[Storage], int],
        scratch: int,
        products: Mapping[int, PlannedProduct],
        workspace: int,
    ) -> None:
        super().__init__(calls, sizes)
        self.parts, self.address, self.scratch = parts, address, scratch
        self.products, self.workspace = products, workspace
        self.launches: list[Work] = []
        self._guards: tuple[int, ...] = ()

    def meet_side(self, side: Side, inside: Callable[[], None]) -> None:
        """Launches that look at the condition before they do anything."""
        outside = self._guards
        self._guards = (*outside, self._at(side.condition), int(side.chosen))
        inside()
        self._guards = outside

    def meet_command(self, command: Command) -> None:
        """A launch of each kernel whose grid has any blocks, or of the product in their place."""
        call = self.calls[command.call]
        values = [evaluate(size, self.sizes) for size in call.sizes]
        places = [self._at(argument) for argument in call.arguments]
        if command.call in self.products:
            self.launches.append(self.products[command.call].launch(places, self.workspace, command.call))
            return
        for kernel, function in self.parts[command.call]:
            blocks = kernel.blocks(values)
            if blocks:
                _check_range(call, kernel.longest(values))
                scratch = (self.scratch,) if kernel.scratch else ()
                arguments = (*values, *places, *scratch, *self._guards)
                self.launches.append(Launch(function, blocks, kernel.threads, arguments, command.call))

    def _at(self, argument: Storage) -> int:
        storage, offset = self.present(argument)
        return self.address(storage) + offset
