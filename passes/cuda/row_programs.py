"""Row programs on a GPU: the 16 threads of a row compute all that is to be computed for it, one loop after the other.

A thread computes every sixteenth element of the row in each of the loops, so what it stores in one it may load in the
next. What is stored once a row every thread of the row knows, and does not load again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from graphc.dims import product
from graphc.passes.cuda.grid import Share
from graphc.passes.cuda.printer import FEW_THREADS, CudaPrinter, Form, extents
from graphc.passes.cuda.reductions import join_lanes
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import LANES, Axis, Fold, Loop, Statement, Store, peeled, terms_of
from graphc.passes.rows import ALONG
from graphc.passes.terms import walk_terms

__all__ = ["is_row_program", "write_row_program"]


def is_row_program(body: Sequence[Statement]) -> bool:
    """True for what ``graphc.passes.rows`` makes."""
    return len(body) > 1 and all(isinstance(statement, Loop) for statement in body)


def write_row_program(p: CudaPrinter, body: Sequence[Statement]) -> Form:
    """Write the loops over rows as one. Threads beyond the last row compute it again and store nothing."""
    parts = [peeled([statement], until=ALONG) for statement in body]
    rows, _ = parts[0]
    count = size_expression(product(extents(rows)))
    p.line(f"lane = cuda.threadIdx.x % {LANES}")
    p.line(f"row = cuda.blockIdx.x * {FEW_THREADS // LANES} + cuda.threadIdx.x // {LANES}")
    name = rows[0].name if len(rows) == 1 else "place"
    p.line(f"{name} = min(row, {count} - 1)")
    p.decode(rows, name)
    for number, (_, statements) in enumerate(parts):
        first = statements[0]
        if isinstance(first, Loop):
            _elements(p, first.axis, _stores(first.body), count)
            continue
        if isinstance(first, Fold):
            _fold(p, first, count)
        later = [statement for _, others in parts[number + 1 :] for statement in others]
        _once(p, _stores(statements), count, later)
    return FEW_THREADS, (Share(extents(rows), FEW_THREADS // LANES),)


def _stores(body: Sequence[Statement]) -> list[Store]:
    return [statement for statement in body if isinstance(statement, Store)]


def _fold(p: CudaPrinter, fold: Fold, count: str) -> None:
    """A reduction of the row."""
    for item in fold.items:
        p.line(f"{item.result} = {number_source(item.start, item.value.dtype)}")
    terms = [*(item.value for item in fold.items), *(store.value for store in fold.stores)]
    (along,) = fold.axes
    p.hoist(terms, {along.name})
    with _lane_of(p, along):
        p.define(terms, p.bound, {id(store.value) for store in fold.stores})
        if fold.stores:
            with p.block(f"if row < {count}:"):
                p.stores(fold.stores)
        for item in fold.items:
            p.line(f"{item.result} = {p.combine(item, item.result, p.expressions.text(item.value, 5))}")
    join_lanes(p, fold.items)
    p.bound |= {item.result for item in fold.items}


def _once(p: CudaPrinter, stores: Sequence[Store], count: str, later: Sequence[Statement]) -> None:
    """What is stored once a row. later: what need not load it."""
    if not stores:
        return
    p.define([store.value for store in stores], p.bound, {id(store.value) for store in stores})
    with p.block(f"if row < {count} and lane == 0:"):
        p.stores(stores)
    for store in stores:
        for term in walk_terms(term for statement in later for term in terms_of(statement)):
            if term.kind == "load" and term.name == store.buffer:
                p.expressions.names[id(term)] = p.expressions.text(store.value)


def _lane_of(p: CudaPrinter, along: Axis) -> AbstractContextManager[None]:
    """A loop over the elements of a row that belong to a thread."""
    return p.loop_over(along, f"range(lane, {size_expression(along.extent)}, {LANES})")


def _elements(p: CudaPrinter, along: Axis, stores: Sequence[Store], count: str) -> None:
    """What is computed for each element."""
    roots = [store.value for store in stores]
    p.hoist(roots, {along.name})
    with _lane_of(p, along):
        p.define(roots, p.bound, {id(root) for root in roots})
        with p.block(f"if row < {count}:"):
            p.stores(stores)
