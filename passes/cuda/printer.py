"""What all kernels for a GPU are written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from graphc.dims import Dim, Size, evaluate, product
from graphc.passes.cuda.grid import Share
from graphc.passes.expressions import size_expression
from graphc.passes.loops import Axis, Kernel, Statement, stores_of, terms_of
from graphc.passes.source import KernelPrinter, buffer_labels
from graphc.passes.terms import Index, contiguous_strides, walk_terms

__all__ = ["FEW_THREADS", "LIKELY", "THREADS", "CudaPrinter", "Form", "estimate", "extents", "flat_index", "tiles"]

THREADS = 256
"""Of a block."""
FEW_THREADS = 64
"""Of a block where a thread has more to do than one element: small blocks spread better."""

LIKELY = 64
"""What a size that is known only at run time is taken for where the shape of a kernel is chosen."""

Form = tuple[int, tuple[Share, ...]]
"""Threads of a block, and what blocks divide."""


class CudaPrinter(KernelPrinter):
    """Writes the statements of one kernel for the threads of a grid."""

    parameters = ()
    local_array = "cuda.local.array({0}, {1})"

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.expressions.labels = buffer_labels(kernel.buffers, _read_first(kernel.body))
        self.decoded: list[tuple[Size, ...]] = []
        """Ranges whose numbers are taken apart, which arithmetic of 32 bits does."""

    def counted(self, extent: str, granule: int, top: bool) -> str:
        return f"range(cuda.grid(1), {extent}, cuda.gridsize(1))" if top else f"range({extent})"

    def decode(self, axes: Sequence[Axis], number: str) -> None:
        """Define the axes from the number of an element, counted with the last axis innermost."""
        inner: Size = 1
        if len(axes) > 1:
            self.decoded.append(extents(axes))
        for position, axis in reversed(list(enumerate(axes))):
            text = number if inner == 1 else f"quotient({number}, {size_expression(inner)})"
            if position:
                text = f"rest({text}, {size_expression(axis.extent)})"
            if text != axis.name:
                self.line(f"{axis.name} = {text}")
            self.bound.add(axis.name)
            inner = product((inner, axis.extent))


def _read_first(body: Sequence[Statement]) -> set[str]:
    """The buffers that are read before any of these statements has written to them."""
    read: set[str] = set()
    written: set[str] = set()
    for statement in body:
        loads = {term.name for term in walk_terms(terms_of(statement)) if term.kind == "load"}
        read |= loads - written
        written |= {store.buffer for store in stores_of(statement)}
    return read


def flat_index(axes: Sequence[Axis]) -> Index:
    """The index of an element in memory that is counted through in the order of the axes."""
    strides = contiguous_strides(extents(axes))
    return Index(tuple((axis.name, stride) for axis, stride in zip(axes, strides, strict=True)))


def extents(axes: Sequence[Axis]) -> tuple[Size, ...]:
    """How far axes count."""
    return tuple(axis.extent for axis in axes)


def estimate(sizes: Sequence[Size], likely: Mapping[str, int]) -> int:
    """About how many elements sizes make. likely: values of some that are known only at run time."""
    known = {name: likely.get(name, LIKELY) for size in sizes if isinstance(size, Dim) for name in size.symbols}
    return prod(evaluate(size, known) for size in sizes)


def tiles(extent: Size, size: int) -> str:
    """How many tiles of a size cover a range, as source."""
    return (
        str(-(-extent // size)) if isinstance(extent, int) else f"(({size_expression(extent)} + {size - 1}) // {size})"
    )
