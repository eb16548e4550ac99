"""Sharing a program among threads: which calls are split, and where threads must wait for each other.

A call is split along its outermost loop if it is worth it. Threads then own the same rows in every call that counts to
the same number, so calls that read and write row by row need no waiting in between; all others do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Dim, Size, evaluate
from graphc.passes.loops import ColumnFold, Contraction, Loop, axes_of, stores_of, terms_of
from graphc.passes.lower import KernelCall
from graphc.passes.lower_groups import STATUS
from graphc.passes.memory import MemoryPlan
from graphc.passes.storage import Rounds, Side, Storage
from graphc.passes.terms import Index, walk_terms

__all__ = ["Command", "plan_commands", "work_of"]

_WORTH_SPLITTING = 16_000
"""Work (see ``work_of``) from which a call is split: about two microseconds."""


@dataclass(frozen=True)
class Command:
    """One call in a program's table. split: all threads run their part of it. wait: all wait before it."""

    call: int
    split: bool
    wait: bool


@dataclass(frozen=True)
class _Access:
    """What a call does to a piece of memory. rows: how it is divided among threads, None if any thread may touch
    all.
    """

    storage: Storage
    start: int
    end: int
    written: bool
    rows: tuple[int, int] | None


def work_of(call: KernelCall, sizes: Mapping[str, int]) -> int:
    """An estimate of a call's cost in bytes moved and operations computed, whichever is more."""
    flops = sum(evaluate(size, sizes) for size in call.flops)
    moved = sum(evaluate(s.type.elements, sizes) * s.type.dtype.itemsize for s in call.arguments)
    return max(flops, moved)


def plan_commands(
    calls: Sequence[KernelCall], plan: MemoryPlan, sizes: Mapping[str, int], threads: int
) -> list[Command]:
    """The commands for given sizes and number of threads."""
    offsets = plan.offsets(sizes)
    pending: list[tuple[bool, _Access]] = []
    commands: list[Command] = []
    around: tuple[Rounds | Side, ...] = ()
    for number, call in enumerate(calls):
        turns = call.loops != around  # the first call of a round, or the first after a loop
        around = call.loops
        split = threads > 1 and call.kernel.split and work_of(call, sizes) >= _WORTH_SPLITTING
        accesses = list(_accesses(call, split, offsets, sizes))
        wait = threads > 1 and (
            turns
            or any(_conflict(earlier, mine, was_split, split) for was_split, earlier in pending for mine in accesses)
        )
        if wait:
            pending = []
        pending += [(split, access) for access in accesses]
        commands.append(Command(number, split, wait))
    return commands


def _conflict(first: _Access, second: _Access, first_split: bool, second_split: bool) -> bool:
    """True if the second access must wait for the first."""
    if not (first.written or second.written) or first.storage.kind != second.storage.kind:
        return False
    if first.storage.kind == "temporary":
        if first.end <= second.start or second.end <= first.start:
            return False
    elif first.storage != second.storage:
        return False
    if not first_split and not second_split:
        return False  # the first thread runs both
    same_rows = first_split and second_split and first.rows is not None and first.rows == second.rows
    return not (same_rows and first.storage == second.storage)


def _accesses(
    call: KernelCall, split: bool, offsets: Mapping[Storage, int], sizes: Mapping[str, int]
) -> Iterator[_Access]:
    for storage, buffer in zip(call.arguments, call.kernel.buffers, strict=True):
        if storage == STATUS:
            continue
        elements = evaluate(storage.type.elements, sizes)
        start = offsets.get(storage, 0)
        rows = _rows(call, buffer.name, elements, sizes) if split else None
        yield _Access(storage, start, start + elements * storage.type.dtype.itemsize, buffer.written, rows)


def _rows(call: KernelCall, buffer: str, elements: int, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    """(number of rows, granule) if a split call touches a buffer only in the rows that its own part counts."""
    known = {name: evaluate(size, sizes) for name, size in zip(call.kernel.sizes, call.sizes, strict=True)}

    def number(size: Size) -> int:
        return evaluate(size, known) if isinstance(size, Dim) else size

    (first, *others) = call.kernel.body
    if others or isinstance(first, ColumnFold):
        return None
    if not isinstance(first, (Loop, Contraction)):
        return None
    outer = first.shared if isinstance(first, Contraction) else first.axis
    rows = number(outer.extent)
    extents = {axis.name: number(axis.extent) for axis in axes_of(first)}
    width = elements // rows if rows else 0
    for index in _indices_into(call, buffer):
        if index.places or number(index.stride(outer.name)) != width:
            return None
        rest = [(name, number(stride)) for name, stride in index.axes if name != outer.name]
        base = sum(number(offset) for offset in index.offsets)
        lowest = base + sum(min(0, stride * (extents[name] - 1)) for name, stride in rest)
        highest = base + sum(max(0, stride * (extents[name] - 1)) for name, stride in rest)
        if lowest < 0 or highest >= max(width, 1):
            return None
    return rows, outer.granule


def _indices_into(call: KernelCall, buffer: str) -> Iterator[Index]:
    for statement in call.kernel.body:
        for term in walk_terms(terms_of(statement)):
            if term.kind == "load" and term.name == buffer and term.index is not None:
                yield term.index
        yield from (store.index for store in stores_of(statement) if store.buffer == buffer)
