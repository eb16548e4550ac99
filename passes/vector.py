"""The second CPU printer: loop programs as LLVM vector code, 16 elements of the innermost loop at a time.

The order of every operation on every element is that of the Python source of the same kernel, so both give the same
bits: a fold keeps its 16 lanes in one vector, a column fold a vector of columns. Loops run over whole vectors first;
what is left is computed with the other lanes switched off. There is nothing left for an optimiser to do but to choose
instructions, which takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.dtypes import INT64
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.lane_walks import LaneWalks, short_rows, turn
from graphc.passes.lanes import Lanes, number_in_llvm
from graphc.passes.llvm import Carried, kernel_header, type_of
from graphc.passes.loops import (
    BLOCK,
    LANES,
    TILE,
    Axis,
    ColumnFold,
    Contraction,
    Fold,
    FoldItem,
    Kernel,
    Loop,
    Search,
    Statement,
    Store,
    Winograd,
    axes_of,
    terms_of,
)
from graphc.passes.source import Source
from graphc.passes.terms import Index, Term, walk_terms
from graphc.philox import RANDOM

__all__ = ["print_vector", "vectors_apply"]


_SEVERAL = 4
"""Vectors of 16 that are computed at once where chains of operations are long."""
_MANY_CALLS = 3
"""Functions such as exp that make a chain long."""


def vectors_apply(kernel: Kernel) -> bool:
    """True for kernels without contractions whose lanes never write to one place."""
    return all(map(_applies, kernel.body))


def _applies(statement: Statement) -> bool:
    if isinstance(statement, (Contraction, Winograd)):
        return False
    if isinstance(statement, Loop):
        inner = all(map(_applies, statement.body))
        return inner and all(_separate(store, statement.axis.name) for store in _stores(statement.body))
    if isinstance(statement, Fold):
        return all(_separate(store, statement.axes[-1].name) for store in statement.stores)
    if isinstance(statement, ColumnFold):
        stores = [*statement.stores, *_stores(statement.body)]
        return all(_separate(store, statement.column.name) for store in stores)
    return True


def _draws_in_order(terms: Sequence[Term], axis: str) -> bool:
    """True if random numbers are drawn, each at the position along an axis."""
    drawn = [term.args[0] for term in walk_terms(terms) if term.kind == "call" and term.name in RANDOM]
    return bool(drawn) and all(element.index == Index.axis(axis) for element in drawn)


def _long_chain(statement: Statement) -> bool:
    """True for long rows whose elements are each a long chain of operations: computing several vectors at once leaves
    no operation waiting for the one before."""
    while isinstance(statement, Loop) and not all(isinstance(part, Store) for part in statement.body):
        (first, *others) = statement.body
        if not all(isinstance(part, Store) for part in others):
            return False
        statement = first
    if not isinstance(statement, (Loop, Fold)):
        return False
    axis = statement.axes[-1] if isinstance(statement, Fold) else statement.axis
    terms = list(walk_terms(terms_of(statement)))
    calls = sum(term.kind == "call" for term in terms)
    drawn = any(term.kind == "call" and term.name in RANDOM for term in terms)
    long = not isinstance(axis.extent, int) or axis.extent >= 2 * _SEVERAL * LANES
    return calls >= _MANY_CALLS and not drawn and long


def _stores(body: Sequence[Statement]) -> list[Store]:
    return [statement for statement in body if isinstance(statement, Store)]


def _separate(store: Store, axis: str) -> bool:
    """True if neighbours along an axis write to different places, or all the same number to one."""
    if any(axis in place.depends for place, _ in store.index.places):
        return False
    return store.index.stride(axis) != 0 or (store.when is not None and not store.value.depends and not store.add)


def print_vector(kernel: Kernel, unit: VectorUnit) -> Source:
    """LLVM code of a kernel for a vector unit; ``@KERNEL`` stands for the symbol."""
    return Source(kernel.name, _VectorPrinter(kernel, unit).text(), (), (), "llvm")


class _VectorPrinter(LaneWalks):
    """Writes the statements of a kernel."""

    def __init__(self, kernel: Kernel, unit: VectorUnit) -> None:
        super().__init__(unit, LANES * _SEVERAL if all(map(_long_chain, kernel.body)) else LANES)
        self.kernel = kernel

    def text(self) -> str:
        self.a.lines.append(kernel_header(self.kernel))
        self.a.label("entry")
        self.statements(self.kernel.body, self.kernel.split)
        self.a.do("ret i32 0")
        self.a.lines.append("}")
        return self.module()

    # Statements.
    def statements(self, body: Sequence[Statement], top: bool = False) -> None:
        """The statements of a block, stores last. top: threads share their loops."""
        for statement in body:
            if isinstance(statement, Loop):
                self.loop(statement, top)
            elif isinstance(statement, Fold):
                self.fold(statement)
            elif isinstance(statement, ColumnFold):
                self.column_fold(statement, top)
            elif isinstance(statement, Search):
                self.search(statement)
        self.stores(_stores(body))

    def loop(self, loop: Loop, top: bool) -> None:
        terms = list(terms_of(loop))
        inner = {loop.axis.name, *(axis.name for statement in loop.body for axis in axes_of(statement))}
        self.hoist(terms, inner)
        extent = self.a.size(loop.axis.extent)
        start, stop = self.a.share(extent, loop.axis.granule) if top else ("0", extent)
        rows, square = short_rows(loop), turn(loop)
        if rows is not None:
            self.walk_short_rows(rows, start, stop)
        elif square is not None:
            self.walk_turning(square, start, stop)
        elif all(isinstance(statement, Store) for statement in loop.body):
            over = self.over_blocks if _draws_in_order(terms, loop.axis.name) else self.over_lanes
            over(loop.axis, start, stop, lambda: self.statements(loop.body))
        else:
            with self.over(loop.axis, start, stop):
                self.statements(loop.body)

    # Reductions.
    def start_of(self, items: Sequence[FoldItem]) -> list[Carried]:
        """Vectors of the numbers that the reductions start with."""
        with self.s.of(LANES):
            starts = [self.s.spread(self.s.constant(item.start, item.value.dtype)) for item in items]
        return [Carried(start.kind, start.text) for start in starts]

    def combine(self, item: FoldItem, left: str, right: str) -> str:
        dtype = item.value.dtype
        with self.s.of(LANES):
            return self.s.primitive(item.combine, dtype, Lanes(left, dtype, LANES), Lanes(right, dtype, LANES)).text

    def accumulate(self, items: Sequence[FoldItem], stores: Sequence[Store], totals: Sequence[Carried]) -> None:
        """What happens for one element of each lane: values, stores on the way, accumulation."""
        self.evaluate([*(item.value for item in items), *(term for store in stores for term in terms_of(store))])
        self.stores(stores)
        for item, total in zip(items, totals, strict=True):
            values = self.s.spread(self.value(item.value))
            for first in range(0, self.lanes, LANES):
                new = self.combine(item, total.value, self.part(values.text, values.kind, first))
                if self.mask is not None:
                    mask = self.part(self.mask, self.s.bits, first)
                    new = self.s.pure(f"select <{LANES} x i1> {mask}, {total.kind} {new}, {total.kind} {total.value}")
                total.value = new

    def part(self, vector: str, kind: str, first: int) -> str:
        """The 16 lanes of a vector from one on."""
        if self.lanes == LANES:
            return vector
        order = ", ".join(f"i32 {first + lane}" for lane in range(LANES))
        return self.s.pure(f"shufflevector {kind} {vector}, {kind} poison, <{LANES} x i32> <{order}>")

    def nest(
        self,
        axes: Sequence[Axis],
        items: Sequence[FoldItem],
        totals: Sequence[Carried],
        innermost: Callable[[Axis, str, str, Sequence[Carried]], None],
    ) -> None:
        """The loops over the reduced axes; a long innermost one in blocks whose sums are added up apart."""
        axis, extent = axes[0], self.a.size(axes[0].extent)
        if len(axes) > 1:
            with self.over(axis, "0", extent, totals):
                self.nest(axes[1:], items, totals, innermost)
            return
        if isinstance(axis.extent, int) and axis.extent <= BLOCK:
            innermost(axis, "0", extent, totals)
            return
        with self.block(), self.a.loop("0", extent, BLOCK, totals) as block:
            parts = self.start_of(items)
            stop = self.a.smaller(self.a.emit(f"add i64 {block}, {BLOCK}"), extent)
            innermost(axis, block, stop, parts)
            for item, total, part in zip(items, totals, parts, strict=True):
                total.value = self.combine(item, total.value, part.value)

    def fold(self, fold: Fold) -> None:
        terms = list(terms_of(fold))
        self.hoist(terms, {axis.name for axis in fold.axes})
        totals = self.start_of(fold.items)

        def innermost(axis: Axis, start: str, stop: str, carried: Sequence[Carried]) -> None:
            self.hoist(terms, {axis.name})
            self.over_lanes(axis, start, stop, lambda: self.accumulate(fold.items, fold.stores, carried), carried)

        self.nest(fold.axes, fold.items, totals, innermost)
        for item, total in zip(fold.items, totals, strict=True):
            self.variables[item.result] = self.join_lanes(item, total.value)

    def join_lanes(self, item: FoldItem, total: str) -> Lanes:
        """The lanes combined by halves, in the first of them."""
        dtype = item.value.dtype
        kind, half = type_of(dtype, LANES), LANES // 2
        while half:
            order = ", ".join(f"i32 {(lane + half) % LANES}" for lane in range(LANES))
            moved = self.a.emit(f"shufflevector {kind} {total}, {kind} poison, <{LANES} x i32> <{order}>")
            total = self.combine(item, total, moved)
            half //= 2
        return Lanes(self.a.emit(f"extractelement {kind} {total}, i64 0"), dtype)

    def column_fold(self, fold: ColumnFold, top: bool) -> None:
        terms = list(terms_of(fold))
        inner = {fold.column.name, *(axis.name for axis in fold.axes), *(item.result for item in fold.items)}
        self.hoist(terms, inner)
        extent = self.a.size(fold.column.extent)
        start, stop = "0", extent
        if top:
            tiles = fold.column.extent
            pieces = str(-(-tiles // TILE)) if isinstance(tiles, int) else self._tiles(extent)
            first, last = self.a.share(pieces)
            start = self.times(first, str(TILE))
            stop = self.a.smaller(self.times(last, str(TILE)), extent)

        def column() -> None:
            totals = self.start_of(fold.items)

            def innermost(axis: Axis, first: str, last: str, carried: Sequence[Carried]) -> None:
                self.hoist(terms, {axis.name})
                with self.over(axis, first, last, carried):
                    self.accumulate(fold.items, fold.stores, carried)

            self.nest(fold.axes, fold.items, totals, innermost)
            for item, total in zip(fold.items, totals, strict=True):
                self.variables[item.result] = Lanes(total.value, item.value.dtype, LANES)
            self.statements(fold.body)
            for item in fold.items:
                del self.variables[item.result]

        self.over_lanes(fold.column, start, stop, column)

    def _tiles(self, extent: str) -> str:
        rounded = self.a.emit(f"add i64 {extent}, {TILE - 1}")
        return self.a.emit(f"sdiv i64 {rounded}, {TILE}")

    def search(self, search: Search) -> None:
        dtype = search.value.dtype
        self.hoist([search.value], {search.axis.name})
        lowest = float("-inf") if dtype.is_float else -(2 ** (dtype.bits - 1))
        best = Carried(type_of(dtype), number_in_llvm(lowest, dtype))
        place = Carried("i64", "0")
        with self.over(search.axis, "0", self.a.size(search.axis.extent), (best, place)):
            value, known = self.value(search.value), Lanes(best.value, dtype)
            better = self.s.less(known, value)
            if dtype.is_float:
                first_nan = self.s.logical_and(
                    self.s.logical_not(self.s.equal(value, value)), self.s.equal(known, known)
                )
                better = self.s.logical_or(better, first_nan)
            counter = Lanes(self.counters[search.axis.name], INT64)
            best.value = self.s.select(better, value, known).text
            place.value = self.s.select(better, counter, Lanes(place.value, INT64)).text
        self.variables[search.result] = Lanes(place.value, INT64)
