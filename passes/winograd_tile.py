"""Winograd's convolution as LLVM vector code.

A block of tiles at a time: their inputs are transformed, the 16 products of matrices (tiles by channels with channels
by features) are computed on a register tile, and the sums are transformed back and stored. What lies between stays in
the second-level cache. Lanes are neighbouring channels, then neighbouring features. The order of every operation on
every element is that of the Python source of the same kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graphc.ops.winograd import POINTS
from graphc.passes.lane_terms import LanePrinter, VectorUnit
from graphc.passes.lanes import Lanes
from graphc.passes.llvm import Carried, kernel_header, type_of
from graphc.passes.loops import LANES, Axis, Kernel, Winograd
from graphc.passes.source import Source

__all__ = ["print_winograd", "winograd_applies"]

_FEW_ROWS, _MOST_ROWS = 8, 24
"""Rows of a register tile: few finish sooner and overlap with the next one, many read the transformed window less
often."""
_CACHED = 1 << 19
"""Bytes of a transformed window that the second-level cache holds beside the rest."""
_DEPTH = 4
"""Channels of one round of the innermost loop."""
_ROOM = 16 << 10
"""Bytes for transformed inputs and sums of products of a block, if it is higher than its register tile."""
_STACK = 1 << 20
"""The most bytes of a block that is as high as its register tile; it lies on the thread's stack."""
_LINE = 64
"""Bytes by which planes of the same block are moved apart, so that they do not fall on each other in the caches."""

Square = list[list[Lanes]]


def winograd_applies(kernel: Kernel) -> bool:
    """True for Winograd's convolution with whole vectors of channels and features side by side."""
    (first, *others) = kernel.body
    if others or not isinstance(first, Winograd):
        return False
    whole = all(isinstance(axis.extent, int) and axis.extent % LANES == 0 for axis in (first.channel, first.feature))
    steps = [store.index.stride(first.feature.name) for store in first.stores]
    return whole and all(step == 1 for step in steps)


def print_winograd(kernel: Kernel, unit: VectorUnit) -> Source:
    """LLVM code of a convolution for a vector unit; ``@KERNEL`` stands for the symbol."""
    (statement,) = kernel.body
    assert isinstance(statement, Winograd)
    return Source(kernel.name, _WinogradPrinter(kernel, statement, unit).text(), (), (), "llvm")


class _WinogradPrinter(LanePrinter):
    """Writes the module: one function for each shape of register tile, and the kernel."""

    def __init__(self, kernel: Kernel, statement: Winograd, unit: VectorUnit) -> None:
        self.kernel, self.w, self.dtype = kernel, statement, statement.left.dtype
        super().__init__(unit, unit.bytes // self.dtype.itemsize)
        channels, features = statement.channel.extent, statement.feature.extent
        assert isinstance(channels, int)
        assert isinstance(features, int)
        self.channels, self.features = channels, features
        needed = features // self.lanes
        self.vectors = 1 if needed == 1 else 3 if needed == 3 else 2
        cached = POINTS * channels * features * self.dtype.itemsize <= _CACHED
        most = (unit.registers - 2 - self.vectors) // self.vectors
        a_tile = POINTS * (channels + features) * self.dtype.itemsize
        self.height = max(2, min(most, _FEW_ROWS if cached else _MOST_ROWS, _STACK // a_tile) // 2 * 2)
        self.block_size = max(1, _ROOM // (a_tile * self.height)) * self.height
        apart = _LINE // self.dtype.itemsize
        self.input_plane = self.block_size * channels + apart
        self.sum_plane = self.block_size * features + apart
        self.shapes: dict[tuple[int, int], None] = {}
        self.element = type_of(self.dtype)

    def text(self) -> str:
        self.walk()
        for height, vectors in self.shapes:
            self.product(height, vectors)
        return self.module()

    def walk(self) -> None:
        """The kernel: the blocks of this thread's tiles."""
        w = self.w
        self.a.lines.append(kernel_header(self.kernel))
        self.a.label("entry")
        high, wide = w.tiles
        first, last = self.a.share(self.a.times(self.a.size(w.image.extent), str(high)))
        self.inputs = self.a.emit(f"alloca {self.element}, i64 {self.input_plane * POINTS}, align 64")
        self.sums = self.a.emit(f"alloca {self.element}, i64 {self.sum_plane * POINTS}, align 64")
        start, stop = self.a.times(first, str(wide)), self.a.times(last, str(wide))
        with self.block(), self.a.loop(start, stop, self.block_size) as block:
            left = self.a.emit(f"sub i64 {stop}, {block}")
            count = self.a.smaller(left, str(self.block_size))
            with self.tiles(block, count) as tile:
                self.transform_input(tile)
            self.products(count)
            with self.tiles(block, count) as tile:
                self.transform_sums(tile)
        self.a.do("ret i32 0")
        self.a.lines.append("}")

    @contextmanager
    def tiles(self, block: str, count: str) -> Iterator[str]:
        """A loop over the tiles of a block, which sets the counters to the first element of each."""
        w, (high, wide) = self.w, self.w.tiles
        with self.block(), self.a.loop("0", count) as tile:
            number = self.a.plus(block, tile)
            self.counters[w.image.name] = self.a.emit(f"udiv i64 {number}, {high * wide}")
            place = self.a.emit(f"urem i64 {number}, {high * wide}")
            row, column = (self.a.emit(f"{name} i64 {place}, {wide}") for name in ("udiv", "urem"))
            self.own_row, self.own_column = self.a.times(row, "2"), self.a.times(column, "2")
            self.top = self.start_of(w.row, self.own_row)
            self.side = self.start_of(w.column, self.own_column)
            yield tile

    def start_of(self, axis: Axis, own: str) -> str:
        """Where a tile starts along an axis: at the first element that is its own, or one before it at an odd end."""
        assert isinstance(axis.extent, int)
        return self.a.smaller(own, str(axis.extent - 2)) if axis.extent % 2 else own

    def transform_input(self, tile: str) -> None:
        """Read 4 x 4 places for each vector of channels and turn them into 16 points."""
        w, index = self.w, self.w.left.index
        assert index is not None
        down, along = (self.a.size(index.stride(axis.name)) for axis in (w.row, w.column))
        self.counters |= {w.row.name: self.top, w.column.name: self.side}
        with self.block(), self.a.loop("0", str(self.channels), self.lanes) as channel:
            self.counters[w.channel.name] = channel
            start = self.address(w.left.name, self.dtype, self.place(index))
            square = [
                [self.read(start, self.a.plus(self.a.times(down, str(r)), self.a.times(along, str(c)))) for c in _FOUR]
                for r in _FOUR
            ]
            self.prefetch(start, down, along)
            turned = [self.turn(row) for row in _turned([self.turn(column) for column in _turned(square)])]
            target = self.plus(self.times(tile, str(self.channels)), channel)
            for point, value in enumerate(value for row in turned for value in row):
                place = self.plus(target, str(point * self.input_plane))
                self.s.store(value, self.a.at(self.element, self.inputs, place))

    def prefetch(self, start: str, down: str, along: str) -> None:
        """Ask for what the same tile of the next block is computed from, while the products of this one are."""
        _, wide = self.w.tiles
        strips, beside = divmod(self.block_size, wide)
        declaration = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
        self.s.declarations[declaration] = None
        for r in (2, 3):
            for c in (2, 3):
                rows, columns = self.a.times(down, str(2 * strips + r)), self.a.times(along, str(2 * beside + c))
                place = self.a.at(self.element, start, self.a.plus(rows, columns))
                self.a.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")

    def turn(self, x: Sequence[Lanes]) -> list[Lanes]:
        """The input's matrix times four numbers."""
        s = self.s
        return [s.subtract(x[0], x[2]), s.add(x[1], x[2]), s.subtract(x[2], x[1]), s.subtract(x[1], x[3])]

    def turn_back(self, x: Sequence[Lanes]) -> list[Lanes]:
        """The output's matrix times four numbers."""
        s = self.s
        return [s.add(s.add(x[0], x[1]), x[2]), s.subtract(s.subtract(x[1], x[2]), x[3])]

    def read(self, start: str, offset: str) -> Lanes:
        return self.s.load_lanes(self.a.at(self.element, start, offset), self.dtype, None)

    def transform_sums(self, tile: str) -> None:
        """Turn 16 sums for each vector of features into 2 x 2 elements, and store those that are the tile's own."""
        w = self.w
        with self.block(), self.a.loop("0", str(self.features), self.lanes) as feature:
            start = self.a.at(self.element, self.sums, self.plus(self.times(tile, str(self.features)), feature))
            square = [[self.read(start, str((4 * r + c) * self.sum_plane)) for c in _FOUR] for r in _FOUR]
            columns = [self.turn_back(column) for column in _turned(square)]
            self.counters[w.feature.name], self.lane_axis = feature, w.feature.name
            for r, row in enumerate(_turned(columns)):
                for c, value in enumerate(self.turn_back(row)):
                    with self.if_own(r, c):
                        self.counters |= {w.row.name: self.plus(self.top, str(r))}
                        self.counters |= {w.column.name: self.plus(self.side, str(c))}
                        self.variables[w.result] = value
                        self.values = {}
                        self.stores(w.stores)
            self.lane_axis = ""

    @contextmanager
    def if_own(self, r: int, c: int) -> Iterator[None]:
        """What is written inside runs for the elements of a tile that no tile before it has."""
        w, tests = self.w, []
        places = ((w.row, r, self.top, self.own_row), (w.column, c, self.side, self.own_column))
        for axis, first, start, own in places:
            if first == 0 and isinstance(axis.extent, int) and axis.extent % 2:
                tests.append(self.a.emit(f"icmp eq i64 {start}, {own}"))
        if not tests:
            yield
            return
        test = tests[0] if len(tests) == 1 else self.a.emit(f"and i1 {tests[0]}, {tests[1]}")
        number = self.a.new()[2:]
        self.a.do(f"br i1 {test}, label %own.{number}, label %done.{number}")
        self.a.label(f"own.{number}")
        with self.s.block():
            yield
        self.a.do(f"br label %done.{number}")
        self.a.label(f"done.{number}")

    # Products.
    def products(self, count: str) -> None:
        """The 16 products of matrices. Register tiles may run over the end of the block, where nobody reads."""
        half = self.height // 2
        rounded = self.a.emit(f"add i64 {count}, {half - 1}")
        whole = self.a.times(self.a.emit(f"udiv i64 {rounded}, {self.height}"), str(self.height))
        w, index = self.w, self.w.right.index
        assert index is not None
        with self.block(), self.a.loop("0", str(POINTS)) as point:
            self.counters |= {w.point.name: point, w.channel.name: "0", w.feature.name: "0"}
            right = self.address(w.right.name, self.dtype, self.place(index))
            left = self.a.at(self.element, self.inputs, self.times(point, str(self.input_plane)))
            result = self.a.at(self.element, self.sums, self.times(point, str(self.sum_plane)))
            width = self.vectors * self.lanes
            full, tail = divmod(self.features, width)
            with self.a.loop("0", str(full * width), width) as feature:
                self.rows(left, right, result, feature, self.vectors, count, whole)
            if tail:
                self.rows(left, right, result, str(full * width), tail // self.lanes, count, whole)

    def rows(self, left: str, right: str, result: str, feature: str, vectors: int, count: str, whole: str) -> None:
        """Register tiles down a block: of full height, then one of half of it if that is enough."""
        half = self.height // 2
        for height, start, stop in ((self.height, "0", whole), (half, whole, count)):
            self.shapes[height, vectors] = None
            with self.block(), self.a.loop(start, stop, height) as tile:
                operands = (
                    self.a.at(self.element, left, self.times(tile, str(self.channels))),
                    self.a.at(self.element, right, feature),
                    self.a.at(self.element, result, self.plus(self.times(tile, str(self.features)), feature)),
                )
                self.a.do(f"call void @product_{height}x{vectors}({', '.join(f'ptr {text}' for text in operands)})")

    def product(self, height: int, vectors: int) -> None:
        """A function: the product of a number of rows of points with some vectors of the right operand's columns."""
        self.s.known = {}
        parameters = "ptr noalias %left, ptr noalias %right, ptr noalias %sums"
        self.a.lines.append(f"define internal void @product_{height}x{vectors}({parameters}) {{")
        self.a.label("start")
        kind = type_of(self.dtype, self.lanes)
        cells = [[Carried(kind, "zeroinitializer") for _ in range(vectors)] for _ in range(height)]
        left, right = Carried("ptr", "%left"), Carried("ptr", "%right")
        carried = [*(cell for row in cells for cell in row), left, right]
        with self.s.block(), self.a.loop("0", str(self.channels), _DEPTH, carried):
            for depth in range(_DEPTH):
                start = str(depth * self.features)
                columns = [
                    self.read(right.value, self.a.plus(start, str(number * self.lanes))) for number in range(vectors)
                ]
                for number, row in enumerate(cells):
                    place = self.a.at(self.element, left.value, str(number * self.channels + depth))
                    value = self.s.load(place, self.dtype)
                    for cell, column in zip(row, columns, strict=True):
                        cell.value = self.s.fma(value, column, Lanes(cell.value, self.dtype, self.lanes)).text
            left.value = self.a.emit(f"getelementptr {self.element}, ptr {left.value}, i64 {_DEPTH}")
            right.value = self.a.emit(f"getelementptr {self.element}, ptr {right.value}, i64 {_DEPTH * self.features}")
        for number, row in enumerate(cells):
            for vector, cell in enumerate(row):
                place = self.a.at(self.element, "%sums", str(number * self.features + vector * self.lanes))
                self.s.store(Lanes(cell.value, self.dtype, self.lanes), place)
        self.a.do("ret void")
        self.a.lines.append("}")


_FOUR = range(4)


def _turned(square: Square) -> Square:
    """Rows as columns."""
    return [list(row) for row in zip(*square, strict=True)]
