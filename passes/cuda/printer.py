"""What all kernels for a GPU are written with."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import Size, product
from graphc.passes.cuda.grid import Share
from graphc.passes.expressions import size_expression
from graphc.passes.loops import Axis
from graphc.passes.source import KernelPrinter

__all__ = ["FEW_THREADS", "THREADS", "CudaPrinter", "Form", "extents", "tiles"]

THREADS = 256
"""Of a block."""
FEW_THREADS = 64
"""Of a block where a thread has more to do than one element: small blocks spread better."""

Form = tuple[int, tuple[Share, ...]]
"""Threads of a block, and what blocks divide."""


class CudaPrinter(KernelPrinter):
    """Writes the statements of one kernel for the threads of a grid."""

    parameters = ()
    local_array = "cuda.local.array({0}, {1})"

    def counted(self, extent: str, granule: int, top: bool) -> str:
        return f"range(cuda.grid(1), {extent}, cuda.gridsize(1))" if top else f"range({extent})"

    def decode(self, axes: Sequence[Axis], number: str) -> None:
        """Define the axes from the number of an element, counted with the last axis innermost."""
        inner: Size = 1
        for position, axis in reversed(list(enumerate(axes))):
            text = number if inner == 1 else f"{number} // {_atom(inner)}"
            if position:
                text = f"{text} % {_atom(axis.extent)}"
            if text != axis.name:
                self.line(f"{axis.name} = {text}")
            self.bound.add(axis.name)
            inner = product((inner, axis.extent))


def extents(axes: Sequence[Axis]) -> tuple[Size, ...]:
    """How far axes count."""
    return tuple(axis.extent for axis in axes)


def tiles(extent: Size, size: int) -> str:
    """How many tiles of a size cover a range, as source."""
    return (
        str(-(-extent // size)) if isinstance(extent, int) else f"(({size_expression(extent)} + {size - 1}) // {size})"
    )


def _atom(size: Size) -> str:
    text = size_expression(size)
    return text if text.isidentifier() or text.isdigit() else f"({text})"
