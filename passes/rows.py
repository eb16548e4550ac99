"""Row programs: neighbouring calls that work on the rows of one shape become one kernel, which computes row after row
what they compute one after the other: the parts of a softmax, of a normalisation, of a cross-entropy.

The kernel's body has loops over the rows for each call, in order. A printer may run them as they stand; on a GPU the
threads of a row run all of them (``graphc.passes.cuda.row_programs``), so that what one call stores the next one finds
in the cache, and there is one launch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Dim, Size, multiply, product
from graphc.passes.loops import (
    BLOCK,
    Axis,
    Buffer,
    Fold,
    FoldItem,
    Kernel,
    Loop,
    Statement,
    Store,
    peeled,
    stores_of,
    terms_of,
)
from graphc.passes.lower import KernelCall, sizes_in
from graphc.passes.storage import Storage
from graphc.passes.terms import Index, Term, TermBuilder, walk_terms

__all__ = ["ALONG", "merge_rows"]

ALONG = "j"
"""The axis along the rows of a row program; all others count rows."""
_ROWS = "ikpqrs"
_MOST_CALLS = 8

_Steps = tuple[tuple[str, Size], ...]
"""Axes of a row program, and how far one step along an axis of a call goes along each."""


@dataclass(frozen=True)
class _Shape:
    """The shape of rows: how far the axes that count rows go, and the elements of a row."""

    rows: tuple[Size, ...]
    width: int


@dataclass(frozen=True)
class _Access:
    """How a call touches a buffer: steps along each axis of the row program, offsets. plain: whether that is all."""

    plain: bool
    steps: tuple[Size, ...] = ()
    offsets: tuple[Size, ...] = ()

    @property
    def apart(self) -> bool:
        """Whether different rows touch different places."""
        return self.plain and all(step != 0 for step in self.steps[:-1])

    @property
    def once(self) -> bool:
        """Whether it is one place a row."""
        return self.steps[-1] == 0


@dataclass(frozen=True)
class _RowCall:
    """A call as part of a row program. axes: where each of its axes goes. reads, writes: how it touches storages."""

    call: KernelCall
    axes: Mapping[str, _Steps]
    reads: Mapping[Storage, frozenset[_Access]]
    writes: Mapping[Storage, frozenset[_Access]]


def merge_rows(calls: Sequence[KernelCall]) -> list[KernelCall]:
    """The calls, with neighbours merged that one kernel can compute row by row."""
    merged: list[KernelCall] = []
    group: list[KernelCall] = []
    shape: _Shape | None = None
    for call in calls:
        found = _shape_with(group, shape, call)
        if found is None:
            merged += _finish(group, shape)
            group, found = [], _own_shape(call)
        if found is None:
            merged.append(call)
        else:
            group.append(call)
        shape = found
    return merged + _finish(group, shape)


def _finish(group: Sequence[KernelCall], shape: _Shape | None) -> list[KernelCall]:
    """One call for a group; those that reduce nothing stay as they are, since they need no rows."""
    if shape is None or len(group) < 2 or not any(isinstance(peeled(call.kernel.body)[1][0], Fold) for call in group):
        return list(group)
    return [_merged([one for call in group if (one := _as_part(call, shape)) is not None], shape)]


def _shape_with(group: Sequence[KernelCall], shape: _Shape | None, call: KernelCall) -> _Shape | None:
    """The shape of the rows of a group and a call behind it; None if they cannot be one row program."""
    if shape is None or not group or len(group) >= _MOST_CALLS or call.loops != group[0].loops:
        return None
    own = _own_shape(call)
    for candidate in (shape, own):
        if candidate is None:
            continue
        parts = [_as_part(one, candidate) for one in (*group, call)]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return candidate if all(_independent(earlier, known[-1]) for earlier in known[:-1]) else None
    return None


def _is_simple(call: KernelCall) -> bool:
    """True for plain stores, perhaps behind a reduction of one axis, in memory that stays where it is."""
    axes, (first, *rest) = peeled(call.kernel.body)
    if any(storage.moves is not None for storage in call.arguments) or not axes:
        return False
    if isinstance(first, Fold):
        plain = len(first.axes) == 1
    else:
        plain, rest = True, [first, *rest]
    plain = plain and all(isinstance(statement, Store) for statement in rest)
    return plain and all(not store.add and store.when is None for part in call.kernel.body for store in stores_of(part))


def _own_shape(call: KernelCall) -> _Shape | None:
    """The rows that a call alone tells of."""
    if not _is_simple(call):
        return None
    axes, (first, *_) = peeled(call.kernel.body)
    axes, along = (axes, first.axes[0]) if isinstance(first, Fold) else (axes[:-1], axes[-1])
    if not axes or len(axes) > len(_ROWS) or not isinstance(along.extent, int) or not 1 < along.extent <= BLOCK:
        return None
    return _Shape(tuple(call.in_program(axis.extent) for axis in axes), along.extent)


def _as_part(call: KernelCall, shape: _Shape) -> _RowCall | None:
    """A call as part of a row program of a shape; None if it is none."""
    if not _is_simple(call):
        return None
    axes, (first, *_) = peeled(call.kernel.body)
    rows = list(zip(_ROWS, shape.rows, strict=False))
    found: dict[str, _Steps] | None
    if isinstance(first, Fold):
        found = _covered(call, axes, rows)
        if found is None or first.axes[0].extent != shape.width:
            return None
        found[first.axes[0].name] = ((ALONG, 1),)
    else:
        found = _covered(call, axes, [*rows, (ALONG, shape.width)])
        if found is None:
            found = _covered(call, axes, rows)
    part = _with_accesses(call, found, [name for name, _ in rows]) if found is not None else None
    return part if part is not None and _is_safe(part) else None


def _covered(call: KernelCall, axes: Sequence[Axis], wanted: Sequence[tuple[str, Size]]) -> dict[str, _Steps] | None:
    """Each axis as steps along neighbouring wanted ones, which it counts through in order; None if they do not fit."""
    left = list(wanted)
    found: dict[str, _Steps] = {}
    for axis in axes:
        extent = call.in_program(axis.extent)
        taken: list[tuple[str, Size]] = []
        while left and product(size for _, size in taken) != extent:
            taken.append(left.pop(0))
        if product(size for _, size in taken) != extent:
            return None
        inner = [product(size for _, size in taken[number + 1 :]) for number in range(len(taken))]
        found[axis.name] = tuple((name, step) for (name, _), step in zip(taken, inner, strict=True))
    return found if not left else None


def _along(index: Index, axes: Mapping[str, _Steps]) -> _Steps:
    """The steps of an index along the axes of a row program."""
    return tuple((new, multiply(stride, step)) for name, stride in index.axes for new, step in axes[name])


def _with_accesses(call: KernelCall, axes: Mapping[str, _Steps], rows: Sequence[str]) -> _RowCall:
    """A call with how it reads and writes its storages."""
    storages = {buffer.name: storage for buffer, storage in zip(call.kernel.buffers, call.arguments, strict=True)}

    def access(index: Index) -> _Access:
        if index.places or not index.names <= axes.keys():
            return _Access(False)
        moved = Index(_along(index, axes))
        steps = tuple(call.in_program(moved.stride(name)) for name in (*rows, ALONG))
        return _Access(True, steps, tuple(call.in_program(offset) for offset in index.offsets))

    reads: dict[Storage, set[_Access]] = {}
    writes: dict[Storage, set[_Access]] = {}
    for statement in call.kernel.body:
        for term in walk_terms(terms_of(statement)):
            if term.kind == "load" and term.index is not None:
                reads.setdefault(storages[term.name], set()).add(access(term.index))
        for store in stores_of(statement):
            writes.setdefault(storages[store.buffer], set()).add(access(store.index))
    frozen = ({storage: frozenset(known) for storage, known in one.items()} for one in (reads, writes))
    return _RowCall(call, axes, *frozen)


def _is_safe(part: _RowCall) -> bool:
    """False if a value that all threads of a row read is overwritten by one of them."""
    shared = part.reads.keys() & part.writes.keys()
    return not any(access.once for storage in shared for access in part.writes[storage] if access.plain)


def _independent(first: _RowCall, second: _RowCall) -> bool:
    """True if rows of the second can follow those of the first at once: whatever one writes and the other touches, both
    touch at the same place, another one for each element or for each row. Nothing is written twice, and what is written
    once a row was not read before."""
    for storage, written in first.writes.items():
        if storage in second.writes or not _at_one_place(written | second.reads.get(storage, frozenset())):
            return False
    for storage, written in second.writes.items():
        read = first.reads.get(storage, frozenset())
        if not _at_one_place(written | read) or (read and any(access.once for access in written)):
            return False
    return True


def _at_one_place(accesses: frozenset[_Access]) -> bool:
    (first, *others) = accesses
    return not others and first.apart


def _merged(parts: Sequence[_RowCall], shape: _Shape) -> KernelCall:
    """One call that does what some do."""
    buffers: dict[Storage, Buffer] = {}
    for one in parts:
        for buffer, storage in zip(one.call.kernel.buffers, one.call.arguments, strict=True):
            known = buffers.get(storage)
            name = known.name if known is not None else f"x{len(buffers)}"
            buffers[storage] = Buffer(name, buffer.dtype, buffer.written or (known is not None and known.written))
    builder = TermBuilder()
    body = tuple(
        _Rewriting(builder, one, shape, buffers, f"_{number}" if number > 1 else "").loops()
        for number, one in enumerate(parts, 1)
    )
    order = sorted(buffers.items(), key=lambda item: item[1].written)
    sizes = {name: Dim(1, (name,)) for name in sorted(sizes_in(body))}
    name = _name(one.call.kernel.name for one in parts)
    return KernelCall(
        Kernel(name, tuple(sizes), tuple(buffer for _, buffer in order), body),
        tuple(sizes.values()),
        tuple(storage for storage, _ in order),
        tuple(node for one in parts for node in one.call.nodes),
        tuple(size for one in parts for size in one.call.flops),
        parts[0].call.loops,
    )


def _name(names: Iterable[str]) -> str:
    """The last few words of the kernels' names, each once."""
    words = dict.fromkeys(word for name in names for word in name.removesuffix("_kernel").split("_"))
    return "_".join([*list(words)[-5:], "kernel"])


class _Rewriting:
    """Rewrites the statements of a call for a row program. suffix: tells its results from those of other calls."""

    def __init__(
        self, builder: TermBuilder, one: _RowCall, shape: _Shape, buffers: Mapping[Storage, Buffer], suffix: str
    ) -> None:
        self.builder, self.one, self.shape, self.suffix = builder, one, shape, suffix
        self.in_program = one.call.in_program
        pairs = zip(one.call.kernel.buffers, one.call.arguments, strict=True)
        self.buffers = {buffer.name: buffers[storage].name for buffer, storage in pairs}
        self.known: dict[int, Term] = {}

    def loops(self) -> Loop:
        """Loops over rows around what the call does for one."""
        _, (first, *rest) = peeled(self.one.call.kernel.body)
        axes = [Axis(name, size) for name, size in zip(_ROWS, self.shape.rows, strict=False)]
        if isinstance(first, Fold):
            body: tuple[Statement, ...] = (self.fold(first), *self.stores(rest))
        else:
            body = self.stores([first, *rest])
            if any(name == ALONG for steps in self.one.axes.values() for name, _ in steps):
                axes.append(Axis(ALONG, self.shape.width))
        for axis in reversed(axes):
            body = (Loop(axis, body),)
        (outer,) = body
        assert isinstance(outer, Loop)
        return outer

    def fold(self, fold: Fold) -> Fold:
        items = (
            FoldItem(item.result + self.suffix, item.combine, item.start, self.term(item.value)) for item in fold.items
        )
        return Fold((Axis(ALONG, self.shape.width),), tuple(items), self.stores(fold.stores))

    def stores(self, stores: Sequence[Statement]) -> tuple[Store, ...]:
        return tuple(
            Store(self.buffers[store.buffer], self.index(store.index), self.term(store.value))
            for store in stores
            if isinstance(store, Store)
        )

    def index(self, index: Index) -> Index:
        return Index(
            tuple((name, self.in_program(stride)) for name, stride in _along(index, self.one.axes)),
            tuple(self.in_program(offset) for offset in index.offsets),
            tuple((self.term(place), self.in_program(stride)) for place, stride in index.places),
        )

    def term(self, root: Term) -> Term:
        for term in walk_terms([root]):
            if id(term) not in self.known:
                self.known[id(term)] = self.made(term)
        return self.known[id(root)]

    def made(self, term: Term) -> Term:
        """A term whose inputs have been made."""
        args = tuple(self.known[id(arg)] for arg in term.args)
        name = term.name + self.suffix if term.kind == "variable" else self.buffers.get(term.name, term.name)
        return self.builder.copied(term, args, self.index(term.index) if term.index is not None else None, name)
