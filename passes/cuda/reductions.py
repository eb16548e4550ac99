"""Kernels for a GPU that reduce rows or columns, in the order that ``graphc.passes.loops`` defines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial

from graphc.dims import product
from graphc.passes.cuda.grid import Share
from graphc.passes.cuda.printer import FEW_THREADS, THREADS, CudaPrinter, Form, extents, tiles
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import BLOCK, LANES, Axis, ColumnFold, Fold, FoldItem, Statement, Store, terms_of
from graphc.passes.terms import walk_terms

__all__ = ["join_lanes", "write_columns", "write_rows"]

_MANY_THREADS = 512
"""Of a block that reduces tall columns together."""
_MANY_COLUMNS = 1 << 16
"""Columns from which each may be left to one thread,"""
_FEW_ROWS = 16
"""and rows up to which it is."""

Walk = Callable[[CudaPrinter, Axis, Sequence[FoldItem], Sequence[Store]], None]
"""Writes the loop over the innermost reduced axis."""


def write_rows(p: CudaPrinter, axes: Sequence[Axis], fold: Fold, after: Sequence[Statement]) -> Form:
    """Sixteen threads reduce a row; what follows the fold is done by the first of them."""
    extent = fold.axes[-1].extent
    if extent > BLOCK if isinstance(extent, int) else not axes:
        return _long_rows(p, axes, fold, after)
    name = axes[0].name if len(axes) == 1 else "row"
    p.line(f"lane = cuda.threadIdx.x % {LANES}")
    p.line(f"{name} = cuda.blockIdx.x * {FEW_THREADS // LANES} + cuda.threadIdx.x // {LANES}")
    for item in fold.items:
        p.line(f"{item.result} = {number_source(item.start, item.value.dtype)}")
    inside = f"{name} < {size_expression(product(extents(axes)))}"
    with p.block(f"if {inside}:"):
        p.decode(axes, name)
        _reduce(p, fold.axes, fold.items, fold.stores, _walk_lane, started=True)
    join_lanes(p, fold.items)
    with p.block(f"if {inside} and lane == 0:"):
        p.decode(axes, name)
        p.statements(after)
    return FEW_THREADS, (Share(extents(axes), FEW_THREADS // LANES),)


def _long_rows(p: CudaPrinter, axes: Sequence[Axis], fold: Fold, after: Sequence[Statement]) -> Form:
    """A block for a row: each of its 16 groups takes a block of elements, and all add up what the groups found."""
    for item in fold.items:
        p.line(f"{item.result}_parts = cuda.shared.array({THREADS}, {item.value.dtype.name})")
    p.line(f"lane = cuda.threadIdx.x % {LANES}")
    p.line(f"group = cuda.threadIdx.x // {LANES}")
    name = axes[0].name if len(axes) == 1 else "row"
    if axes:
        p.line(f"{name} = cuda.blockIdx.x")
    p.decode(axes, name)
    _reduce(p, fold.axes, fold.items, fold.stores, _walk_groups)
    join_lanes(p, fold.items)
    with p.block("if cuda.threadIdx.x == 0:"):
        p.statements(after)
    return THREADS, (Share(extents(axes)),)


def write_columns(p: CudaPrinter, axes: Sequence[Axis], fold: ColumnFold) -> Form:
    """A thread reduces a column; where columns are few and long, the threads of a block do so together."""
    depth, count = fold.axes[-1].extent, product((*extents(axes), fold.column.extent))
    many = isinstance(count, int) and count >= _MANY_COLUMNS and not fold.stores
    if not many and not (isinstance(depth, int) and depth <= _FEW_ROWS):
        return _tall_columns(p, axes, fold)
    own = (*axes, fold.column)
    name = own[0].name if len(own) == 1 else "place"
    p.line(f"{name} = cuda.grid(1)")
    with p.block(f"if {name} < {size_expression(count)}:"):
        p.decode(own, name)
        _reduce(p, fold.axes, fold.items, fold.stores, _walk_column)
        p.statements(fold.body)
    return FEW_THREADS, (Share(extents(own), FEW_THREADS),)


def _tall_columns(p: CudaPrinter, axes: Sequence[Axis], fold: ColumnFold) -> Form:
    """A block for some columns: its threads compute many rows at once, and one for each column adds them up."""
    extent, columns = fold.column.extent, 32
    if isinstance(extent, int) and extent <= 16:
        columns = 16
    for item in fold.items:
        p.line(f"{item.result}_values = cuda.shared.array({_MANY_THREADS}, {item.value.dtype.name})")
    across = tiles(extent, columns)
    p.line(f"slot = cuda.threadIdx.x // {columns}")
    p.line(f"column = cuda.threadIdx.x % {columns}")
    block = "cuda.blockIdx.x"
    tile = f"{block} % {across}" if axes else block
    p.line(f"{fold.column.name} = column" if across == "1" else f"{fold.column.name} = {tile} * {columns} + column")
    if axes:
        name = axes[0].name if len(axes) == 1 else "place"
        p.line(f"{name} = {block if across == '1' else f'{block} // {across}'}")
        p.decode(axes, name)
    p.bound.add(fold.column.name)
    inside = f"{fold.column.name} < {size_expression(extent)}"
    walk = partial(_walk_slots, columns=columns, inside=inside)
    _reduce(p, fold.axes, fold.items, fold.stores, walk, hoisted=axes)
    with p.block(f"if slot == 0 and {inside}:"):
        p.statements(fold.body)
    return _MANY_THREADS, (Share(extents(axes)), Share((extent,), columns))


def join_lanes(p: CudaPrinter, items: Sequence[FoldItem]) -> None:
    """Combine the lanes by halves; afterwards every lane has the result."""
    p.line(f"half = {LANES // 2}")
    with p.block("while half > 0:"):
        for item in items:
            p.line(f"{item.result} = {p.combine(item, item.result, f'exchange({item.result}, half)')}")
        p.line("half = half // 2")


def _reduce(
    p: CudaPrinter,
    axes: Sequence[Axis],
    items: Sequence[FoldItem],
    stores: Sequence[Store],
    walk: Walk,
    started: bool = False,
    hoisted: Collection[Axis] | None = None,
) -> None:
    """Totals over axes. walk: writes the loop over the innermost one. started: the totals have their start.
    hoisted: the only axes that what is computed before the loop may depend on, if not all are within bounds."""
    if not started:
        _start(p, items)
    terms = [*(item.value for item in items), *(term for store in stores for term in terms_of(store))]
    if hoisted is None:
        p.hoist(terms, {axis.name for axis in axes})
    else:
        safe = {axis.name for axis in hoisted}
        p.hoist(terms, {name for term in walk_terms(terms) for name in term.depends} - safe)
    _nested(p, list(axes), lambda: walk(p, axes[-1], items, stores))
    p.bound |= {item.result for item in items}


def _nested(p: CudaPrinter, axes: list[Axis], write: Callable[[], None]) -> None:
    if len(axes) == 1:
        write()
        return
    with p.loop_over(axes[0]):
        _nested(p, axes[1:], write)


def _start(p: CudaPrinter, items: Sequence[FoldItem], suffix: str = "") -> None:
    for item in items:
        p.line(f"{item.result}{suffix} = {number_source(item.start, item.value.dtype)}")


def _add_parts(p: CudaPrinter, items: Sequence[FoldItem], part: str) -> None:
    for item in items:
        p.line(f"{item.result} = {p.combine(item, item.result, part.format(item.result))}")


def _walk_column(p: CudaPrinter, axis: Axis, items: Sequence[FoldItem], stores: Sequence[Store]) -> None:
    """All elements in order."""
    _walk(p, axis, items, stores, "range({extent})", "range(block, min(block + {size}, {extent}))")


def _walk_lane(p: CudaPrinter, axis: Axis, items: Sequence[FoldItem], stores: Sequence[Store]) -> None:
    """Every sixteenth element."""
    short = f"range(lane, {{extent}}, {LANES})"
    _walk(p, axis, items, stores, short, f"range(block + lane, min(block + {{size}}, {{extent}}), {LANES})")


def _walk(
    p: CudaPrinter, axis: Axis, items: Sequence[FoldItem], stores: Sequence[Store], whole: str, part: str
) -> None:
    extent = size_expression(axis.extent)
    blocked = not isinstance(axis.extent, int) or axis.extent > BLOCK
    if not blocked:
        with p.loop_over(axis, whole.format(extent=extent)):
            _accumulate(p, items, stores, "")
        return
    with p.block(f"for block in range(0, {extent}, {BLOCK}):"):
        _start(p, items, "_part")
        with p.loop_over(axis, part.format(extent=extent, size=BLOCK)):
            _accumulate(p, items, stores, "_part")
        _add_parts(p, items, "{}_part")


def _walk_groups(p: CudaPrinter, axis: Axis, items: Sequence[FoldItem], stores: Sequence[Store]) -> None:
    """Blocks of elements, so many at once as there are groups."""
    extent, groups = size_expression(axis.extent), THREADS // LANES
    with p.block(f"for block in range(0, {extent}, {groups * BLOCK}):"):
        _start(p, items, "_part")
        p.line(f"start = block + group * {BLOCK}")
        with p.loop_over(axis, f"range(start + lane, min(start + {BLOCK}, {extent}), {LANES})"):
            _accumulate(p, items, stores, "_part")
        for item in items:
            p.line(f"{item.result}_parts[cuda.threadIdx.x] = {item.result}_part")
        p.line("cuda.syncthreads()")
        with p.block(f"for other in range(min({groups}, ({extent} - block + {BLOCK - 1}) // {BLOCK})):"):
            _add_parts(p, items, f"{{}}_parts[other * {LANES} + lane]")
        p.line("cuda.syncthreads()")


def _walk_slots(
    p: CudaPrinter, axis: Axis, items: Sequence[FoldItem], stores: Sequence[Store], columns: int, inside: str
) -> None:
    """As many rows at once as there are slots, whose values one thread for each column adds up."""
    extent, slots = size_expression(axis.extent), _MANY_THREADS // columns
    blocked = not isinstance(axis.extent, int) or axis.extent > BLOCK
    suffix, stop = ("_part", "stop") if blocked else ("", extent)
    with ExitStack() as around:
        if blocked:
            around.enter_context(p.block(f"for block in range(0, {extent}, {BLOCK}):"))
            p.line(f"stop = min(block + {BLOCK}, {extent})")
            _start(p, items, "_part")
        with p.block(f"for first in range({'block' if blocked else 0}, {stop}, {slots}):"):
            p.line(f"{axis.name} = first + slot")
            with p.block(f"if {axis.name} < {stop} and {inside}:"):
                p.bound.add(axis.name)
                _values(p, items, stores)
                for item in items:
                    value = p.expressions.text(item.value)
                    p.line(f"{item.result}_values[cuda.threadIdx.x] = {value}")
                p.bound.discard(axis.name)
            p.line("cuda.syncthreads()")
            others = p.block(f"for other in range(min({slots}, {stop} - first)):")
            with p.block(f"if slot == 0 and {inside}:"), others:
                for item in items:
                    value = f"{item.result}_values[other * {columns} + column]"
                    p.line(f"{item.result}{suffix} = {p.combine(item, f'{item.result}{suffix}', value)}")
            p.line("cuda.syncthreads()")
        if blocked:
            _add_parts(p, items, "{}_part")


def _values(p: CudaPrinter, items: Sequence[FoldItem], stores: Sequence[Store]) -> None:
    """Define what is computed for one element, and store what is stored on the way."""
    roots = [*(item.value for item in items), *(term for store in stores for term in terms_of(store))]
    p.define(roots, p.bound, {id(store.value) for store in stores})
    p.stores(stores)


def _accumulate(p: CudaPrinter, items: Sequence[FoldItem], stores: Sequence[Store], suffix: str) -> None:
    """What happens for one element: values, stores on the way, accumulation."""
    _values(p, items, stores)
    for item in items:
        total = f"{item.result}{suffix}"
        p.line(f"{total} = {p.combine(item, total, p.expressions.text(item.value, 5))}")
