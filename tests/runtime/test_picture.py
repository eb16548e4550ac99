"""Pictures as data: collapsing clusters, the own layout, the text of numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from graphc.runtime.diagram import summary
from graphc.runtime.dot import dot_source
from graphc.runtime.layered import layered_svg
from graphc.runtime.picture import Arrow, Box, Picture, collapse
from graphc.scalar import Array


def nested() -> Picture:
    """A chain through two layers of a block, between an input and an output."""
    boxes = [
        Box("x", "x", kind="input"),
        Box("a", "a", cluster=("net", "first")),
        Box("b", "b", cluster=("net", "first")),
        Box("c", "c", cluster=("net", "second"), kind="backward"),
        Box("d", "d", cluster=("net", "second")),
        Box("y", "y", kind="input"),
    ]
    arrows = [Arrow(one, two, "f32[3]", "1", "2") for one, two in zip("xabcd", "abcdy", strict=True)]
    return Picture("nested", boxes, [*arrows, Arrow("d", "x", "update", dashed=True)])


def test_a_picture_that_is_small_enough_stays() -> None:
    picture = nested()
    assert collapse(picture, 6) is picture


def test_the_deepest_clusters_are_collapsed_first() -> None:
    small = collapse(nested(), 5)
    assert [box.title for box in small.boxes] == ["x", "y", "first", "second"]
    first, second = small.boxes[2:]
    assert (first.lines, first.kind, first.cluster) == (("2 values",), "forward", ("net",))
    assert second.kind == "group"
    assert [(arrow.source, arrow.target, arrow.label) for arrow in small.arrows if not arrow.dashed] == [
        ("x", first.key, "f32[3]"),
        (first.key, second.key, "f32[3]"),
        (second.key, "y", "f32[3]"),
    ]
    assert not any(arrow.value or arrow.gradient for arrow in small.arrows)
    assert [arrow.target for arrow in small.arrows if arrow.dashed] == ["x"]


def test_outer_clusters_follow() -> None:
    assert [box.title for box in collapse(nested(), 3).boxes] == ["x", "y", "net"]
    assert [box.title for box in collapse(nested(), 1).boxes] == ["x", "y", "net"]


def test_boxes_do_not_overlap_and_arrows_point_down() -> None:
    root = ElementTree.fromstring(layered_svg(nested()))
    groups = [element for element in root.iter() if element.tag.endswith("}g")]
    spans = []
    for group in groups:
        (rect,) = [element for element in group if element.tag.endswith("rect")]
        top, height = float(rect.attrib["y"]), float(rect.attrib["height"])
        spans.append((top, top + height))
    assert all(lower > upper for (_, upper), (lower, _) in pairwise(spans))


def test_boxes_of_one_layer_stand_side_by_side() -> None:
    boxes = [Box("top", "top"), *(Box(number, f"box {number}") for number in range(5))]
    text = layered_svg(Picture("fan", boxes, [Arrow("top", number) for number in range(5)]))
    found = [
        tuple(map(float, place)) for place in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', text)
    ]
    row = sorted(found[1:])
    assert len({y for _, y, _ in row}) == 1
    assert all(x + width < other for (x, _, width), (other, _, _) in pairwise(row))


def test_words_are_escaped() -> None:
    picture = Picture("a < b & c", [Box("k", 'say "<hi>"', ("x & y",), note="1 < 2")], [])
    root = ElementTree.fromstring(layered_svg(picture))
    texts = [element.text for element in root.iter() if element.text and element.tag.endswith(("text", "title"))]
    assert texts == ["a < b & c", "1 < 2", 'say "<hi>"', "x & y"]


def test_an_empty_picture_is_drawn() -> None:
    assert ElementTree.fromstring(layered_svg(Picture("nothing"))).attrib["width"] == "36"


def test_dot_text_nests_clusters_and_keeps_updates_out_of_the_ranks() -> None:
    text = dot_source(nested())
    assert text.index("cluster_net") < text.index("cluster_net/first") < text.index("cluster_net/second")
    (dashed,) = [line for line in text.splitlines() if "dashed" in line]
    assert "constraint=false" in dashed
    assert "newrank" not in text
    assert "mclimit" not in text


def test_large_pictures_get_limits() -> None:
    many = Picture("many", [Box(number, str(number)) for number in range(301)])
    assert "mclimit=0.5" in dot_source(many)
    assert "splines=polyline" in dot_source(many)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.asarray(2.0), "2"),
        (np.asarray(True), "1"),
        (np.asarray(1 / 3), "0.3333"),
        (np.asarray([1, 2, 3]), "[1, 2, 3]"),
        (np.asarray([[0.25, -1e-9]]), "[0.25, -1e-09]"),
        (np.arange(5.0), "2 ± 1.41"),
        (np.asarray([True, False] * 4), "0.5 ± 0.5"),
        (np.zeros(0), "[]"),
        (np.asarray([np.nan, np.inf]), "[nan, inf]"),
    ],
)
def test_arrays_are_summarised_in_a_few_characters(value: Array, text: str) -> None:
    assert summary(value) == text
