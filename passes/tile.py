"""Contractions as LLVM vector code, a register tile at a time.

A tile of rows and columns of the result stays in registers while the contracted position counts up; the left operand is
read number by number and broadcast, the right one in vectors. Each element is one chain of fused multiply-adds in the
order of the position, exactly as in the Python source of the same kernel, so tile sizes and threads never change a bit.
``graphc.passes.vector`` prints the other kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphc.passes.llvm import Assembly, argument_list, kernel_header, size_argument
from graphc.passes.loops import Contraction, Kernel
from graphc.passes.source import Source

__all__ = ["VectorUnit", "print_tile", "tiles_apply"]


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


def tiles_apply(kernel: Kernel) -> bool:
    """True for contractions of floats whose right operand and result hold columns side by side."""
    (first, *others) = kernel.body
    if others or not isinstance(first, Contraction) or not first.dtype.is_float:
        return False
    return isinstance(first.column.extent, int) and (first.right_strides[2] == 1 or first.column.extent == 1)


def print_tile(kernel: Kernel, unit: VectorUnit) -> Source:
    """LLVM code of a contraction for a vector unit; ``@KERNEL`` stands for the symbol."""
    (contraction,) = kernel.body
    assert isinstance(contraction, Contraction)
    return Source(kernel.name, _TilePrinter(kernel, contraction, unit).text(), (), (), "llvm")


class _TilePrinter(Assembly):
    """Writes the module: one function a tile shape, and the kernel that walks over the result."""

    def __init__(self, kernel: Kernel, contraction: Contraction, unit: VectorUnit) -> None:
        super().__init__()
        self.kernel, self.c = kernel, contraction
        self.bits = contraction.dtype.bits
        self.scalar = "float" if self.bits == 32 else "double"
        self.lanes = unit.bytes * 8 // self.bits
        self.vector = f"<{self.lanes} x {self.scalar}>"
        self.suffix = f"v{self.lanes}f{self.bits}"
        assert isinstance(contraction.column.extent, int)
        self.columns = contraction.column.extent
        needed = -(-self.columns // self.lanes)
        self.vectors = 1 if needed == 1 else 3 if needed == 3 else 2
        self.rows = (unit.registers - 2 - self.vectors) // self.vectors
        self.rows = min(self.rows, 24) // 2 * 2

    def spot(self, base: str, offset: str) -> str:
        """The address of an element at an offset from a base."""
        return self.at(self.scalar, base, offset)

    # Text.
    def text(self) -> str:
        shapes: list[tuple[int, int]] = []
        self.walk(shapes)
        body = self.lines
        functions: list[str] = []
        for rows, columns in dict.fromkeys(shapes):
            self.lines = []
            self.tile(rows, columns)
            functions += self.lines
        return "\n".join([*functions, *body, *self._declarations()]) + "\n"

    def _declarations(self) -> Iterator[str]:
        mask = f"<{self.lanes} x i1>"
        yield f"declare {self.vector} @llvm.fma.{self.suffix}({self.vector}, {self.vector}, {self.vector})"
        yield f"declare {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr, i32, {mask}, {self.vector})"
        yield f"declare void @llvm.masked.store.{self.suffix}.p0({self.vector}, ptr, i32, {mask})"

    def tile(self, rows: int, columns: int) -> None:
        """A function that computes ``rows`` x ``columns`` elements of the result."""
        c = self.c
        vectors = -(-columns // self.lanes)
        masks = [min(self.lanes, columns - start) for start in range(0, columns, self.lanes)]
        cells = [(row, vector) for row in range(rows) for vector in range(vectors)]
        pointers = "ptr noalias %left, ptr noalias %right, ptr noalias %out"
        self.lines.append(f"define internal void @tile_{rows}x{columns}({argument_list(self.kernel)}{pointers}) {{")
        self.label("start")
        depth = self.size(c.depth.extent)
        row_step, depth_step = self.size(c.left_strides[1]), self.size(c.left_strides[2])
        right_step, out_step = self.size(c.right_strides[1]), self.size(c.out_strides[1])
        row_offsets = [self.times(str(row), row_step) for row in range(rows)]
        any_depth = self.emit(f"icmp sgt i64 {depth}, 0")
        zeros = dict.fromkeys(cells, "zeroinitializer")
        self.do(f"br i1 {any_depth}, label %loop, label %done")
        self.label("loop")
        position = self.new()
        left, right = self.new(), self.new()
        next_position, next_left, next_right = self.new(), self.new(), self.new()
        self.lines.append(f"  {position} = phi i64 [ 0, %start ], [ {next_position}, %loop ]")
        self.lines.append(f"  {left} = phi ptr [ %left, %start ], [ {next_left}, %loop ]")
        self.lines.append(f"  {right} = phi ptr [ %right, %start ], [ {next_right}, %loop ]")
        sums = {cell: self.new() for cell in cells}
        results = {cell: self.new() for cell in cells}
        for cell in cells:
            self.lines.append(
                f"  {sums[cell]} = phi {self.vector} [ {zeros[cell]}, %start ], [ {results[cell]}, %loop ]"
            )
        loaded = [self.load(self.spot(right, str(v * self.lanes)), masks[v]) for v in range(vectors)]
        for row in range(rows):
            number = self.emit(f"load {self.scalar}, ptr {self.spot(left, row_offsets[row])}, align {self.bits // 8}")
            first = self.emit(f"insertelement {self.vector} poison, {self.scalar} {number}, i64 0")
            spread = self.emit(
                f"shufflevector {self.vector} {first}, {self.vector} poison, <{self.lanes} x i32> zeroinitializer"
            )
            for vector in range(vectors):
                cell = (row, vector)
                self.lines.append(
                    f"  {results[cell]} = call {self.vector} @llvm.fma.{self.suffix}({self.vector} {spread}, "
                    f"{self.vector} {loaded[vector]}, {self.vector} {sums[cell]})"
                )
        self.lines.append(f"  {next_position} = add i64 {position}, 1")
        self.lines.append(f"  {next_left} = getelementptr {self.scalar}, ptr {left}, i64 {depth_step}")
        self.lines.append(f"  {next_right} = getelementptr {self.scalar}, ptr {right}, i64 {right_step}")
        more = self.emit(f"icmp slt i64 {next_position}, {depth}")
        self.do(f"br i1 {more}, label %loop, label %done")
        self.label("done")
        for row, vector in cells:
            value = self.emit(f"phi {self.vector} [ zeroinitializer, %start ], [ {results[row, vector]}, %loop ]")
            zeros[row, vector] = value
        for row, vector in cells:
            place = self.spot(self.spot("%out", self.times(str(row), out_step)), str(vector * self.lanes))
            self.store(zeros[row, vector], place, masks[vector])
        self.do("ret void")
        self.lines.append("}")

    def _mask(self, count: int) -> str:
        bits = ", ".join(f"i1 {'true' if lane < count else 'false'}" for lane in range(self.lanes))
        return f"<{self.lanes} x i1> <{bits}>"

    def load(self, place: str, count: int) -> str:
        if count == self.lanes:
            return self.emit(f"load {self.vector}, ptr {place}, align {self.bits // 8}")
        return self.emit(
            f"call {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr {place}, i32 {self.bits // 8}, "
            f"{self._mask(count)}, {self.vector} zeroinitializer)"
        )

    def store(self, value: str, place: str, count: int) -> None:
        if count == self.lanes:
            self.do(f"store {self.vector} {value}, ptr {place}, align {self.bits // 8}")
            return
        self.do(
            f"call void @llvm.masked.store.{self.suffix}.p0({self.vector} {value}, ptr {place}, "
            f"i32 {self.bits // 8}, {self._mask(count)})"
        )

    # The walk over the result.
    def walk(self, shapes: list[tuple[int, int]]) -> None:
        """The kernel: for each batch index, block of columns, and block of rows, call the function of the tile."""
        c = self.c
        names = {buffer.name: f"%{buffer.name}" for buffer in self.kernel.buffers}
        self.lines.append(kernel_header(self.kernel))
        self.label("entry")
        rows, batch = self.size(c.row.extent), self.size(c.batch.extent)
        split_batch = c.batch.extent != 1
        extent = batch if split_batch else rows
        low, high = self.share(extent)
        block = self.vectors * self.lanes
        columns = [min(block, self.columns - start) for start in range(0, self.columns, block)]
        full = sum(width == block for width in columns)
        tail = columns[-1] if columns and columns[-1] != block else 0

        def one_matrix(index: str, first: str, last: str) -> None:
            left = self.spot(names[c.left], self.times(index, self.size(c.left_strides[0])))
            right = self.spot(names[c.right], self.times(index, self.size(c.right_strides[0])))
            out = self.spot(names[c.out], self.times(index, self.size(c.out_strides[0])))
            if full:
                with self.loop("0", str(full)) as number:
                    start = self.times(number, str(block))
                    self.rows_of_tiles(shapes, block, first, last, left, self.spot(right, start), self.spot(out, start))
            if tail:
                start = str(full * block)
                self.rows_of_tiles(shapes, tail, first, last, left, self.spot(right, start), self.spot(out, start))

        if split_batch:
            with self.loop(low, high) as index:
                one_matrix(index, "0", rows)
        else:
            one_matrix("0", low, high)
        self.do("ret i32 0")
        self.lines.append("}")

    def rows_of_tiles(
        self, shapes: list[tuple[int, int]], width: int, first: str, last: str, left: str, right: str, out: str
    ) -> None:
        """Tiles down the rows from first to last: the tallest while they fit, then shorter ones."""
        heights = self._heights()
        row = first
        for height in heights:
            shapes.append((height, width))
            count = self.emit(f"sub i64 {last}, {row}")
            blocks = self.emit(f"sdiv i64 {count}, {height}")
            with self.loop("0", blocks) as number:
                here = self.plus(row, self.times(number, str(height)))
                from_left = self.spot(left, self.times(here, self.size(self.c.left_strides[1])))
                to = self.spot(out, self.times(here, self.size(self.c.out_strides[1])))
                passed = "".join(f"i64 {size_argument(name)}, " for name in self.kernel.sizes)
                self.do(f"call void @tile_{height}x{width}({passed}ptr {from_left}, ptr {right}, ptr {to})")
            row = self.emit(f"add i64 {row}, {self.times(blocks, str(height))}")

    def _heights(self) -> Sequence[int]:
        heights = [self.rows]
        while heights[-1] > 1:
            heights.append(heights[-1] // 2)
        return heights
