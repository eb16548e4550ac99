"""Our own layout, for when Graphviz is not installed or takes too long: layers from top to bottom, as an SVG.

Layers are longest paths; sources sit just above their first reader; eight sweeps order each layer by the average place
of its neighbours (K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system
structures", 1981).
"""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from itertools import pairwise

import networkx as nx

from graphc.runtime.picture import COLOURS, Arrow, Box, Picture

__all__ = ["layered_svg"]

_LETTER = 5.8
_LINE = 13
_GAP_X, _GAP_Y = 18, 34
_SWEEPS = 8


def layered_svg(picture: Picture) -> str:
    """The picture as SVG text."""
    boxes = {box.key: box for box in picture.boxes}
    layers, chains = _layers(picture)
    sizes = {key: _size(boxes[key]) if key in boxes else (4.0, 4.0) for layer in layers for key in layer}
    _order(chains, layers)
    widths = [sum(sizes[key][0] + _GAP_X for key in layer) for layer in layers]
    total = max(widths, default=0) + 2 * _GAP_X
    places: dict[Hashable, tuple[float, float]] = {}
    y = 40.0
    for layer, width in zip(layers, widths, strict=True):
        x = (total - width) / 2
        height = max((sizes[key][1] for key in layer), default=0)
        for key in layer:
            places[key] = (x + sizes[key][0] / 2, y + height / 2)
            x += sizes[key][0] + _GAP_X
        y += height + _GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="{y:.0f}" '
        f'viewBox="0 0 {total:.0f} {y:.0f}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#666666"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{total / 2:.0f}" y="20" text-anchor="middle" font-size="13">{escape(picture.title)}</text>',
    ]
    parts += [
        _arrow(arrow, [places[key] for key in chain], sizes)
        for arrow, chain in zip(picture.arrows, chains, strict=True)
    ]
    parts += [_box(box, places[box.key], sizes[box.key]) for box in picture.boxes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _size(box: Box) -> tuple[float, float]:
    lines = _lines(box)
    return max(len(line) for line in lines) * _LETTER + 16, len(lines) * _LINE + 10


def _lines(box: Box) -> list[str]:
    scope = ["/".join(box.cluster)] if box.cluster else []
    return [box.title, *box.lines, *scope]


def _layers(picture: Picture) -> tuple[list[list[Hashable]], list[list[Hashable]]]:
    """The layers, and for each arrow the keys it runs through: an arrow over several layers has a bend in each."""
    graph = nx.DiGraph()
    graph.add_nodes_from(box.key for box in picture.boxes)
    graph.add_edges_from((arrow.source, arrow.target) for arrow in picture.arrows if not arrow.dashed)
    rank: dict[Hashable, int] = {}
    for key in nx.topological_sort(graph):
        rank[key] = max((rank[source] + 1 for source in graph.predecessors(key)), default=0)
    for key in graph:
        if not graph.in_degree(key) and graph.out_degree(key):
            rank[key] = max(min(rank[target] for target in graph.successors(key)) - 1, 0)
    layers: list[list[Hashable]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for key in rank:
        layers[rank[key]].append(key)
    chains: list[list[Hashable]] = []
    for number, arrow in enumerate(picture.arrows):
        between = range(rank[arrow.source] + 1, rank[arrow.target]) if not arrow.dashed else range(0)
        bends: list[Hashable] = [("bend", number, level) for level in between]
        for level, bend in zip(between, bends, strict=True):
            layers[level].append(bend)
        chains.append([arrow.source, *bends, arrow.target])
    return layers, chains


def _order(chains: list[list[Hashable]], layers: list[list[Hashable]]) -> None:
    """Sort each layer by the average place of the neighbours above, then below, in turn."""
    above: dict[Hashable, list[Hashable]] = {}
    below: dict[Hashable, list[Hashable]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    position = {key: (place + 0.5) / len(layer) for layer in layers for place, key in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            centre = {key: _average(position, neighbours.get(key) or [key]) for key in layer}
            layer.sort(key=centre.__getitem__)
            for place, key in enumerate(layer):
                position[key] = (place + 0.5) / len(layer)


def _average(position: dict[Hashable, float], keys: list[Hashable]) -> float:
    return sum(position[key] for key in keys) / len(keys)


def _box(box: Box, place: tuple[float, float], size: tuple[float, float]) -> str:
    (x, y), (width, height) = place, size
    fill, border = COLOURS[box.kind]
    lines = _lines(box)
    first = y - (len(lines) - 1) * _LINE / 2 + 4
    text = "".join(
        f'<text x="{x:.1f}" y="{first + number * _LINE:.1f}" text-anchor="middle" '
        f'font-size="{9 if number else 10}" fill="{"#555555" if number else "#000000"}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<g><title>{escape(box.note or box.title)}</title><rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="4" fill="{fill}" stroke="{border}"/>{text}</g>'
    )


def _arrow(arrow: Arrow, points: list[tuple[float, float]], sizes: dict[Hashable, tuple[float, float]]) -> str:
    if not arrow.dashed:
        points[0] = (points[0][0], points[0][1] + sizes[arrow.source][1] / 2)
        points[-1] = (points[-1][0], points[-1][1] - sizes[arrow.target][1] / 2)
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = max(abs(y2 - y1) / 3, 6)
        path += f" C{x1:.1f},{y1 + bend:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}"
    style = 'stroke-dasharray="4 3" stroke="#4f8a3d"' if arrow.dashed else 'stroke="#888888"'
    words = [(arrow.value, "#1e7b34"), (arrow.gradient, "#c0392b")] if arrow.value else [(arrow.label, "#777777")]
    (x1, y1), (x2, y2) = points[0], points[1]
    text = "".join(
        f'<text x="{(x1 + x2) / 2 + 3:.1f}" y="{(y1 + y2) / 2 + 9 * number:.1f}" font-size="8" fill="{colour}">'
        f"{escape(word)}</text>"
        for number, (word, colour) in enumerate(words)
        if word
    )
    return f'<path d="{path}" fill="none" {style} marker-end="url(#tip)"/>{text}'
