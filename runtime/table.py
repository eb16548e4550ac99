"""Tables of commands: a program's calls with all numbers and addresses, every round of a loop written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.dims import evaluate
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Side, Storage
from graphc.passes.threads import Command
from graphc.runtime.walk import ProgramWalk
from graphc.scalar import Array

__all__ = ["Places", "TableWriter"]


@dataclass
class Places:
    """Where the address of an input or output stands in a table.

    spots: where it stands as it is. moved: where it stands plus so many bytes, which ``offsets`` holds.
    """

    spots: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def fill(self, table: Array, numbers: memoryview[int], address: int) -> None:
        """Write an address everywhere. numbers: the table's memory, which is faster for a few."""
        for spot in self.spots:
            numbers[spot] = address
        if self.moved:
            table[self.moved] = np.asarray(self.offsets, np.int64) + address


class TableWriter(ProgramWalk):
    """Writes the commands of a program for given sizes.

    functions: the addresses of the kernels, call by call. address: of a piece of memory, None for inputs and outputs,
    whose addresses follow. ``spans`` holds where each call stands (in the first round, if it is in a loop).
    """

    def __init__(
        self,
        calls: Sequence[KernelCall],
        functions: Sequence[int],
        sizes: Mapping[str, int],
        address: Callable[[Storage], int | None],
    ) -> None:
        super().__init__(calls, sizes)
        self.functions, self.address = functions, address
        self.numbers: list[int] = []
        self.places: dict[Storage, Places] = {}
        self.spans: dict[int, tuple[int, int]] = {}
        self._stops: int | None = None

    def write(self, commands: Sequence[Command], stops: int | None = None) -> None:
        """All commands. stops: the call after which the status is looked at, if it is in no loop."""
        self._stops = stops
        self.walk(commands)

    def meet_side(self, side: Side, inside: Callable[[], None]) -> None:
        """Commands that are skipped unless the condition holds: all threads wait before they look at it."""
        self.numbers += [2, 0, 0, 4 + side.chosen]
        self._argument(side.condition)
        place = len(self.numbers)
        self.numbers.append(0)
        inside()
        self.numbers[place] = len(self.numbers) - place - 1

    def meet_command(self, command: Command) -> None:
        """A kernel with its numbers and addresses."""
        call, numbers = self.calls[command.call], self.numbers
        if command.wait:
            numbers += [2, 0, 0]
        start = len(numbers)
        values = [evaluate(size, self.sizes) for size in call.sizes]
        numbers += [int(command.split), self.functions[command.call], len(values) + len(call.arguments), *values]
        for argument in call.arguments:
            self._argument(argument)
        self.spans.setdefault(command.call, (start, len(numbers)))
        if command.call == self._stops and not call.loops:
            numbers += [3, 0, 0]

    def _argument(self, argument: Storage) -> None:
        """The present address of a storage."""
        storage, offset = self.present(argument)
        address = self.address(storage)
        if address is None:
            places = self.places.setdefault(storage, Places())
            if argument is storage:
                places.spots.append(len(self.numbers))
            else:
                places.moved.append(len(self.numbers))
                places.offsets.append(offset)
        self.numbers.append((address or 0) + offset)
