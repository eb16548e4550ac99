"""Kernels for a GPU that compute elements one by one, or add to places of their result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from graphc.dims import product
from graphc.passes.cuda.grid import Share
from graphc.passes.cuda.printer import FEW_THREADS, THREADS, CudaPrinter, Form, extents, flat_index, tiles
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import Axis, Loop, Statement, Store, Winograd, terms_of
from graphc.passes.terms import Term, walk_terms

__all__ = ["write_each", "write_map", "write_scatter", "write_strips"]

_AT_ONCE = 4
"""Elements that a thread of a simple map computes: so many loads are under way that memory is busy."""
_SIMPLE = 40
"""The most terms of a simple map."""
_FEW_UPDATES = 32
"""Updates up to which one thread for each column adds them one after the other."""
_TOGETHER = 128
"""Threads of a block that adds updates to one place, and updates that it looks at together."""


def write_map(p: CudaPrinter, axes: Sequence[Axis], stores: Sequence[Store]) -> Form:
    """A thread for each element, or for four where that is cheap."""
    terms = list(walk_terms(term for store in stores for term in terms_of(store)))
    costly = len(terms) > _SIMPLE or any(term.kind == "call" for term in terms)
    known = product(axis.extent for axis in axes)
    few = isinstance(known, int) and known < THREADS * 256
    if costly or few or any(store.when is not None for store in stores):
        return write_each(p, axes, stores)
    _four(p, axes, stores, size_expression(known))
    return THREADS, (Share(extents(axes), THREADS * _AT_ONCE),)


def write_each(p: CudaPrinter, axes: Sequence[Axis], body: Sequence[Statement]) -> Form:
    """One thread for each step of the axes, which runs the statements."""
    p.declare_arrays(body)
    simple = all(isinstance(statement, Store) for statement in body)
    name = _count_through(p, axes)
    p.line(f"{name} = cuda.grid(1)")
    with p.block(f"if {name} < {size_expression(product(extents(axes)))}:"):
        p.decode(axes, name)
        p.statements(body)
    threads = THREADS if simple else FEW_THREADS
    return threads, (Share(extents(axes), threads),)


def _count_through(p: CudaPrinter, axes: Sequence[Axis]) -> str:
    """The variable that counts through axes together; an index that moves as it does is written as it."""
    if len(axes) == 1:
        return axes[0].name
    p.expressions.flat = frozenset(flat_index(axes).axes), "element"
    return "element"


def _four(p: CudaPrinter, axes: Sequence[Axis], stores: Sequence[Store], count: str) -> None:
    """Four elements a thread: all values first, then all stores, which the compiler would not reorder."""
    arrays = ["values" if not number else f"values{number + 1}" for number in range(len(stores))]
    for array, store in zip(arrays, stores, strict=True):
        boolean = store.value.dtype.kind == "b"
        p.line(f"{array} = cuda.local.array({_AT_ONCE}, {'uint8' if boolean else store.value.dtype.name})")
    name = _count_through(p, axes)
    p.line(f"first = cuda.blockIdx.x * {THREADS * _AT_ONCE} + cuda.threadIdx.x")
    with p.block(f"for l in range({_AT_ONCE}):"):
        p.line(f"{name} = min(first + l * {THREADS}, {count} - 1)")
        p.decode(axes, name)
        p.define([store.value for store in stores], p.bound, set())
        for array, store in zip(arrays, stores, strict=True):
            value = p.expressions.text(store.value)
            p.line(f"{array}[l] = uint8({value})" if store.value.dtype.kind == "b" else f"{array}[l] = {value}")
    with p.block(f"for l in range({_AT_ONCE}):"):
        p.line(f"{name} = first + l * {THREADS}")
        with p.block(f"if {name} < {count}:"):
            if any(store.index != flat_index(axes) for store in stores):
                p.decode(axes, name)
            places = [place for store in stores for place, _ in store.index.places]
            p.define(places, p.bound, set())
            for array, store in zip(arrays, stores, strict=True):
                p.line(f"{p.expressions.labels[store.buffer]}[{p.expressions.index(store.index)}] = {array}[l]")


def write_scatter(p: CudaPrinter, axes: Sequence[Axis], stores: Sequence[Store]) -> Form:
    """A thread for each step of the axes that tell places of the result apart; it walks along the others."""
    moving = {name for store in stores for place, _ in store.index.places for name in place.depends}
    apart = frozenset.intersection(*(store.index.names for store in stores)) - moving
    own = [axis for axis in axes if axis.name in apart]
    rest = [axis for axis in axes if axis.name not in apart]
    count = product(extents(rest))
    if len(stores) == 1 and stores[0].among and not (isinstance(count, int) and count <= _FEW_UPDATES):
        return _by_places(p, own, rest, stores[0])
    body: tuple[Statement, ...] = tuple(stores)
    for axis in reversed(rest):
        body = (Loop(axis, body),)
    return write_each(p, own, body)


def _by_places(p: CudaPrinter, own: Sequence[Axis], rest: Sequence[Axis], store: Store) -> Form:
    """A block for each place that the computed part of the index names: its threads look through all updates together,
    and add up, in order, those that are meant for it."""
    ((where, stride),) = store.index.places
    place = Term("variable", where.dtype, "target")
    index = replace(store.index, places=((place, stride),))
    width, count = size_expression(product(extents(own))), size_expression(product(extents(rest)))
    across, block = tiles(product(extents(own)), _TOGETHER), "cuda.blockIdx.x"
    name = own[0].name if len(own) == 1 else "column"
    p.line(f"targets = cuda.shared.array({_TOGETHER}, int64)")
    first = "" if across == "1" else f"{block} % {across} * {_TOGETHER} + "
    p.line(f"{name} = {first}cuda.threadIdx.x")
    p.line(f"target = {block if across == '1' else f'{block} // {across}'}")
    p.decode(own, name)
    p.line(f"total = {number_source(0, store.value.dtype)}")
    with p.block(f"if {name} < {width}:"):
        p.line(f"total = {p.expressions.labels[store.buffer]}[{p.expressions.index(index)}]")
    with p.block(f"for first in range(0, {count}, {_TOGETHER}):"):
        p.line("update = first + cuda.threadIdx.x")
        p.line("targets[cuda.threadIdx.x] = -1")
        with p.block(f"if update < {count}:"):
            p.decode(rest, "update")
            condition = [store.when] if store.when is not None else []
            p.define([where, *condition], p.bound, {id(where)})
            with p.block(f"if {p.expressions.text(condition[0])}:") if condition else nullcontext():
                p.line(f"targets[cuda.threadIdx.x] = {p.expressions.text(where)}")
        p.line("cuda.syncthreads()")
        others = p.block(f"for other in range(min({_TOGETHER}, {count} - first)):")
        with others, p.block(f"if targets[other] == target and {name} < {width}:"):
            p.line("update = first + other")
            p.decode(rest, "update")
            p.define([store.value], p.bound, set())
            p.line(f"total = total + {p.expressions.text(store.value, 5)}")
        p.line("cuda.syncthreads()")
    with p.block(f"if {name} < {width}:"):
        p.line(f"{p.expressions.labels[store.buffer]}[{p.expressions.index(index)}] = total")
    return _TOGETHER, (Share((store.among,)), Share(extents(own), _TOGETHER))


def write_strips(p: CudaPrinter, w: Winograd) -> Form:
    """A thread for each row of tiles."""
    p.declare_arrays([w])
    p.statements([w], top=True)
    return FEW_THREADS, (Share((w.image.extent, w.tiles[0]), FEW_THREADS),)
