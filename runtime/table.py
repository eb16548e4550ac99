"""Tables of commands: a program's calls with all numbers and addresses, every round of a loop written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.dims import evaluate
from graphc.errors import FeedError
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Along, Handed, Rounds, Side, Storage
from graphc.passes.threads import Command
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


class TableWriter:
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
        self.calls, self.functions, self.sizes, self.address = calls, functions, sizes, address
        self.numbers: list[int] = []
        self.places: dict[Storage, Places] = {}
        self.spans: dict[int, tuple[int, int]] = {}
        self._turn: dict[Rounds, tuple[int, int]] = {}
        """The number of the present round of each loop, and how many there are."""

    def write(self, commands: Sequence[Command], stops: int | None = None, depth: int = 0) -> None:
        """All commands. stops: the call after which the status is looked at. depth: the loops that are being run."""
        start = 0
        while start < len(commands):
            loops = self.calls[commands[start].call].loops[depth : depth + 1]
            end = start + 1
            while loops and end < len(commands) and self.calls[commands[end].call].loops[depth : depth + 1] == loops:
                end += 1
            place = loops[0] if loops else None
            if isinstance(place, Side):
                self._side(place, commands[start:end], depth)
            elif place is not None:
                self._rounds(place, commands[start:end], depth)
            else:
                self._command(commands[start], commands[start].call == stops)
            start = end

    def _rounds(self, loop: Rounds, commands: Sequence[Command], depth: int) -> None:
        length = evaluate(loop.length, self.sizes)
        if length < 1:
            raise FeedError("a loop of no rounds", expected=f"{loop.length} of at least 1", got=str(length))
        for number in range(length):
            self._turn[loop] = number, length
            self.write(commands, None, depth + 1)
        del self._turn[loop]

    def _side(self, side: Side, commands: Sequence[Command], depth: int) -> None:
        """Commands that are skipped unless the condition holds: all threads wait before they look at it."""
        self.numbers += [2, 0, 0, 4 + side.chosen]
        self._argument(side.condition)
        place = len(self.numbers)
        self.numbers.append(0)
        self.write(commands, None, depth + 1)
        self.numbers[place] = len(self.numbers) - place - 1

    def _command(self, command: Command, stops: bool) -> None:
        call, numbers = self.calls[command.call], self.numbers
        if command.wait:
            numbers += [2, 0, 0]
        start = len(numbers)
        values = [evaluate(size, self.sizes) for size in call.sizes]
        numbers += [int(command.split), self.functions[command.call], len(values) + len(call.arguments), *values]
        for argument in call.arguments:
            self._argument(argument)
        self.spans.setdefault(command.call, (start, len(numbers)))
        if stops:
            numbers += [3, 0, 0]

    def _argument(self, argument: Storage) -> None:
        """The present address of a storage."""
        storage, offset = self._present(argument)
        address = self.address(storage)
        if address is None:
            places = self.places.setdefault(storage, Places())
            if argument is storage:
                places.spots.append(len(self.numbers))
            else:
                places.moved.append(len(self.numbers))
                places.offsets.append(offset)
        self.numbers.append((address or 0) + offset)

    def _present(self, storage: Storage) -> tuple[Storage, int]:
        """The memory that a storage is in the present rounds, and how many bytes from its start."""
        moves = storage.moves
        if moves is None:
            return storage, 0
        number, length = self._turn[moves.loop]
        if isinstance(moves, Along):
            whole, offset = self._present(moves.whole)
            element = evaluate(storage.type.elements, self.sizes) * storage.type.dtype.itemsize
            return whole, offset + (length - 1 - number if moves.reverse else number) * element
        return self._present(_turn_of(moves, number, length))


def _turn_of(moves: Handed, number: int, length: int) -> Storage:
    if moves.written:
        return moves.last if moves.last is not None and number == length - 1 else moves.between[number % 2]
    return moves.first if number == 0 else moves.between[(number - 1) % 2]
