"""Going through a program as it runs for given sizes: every round of a loop, every side of a choice, every address."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from graphc.dims import evaluate
from graphc.errors import FeedError
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Along, Handed, Rounds, Side, Storage
from graphc.passes.threads import Command

__all__ = ["ProgramWalk"]


class ProgramWalk(ABC):
    """Meets the commands of a program in the order in which they run. What is done with them is up to its kinds."""

    def __init__(self, calls: Sequence[KernelCall], sizes: Mapping[str, int]) -> None:
        self.calls, self.sizes = calls, sizes
        self._turn: dict[Rounds, tuple[int, int]] = {}
        """The number of the present round of each loop, and how many there are."""

    @abstractmethod
    def meet_command(self, command: Command) -> None:
        """One call, in the present rounds."""

    @abstractmethod
    def meet_side(self, side: Side, inside: Callable[[], None]) -> None:
        """One side of a choice. inside: goes on with its commands."""

    def walk(self, commands: Sequence[Command], depth: int = 0) -> None:
        """Meet all commands. depth: how many loops and sides the walk is in. FeedError for a loop of no rounds."""
        start = 0
        while start < len(commands):
            loops = self.calls[commands[start].call].loops[depth : depth + 1]
            end = start + 1
            while loops and end < len(commands) and self.calls[commands[end].call].loops[depth : depth + 1] == loops:
                end += 1
            self._part(loops[0] if loops else None, commands[start:end], depth)
            start = end

    def _part(self, place: Rounds | Side | None, commands: Sequence[Command], depth: int) -> None:
        """Neighbouring commands in one loop or side, or a command in none."""
        if isinstance(place, Side):
            self.meet_side(place, lambda: self.walk(commands, depth + 1))
        elif place is not None:
            self._rounds(place, commands, depth)
        else:
            self.meet_command(commands[0])

    def _rounds(self, loop: Rounds, commands: Sequence[Command], depth: int) -> None:
        length = evaluate(loop.length, self.sizes)
        if length < 1:
            raise FeedError("a loop of no rounds", expected=f"{loop.length} of at least 1", got=str(length))
        for number in range(length):
            self._turn[loop] = number, length
            self.walk(commands, depth + 1)
        del self._turn[loop]

    def present(self, storage: Storage) -> tuple[Storage, int]:
        """The memory that a storage is in the present rounds, and how many bytes from its start."""
        moves = storage.moves
        if moves is None:
            return storage, 0
        number, length = self._turn[moves.loop]
        if isinstance(moves, Along):
            whole, offset = self.present(moves.whole)
            element = evaluate(storage.type.elements, self.sizes) * storage.type.dtype.itemsize
            return whole, offset + (length - 1 - number if moves.reverse else number) * element
        return self.present(_turn_of(moves, number, length))


def _turn_of(moves: Handed, number: int, length: int) -> Storage:
    if moves.written:
        return moves.last if moves.last is not None and number == length - 1 else moves.between[number % 2]
    return moves.first if number == 0 else moves.between[(number - 1) % 2]
