"""Two nests of loops in which lanes run better than along the innermost one.

short rows    rows of a few channels that lie one behind the other are one long row for the lanes; what depends on
              the channel alone repeats after a few vectors, which are made once
transposing   rows are read and columns written: squares of as many rows as there are lanes are turned in registers
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

from graphc.dtypes import INT64
from graphc.passes.lane_terms import LanePrinter
from graphc.passes.lanes import ALL, Lanes
from graphc.passes.llvm import type_of
from graphc.passes.loops import LANES, Loop, Store, terms_of
from graphc.passes.terms import Term, walk_terms

__all__ = ["LaneWalks", "ShortRows", "Turn", "short_rows", "turn"]

_MOST_VECTORS = 8
"""Vectors after which the channels repeat, at most."""


@dataclass(frozen=True)
class ShortRows:
    """A loop over rows around a loop over a few columns. repeating: loads that depend on the column alone."""

    rows: Loop
    columns: Loop
    stores: tuple[Store, ...]
    repeating: tuple[Term, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        assert isinstance(self.columns.axis.extent, int)
        return self.columns.axis.extent

    @property
    def vectors(self) -> int:
        """How many vectors make whole rows."""
        return lcm(self.width, LANES) // LANES


@dataclass(frozen=True)
class Turn:
    """A loop that reads neighbours, around a loop over as many lanes that writes neighbours."""

    across: Loop
    lanes: Loop
    store: Store


def _nest(loop: Loop) -> tuple[Loop, tuple[Store, ...]] | None:
    """The loop directly inside a loop, and its stores, if there is nothing else."""
    (inner, *others) = loop.body or (None,)
    if (
        others
        or not isinstance(inner, Loop)
        or not inner.body
        or not all(isinstance(part, Store) for part in inner.body)
    ):
        return None
    return inner, tuple(part for part in inner.body if isinstance(part, Store))


def short_rows(loop: Loop) -> ShortRows | None:
    """The short rows that a loop walks over; None if lanes are used well, or memory holds something else."""
    nest = _nest(loop)
    if nest is None:
        return None
    columns, stores = nest
    row, column, width = loop.axis.name, columns.axis.name, columns.axis.extent
    if not isinstance(width, int) or width % LANES == 0 or lcm(width, LANES) // LANES > _MOST_VECTORS:
        return None
    repeating: dict[int, Term] = {}
    for term in walk_terms(terms_of(columns)):
        if term.index is None or not term.index.names & {row, column}:
            continue
        if term.kind == "load" and not term.index.places and term.index.stride(row) == 0:
            repeating[id(term)] = term
        elif term.index.places or not _flat(term.index.stride(row), term.index.stride(column), width):
            return None
    flat = all(_flat(store.index.stride(row), store.index.stride(column), width) for store in stores)
    plain = not any(store.when is not None or store.index.places for store in stores)
    return ShortRows(loop, columns, stores, tuple(repeating.values())) if flat and plain else None


def _flat(row: object, column: object, width: int) -> bool:
    return column == 1 and row == width


def turn(loop: Loop) -> Turn | None:
    """The transposition that a loop makes; None if it does something else."""
    nest = _nest(loop)
    if nest is None or len(nest[1]) != 1 or nest[0].axis.extent != LANES:
        return None
    lanes, (store,) = nest
    value, index = store.value, store.value.index
    plain = value.kind == "load" and index is not None and not store.add and store.when is None
    if not plain or index is None or index.places or store.index.places:
        return None
    reads = index.stride(loop.axis.name) == 1 and index.stride(lanes.axis.name) != 1
    return Turn(loop, lanes, store) if reads and store.index.stride(lanes.axis.name) == 1 else None


class LaneWalks(LanePrinter):
    """Writes such nests."""

    def walk_short_rows(self, nest: ShortRows, start: str, stop: str) -> None:
        """The rows from one number to another, all their elements in one row of lanes."""
        width, vectors = nest.width, nest.vectors
        first, last = self.a.times(start, str(width)), self.a.times(stop, str(width))
        known = dict(self.values)
        repeated = [dict(self.repetitions(nest, number)) for number in range(vectors)]
        step = vectors * LANES
        count = self.a.plus(last, self.a.times(first, "-1"))
        rounds = str(int(count) // step) if count.isdigit() else self.a.emit(f"sdiv i64 {count}, {step}")
        whole = self.a.plus(first, self.a.times(rounds, str(step)))
        with self.block(), self.a.loop(first, whole, step) as counter:
            for number in range(vectors):
                self.values = {**known, **repeated[number]}
                self.some_of_rows(nest, self.a.plus(counter, str(number * LANES)), None)
        for number in range(vectors):
            begin = self.a.plus(whole, str(number * LANES))
            with self.block(), self.a.loop(begin, self.a.smaller(last, self.a.plus(begin, "1"))) as counter:
                self.values = {**known, **repeated[number]}
                left = self.a.plus(last, self.a.times(counter, "-1"))
                self.some_of_rows(nest, counter, self.first_lanes(left))
        self.values = known

    def repetitions(self, nest: ShortRows, number: int) -> Iterator[tuple[int, Lanes]]:
        """The values of what repeats, in one of the vectors."""
        for term in nest.repeating:
            assert term.index is not None
            self.counters[nest.columns.axis.name] = "0"
            self.counters[nest.rows.axis.name] = "0"
            shared = self.place(term.index).shared
            stride = self.a.size(term.index.stride(nest.columns.axis.name))
            lanes = ", ".join(f"i64 {(number * LANES + lane) % nest.width}" for lane in range(LANES))
            offsets = self.s.multiply(Lanes(f"<{lanes}>", INT64, LANES), Lanes(stride, INT64))
            if shared != "0":
                offsets = self.s.add(offsets, Lanes(shared, INT64))
            yield id(term), self.s.gather(f"%{term.name}", offsets, term.dtype, ALL)
        for axis in (nest.columns.axis, nest.rows.axis):
            self.counters.pop(axis.name, None)

    def some_of_rows(self, nest: ShortRows, place: str, mask: str | None) -> None:
        """One vector of elements from a place on; rows and columns count together."""
        self.counters[nest.rows.axis.name] = "0"
        self.in_lanes(nest.columns.axis, place, mask, lambda: self.stores(nest.stores))
        del self.counters[nest.rows.axis.name]

    def walk_turning(self, nest: Turn, start: str, stop: str) -> None:
        """The steps of the outer loop from one number to another, in squares; then one by one."""
        load, store, across = nest.store.value, nest.store, nest.across.axis.name
        assert load.index is not None
        kind = type_of(load.dtype, LANES)
        count = self.a.plus(stop, self.a.times(start, "-1"))
        squares = str(int(count) // LANES) if count.isdigit() else self.a.emit(f"sdiv i64 {count}, {LANES}")
        whole = self.a.plus(start, self.a.times(squares, str(LANES)))
        with self.block(), self.a.loop(start, whole, LANES) as counter:
            rows: list[Lanes] = []
            for lane in range(LANES):
                self.counters.update({across: counter, nest.lanes.axis.name: str(lane)})
                rows.append(
                    self.s.load_lanes(self.address(load.name, load.dtype, self.place(load.index)), load.dtype, None)
                )
            turned = self.turned([row.text for row in rows], kind)
            for step, column in enumerate(turned):
                self.counters.update({across: self.a.plus(counter, str(step)), nest.lanes.axis.name: "0"})
                target = self.address(store.buffer, load.dtype, self.place(store.index))
                self.s.store(Lanes(column, load.dtype, LANES), target)
            del self.counters[across], self.counters[nest.lanes.axis.name]
        with self.over(nest.across.axis, whole, stop):
            self.over_lanes(nest.lanes.axis, "0", str(LANES), lambda: self.stores([store]))
