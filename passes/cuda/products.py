"""Sums of products on a GPU: a block computes a tile of the result, with tiles of both operands in shared memory.

The rows of the result are counted through as one range, and so are the depths: with several axes, as a convolution has
them, each number is taken apart into positions (an implicit matrix product). Each element of the result is one chain of
fused multiply-adds in the order of the depths, as on the CPU. Where the last tile of depths is not full, the left one
holds -0.0 and the right one 0.0, whose product leaves every sum as it is.

A result of few tiles with a long sum for each, as the gradient of a convolution's kernel is, would keep most of a GPU
waiting. If the order need not be the CPU's, the depths are cut into parts, each with blocks of its own that store their
sums in scratch memory; a second kernel adds up the parts in order. How many parts depends on shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from graphc.dims import Size, product
from graphc.passes.cuda.grid import Share
from graphc.passes.cuda.printer import THREADS, CudaPrinter, Form, estimate, extents, tiles
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import Axis, Contraction
from graphc.passes.terms import Term

__all__ = ["count_parts", "scratch_extents", "write_product", "write_sum"]

_DEPTH = 16
"""Depths of a tile."""
_PROCESSORS = 128
"""Blocks from which a GPU is busy."""
_PART = 256
"""Depths of a part, at least."""
_MOST_PARTS = 32


@dataclass(frozen=True)
class _Tile:
    """A tile of the result. rows, columns: its size. own_rows, own_columns: what one thread computes of it."""

    rows: int
    columns: int
    own_rows: int
    own_columns: int

    @property
    def across(self) -> int:
        """Threads along a row of the tile."""
        return self.columns // self.own_columns

    @property
    def down(self) -> int:
        """Threads along a column of the tile."""
        return self.rows // self.own_rows

    @property
    def left_stride(self) -> int:
        """Elements of shared memory from one depth to the next of the left operand: a few more than there are rows, so
        that neighbouring threads write to different banks."""
        return self.rows + 4


_TILES = (_Tile(128, 64, 8, 4), _Tile(64, 64, 4, 4), _Tile(64, 32, 4, 2), _Tile(32, 32, 2, 2), _Tile(16, 16, 1, 1))
_NARROW = (_Tile(128, 16, 8, 1), _Tile(64, 16, 4, 1), _Tile(32, 16, 2, 1), _Tile(16, 16, 1, 1))
_WIDE_NUMBERS = (_Tile(32, 32, 2, 2), _Tile(16, 16, 1, 1))


def _tile_for(c: Contraction, likely: Mapping[str, int], parts: int) -> _Tile:
    """The largest tile with which there is work for all processors, else the smallest. parts: how many the depths may
    be cut into."""
    sizes = ((c.batch.extent,), extents(c.rows), (c.column.extent,))
    batch, rows, columns = (estimate(size, likely) for size in sizes)
    tiles = _NARROW if columns <= 16 else _TILES if c.left.dtype.bits == 32 else _WIDE_NUMBERS
    for tile in tiles:
        blocks = batch * -(-rows // tile.rows) * -(-columns // tile.columns) * parts
        if blocks >= _PROCESSORS and rows * 2 > tile.rows and max(columns, 9) * 2 > tile.columns:
            return tile
    return tiles[-1]


def count_parts(c: Contraction, likely: Mapping[str, int]) -> int:
    """How many parts the depths of a contraction are worth cutting into."""
    most = min(_MOST_PARTS, estimate(extents(c.depths), likely) // _PART)
    tile = _tile_for(c, likely, max(most, 1))
    batch, rows, columns = (estimate(size, likely) for size in ((c.batch.extent,), extents(c.rows), (c.column.extent,)))
    blocks = batch * -(-rows // tile.rows) * -(-columns // tile.columns)
    parts = min(most, -(-2 * _PROCESSORS // max(blocks, 1)))
    return parts if parts > 1 and blocks < _PROCESSORS else 1


def scratch_extents(c: Contraction) -> tuple[Size, ...]:
    """The shape of what one part of a contraction leaves."""
    return (c.batch.extent, *extents(c.rows), c.column.extent)


def write_product(p: CudaPrinter, c: Contraction, likely: Mapping[str, int], parts: int) -> Form:
    """Write the body of a kernel that is a contraction, or computes so many parts of one; the threads of a block, and
    what blocks divide."""
    tile = _tile_for(c, likely, parts)
    dtype = c.left.dtype
    rows, columns = size_expression(product(extents(c.rows))), size_expression(c.column.extent)
    p.line(f"left = cuda.shared.array({_DEPTH * tile.left_stride}, {dtype.name})")
    p.line(f"right = cuda.shared.array({_DEPTH * tile.columns}, {dtype.name})")
    p.line(f"result = cuda.shared.array({tile.rows * tile.columns}, {dtype.name})")
    p.line(f"sums = cuda.local.array({tile.own_rows * tile.own_columns}, {dtype.name})")
    p.line("thread = cuda.threadIdx.x")
    _place_of_tile(p, c, tile, rows, columns, parts)
    p.line(f"down = quotient(thread, {tile.across})")
    p.line(f"across = rest(thread, {tile.across})")
    with _own(p, tile) as (_, _, place):
        p.line(f"sums[{place}] = {number_source(0, dtype)}")
    depths = size_expression(product(extents(c.depths)))
    first, stop = "0", depths
    if parts > 1:
        p.line(f"size = ({depths} + {parts * _DEPTH - 1}) // {parts * _DEPTH} * {_DEPTH}")
        p.line(f"stop = min((part + 1) * size, {depths})")
        first, stop = "part * size", "stop"
    with p.block(f"for start in range({first}, {stop}, {_DEPTH}):"):
        _load_left(p, c, tile, rows, stop)
        _load_right(p, c, tile, columns, stop)
        p.line("cuda.syncthreads()")
        _multiply(p, tile)
        p.line("cuda.syncthreads()")
    _write_result(p, c, tile, rows, columns, parts)
    shares = (Share((c.batch.extent,)), Share(extents(c.rows), tile.rows), Share((c.column.extent,), tile.columns))
    return THREADS, (*shares, *([Share((parts,))] if parts > 1 else []))


def write_sum(p: CudaPrinter, c: Contraction, parts: int) -> Form:
    """Write the body of the kernel that adds up the parts of a contraction."""
    axes = (*([c.batch] if c.batch.extent != 1 else []), *c.rows, c.column)
    count = size_expression(product(extents(axes)))
    p.line("place = cuda.grid(1)")
    with p.block(f"if place < {count}:"):
        p.line(f"{c.result} = {number_source(0, c.left.dtype)}")
        with p.block(f"for part in range({parts}):"):
            p.line(f"{c.result} = {c.result} + scratch[part * {count} + place]")
        p.decode(axes, "place")
        p.bound.add(c.result)
        p.stores(c.stores)
    return THREADS, (Share(extents(axes), THREADS),)


def _place_of_tile(p: CudaPrinter, c: Contraction, tile: _Tile, rows: str, columns: str, parts: int) -> None:
    """Where the tile of this block lies, and which part of the depths it is for."""
    across, down = tiles(c.column.extent, tile.columns), tiles(product(extents(c.rows)), tile.rows)
    p.line("block = cuda.blockIdx.x")
    if parts > 1:
        p.line(f"part = block % {parts}")
        p.line(f"block = block // {parts}")
    p.line(f"first_column = block % {across} * {tile.columns}" if across != "1" else "first_column = 0")
    row = f"block // {across}" if across != "1" else "block"
    if c.batch.extent == 1:
        p.line(f"first_row = {row} * {tile.rows}")
        return
    p.line(f"first_row = {row} % {down} * {tile.rows}")
    p.line(f"{c.batch.name} = block // ({across} * {down})")
    p.bound.add(c.batch.name)


def _load_left(p: CudaPrinter, c: Contraction, tile: _Tile, rows: str, depths: str) -> None:
    """Rows by depths into shared memory, neighbouring threads along the axis whose elements are neighbours."""
    assert c.left.index is not None
    by_rows = c.left.index.stride(c.rows[-1].name) == 1
    row, inner = _counter(c.rows, "row"), _counter(c.depths, "inner")
    with _elements(p, tile.rows * _DEPTH):
        size, fast, slow = (tile.rows, row, inner) if by_rows else (_DEPTH, inner, row)
        first = {row: "first_row", inner: "start"}
        p.line(f"{fast} = {first[fast]} + rest(place, {size})")
        p.line(f"{slow} = {first[slow]} + quotient(place, {size})")
        p.line(f"value = {number_source(-0.0, c.left.dtype)}")
        _load(p, c.left, f"{row} < {rows} and {inner} < {depths}", ((c.rows, row), (c.depths, inner)), c.inside)
        p.line(f"left[({inner} - start) * {tile.left_stride} + {row} - first_row] = value")


def _load_right(p: CudaPrinter, c: Contraction, tile: _Tile, columns: str, depths: str) -> None:
    """Depths by columns into shared memory."""
    assert c.right.index is not None
    by_depths = c.right.index.stride(c.depths[-1].name) == 1 and c.right.index.stride(c.column.name) != 1
    column, inner = c.column.name, _counter(c.depths, "inner")
    with _elements(p, tile.columns * _DEPTH):
        size, fast, slow = (_DEPTH, inner, column) if by_depths else (tile.columns, column, inner)
        first = {column: "first_column", inner: "start"}
        p.line(f"{fast} = {first[fast]} + rest(place, {size})")
        p.line(f"{slow} = {first[slow]} + quotient(place, {size})")
        p.line(f"value = {number_source(0, c.right.dtype)}")
        _load(p, c.right, f"{column} < {columns} and {inner} < {depths}", (((c.column,), column), (c.depths, inner)))
        p.line(f"right[({inner} - start) * {tile.columns} + {column} - first_column] = value")


def _counter(axes: Sequence[Axis], several: str) -> str:
    """The variable that counts through axes together."""
    return axes[0].name if len(axes) == 1 else several


@contextmanager
def _elements(p: CudaPrinter, count: int) -> Iterator[None]:
    """The elements of a tile that a thread takes, neighbouring ones by neighbouring threads."""
    if count == THREADS:
        p.line("place = thread")
        yield
        return
    with p.block(f"for l in range({count // THREADS}):"):
        p.line(f"place = thread + l * {THREADS}")
        yield


def _load(
    p: CudaPrinter,
    operand: Term,
    within: str,
    ranges: Sequence[tuple[Sequence[Axis], str]],
    inside: Term | None = None,
) -> None:
    """Let ``value`` be an element of an operand where it has one. inside: where it is not 0 by itself."""
    with p.block(f"if {within}:"):
        for axes, number in ranges:
            p.decode(axes, number)
        if inside is not None:
            p.line(f"value = {number_source(0, operand.dtype)}")
        with p.block(f"if {p.expressions.text(inside)}:") if inside is not None else nullcontext():
            p.line(f"value = {p.expressions.text(operand)}")
        p.bound -= {axis.name for axes, _ in ranges for axis in axes}


def _multiply(p: CudaPrinter, tile: _Tile) -> None:
    """Add the products of a tile of depths to the sums of each thread."""
    with p.block(f"for inner in range({_DEPTH}):"), _own(p, tile) as (down, across, place):
        left, right = f"left[inner * {tile.left_stride} + {down}]", f"right[inner * {tile.columns} + {across}]"
        p.line(f"sums[{place}] = fma({left}, {right}, sums[{place}])")


@contextmanager
def _own(p: CudaPrinter, tile: _Tile) -> Iterator[tuple[str, str, str]]:
    """Loops over what a thread computes: the row and column in the tile, and the number of the sum."""
    down, across, place = "down", "across", []
    with ExitStack() as loops:
        if tile.own_rows > 1:
            loops.enter_context(p.block(f"for l in range({tile.own_rows}):"))
            down = f"down + l * {tile.down}"
            place.append(f"l * {tile.own_columns}" if tile.own_columns > 1 else "l")
        if tile.own_columns > 1:
            loops.enter_context(p.block(f"for o in range({tile.own_columns}):"))
            across = f"across + o * {tile.across}"
            place.append("o")
        yield down, across, " + ".join(place) or "0"


def _write_result(p: CudaPrinter, c: Contraction, tile: _Tile, rows: str, columns: str, parts: int) -> None:
    """Hand the sums over through shared memory, so that neighbouring threads store neighbouring elements."""
    with _own(p, tile) as (down, across, place):
        row = down if tile.own_rows == 1 else f"({down})"
        p.line(f"result[{row} * {tile.columns} + {across}] = sums[{place}]")
    p.line("cuda.syncthreads()")
    row, column = _counter(c.rows, "row"), c.column.name
    with _elements(p, tile.rows * tile.columns):
        p.line(f"{row} = first_row + quotient(place, {tile.columns})")
        p.line(f"{column} = first_column + rest(place, {tile.columns})")
        with p.block(f"if {row} < {rows} and {column} < {columns}:"):
            if parts > 1:
                first = (
                    f"(part * {size_expression(c.batch.extent)} + {c.batch.name})" if c.batch.extent != 1 else "part"
                )
                p.line(f"scratch[({first} * {rows} + {row}) * {columns} + {column}] = result[place]")
                return
            p.decode(c.rows, row)
            p.decode((c.column,), column)
            p.line(f"{c.result} = result[place]")
            p.bound.add(c.result)
            p.stores(c.stores)
