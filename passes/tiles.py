"""The choice among the printers of contractions."""

from __future__ import annotations

from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Contraction, Kernel
from graphc.passes.source import Source
from graphc.passes.tile import TilePrinter
from graphc.passes.tile_blocks import BlockPrinter, blocks_apply
from graphc.passes.tile_turned import TurnedPrinter, turned_applies

__all__ = ["print_tile"]


def print_tile(kernel: Kernel, unit: VectorUnit) -> Source:
    """LLVM code of a contraction for a vector unit; ``@KERNEL`` stands for the symbol."""
    (contraction,) = kernel.body
    assert isinstance(contraction, Contraction)
    printer = TilePrinter(kernel, contraction, unit)
    if turned_applies(contraction, unit):
        printer = TurnedPrinter(kernel, contraction, unit)
    elif blocks_apply(contraction, printer):
        printer = BlockPrinter(kernel, contraction, unit)
    return Source(kernel.name, printer.text(), (), (), "llvm")
