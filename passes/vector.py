"""The second CPU printer: loop programs as LLVM vector code, 16 elements of the innermost loop at a time.

The order of every operation on every element is that of the Python source of the same kernel, so both give the same
bits: a fold keeps its 16 lanes in one vector, a column fold a vector of columns. Loops run over whole vectors first;
what is left is computed with the other lanes switched off. There is nothing left for an optimiser to do but to choose
instructions, which takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphc.dims import Size
from graphc.dtypes import INT32, INT64, DType
from graphc.passes.lanes import ALL, Lanes, LaneScalars, memory_type, number_in_llvm
from graphc.passes.llvm import Assembly, Carried, kernel_header, type_of
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
    axes_of,
    terms_of,
)
from graphc.passes.source import Source
from graphc.passes.terms import Index, Term, walk_terms
from graphc.passes.tile import VectorUnit

__all__ = ["print_vector", "vectors_apply"]


def vectors_apply(kernel: Kernel) -> bool:
    """True for kernels without contractions whose lanes never write to one place."""
    return all(map(_applies, kernel.body))


def _applies(statement: Statement) -> bool:
    if isinstance(statement, Contraction):
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


def _stores(body: Sequence[Statement]) -> list[Store]:
    return [statement for statement in body if isinstance(statement, Store)]


def _separate(store: Store, axis: str) -> bool:
    """True if neighbours along an axis write to different places, or all the same number to one."""
    if any(axis in place.depends for place, _ in store.index.places):
        return False
    return store.index.stride(axis) != 0 or (store.when is not None and not store.value.depends and not store.add)


def print_vector(kernel: Kernel, unit: VectorUnit) -> Source:
    """LLVM code of a kernel for a vector unit; ``@KERNEL`` stands for the symbol."""
    scales = unit.bytes == 64  # AVX-512 multiplies vectors by powers of two in one instruction
    return Source(kernel.name, _VectorPrinter(kernel, scales).text(), (), (), "llvm")


@dataclass
class _Place:
    """Where in a buffer: an offset that all lanes share, how far lanes are apart, offsets of their own."""

    shared: str
    step: Size = 0
    own: list[Lanes] = field(default_factory=list)


class _VectorPrinter:
    def __init__(self, kernel: Kernel, scales: bool) -> None:
        self.kernel = kernel
        self.a = Assembly()
        self.s = LaneScalars(self.a, scales)
        self.values: dict[int, Lanes] = {}
        """Terms that have a value, of the present block and those around it."""
        self.variables: dict[str, Lanes] = {}
        self.counters: dict[str, str] = {}
        self.lane_axis = ""
        self.mask: str | None = None
        """Which lanes count; None for all."""

    def text(self) -> str:
        self.a.lines.append(kernel_header(self.kernel))
        self.a.label("entry")
        self.statements(self.kernel.body, self.kernel.split)
        self.a.do("ret i32 0")
        self.a.lines.append("}")
        return "\n".join([*self.s.tables.values(), *self.a.lines, *self.s.declarations]) + "\n"

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
        if all(isinstance(statement, Store) for statement in loop.body):
            self.over_lanes(loop.axis, start, stop, lambda: self.statements(loop.body))
        else:
            with self.over(loop.axis, start, stop):
                self.statements(loop.body)

    def stores(self, stores: Sequence[Store]) -> None:
        """Values first, then writes: a kernel may read what it overwrites."""
        self.evaluate(term for store in stores for term in terms_of(store))
        for store in stores:
            condition = self.value(store.when) if store.when is not None else None
            place = self.place(store.index)
            if place.step == 0 and not place.own:
                self.store_one(store, place, condition)
            else:
                self.store_lanes(store, place, condition)

    def store_one(self, store: Store, place: _Place, condition: Lanes | None) -> None:
        """Write one number, if the condition holds in any lane."""
        value = self.value(store.value)
        address = self.address(store.buffer, value.dtype, place)
        if condition is None:
            self.s.store(self.s.add(self.s.load(address, value.dtype), value) if store.add else value, address)
            return
        number = self.a.new()[2:]
        self.a.do(f"br i1 {self.any_lane(condition)}, label %write.{number}, label %written.{number}")
        self.a.label(f"write.{number}")
        with self.s.block():
            self.s.store(self.s.add(self.s.load(address, value.dtype), value) if store.add else value, address)
        self.a.do(f"br label %written.{number}")
        self.a.label(f"written.{number}")

    def any_lane(self, condition: Lanes) -> str:
        """True if the condition holds in a lane that counts."""
        if not condition.wide:
            return condition.text
        bits = self.a.emit(f"bitcast <{LANES} x i1> {self.both(condition.text, self.mask)} to i{LANES}")
        return self.a.emit(f"icmp ne i{LANES} {bits}, 0")

    def both(self, left: str, right: str | None) -> str:
        """The lanes that two masks let through."""
        return left if right is None else self.s.pure(f"and <{LANES} x i1> {left}, {right}")

    def store_lanes(self, store: Store, place: _Place, condition: Lanes | None) -> None:
        """Write a vector, where the lanes count and the condition holds."""
        value = self.s.spread(self.value(store.value))
        mask = self.mask if condition is None else self.both(self.s.spread(condition).text, self.mask)
        if store.add:
            value = self.s.add(self.load_lanes(store.buffer, place, value.dtype, mask), value)
        if place.step == 1:
            self.s.store(value, self.address(store.buffer, value.dtype, place), mask)
        else:
            self.s.scatter(value, f"%{store.buffer}", self.offsets(place), mask or ALL)

    def address(self, buffer: str, dtype: DType, place: _Place) -> str:
        return self.a.at(memory_type(dtype), f"%{buffer}", place.shared)

    # Terms.
    def evaluate(self, roots: Iterable[Term]) -> None:
        """Give terms and all that they need values."""
        for term in walk_terms(roots):
            if id(term) not in self.values:
                self.values[id(term)] = self.compute(term)

    def value(self, term: Term) -> Lanes:
        """The value of a term."""
        self.evaluate([term])
        return self.values[id(term)]

    def compute(self, term: Term) -> Lanes:
        args = [self.values[id(arg)] for arg in term.args]
        if term.kind == "number":
            return self.s.constant(term.value, term.dtype)
        if term.kind == "variable":
            return self.variables[term.name]
        if term.kind == "primitive":
            return self.s.primitive(term.name, term.dtype, *args)
        if term.kind == "call":
            return self.s.call(term.name, *args)
        if term.kind == "lookup":
            assert term.table is not None
            return self.s.lookup(term.table, args[0])
        assert term.index is not None
        place = self.place(term.index)
        if term.kind == "position":
            return self.offsets(place)
        if place.step == 0 and not place.own:
            return self.s.load(self.address(term.name, term.dtype, place), term.dtype)
        return self.load_lanes(term.name, place, term.dtype, self.mask)

    def place(self, index: Index) -> _Place:
        """Where an index points to at this point of the loops."""
        place = _Place("0")
        for name, stride in index.axes:
            if name == self.lane_axis:
                place.step = stride
            place.shared = self.plus(place.shared, self.times(self.counters[name], self.a.size(stride)))
        for term, stride in index.places:
            value = self.s.convert(self.value(term), INT64)
            scaled = self.s.multiply(value, Lanes(self.a.size(stride), INT64)) if stride != 1 else value
            if scaled.wide:
                place.own.append(scaled)
            else:
                place.shared = self.plus(place.shared, scaled.text)
        for offset in index.offsets:
            place.shared = self.plus(place.shared, self.a.size(offset))
        return place

    def times(self, left: str, right: str) -> str:
        if "%" not in left + right or {left, right} & {"0", "1"}:
            return self.a.times(left, right)
        return self.s.pure(f"mul i64 {left}, {right}")

    def plus(self, left: str, right: str) -> str:
        if "%" not in left + right or "0" in (left, right):
            return self.a.plus(left, right)
        return self.s.pure(f"add i64 {left}, {right}")

    def offsets(self, place: _Place) -> Lanes:
        """The offsets of the lanes, or the one that all share."""
        result = Lanes(place.shared, INT64)
        if place.step != 0:
            result = self.s.counting(result, Lanes(self.a.size(place.step), INT64))
        for own in place.own:
            result = self.s.add(result, own)
        return result

    def load_lanes(self, buffer: str, place: _Place, dtype: DType, mask: str | None) -> Lanes:
        """What the lanes read."""
        if place.step == 1 and not place.own:
            return self.s.load_lanes(self.address(buffer, dtype, place), dtype, mask)
        return self.s.gather(f"%{buffer}", self.offsets(place), dtype, mask or ALL)

    def hoist(self, terms: Iterable[Term], inner: set[str]) -> None:
        """Compute, before a loop, what does not change in it."""
        bound = {*self.counters, *self.variables}
        self.evaluate(term for term in walk_terms(terms) if not term.depends & inner and term.depends <= bound)

    # Loops.
    @contextmanager
    def block(self) -> Iterator[None]:
        """What is computed inside is forgotten afterwards."""
        values = dict(self.values)
        with self.s.block():
            yield
        self.values = values

    @contextmanager
    def over(self, axis: Axis, start: str, stop: str, carried: Sequence[Carried] = ()) -> Iterator[None]:
        """A loop over an axis, one position at a time."""
        with self.block(), self.a.loop(start, stop, carried=carried) as counter:
            self.counters[axis.name] = counter
            yield
            del self.counters[axis.name]

    def over_lanes(
        self, axis: Axis, start: str, stop: str, body: Callable[[], None], carried: Sequence[Carried] = ()
    ) -> None:
        """A loop over an axis, 16 positions at a time; then once more for those that are left."""
        if "%" not in start + stop:
            first, last = int(start), int(stop)
            middle = first + (last - first) // LANES * LANES
            if first < middle:
                self.lanes_loop(axis, start, str(middle), body, carried)
            if middle < last:
                self.lanes_once(axis, str(middle), str(last - middle), body)
            return
        count = self.a.emit(f"sub i64 {stop}, {start}")
        whole = self.a.plus(start, self.a.emit(f"and i64 {count}, {-LANES}"))
        self.lanes_loop(axis, start, whole, body, carried)
        with self.block(), self.a.loop(whole, stop, LANES, carried) as counter:
            self.lanes_once(axis, counter, self.a.emit(f"sub i64 {stop}, {counter}"), body)

    def lanes_loop(
        self, axis: Axis, start: str, stop: str, body: Callable[[], None], carried: Sequence[Carried]
    ) -> None:
        with self.block(), self.a.loop(start, stop, LANES, carried) as counter:
            self.in_lanes(axis, counter, None, body)

    def lanes_once(self, axis: Axis, start: str, count: str, body: Callable[[], None]) -> None:
        """One round in which the first ``count`` lanes count."""
        with self.block():
            if count.isdigit():
                mask = f"<{', '.join(f'i1 {str(lane < int(count)).lower()}' for lane in range(LANES))}>"
            else:
                lanes = self.s.counting(self.s.constant(0, INT32), self.s.constant(1, INT32))
                mask = self.s.less(lanes, self.s.convert(Lanes(count, INT64), INT32)).text
            self.in_lanes(axis, start, mask, body)

    def in_lanes(self, axis: Axis, counter: str, mask: str | None, body: Callable[[], None]) -> None:
        outer = self.lane_axis, self.mask
        self.lane_axis, self.mask = axis.name, mask
        self.counters[axis.name] = counter
        body()
        del self.counters[axis.name]
        self.lane_axis, self.mask = outer

    # Reductions.
    def start_of(self, items: Sequence[FoldItem]) -> list[Carried]:
        """Vectors of the numbers that the reductions start with."""
        starts = [self.s.spread(self.s.constant(item.start, item.value.dtype)) for item in items]
        return [Carried(start.kind, start.text) for start in starts]

    def combine(self, item: FoldItem, left: str, right: str) -> str:
        dtype = item.value.dtype
        return self.s.primitive(item.combine, dtype, Lanes(left, dtype, True), Lanes(right, dtype, True)).text

    def accumulate(self, items: Sequence[FoldItem], stores: Sequence[Store], totals: Sequence[Carried]) -> None:
        """What happens for one element of each lane: values, stores on the way, accumulation."""
        self.evaluate([*(item.value for item in items), *(term for store in stores for term in terms_of(store))])
        self.stores(stores)
        for item, total in zip(items, totals, strict=True):
            new = self.combine(item, total.value, self.s.spread(self.value(item.value)).text)
            if self.mask is not None:
                new = self.s.pure(f"select <{LANES} x i1> {self.mask}, {total.kind} {new}, {total.kind} {total.value}")
            total.value = new

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
                self.variables[item.result] = Lanes(total.value, item.value.dtype, True)
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
