"""Pictures as data: boxes in nested clusters and arrows between them, before anything is laid out."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

__all__ = ["COLOURS", "Arrow", "Box", "Picture", "collapse"]

COLOURS = {
    "input": ("#ffffff", "#7f7f7f"),
    "state": ("#fff2cc", "#b8860b"),
    "constant": ("#f2f2f2", "#9e9e9e"),
    "forward": ("#dae8fc", "#4a76b0"),
    "backward": ("#fde0d0", "#c0622f"),
    "update": ("#d9ecd3", "#4f8a3d"),
    "group": ("#eeeeee", "#666666"),
}
"""Fill and border of a box by its kind."""


@dataclass(frozen=True)
class Box:
    """One box. key: identifies it. title and lines: what stands in it. kind: its colour. cluster: names of the clusters
    around it, outermost first. note: shown when the pointer rests on it."""

    key: Hashable
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "forward"
    cluster: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Arrow:
    """One arrow. label: element type and shape. value, gradient: example numbers, shown above each other. dashed: an
    update of a state, which does not order the layout."""

    source: Hashable
    target: Hashable
    label: str = ""
    value: str = ""
    gradient: str = ""
    dashed: bool = False


@dataclass
class Picture:
    """Boxes and arrows under a title. kinds of clusters that stand for kernels are drawn with a heavier border."""

    title: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    kernels: bool = False


def collapse(picture: Picture, most: int) -> Picture:
    """A picture of at most ``most`` boxes, if clusters allow it: deep clusters become single boxes.

    The deepest level of clusters that brings the number down is kept open.
    """
    if len(picture.boxes) <= most:
        return picture
    deepest = max((len(box.cluster) for box in picture.boxes), default=0)
    for depth in range(deepest, 0, -1):
        smaller = _at_depth(picture, depth)
        if len(smaller.boxes) <= most:
            return smaller
    return _at_depth(picture, 1)


def _at_depth(picture: Picture, depth: int) -> Picture:
    place: dict[Hashable, Hashable] = {}
    counts: dict[tuple[str, ...], int] = {}
    kinds: dict[tuple[str, ...], str] = {}
    boxes: list[Box] = []
    for box in picture.boxes:
        if len(box.cluster) < depth:
            boxes.append(box)
            place[box.key] = box.key
            continue
        group = box.cluster[:depth]
        place[box.key] = ("cluster", group)
        counts[group] = counts.get(group, 0) + 1
        kinds[group] = box.kind if kinds.get(group, box.kind) == box.kind else "group"
    for group, count in counts.items():
        boxes.append(Box(("cluster", group), group[-1], (f"{count} values",), kinds[group], group[:-1]))
    arrows: dict[tuple[Hashable, Hashable, bool], Arrow] = {}
    for arrow in picture.arrows:
        source, target = place[arrow.source], place[arrow.target]
        if source != target:
            key = (source, target, arrow.dashed)
            known = arrows.get(key)
            label = arrow.label if known is None else ""
            arrows[key] = replace(arrow, source=source, target=target, label=label, value="", gradient="")
    return Picture(picture.title, boxes, list(arrows.values()), picture.kernels)
