"""Reductions on a GPU whose order is free: as many threads as there is work for, in an order that shapes decide.

The threads of a block share one row, or 16 or 32 columns: each adds up elements that lie as many apart as there are
threads for a column, and the block joins what they found by halves. Where blocks are few, what is reduced is cut into
parts, each with blocks of its own that leave their results in scratch memory; a second kernel combines the parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.dims import Size, product
from graphc.dtypes import DType
from graphc.passes.cuda.grid import Share
from graphc.passes.cuda.printer import THREADS, CudaPrinter, Form, estimate, extents, tiles
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import Axis, ColumnFold, Fold, FoldItem, Statement, Store, terms_of
from graphc.passes.terms import walk_terms

__all__ = ["Reduction"]

_BUSY = 256
"""Blocks from which a GPU is busy."""
_MOST_PARTS = 64
_WORTH = 4
"""Elements that a thread adds up, at least, before more parts are made."""
_FEW_ROWS = 512
"""Rows up to which a block takes one of them, if it is long,"""
_LONG = 512
"""as it is from this many elements on."""


@dataclass(frozen=True)
class Reduction:
    """A reduction of some rows or columns.

    outer: axes whose steps have results of their own. folded: axes that are reduced. column: the axis of columns, if
    neighbouring results lie side by side. after: what is done with the results. parts: how many it is computed in.
    """

    outer: tuple[Axis, ...]
    folded: tuple[Axis, ...]
    items: tuple[FoldItem, ...]
    stores: tuple[Store, ...]
    column: Axis | None
    after: tuple[Statement, ...]
    parts: int = 1

    @staticmethod
    def of(axes: Sequence[Axis], body: Sequence[Statement], likely: Mapping[str, int]) -> Reduction | None:
        """The reduction that a kernel's loops make, in as many parts as are worth it; None if it is none, or if threads
        share it well as it is."""
        first = body[0]
        if isinstance(first, ColumnFold) and first.items:
            found = Reduction(tuple(axes), first.axes, first.items, first.stores, first.column, first.body)
        elif isinstance(first, Fold):
            found = Reduction(tuple(axes), first.axes, first.items, first.stores, None, tuple(body[1:]))
        else:
            return None
        return found.in_parts(likely)

    def in_parts(self, likely: Mapping[str, int]) -> Reduction | None:
        """The same in parts. likely: values of sizes that are not known yet."""
        rows, depth = (estimate(extents(axes), likely) for axes in (self.outer, self.folded))
        if self.column is None and (rows >= _FEW_ROWS or depth < _LONG):
            return None
        if self.column is not None and depth <= self.slots:
            return None
        blocks = rows if self.column is None else rows * -(-estimate([self.column.extent], likely) // self.columns)
        parts = min(_MOST_PARTS, -(-_BUSY // max(blocks, 1)), depth // (self.slots * _WORTH))
        one_type = len({item.value.dtype for item in self.items}) == 1
        return replace(self, parts=parts if parts > 1 and one_type else 1)

    @property
    def columns(self) -> int:
        """Columns of a block; 1 for a row."""
        if self.column is None:
            return 1
        return 16 if isinstance(self.column.extent, int) and self.column.extent <= 16 else 32

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return THREADS if self.column is None else 2 * THREADS

    @property
    def slots(self) -> int:
        """Threads for a row or column."""
        return self.threads // self.columns

    @property
    def kept(self) -> tuple[Axis, ...]:
        """The axes of the results."""
        return (*self.outer, *([self.column] if self.column is not None else []))

    @property
    def scratch(self) -> tuple[Size, ...]:
        """The shape of what the parts leave; () if there is one part."""
        return (self.parts, len(self.items), *extents(self.kept)) if self.parts > 1 else ()

    @property
    def dtype(self) -> DType:
        """The element type of what the parts leave."""
        return self.items[0].value.dtype

    def write(self, p: CudaPrinter) -> Form:
        """The kernel, or that of the parts."""
        for item in self.items:
            p.line(f"{item.result}_values = cuda.shared.array({self.threads}, {item.value.dtype.name})")
        inside = self._where(p)
        self._accumulate(p, inside)
        self._join(p)
        with p.block(f"if slot == 0 and {inside}:" if inside else "if slot == 0:"):
            for item in self.items:
                place = "column" if self.column is not None else "0"
                p.line(f"{item.result} = {item.result}_values[{place}]")
                p.bound.add(item.result)
            if self.parts > 1:
                self._leave(p)
            else:
                p.statements(self.after)
        shares = [Share(extents(self.outer))]
        if self.column is not None:
            shares.append(Share((self.column.extent,), self.columns))
        if self.parts > 1:
            shares.append(Share((self.parts,)))
        return self.threads, tuple(shares)

    def _where(self, p: CudaPrinter) -> str:
        """Define what the threads of a block work on; the condition for a thread that has a column."""
        block, inside = "cuda.blockIdx.x", ""
        if self.parts > 1:
            p.line(f"part = {block} % {self.parts}")
            p.line(f"block = {block} // {self.parts}")
            block = "block"
        if self.column is None:
            p.line("slot = cuda.threadIdx.x")
        else:
            name, across = self.column.name, tiles(self.column.extent, self.columns)
            p.line(f"slot = cuda.threadIdx.x // {self.columns}")
            p.line(f"column = cuda.threadIdx.x % {self.columns}")
            tile = f"{block} % {across}" if self.outer else block
            p.line(f"{name} = column" if across == "1" else f"{name} = {tile} * {self.columns} + column")
            inside = f"{name} < {size_expression(self.column.extent)}"
            block = block if across == "1" else f"{block} // {across}"
        if self.outer:
            row = self.outer[0].name if len(self.outer) == 1 else "row"
            p.line(f"{row} = {block}")
            p.decode(self.outer, row)
        if self.column is not None:
            p.bound.add(self.column.name)
        return inside

    def _accumulate(self, p: CudaPrinter, inside: str) -> None:
        """Every thread's own sum."""
        for item in self.items:
            p.line(f"{item.result} = {number_source(item.start, item.value.dtype)}")
        terms = [*(item.value for item in self.items), *(term for store in self.stores for term in terms_of(store))]
        outside = {axis.name for axis in self.outer}
        p.hoist(terms, {name for term in walk_terms(terms) for name in term.depends} - outside)
        name = self.folded[0].name if len(self.folded) == 1 else "element"
        extent = size_expression(product(extents(self.folded)))
        first, stop = "slot", extent
        if self.parts > 1:
            p.line(f"size = ({extent} + {self.parts - 1}) // {self.parts}")
            first, stop = "part * size + slot", f"min((part + 1) * size, {extent})"
        if inside:
            stop = f"{stop} if {inside} else 0"
        with p.block(f"for {name} in range({first}, {stop}, {self.slots}):"):
            p.decode(self.folded, name)
            p.define(terms, p.bound, {id(store.value) for store in self.stores})
            p.stores(self.stores)
            for item in self.items:
                p.line(f"{item.result} = {p.combine(item, item.result, p.expressions.text(item.value, 5))}")
        p.bound -= {axis.name for axis in self.folded}

    def _join(self, p: CudaPrinter) -> None:
        """Combine what the threads of a row or column have found, by halves."""
        for item in self.items:
            p.line(f"{item.result}_values[cuda.threadIdx.x] = {item.result}")
        p.line("cuda.syncthreads()")
        p.line(f"half = {self.slots // 2}")
        with p.block("while half > 0:"):
            with p.block("if slot < half:"):
                distance = "half" if self.columns == 1 else f"half * {self.columns}"
                p.line(f"other = cuda.threadIdx.x + {distance}")
                for item in self.items:
                    mine, other = f"{item.result}_values[cuda.threadIdx.x]", f"{item.result}_values[other]"
                    p.line(f"{mine} = {p.combine(item, mine, other)}")
            p.line("cuda.syncthreads()")
            p.line("half = half // 2")

    def _leave(self, p: CudaPrinter) -> None:
        """What a part found goes to the scratch memory."""
        place = ""
        for axis in self.kept:
            place = f"({place}) * {size_expression(axis.extent)} + {axis.name}" if place else axis.name
        count = size_expression(product(extents(self.kept)))
        for number, item in enumerate(self.items):
            line = f"part * {len(self.items)} + {number}" if len(self.items) > 1 else "part"
            p.line(f"scratch[({line}) * {count} + {place or '0'}] = {item.result}")

    def write_sum(self, p: CudaPrinter) -> Form:
        """The kernel that combines the parts."""
        count = size_expression(product(extents(self.kept)))
        name = self.kept[0].name if len(self.kept) == 1 else "place"
        p.line(f"{name} = cuda.grid(1)")
        with p.block(f"if {name} < {count}:"):
            for item in self.items:
                p.line(f"{item.result} = {number_source(item.start, item.value.dtype)}")
            with p.block(f"for part in range({self.parts}):"):
                for number, item in enumerate(self.items):
                    line = f"part * {len(self.items)} + {number}" if len(self.items) > 1 else "part"
                    value = f"scratch[({line}) * {count} + {name}]"
                    p.line(f"{item.result} = {p.combine(item, item.result, value)}")
            p.decode(self.kept, name)
            p.bound |= {item.result for item in self.items}
            p.statements(self.after)
        return THREADS, (Share(extents(self.kept), THREADS),)
