"""Contractions with long rows, a block of the operands at a time.

A tile meets whole rows of the left operand. Where these are long, the rows of all tiles do not stay in the cache until
the next columns need them; where they lie a multiple of a page apart, not even those of one tile do. So a block of rows
and depths is copied to lie side by side, all tiles of it are computed, and their sums wait in memory for the next block
of depths. Each element is still one chain of fused multiply-adds in the order of the depths.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.passes.lane_terms import VectorUnit
from graphc.passes.llvm import Carried, kernel_header, type_of
from graphc.passes.loops import Axis, Contraction, Kernel
from graphc.passes.tile import TilePrinter, rows_collide

__all__ = ["BlockPrinter", "blocks_apply"]

_DEPTHS = 1024
"""Depths of a block, about."""
_LONG = 1280
"""Depths that are worth more than one block."""
_ROWS = 128
"""The most rows of a block,"""
_BLOCKS = 16
"""and of columns as many as this many tiles side by side."""
_APART = 64
"""Bytes by which copied rows are kept apart, so that they do not collide either."""


def blocks_apply(c: Contraction, printer: TilePrinter) -> bool:
    """True for plain products with more than a vector of columns, and rows that are long or collide."""
    (*others, depth), index = c.depths, c.left.index
    assert index is not None
    plain = c.batch.extent == 1 and len(c.rows) == 1 and not others and index.stride(depth.name) == 1
    if not plain or printer.columns <= printer.lanes or not isinstance(depth.extent, int):
        return False
    return depth.extent > _LONG or rows_collide(c, printer.rows)


class BlockPrinter(TilePrinter):
    """Writes the module: tiles that begin with sums that wait, and a kernel that walks in blocks."""

    own_arguments = "ptr %left.start, i64 %count, ptr %sums, i1 %last, "

    def __init__(self, kernel: Kernel, contraction: Contraction, unit: VectorUnit) -> None:
        super().__init__(kernel, contraction, unit)
        (depth,) = contraction.depths
        assert isinstance(depth.extent, int)
        self.depth: Axis = depth
        self.extent = depth.extent
        pieces = -(-self.extent // _DEPTHS)
        self.piece = -(-self.extent // (pieces * self.lanes)) * self.lanes
        self.several = self.piece < self.extent
        self.height = _ROWS // self.rows * self.rows
        self.width = self.vectors * self.lanes
        self.row_step = self.piece + _APART // self.dtype.itemsize
        self.sum_step = _BLOCKS * self.width

    # A tile.
    def sums(self, rows: int, masks: Sequence[str | None]) -> list[list[Carried]]:
        cells = super().sums(rows, masks)
        for place, cell in self._waiting(cells) if self.several else ():
            cell.value = self.s.load_lanes(place, self.dtype, None).text
        return cells

    def depths(
        self, axes: Sequence[Axis], right: Carried, cells: Sequence[Sequence[Carried]], masks: Sequence[str | None]
    ) -> None:
        self.deepen("%count", Carried("ptr", "%left.start"), str(self.row_step), right, cells, masks)

    def keep(self, cells: Sequence[Sequence[Carried]], masks: Sequence[str | None]) -> None:
        """The sums wait, but for those of the last block."""
        if not self.several:
            return
        self.a.do("br i1 %last, label %complete, label %incomplete")
        self.a.label("incomplete")
        for place, cell in self._waiting(cells):
            self.a.do(f"store {cell.kind} {cell.value}, ptr {place}, align {self.dtype.itemsize}")
        self.a.do("ret void")
        self.a.label("complete")
        self.s.known = {}

    def _waiting(self, cells: Sequence[Sequence[Carried]]) -> list[tuple[str, Carried]]:
        """The cells of a tile with the addresses of their waiting sums."""
        element = type_of(self.dtype)
        return [
            (self.a.at(element, "%sums", str(row * self.sum_step + number * self.lanes)), cell)
            for row, vectors in enumerate(cells)
            for number, cell in enumerate(vectors)
        ]

    def own_values(self) -> str:
        element, row = type_of(self.dtype), self.a.plus(self.counters[self.tiled.name], self.a.times(self.first, "-1"))
        left = self.a.at(element, self.rows_room, self.a.times(row, str(self.row_step)))
        place = self.a.plus(self.a.times(row, str(self.sum_step)), self.a.times(self.beside_first, str(self.width)))
        return f"ptr {left}, i64 {self.count}, ptr {self.a.at(element, self.sums_room, place)}, i1 {self.last}, "

    # The walk over the result.
    def walk(self, shapes: dict[tuple[int, int], None]) -> None:
        """The kernel: for each group of columns, block of rows, block of depths and block of columns, the tiles."""
        c = self.c
        self.a.lines.append(kernel_header(self.kernel))
        self.a.label("entry")
        rows = ("0", self.a.size(self.tiled.extent))
        full, tail = divmod(self.columns, self.width)
        columns = ("0", str(full + bool(tail)))
        if c.by_columns:
            columns = self.a.share(columns[1])
        else:
            rows = self.a.share(rows[1])
        self.reserve({self.tiled.name: rows}, self.width, str(self.piece))
        element = type_of(self.dtype)
        self.rows_room = self.a.emit(f"alloca {element}, i64 {self.height * self.row_step}, align 64")
        self.sums_room = self.a.emit(f"alloca {element}, i64 {self.height * self.sum_step}, align 64")
        self.counters[c.batch.name] = "0"
        with (
            self.a.loop(*columns, _BLOCKS) as group,
            self.a.loop(*rows, self.height) as self.first,
        ):
            end = self.a.smaller(self.a.plus(group, str(_BLOCKS)), columns[1])
            last_row = self.a.smaller(self.a.plus(self.first, str(self.height)), rows[1])
            ranges = {self.tiled.name: (self.first, last_row)}
            height = self.a.plus(last_row, self.a.times(self.first, "-1"))
            if self.several:
                self._clear(height)
            with self.a.loop("0", str(self.extent), self.piece) as deep:
                self.counters[self.depth.name] = deep
                self.count = self.a.smaller(self.a.plus(str(self.extent), self.a.times(deep, "-1")), str(self.piece))
                self.last = self.a.emit(f"icmp sge i64 {deep}, {self.extent - self.piece}")
                self._copy_rows(height)
                for first, stop, width in ((group, self.a.smaller(end, str(full)), self.width), (str(full), end, tail)):
                    if not width:
                        continue
                    with self.a.loop(first, stop) as block:
                        self.beside_first = self.a.plus(block, self.a.times(group, "-1"))
                        self.counters[c.column.name] = self.a.times(block, str(self.width))
                        self.rows_of_tiles(shapes, width, ranges, self.pack(width, self.count))
        self.a.do("ret i32 0")
        self.a.lines.append("}")

    def _clear(self, rows: str) -> None:
        """Let the sums of a block begin with 0."""
        kind, element = type_of(self.dtype, self.lanes), type_of(self.dtype)
        with self.a.loop("0", self.a.times(rows, str(self.sum_step)), self.lanes) as place:
            target = self.a.at(element, self.sums_room, place)
            self.a.do(f"store {kind} zeroinitializer, ptr {target}, align {self.dtype.itemsize}")

    def _copy_rows(self, rows: str) -> None:
        """Copy the rows of a block, from the present depth on."""
        element, step = type_of(self.dtype), self.step(self.c.left, self.tiled)
        self.counters[self.tiled.name] = self.first
        self.values, self.s.known = {}, {}
        start = self.start_of(self.c.left)
        whole = self.a.emit(f"and i64 {self.count}, {-self.lanes}")
        with self.s.block(), self.a.loop("0", rows) as row:
            source = self.a.at(element, start, self.a.times(row, step))
            target = self.a.at(element, self.rows_room, self.a.times(row, str(self.row_step)))
            for first, stop in (("0", whole), (whole, self.count)):
                with self.s.block(), self.a.loop(first, stop, self.lanes) as place:
                    mask = self.first_lanes(self.a.plus(stop, self.a.times(place, "-1"))) if first == whole else None
                    vector = self.s.load_lanes(self.a.at(element, source, place), self.dtype, mask)
                    self.s.store(vector, self.a.at(element, target, place), mask)
