"""Contractions with few columns whose rows lie side by side in the left operand, as in the gradient of a classifier's
weights: lanes run over the rows, which fill them, and finished tiles are turned in registers. Each element is the same
chain of fused multiply-adds as in any other tile.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.passes.lane_terms import VectorUnit
from graphc.passes.lanes import Lanes
from graphc.passes.llvm import Carried, type_of
from graphc.passes.loops import Contraction, Kernel
from graphc.passes.tile import TilePrinter

__all__ = ["TurnedPrinter", "turned_applies"]

_MOST_VECTORS = 4
"""Vectors of rows that a tile holds, at most."""


def turned_applies(c: Contraction, unit: VectorUnit) -> bool:
    """True if a vector of columns would not be full, and one of rows is read at once."""
    column, row, index = c.column.extent, c.rows[-1], c.left.index
    assert index is not None
    lanes = unit.bytes // c.left.dtype.itemsize
    long = not isinstance(row.extent, int) or row.extent >= lanes
    return isinstance(column, int) and column < lanes and long and index.stride(row.name) == 1


class TurnedPrinter(TilePrinter):
    """Writes the module: tiles of columns x vectors of rows."""

    def __init__(self, kernel: Kernel, contraction: Contraction, unit: VectorUnit) -> None:
        super().__init__(kernel, contraction, unit, unit.bytes // contraction.left.dtype.itemsize)
        self.tiled, self.beside = contraction.rows[-1], 1
        vectors = min(_MOST_VECTORS, (unit.registers - 1) // (self.columns + 1))
        self.rows = max(1, vectors) * self.lanes

    def tile(self, steps: int, columns: int) -> None:
        c = self.c
        self.begin(steps, columns)
        starts = range(0, steps, self.lanes)
        masks = [self.mask_of(min(self.lanes, steps - start)) for start in starts]
        cells = self.sums(columns, masks)
        self.depths(c.depths, Carried("ptr", "%right.start"), cells, masks)
        first_row, kind = self.counters[self.tiled.name], type_of(self.dtype, self.lanes)
        self.lane_axis, self.mask = c.column.name, self.mask_of(columns)
        for number, start in enumerate(starts):
            sums = [vectors[number].value for vectors in cells]
            rows = self.turned(sums + ["zeroinitializer"] * (self.lanes - columns), kind)
            for row in range(min(self.lanes, steps - start)):
                self.counters[self.tiled.name] = self.plus(first_row, str(start + row))
                self.values = {}
                self.variables[c.result] = Lanes(rows[row], self.dtype, self.lanes)
                self.stores(c.stores)
        self.end()

    def deepen(
        self,
        count: str,
        left: Carried,
        along: str,
        right: Carried,
        cells: Sequence[Sequence[Carried]],
        masks: Sequence[str | None],
    ) -> None:
        """Add the products of a number of depths: vectors of the left operand, single numbers of the right one."""
        left_step, beside = self.step(self.c.left, self.c.depths[-1]), self.step(self.c.right, self.c.column)
        element = type_of(self.dtype)
        carried = [cell for vectors in cells for cell in vectors]
        with self.s.block(), self.a.loop("0", count, carried=[*carried, left, right]):
            loaded = [
                self.s.load_lanes(self.a.at(element, left.value, str(number * self.lanes)), self.dtype, mask)
                for number, mask in enumerate(masks)
            ]
            for column, vectors in enumerate(cells):
                place = self.a.at(element, right.value, self.a.times(beside, str(column)))
                factor = self.s.load(place, self.dtype)
                for cell, rows in zip(vectors, loaded, strict=True):
                    total = Lanes(cell.value, self.dtype, self.lanes)
                    cell.value = self.s.fma(factor, rows, total).text
            left.value = self.a.emit(f"getelementptr {element}, ptr {left.value}, i64 {left_step}")
            right.value = self.a.emit(f"getelementptr {element}, ptr {right.value}, i64 %right.step")
