"""Contractions as LLVM vector code, a register tile at a time.

A tile of rows and columns of the result stays in registers while the depths count up; the left operand is read number
by number and spread over the lanes, the right one in vectors. Each element is one chain of fused multiply-adds in the
order of the depths, exactly as in the Python source of the same kernel, so tile sizes and threads never change a bit.
``graphc.passes.tile_blocks`` walks over large operands in blocks; ``graphc.passes.vector`` prints other kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from graphc.dtypes import DType
from graphc.passes.lane_terms import LanePrinter, VectorUnit
from graphc.passes.lanes import Lanes
from graphc.passes.llvm import Carried, argument_list, kernel_header, size_argument, type_of
from graphc.passes.loops import Axis, Contraction, Kernel
from graphc.passes.terms import Term

__all__ = ["PAGE", "TilePrinter", "rows_collide", "tiles_apply"]

_MOST_ROWS = 24
_FEWEST_LANES = 4
_FAR = 512
"""Bytes between rows of the right operand from which copying a block of columns may pay."""
_FEWEST_TILES = 3
"""Tiles of rows that must share the copy."""
_AHEAD = "16"
"""Rows of the right operand that are asked for before they are copied; no processor guesses steps so wide."""
PAGE = 4096
_LINE = 64
_WAYS = 8
"""Lines that a first-level cache holds of those a page apart."""
_ROOM = 1 << 20
"""The most bytes of a copy; it lies on the thread's stack."""


def tiles_apply(kernel: Kernel) -> bool:
    """True for contractions of floats whose right operand and results hold a known number of columns side by side."""
    (first, *others) = kernel.body
    if others or not isinstance(first, Contraction) or not first.left.dtype.is_float or first.inside is not None:
        return False
    column = first.column
    indices = [first.right.index, *(store.index for store in first.stores)]
    steps = [index.stride(column.name) for index in indices if index is not None]
    return isinstance(column.extent, int) and (column.extent == 1 or all(step == 1 for step in steps))


def rows_collide(contraction: Contraction, rows: int) -> bool:
    """True if so many rows of the left operand fall on too few places of the first cache: a multiple of a page apart,
    or nearly so."""
    index, depth = contraction.left.index, contraction.depths[-1]
    assert index is not None
    step = index.stride(contraction.rows[-1].name)
    plain = len(contraction.depths) == 1 and index.stride(depth.name) == 1
    if not plain or not isinstance(step, int) or step == 0:
        return False
    places = PAGE // math.gcd(step * contraction.left.dtype.itemsize, PAGE)
    return rows > _WAYS * places


def _lanes(columns: int, dtype: DType, unit: VectorUnit) -> int:
    """As many as a vector holds, fewer for fewer columns."""
    lanes = unit.bytes // dtype.itemsize
    while lanes > _FEWEST_LANES and lanes // 2 >= columns:
        lanes //= 2
    return lanes


class TilePrinter(LanePrinter):
    """Writes the module: one function a tile shape, and the kernel that walks over the result."""

    own_arguments = ""
    """What the function of a tile takes besides."""

    def __init__(self, kernel: Kernel, contraction: Contraction, unit: VectorUnit, lanes: int | None = None) -> None:
        assert isinstance(contraction.column.extent, int)
        self.columns = contraction.column.extent
        self.dtype = contraction.left.dtype
        super().__init__(unit, lanes or _lanes(self.columns, self.dtype, unit))
        self.kernel, self.c = kernel, contraction
        needed = -(-self.columns // self.lanes)
        self.vectors = 1 if needed == 1 else 3 if needed == 3 else 2
        self.rows = min((unit.registers - 2 - self.vectors) // self.vectors, _MOST_ROWS) // 2 * 2
        self.axes = [contraction.batch, *contraction.rows, contraction.column]
        *outer, inner = contraction.rows
        self.tiled, self.beside = inner, 1
        """The row axis that tiles go along, and how many rows of the innermost axis they hold at each of its steps."""
        whole = isinstance(inner.extent, int) and 0 < 2 * inner.extent <= self.rows and inner is not contraction.shared
        if outer and whole and isinstance(inner.extent, int):
            self.tiled, self.beside = outer[-1], inner.extent
            self.rows //= inner.extent
        if self.columns <= self.lanes and self.beside == 1 and rows_collide(contraction, self.rows):
            self.rows = _WAYS - 1

    def text(self) -> str:
        shapes: dict[tuple[int, int], None] = {}
        self.walk(shapes)
        for steps, columns in shapes:
            self.tile(steps, columns)
        return self.module()

    # A tile.
    def tile(self, steps: int, columns: int) -> None:
        """A function that computes ``columns`` elements of the result's rows at ``steps`` from given positions on."""
        c = self.c
        self.begin(steps, columns)
        masks = [self.mask_of(min(self.lanes, columns - start)) for start in range(0, columns, self.lanes)]
        cells = self.sums(steps * self.beside, masks)
        self.depths(c.depths, Carried("ptr", "%right.start"), cells, masks)
        self.keep(cells, masks)
        column = c.column.name
        first_row, first_column = self.counters[self.tiled.name], self.counters[column]
        self.lane_axis = column
        for number, vectors in enumerate(cells):
            if self.beside > 1:
                self.counters[c.rows[-1].name] = str(number % self.beside)
            self.counters[self.tiled.name] = self.plus(first_row, str(number // self.beside))
            for vector, (cell, mask) in enumerate(zip(vectors, masks, strict=True)):
                self.counters[column] = self.plus(first_column, str(vector * self.lanes))
                self.values, self.mask = {}, mask
                self.variables[c.result] = Lanes(cell.value, self.dtype, self.lanes)
                self.stores(c.stores)
        self.end()

    def begin(self, steps: int, columns: int) -> None:
        """The head of a tile's function."""
        self.values, self.s.known = {}, {}
        places = "".join(f"i64 %at.{axis.name}, " for axis in self.axes)
        buffers = ", ".join(f"ptr noalias %{buffer.name}" for buffer in self.kernel.buffers)
        self.a.lines.append(
            f"define internal void @tile_{steps}x{columns}({argument_list(self.kernel)}{places}"
            f"ptr %right.start, i64 %right.step, {self.own_arguments}{buffers}) {{"
        )
        self.a.label("start")
        self.counters = {axis.name: f"%at.{axis.name}" for axis in self.axes}

    def end(self) -> None:
        """The end of a tile's function."""
        self.lane_axis, self.mask = "", None
        self.a.do("ret void")
        self.a.lines.append("}")

    def sums(self, rows: int, masks: Sequence[str | None]) -> list[list[Carried]]:
        """What the sums of a tile start with."""
        return [[Carried(type_of(self.dtype, self.lanes), "zeroinitializer") for _ in masks] for _ in range(rows)]

    def keep(self, cells: Sequence[Sequence[Carried]], masks: Sequence[str | None]) -> None:
        """What happens to sums before they are used."""

    def mask_of(self, count: int) -> str | None:
        """The mask of the first lanes; None for all of them."""
        if count == self.lanes:
            return None
        return f"<{', '.join(f'i1 {str(lane < count).lower()}' for lane in range(self.lanes))}>"

    def depths(
        self, axes: Sequence[Axis], right: Carried, cells: Sequence[Sequence[Carried]], masks: Sequence[str | None]
    ) -> None:
        """The loops over the depths, along which the right operand lies in equal steps."""
        axis, extent = axes[0], self.a.size(axes[0].extent)
        carried = [cell for vectors in cells for cell in vectors]
        if len(axes) > 1:
            with self.s.block(), self.a.loop("0", extent, carried=[*carried, right]) as counter:
                self.counters[axis.name] = counter
                self.depths(axes[1:], right, cells, masks)
            return
        self.counters[axis.name] = "0"
        left = Carried("ptr", self.start_of(self.c.left))
        self.deepen(extent, left, self.step(self.c.left, self.tiled), right, cells, masks)

    def deepen(
        self,
        count: str,
        left: Carried,
        along: str,
        right: Carried,
        cells: Sequence[Sequence[Carried]],
        masks: Sequence[str | None],
    ) -> None:
        """Add the products of a number of depths to a tile, whose rows are a step apart in the left operand."""
        beside, left_step = self.step(self.c.left, self.c.rows[-1]), self.step(self.c.left, self.c.depths[-1])
        row_offsets = [
            self.plus(self.times(str(number // self.beside), along), self.times(str(number % self.beside), beside))
            for number in range(len(cells))
        ]
        element = type_of(self.dtype)
        carried = [cell for vectors in cells for cell in vectors]
        with self.s.block(), self.a.loop("0", count, carried=[*carried, left, right]):
            loaded = [
                self.s.load_lanes(self.a.at(element, right.value, str(number * self.lanes)), self.dtype, mask)
                for number, mask in enumerate(masks)
            ]
            for offset, vectors in zip(row_offsets, cells, strict=True):
                number = self.s.load(self.a.at(element, left.value, offset), self.dtype)
                for cell, column in zip(vectors, loaded, strict=True):
                    total = Lanes(cell.value, self.dtype, self.lanes)
                    cell.value = self.s.fma(number, column, total).text
            left.value = self.a.emit(f"getelementptr {element}, ptr {left.value}, i64 {left_step}")
            right.value = self.a.emit(f"getelementptr {element}, ptr {right.value}, i64 %right.step")

    def start_of(self, term: Term) -> str:
        """The address of an operand's element at the present positions."""
        assert term.index is not None
        return self.address(term.name, term.dtype, self.place(term.index))

    def step(self, term: Term, axis: Axis) -> str:
        """How far an operand moves along an axis."""
        assert term.index is not None
        return self.a.size(term.index.stride(axis.name))

    # The walk over the result.
    def walk(self, shapes: dict[tuple[int, int], None]) -> None:
        """The kernel: for each batch index, block of columns, outer row and block of inner rows, call a tile."""
        c = self.c
        self.a.lines.append(kernel_header(self.kernel))
        self.a.label("entry")
        ranges = {axis.name: ("0", self.a.size(axis.extent)) for axis in (c.batch, *c.rows)}
        block = self.vectors * self.lanes
        full, tail = divmod(self.columns, block)
        first, last = "0", str(full + bool(tail))
        if c.by_columns:
            first, last = self.a.share(last)
        else:
            ranges[c.shared.name] = self.a.share(ranges[c.shared.name][1])
        depth = "1"
        for axis in c.depths:
            depth = self.a.times(depth, self.a.size(axis.extent))
            self.counters[axis.name] = "0"
        self.reserve(ranges, block, depth)
        with ExitStack() as loops:
            self.counters[c.batch.name] = "0"
            if c.batch.extent != 1:
                self.counters[c.batch.name] = loops.enter_context(self.a.loop(*ranges[c.batch.name]))
            if full:
                with self.a.loop(first, self.a.smaller(last, str(full))) as number:
                    self.counters[c.column.name] = self.a.times(number, str(block))
                    self.rows_of_tiles(shapes, block, ranges, self.pack(block, depth))
            if tail:
                with self.a.loop(str(full), last):
                    self.counters[c.column.name] = str(full * block)
                    self.rows_of_tiles(shapes, tail, ranges, self.pack(tail, depth))
        self.a.do("ret i32 0")
        self.a.lines.append("}")

    def reserve(self, ranges: dict[str, tuple[str, str]], block: int, depth: str) -> None:
        """Decide whether columns of the right operand are first copied to lie side by side, and make room for them.

        Rows that lie far apart fall on each other in the caches; the copy pays if several tiles read it.
        """
        self.packed, step = "", self.step(self.c.right, self.c.depths[-1])
        if step.isdigit() and int(step) * self.dtype.itemsize < _FAR:
            return
        rows = "1"
        for axis in self.c.rows:
            first, last = ranges[axis.name]
            rows = self.a.times(rows, self.a.plus(last, self.a.times(first, "-1")))
        several = self.a.emit(f"icmp sge i64 {rows}, {_FEWEST_TILES * self.rows}")
        fits = self.a.emit(f"icmp sle i64 {depth}, {_ROOM // (block * self.dtype.itemsize)}")
        self.packed = self.a.emit(f"and i1 {several}, {fits}")
        room = self.a.emit(f"select i1 {self.packed}, i64 {self.a.times(depth, str(block))}, i64 0")
        self.room = self.a.emit(f"alloca {type_of(self.dtype)}, i64 {room}, align 64")

    def pack(self, columns: int, depth: str) -> tuple[str, str]:
        """Where a block of columns of the right operand starts, copied or not, and how far its rows are apart."""
        self.values, self.s.known = {}, {}
        start, step = self.start_of(self.c.right), self.step(self.c.right, self.c.depths[-1])
        if not self.packed:
            return start, step
        element, width = type_of(self.dtype), -(-columns // self.lanes) * self.lanes
        source, target = Carried("ptr", start), Carried("ptr", self.room)
        rows = self.a.emit(f"select i1 {self.packed}, i64 {depth}, i64 0")
        with self.s.block(), self.a.loop("0", rows, carried=[source, target]):
            for first in range(0, columns, self.lanes):
                mask = self.mask_of(min(self.lanes, columns - first))
                vector = self.s.load_lanes(self.a.at(element, source.value, str(first)), self.dtype, mask)
                self.s.store(vector, self.a.at(element, target.value, str(first)))
                if first * self.dtype.itemsize % _LINE == 0:
                    self.prefetch(self.a.at(element, source.value, self.a.plus(str(first), self.a.times(step, _AHEAD))))
            source.value = self.a.emit(f"getelementptr {element}, ptr {source.value}, i64 {step}")
            target.value = self.a.emit(f"getelementptr {element}, ptr {target.value}, i64 {width}")
        start = self.a.emit(f"select i1 {self.packed}, ptr {self.room}, ptr {start}")
        return start, self.a.emit(f"select i1 {self.packed}, i64 {width}, i64 {step}")

    def prefetch(self, address: str) -> None:
        """Ask for memory that will be read soon, which may lie outside of all buffers."""
        self.s.declarations["declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"] = None
        self.a.do(f"call void @llvm.prefetch.p0(ptr {address}, i32 0, i32 2, i32 1)")

    def rows_of_tiles(
        self,
        shapes: dict[tuple[int, int], None],
        width: int,
        ranges: dict[str, tuple[str, str]],
        right: tuple[str, str],
    ) -> None:
        """Tiles down the rows: the tallest while they fit, then shorter ones."""
        with ExitStack() as loops:
            for axis in self.c.rows:
                if axis is self.c.rows[-1]:
                    self.counters[axis.name] = "0"
                elif axis is not self.tiled:
                    self.counters[axis.name] = loops.enter_context(self.a.loop(*ranges[axis.name]))
            row, last = ranges[self.tiled.name]
            for height in self._heights(row, last):
                shapes[height, width] = None
                blocks = self.quotient(self.a.plus(last, self.a.times(row, "-1")), height)
                with self.a.loop("0", blocks) as number:
                    self.counters[self.tiled.name] = self.a.plus(row, self.a.times(number, str(height)))
                    places = "".join(f"i64 {self.counters[axis.name]}, " for axis in self.axes)
                    passed = "".join(f"i64 {size_argument(name)}, " for name in self.kernel.sizes)
                    buffers = ", ".join(f"ptr %{buffer.name}" for buffer in self.kernel.buffers)
                    operands = f"ptr {right[0]}, i64 {right[1]}, {self.own_values()}{buffers}"
                    self.a.do(f"call void @tile_{height}x{width}({passed}{places}{operands})")
                row = self.a.plus(row, self.a.times(blocks, str(height)))

    def own_values(self) -> str:
        """What is passed for ``own_arguments``."""
        return ""

    def _heights(self, row: str, last: str) -> Iterator[int]:
        """Heights of tiles: alike and one for the rest if the number of rows is known, else halves down to 1."""
        if row.isdigit() and last.isdigit():
            count = int(last) - int(row)
            height = -(-count // max(1, -(-count // self.rows)))
            yield from (part for part in (height, count % height if height else 0) if part)
            return
        height = self.rows
        while height > 1:
            yield height
            height = (height + 1) // 2
        yield 1

    def quotient(self, number: str, divisor: int) -> str:
        return str(int(number) // divisor) if number.isdigit() else self.a.emit(f"sdiv i64 {number}, {divisor}")
