"""Terms and stores of loop programs on lanes: what the printers of vector code share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphc.dims import Size
from graphc.dtypes import INT32, INT64, DType
from graphc.passes.lanes import ALL, Lanes, LaneScalars, memory_type
from graphc.passes.llvm import Assembly, Carried
from graphc.passes.loops import Axis, Store, terms_of
from graphc.passes.terms import Index, Term, walk_terms

__all__ = ["LanePrinter", "VectorUnit"]


@dataclass(frozen=True)
class VectorUnit:
    """What the processor offers. bytes: width of a vector. registers: how many vectors it holds."""

    bytes: int
    registers: int

    @staticmethod
    def of(features: str) -> VectorUnit:
        """The vector unit of a processor with LLVM's feature flags.

        >>> VectorUnit.of("+avx2,+fma"), VectorUnit.of("+neon")
        (VectorUnit(bytes=32, registers=16), VectorUnit(bytes=16, registers=32))
        """
        flags = set(features.split(","))
        if "+avx512f" in flags:
            return VectorUnit(64, 32)
        if "+avx" in flags or "+avx2" in flags:
            return VectorUnit(32, 16)
        return VectorUnit(16, 32 if "+neon" in flags else 16)


@dataclass
class _Place:
    """Where in a buffer: an offset that all lanes share, how far lanes are apart, offsets of their own."""

    shared: str
    step: Size = 0
    own: list[Lanes] = field(default_factory=list)


class LanePrinter:
    """Writes terms, stores and loops; the lanes are neighbouring positions along one axis."""

    def __init__(self, unit: VectorUnit, lanes: int) -> None:
        self.lanes = lanes
        self.a = Assembly()
        self.s = LaneScalars(self.a, unit.bytes == 64, lanes)  # AVX-512 multiplies by powers of two at once
        self.values: dict[int, Lanes] = {}
        """Terms that have a value, of the present block and those around it."""
        self.variables: dict[str, Lanes] = {}
        self.counters: dict[str, str] = {}
        self.lane_axis = ""
        self.mask: str | None = None
        """Which lanes count; None for all."""

    def module(self) -> str:
        """All that was written."""
        return "\n".join([*self.s.tables.values(), *self.a.lines, *self.s.declarations]) + "\n"

    # Stores.
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
        if not condition.lanes:
            return condition.text
        bits = self.a.emit(f"bitcast <{self.lanes} x i1> {self.both(condition.text, self.mask)} to i{self.lanes}")
        return self.a.emit(f"icmp ne i{self.lanes} {bits}, 0")

    def both(self, left: str, right: str | None) -> str:
        """The lanes that two masks let through."""
        return left if right is None else self.s.pure(f"and <{self.lanes} x i1> {left}, {right}")

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
            if scaled.lanes:
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
            middle = first + (last - first) // self.lanes * self.lanes
            if first < middle:
                self.lanes_loop(axis, start, str(middle), body, carried)
            if middle < last:
                self.lanes_once(axis, str(middle), str(last - middle), body)
            return
        count = self.a.emit(f"sub i64 {stop}, {start}")
        whole = self.a.plus(start, self.a.emit(f"and i64 {count}, {-self.lanes}"))
        self.lanes_loop(axis, start, whole, body, carried)
        with self.block(), self.a.loop(whole, stop, self.lanes, carried) as counter:
            self.lanes_once(axis, counter, self.a.emit(f"sub i64 {stop}, {counter}"), body)

    def over_blocks(self, axis: Axis, start: str, stop: str, body: Callable[[], None]) -> None:
        """A loop over an axis, 64 positions at a time in rows of 16 that share what is alike; then over the rest. It
        starts at a multiple of 64."""
        count = self.a.plus(stop, self.a.times(start, "-1"))
        whole = self.a.plus(start, self.a.emit(f"and i64 {count}, -64"))
        with self.block(), self.a.loop(start, whole, 64) as block:
            before = self.values
            for row in range(64 // self.lanes):
                self.values = dict(before)
                counter = self.plus(block, str(row * self.lanes))
                positions = self.s.counting(Lanes(counter, INT64), Lanes("1", INT64))
                self.s.rows[positions.text] = block, row
                self.in_lanes(axis, counter, None, body)
        self.over_lanes(axis, whole, stop, body)

    def lanes_loop(
        self, axis: Axis, start: str, stop: str, body: Callable[[], None], carried: Sequence[Carried]
    ) -> None:
        with self.block(), self.a.loop(start, stop, self.lanes, carried) as counter:
            self.in_lanes(axis, counter, None, body)

    def lanes_once(self, axis: Axis, start: str, count: str, body: Callable[[], None]) -> None:
        """One round in which the first ``count`` lanes count."""
        with self.block():
            self.in_lanes(axis, start, self.first_lanes(count), body)

    def first_lanes(self, count: str) -> str:
        """The mask of the first lanes; all of them if there are fewer."""
        if count.isdigit():
            return f"<{', '.join(f'i1 {str(lane < int(count)).lower()}' for lane in range(self.lanes))}>"
        lanes = self.s.counting(self.s.constant(0, INT32), self.s.constant(1, INT32))
        return self.s.less(lanes, self.s.convert(Lanes(count, INT64), INT32)).text

    def in_lanes(self, axis: Axis, counter: str, mask: str | None, body: Callable[[], None]) -> None:
        outer = self.lane_axis, self.mask
        self.lane_axis, self.mask = axis.name, mask
        self.counters[axis.name] = counter
        body()
        del self.counters[axis.name]
        self.lane_axis, self.mask = outer

    # Squares.
    def turned(self, rows: list[str], kind: str) -> list[str]:
        """The columns of a square: pairs of rows a distance apart swap their halves, for distances 1, 2, 4, ..."""
        distance, count = 1, self.lanes
        while distance < count:
            turned = list(rows)
            for row in (number for number in range(count) if not number & distance):
                pair, lanes = (rows[row], rows[row | distance]), range(count)
                low = [count + lane - distance if lane & distance else lane for lane in lanes]
                high = [count + lane if lane & distance else lane + distance for lane in lanes]
                turned[row], turned[row | distance] = self.picked(*pair, kind, low), self.picked(*pair, kind, high)
            rows, distance = turned, 2 * distance
        return rows

    def picked(self, left: str, right: str, kind: str, order: list[int]) -> str:
        lanes = ", ".join(f"i32 {place}" for place in order)
        return self.a.emit(f"shufflevector {kind} {left}, {kind} {right}, <{self.lanes} x i32> <{lanes}>")
