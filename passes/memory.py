"""The memory plan: where each temporary lies in one arena, as formulas in the sizes that are known only at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Dim, evaluate
from graphc.errors import VerificationError
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Rounds, Side, Storage, memory_of

__all__ = ["ALIGNMENT", "Allocation", "MemoryPlan", "check_plan", "plan_memory"]

ALIGNMENT = 64
"""Every buffer starts at a multiple of this many bytes."""


@dataclass(frozen=True)
class Allocation:
    """The place of one temporary.

    symbols: the named sizes that its size is a multiple of, () for a fixed size. offset, size: bytes for each unit of
    their product, inside the part of the arena that all temporaries of these symbols share. first, last: the calls
    between which it is alive. Invariant: two allocations of one part that are alive together do not overlap.
    """

    storage: Storage
    symbols: tuple[str, ...]
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """All allocations, and the bytes of each part of the arena for each unit of its symbols.

    Invariant: parts follow one another in the order of ``parts``, so allocations of different parts never overlap.
    """

    allocations: tuple[Allocation, ...]
    parts: tuple[tuple[tuple[str, ...], int], ...]

    def arena_bytes(self, sizes: Mapping[str, int]) -> int:
        """The bytes of the arena once the sizes are known."""
        return sum(evaluate(_units(symbols, size), sizes) for symbols, size in self.parts)

    def offsets(self, sizes: Mapping[str, int]) -> dict[Storage, int]:
        """The start of each temporary, in bytes from the start of the arena."""
        start: dict[tuple[str, ...], int] = {}
        position = 0
        for symbols, size in self.parts:
            start[symbols] = position
            position += evaluate(_units(symbols, size), sizes)
        return {a.storage: start[a.symbols] + evaluate(_units(a.symbols, a.offset), sizes) for a in self.allocations}

    @property
    def formula(self) -> str:
        """The bytes of the arena as text: ``64 + 1,152*batch``."""
        terms = [f"{size:,}{''.join(f'*{name}' for name in symbols)}" for symbols, size in self.parts if size]
        return " + ".join(terms) or "0"


def _units(symbols: tuple[str, ...], amount: int) -> int | Dim:
    return Dim(amount, symbols) if symbols and amount else amount


def plan_memory(calls: Sequence[KernelCall]) -> MemoryPlan:
    """Place the temporaries of a sequence of calls: largest first, each at the lowest place that is free while it
    lives.
    """
    lives = _lives(calls)
    wanted = sorted(lives, key=lambda storage: (-_unit_bytes(storage)[1], lives[storage], storage.name))
    placed: list[Allocation] = []
    for storage in wanted:
        symbols, size = _unit_bytes(storage)
        first, last = lives[storage]
        rivals = [a for a in placed if a.symbols == symbols and a.first <= last and first <= a.last]
        placed.append(Allocation(storage, symbols, _lowest_gap(size, rivals), size, first, last))
    totals: dict[tuple[str, ...], int] = {(): 0}
    for allocation in placed:
        totals[allocation.symbols] = max(totals.get(allocation.symbols, 0), allocation.offset + allocation.size)
    return MemoryPlan(tuple(placed), tuple(sorted(totals.items())))


def _lives(calls: Sequence[KernelCall]) -> dict[Storage, tuple[int, int]]:
    """The calls between which each temporary is alive: all of a loop or side, if not only one round of it needs it."""
    spans: dict[Rounds | Side, tuple[int, int]] = {}
    for number, call in enumerate(calls):
        for loop in call.loops:
            spans[loop] = (spans.get(loop, (number, number))[0], number)
    lives: dict[Storage, tuple[int, int]] = {}
    for number, call in enumerate(calls):
        conditions = [place.condition for place in call.loops if isinstance(place, Side)]
        for storage in (memory for argument in (*call.arguments, *conditions) for memory in memory_of(argument)):
            if storage.kind != "temporary":
                continue
            around = [spans[loop] for loop in call.loops if storage not in loop.local]
            first = min([number, *(start for start, _ in around)])
            last = max([number, *(stop for _, stop in around)])
            known = lives.get(storage, (first, last))
            lives[storage] = (min(known[0], first), max(known[1], last))
    return lives


def _unit_bytes(storage: Storage) -> tuple[tuple[str, ...], int]:
    """The symbols of a temporary's size and its bytes for each unit of them, rounded up to the alignment."""
    elements = storage.type.elements
    factor, symbols = (elements.factor, elements.symbols) if isinstance(elements, Dim) else (elements, ())
    return symbols, -(-factor * storage.type.dtype.itemsize // ALIGNMENT) * ALIGNMENT


def _lowest_gap(size: int, rivals: Iterable[Allocation]) -> int:
    """The lowest offset at which nothing lies that is alive at the same time."""
    offset = 0
    for rival in sorted(rivals, key=lambda a: a.offset):
        if offset + size <= rival.offset:
            break
        offset = max(offset, rival.offset + rival.size)
    return offset


def check_plan(plan: MemoryPlan, calls: Sequence[KernelCall], sizes: Mapping[str, int]) -> None:
    """Replay a plan: every read of a temporary must find what was last written to it, no byte of it overwritten since.

    Raises VerificationError naming the call and the two temporaries.
    """
    offsets = plan.offsets(sizes)
    total = plan.arena_bytes(sizes)
    owner: dict[tuple[int, int], Storage] = {}
    for number, call in enumerate(calls):
        spans = {s: _span(s, offsets, sizes) for s in call.arguments if s.kind == "temporary"}
        for storage, buffer in zip(call.arguments, call.kernel.buffers, strict=True):
            if storage not in spans:
                continue
            start, end = spans[storage]
            if start % ALIGNMENT or end > total:
                raise _fault(number, call, storage, "lies outside the arena or off its alignment")
            if buffer.written:
                if any(low < end and start < high for other, (low, high) in spans.items() if other != storage):
                    raise _fault(number, call, storage, "is written over another buffer of the same call")
                owner = {
                    place: who for place, who in owner.items() if place[1] <= start or end <= place[0] or who == storage
                }
                owner[start, end] = storage
            elif end > start and owner.get((start, end)) != storage:
                raise _fault(number, call, storage, "is read after its memory was given to another")


def _span(storage: Storage, offsets: Mapping[Storage, int], sizes: Mapping[str, int]) -> tuple[int, int]:
    start = offsets[storage]
    return start, start + evaluate(storage.type.elements, sizes) * storage.type.dtype.itemsize


def _fault(number: int, call: KernelCall, storage: Storage, what: str) -> VerificationError:
    return VerificationError(f"the memory plan is wrong at call {number} of {call.kernel.name}: {storage} {what}")
