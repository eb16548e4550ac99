"""Winograd's convolution as Python source: what ``graphc.passes.source`` writes for it, one tile after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphc.dims import multiply
from graphc.dtypes import DType
from graphc.ops.winograd import POINTS
from graphc.passes.expressions import number_source, size_expression
from graphc.passes.loops import Axis, Winograd
from graphc.passes.terms import Index

if TYPE_CHECKING:
    from graphc.passes.source import KernelPrinter

__all__ = ["winograd_arrays", "write_winograd"]


def winograd_arrays(w: Winograd) -> Iterator[tuple[str, int, DType]]:
    """The arrays that the loops need: names, sizes and element types."""
    assert isinstance(w.channel.extent, int)
    yield "window", POINTS, w.left.dtype
    yield "points", POINTS * w.channel.extent, w.left.dtype


def write_winograd(p: KernelPrinter, w: Winograd) -> None:
    """Loops over rows of tiles and over their tiles, with the transformed input of a tile in ``points``."""
    high, wide = w.tiles
    image = size_expression(w.image.extent)
    strips = str(high) if image == "1" else f"({image} * {high})"
    with p.block(f"for strip in {p.counted(strips, 1, True)}:"):
        p.line(f"{w.image.name} = strip // {high}")
        p.line(f"first = strip % {high} * 2")
        p.line(f"top = {_start('first', w.row)}")
        with p.block(f"for tile in range({wide}):"):
            p.line(f"side = {_start('tile * 2', w.column)}")
            with p.loop_over(w.channel):
                _input(p, w)
            with p.loop_over(w.feature):
                _sums(p, w)
                with p.loop_over(w.row, "range(first, top + 2)"), p.loop_over(w.column, "range(tile * 2, side + 2)"):
                    p.bound |= {w.image.name, w.result}
                    p.line(f"{w.result} = window[({w.row.name} - top) * 4 + {w.column.name} - side]")
                    p.stores(w.stores)
                p.bound -= {w.image.name, w.result}


def _start(own: str, axis: Axis) -> str:
    """Where a tile starts: at its own first element, or one before it at an odd end."""
    assert isinstance(axis.extent, int)
    return f"min({own}, {axis.extent - 2})" if axis.extent % 2 else own


def _input(p: KernelPrinter, w: Winograd) -> None:
    """The 16 points of a tile and a channel."""
    assert w.left.index is not None
    down, along = w.left.index.stride(w.row.name), w.left.index.stride(w.column.name)
    rest = Index(tuple((name, step) for name, step in w.left.index.axes if name not in (w.row.name, w.column.name)))
    p.line(f"start = {p.expressions.index(rest)} + top * {size_expression(down)} + side * {size_expression(along)}")
    with p.block("for s in range(4):"):
        p.line(f"place = start + s * {size_expression(along)}")
        for number in range(4):
            step = f" + {size_expression(multiply(number, down))}" if number else ""
            p.line(f"d{number} = {p.expressions.labels[w.left.name]}[place{step}]")
        for number, text in enumerate(("d0 - d2", "d1 + d2", "d2 - d1", "d1 - d3")):
            p.line(f"window[s + {4 * number}] = {text}")
    with p.block("for r in range(0, 16, 4):"):
        for number in range(4):
            p.line(f"d{number} = window[r + {number}]")
        for number, text in enumerate(("d0 - d2", "d1 + d2", "d2 - d1", "d1 - d3")):
            p.line(f"points[(r + {number}) * {size_expression(w.channel.extent)} + {w.channel.name}] = {text}")


def _sums(p: KernelPrinter, w: Winograd) -> None:
    """The sums of products of a tile and a feature, turned back into 2 x 2 elements at 0, 1, 4 and 5 of the window."""
    channels = size_expression(w.channel.extent)
    with p.loop_over(w.point):
        p.line(f"{w.result} = {number_source(0, w.left.dtype)}")
        with p.loop_over(w.channel):
            left = f"points[{w.point.name} * {channels} + {w.channel.name}]"
            p.line(f"{w.result} = fma({left}, {p.expressions.text(w.right)}, {w.result})")
        p.line(f"window[{w.point.name}] = {w.result}")
    with p.block("for s in range(4):"):
        _turn_back(p, "s", 4)
    with p.block("for r in range(0, 8, 4):"):
        _turn_back(p, "r", 1)


def _turn_back(p: KernelPrinter, start: str, step: int) -> None:
    """Two numbers from four, which take the place of the first two."""
    places = [f"window[{start} + {number * step}]" if number else f"window[{start}]" for number in range(4)]
    for number, place in enumerate(places):
        p.line(f"m{number} = {place}")
    p.line(f"{places[0]} = m0 + m1 + m2")
    p.line(f"{places[1]} = m1 - m2 - m3")
