"""Pictures: what they show at each stage, and what happens without the dot program, or with one that fails."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import FeedError, RenderError
from graphc.runtime.render import STAGES, Rendering
from tests.runtime.networks import digits_model

NOT_INSTALLED = "the dot program of Graphviz is not installed; the picture has graphc's own layout, without clusters"


@pytest.fixture
def no_dot(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without Graphviz."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


def fake_dot(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A system whose dot program is a shell script."""
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def drawn(
    what: gc.Tensor | Mapping[str, gc.Tensor] | gc.Graph | gc.Model | gc.Function,
    path: Path | None = None,
    *,
    stage: str | None = None,
    feed: Mapping[str, object] | None = None,
    most_boxes: int = 1000,
) -> Rendering:
    """A picture by graphc itself, with the warning that comes with it."""
    with pytest.warns(UserWarning, match=f"^{re.escape(NOT_INSTALLED)}$"):
        rendering = gc.render(what, path, stage=stage, feed=feed, most_boxes=most_boxes)
    assert rendering.engine == "layered"
    return rendering


def words(rendering: Rendering) -> list[str]:
    """The texts in a picture, which must be well-formed."""
    root = ElementTree.fromstring(rendering.svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def scoped_loss() -> gc.Tensor:
    """A small loss with scopes, a parameter and a name that must be escaped nowhere but in the picture."""
    x = gc.input("pixels", shape=("batch", 3))
    with gc.scope("encoder"), gc.scope("block<1>"):
        weight = gc.parameter((3, 2), initializer="ones", name="kernel")
        hidden = gc.tanh(x @ weight)
    return (hidden * hidden).mean()


@pytest.mark.usefixtures("no_dot")
def test_a_loss_is_drawn_with_names_scopes_types_and_shapes() -> None:
    rendering = drawn(scoped_loss())
    found = words(rendering)
    for wanted in ("pixels", "f32[batch, 3]", "kernel", "f32[3, 2]", "tanh", "encoder/block<1>", "loss", "f32[]"):
        assert wanted in found, wanted
    assert rendering.message == "the dot program of Graphviz is not installed"
    titles = [element.text for element in ElementTree.fromstring(rendering.svg).iter() if element.tag.endswith("title")]
    assert any("test_render.py" in str(title) and "gc.tanh(x @ weight)" in str(title) for title in titles)


@pytest.mark.usefixtures("no_dot")
def test_a_feed_puts_values_and_gradients_on_the_arrows() -> None:
    x = gc.input("x", shape=())
    y = gc.input("y", shape=())
    found = words(drawn(x * y + gc.exp(x), feed={"x": 0.0, "y": 3.0}))
    for value in ("0", "3", "1"):
        assert value in found
    assert "4" in found, "the sum of the gradients 3 and 1 of x"


@pytest.mark.usefixtures("no_dot")
def test_examples_of_arrays_are_summarised() -> None:
    x = gc.input("x", shape=("n",))
    found = words(drawn(x * 2, feed={"x": [1.0, 2.5]}))
    assert "[1, 2.5]" in found
    assert "[2, 5]" in found
    assert "3 ± 2.12" in words(drawn(x * 1.5, feed={"x": [0, 1, 2, 3, 4]}))


@pytest.mark.usefixtures("no_dot")
def test_a_feed_that_does_not_fit_is_refused() -> None:
    with pytest.raises(FeedError, match="input 'pixels' is missing"):
        gc.render(scoped_loss(), feed={})


@pytest.mark.usefixtures("no_dot")
@pytest.mark.parametrize("stage", STAGES)
def test_a_model_is_drawn_at_every_stage(stage: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stage}.svg"
    rendering = drawn(digits_model(), path=path, stage=stage)
    assert path.read_text("utf-8") == rendering.svg
    found = words(rendering)
    assert {"image", "label", "loss", "accuracy", "f32[batch, 8, 8]"} <= set(found)
    backward = stage != "declared"
    assert any("moment1" in word for word in found) == backward
    assert ("update" in found) == backward
    assert any("matmul" in word for word in found) == (stage == "kernels")


@pytest.mark.usefixtures("no_dot")
def test_a_model_is_drawn_as_kernels_by_default() -> None:
    model = digits_model()
    assert drawn(model).svg == drawn(model, stage="kernels").svg
    assert 'label="1  check_range"' in drawn(model).dot


@pytest.mark.usefixtures("no_dot")
def test_graphs_functions_and_named_tensors_are_drawn() -> None:
    x = gc.input("x", shape=("n",))
    assert "twice" in words(drawn({"twice": x + x}))
    assert "twice" in words(drawn(gc.graph_of({"twice": x + x})))
    function = gc.function([x], {"twice": gc.exp(x)})
    assert any("exp" in word for word in words(drawn(function)))
    assert "exp" in words(drawn(function, stage="optimised"))


@pytest.mark.usefixtures("no_dot")
def test_pictures_are_the_same_on_every_run() -> None:
    assert drawn(scoped_loss()).svg == drawn(scoped_loss()).svg
    assert drawn(digits_model(), stage="backward").dot == drawn(digits_model(), stage="backward").dot


@pytest.mark.usefixtures("no_dot")
def test_parts_of_the_program_have_their_colours() -> None:
    fills = set(re.findall(r'fill="(#[0-9a-f]{6})" stroke', drawn(digits_model(), stage="backward").svg))
    assert {"#ffffff", "#fff2cc", "#dae8fc", "#fde0d0", "#d9ecd3"} <= fills


@pytest.mark.usefixtures("no_dot")
def test_a_picture_that_is_too_large_has_its_clusters_collapsed() -> None:
    model = digits_model()
    whole, small = drawn(model, stage="backward"), drawn(model, stage="backward", most_boxes=25)
    count = len(re.findall("<rect", whole.svg)) - 1
    assert count > 25
    assert len(re.findall("<rect", small.svg)) - 1 <= 25
    found = words(small)
    assert "loss" in found
    assert any(re.fullmatch(r"\d+ values", word) for word in found)
    assert len(re.findall("<rect", drawn(model, stage="backward", most_boxes=count).svg)) - 1 == count


@pytest.mark.usefixtures("no_dot")
def test_a_graph_without_clusters_is_drawn_whole() -> None:
    x = gc.input("x", shape=())
    for _ in range(40):
        x = gc.sin(x)
    assert words(drawn(x, most_boxes=10)).count("sin") == 40


@pytest.mark.usefixtures("no_dot")
def test_deep_graphs_are_drawn_without_recursion() -> None:
    x = gc.input("x", shape=())
    for _ in range(1200):
        x = gc.sin(x)
    assert words(drawn({"deep": x})).count("sin") == 1200


@pytest.mark.usefixtures("no_dot")
def test_a_notebook_shows_the_picture() -> None:
    rendering = drawn(scoped_loss())
    assert rendering._repr_svg_() == rendering.svg


@pytest.mark.parametrize("name", ["graph.dot", "graph.gv", "GRAPH.DOT"])
@pytest.mark.usefixtures("no_dot")
def test_dot_text_is_written_without_graphviz_and_without_a_warning(name: str, tmp_path: Path) -> None:
    rendering = gc.render(scoped_loss(), tmp_path / name)
    text = (tmp_path / name).read_text("utf-8")
    assert text == rendering.dot
    assert text.startswith("digraph")
    for wanted in ("rankdir=TB", "pixels", "f32[batch, 3]", 'subgraph "cluster_encoder/block<1>"', "label=encoder"):
        assert wanted in text, wanted


@pytest.mark.parametrize("stage", STAGES)
def test_dot_text_never_asks_for_new_ranks(stage: str, tmp_path: Path) -> None:
    text = gc.render(digits_model(), tmp_path / "graph.dot", stage=stage).dot
    assert "newrank" not in text
    assert "nslimit=2" in text


@pytest.mark.usefixtures("no_dot")
@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_other_formats_need_graphviz(ending: str, tmp_path: Path) -> None:
    with pytest.raises(RenderError) as caught:
        gc.render(scoped_loss(), tmp_path / f"graph.{ending}")
    assert caught.value.what == f"a .{ending} picture needs Graphviz"
    assert caught.value.got == "the dot program of Graphviz is not installed"
    assert caught.value.way_out == "write .svg, or install Graphviz"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "ending"), [("graph.jpg", "jpg"), ("graph", ""), ("graph.svg.zip", "zip")])
def test_unknown_endings_are_refused(name: str, ending: str, tmp_path: Path) -> None:
    with pytest.raises(RenderError) as caught:
        gc.render(scoped_loss(), tmp_path / name)
    assert caught.value.what == f"pictures are not written as .{ending}"
    assert caught.value.expected == ".svg, .png, .pdf or .dot"
    assert list(tmp_path.iterdir()) == []


def test_unknown_stages_are_refused() -> None:
    with pytest.raises(RenderError, match="there is no stage 'final'") as caught:
        gc.render(digits_model(), stage="final")
    assert caught.value.expected == "declared, backward, optimised, kernels"


def test_what_is_no_graph_is_refused() -> None:
    number: Any = 3
    with pytest.raises(RenderError, match="this cannot be drawn") as caught:
        gc.render(number)
    assert caught.value.got == "int"


def test_dot_draws_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot(tmp_path, monkeypatch, 'read first; echo "<svg>$1 $first</svg>"')
    rendering = gc.render(scoped_loss(), tmp_path / "graph.svg")
    assert rendering == Rendering("<svg>-Tsvg digraph {</svg>\n", rendering.dot, "dot")
    assert (tmp_path / "graph.svg").read_text("utf-8") == rendering.svg
    gc.render(scoped_loss(), tmp_path / "graph.png")
    assert "-Tpng" in (tmp_path / "graph.png").read_text("utf-8")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exec /bin/sleep 60", "dot took more than 0.2 seconds"),
        ("echo 'no such font' >&2; exit 3", "dot failed: no such font"),
        ("exit 0", "dot failed: it ended with status 0 and no picture"),
        ("kill -9 $$", "dot failed: it ended with status -9 and no picture"),
    ],
    ids=["hangs", "fails", "silent", "killed"],
)
def test_the_own_layout_is_drawn_when_dot_fails(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dot(tmp_path, monkeypatch, script)
    with pytest.warns(UserWarning, match=re.escape(f"{message}; the picture has graphc's own layout")):
        rendering = gc.render(scoped_loss(), tmp_path / "graph.svg", time_limit=0.2 if "sleep" in script else 30)
    assert (rendering.engine, rendering.message) == ("layered", message)
    assert "tanh" in words(rendering)
    assert (tmp_path / "graph.svg").read_text("utf-8") == rendering.svg


def test_dot_is_asked_again_where_it_stumbles_over_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'case "$(/bin/cat)" in *constraint=false*) echo "trouble in init_rank" >&2; exit 1;; esac; echo "<svg/>"'
    fake_dot(tmp_path, monkeypatch, script)
    slope = gc.parameter((), name="slope")
    model = gc.compile((slope * gc.input("x", shape=("batch",))).sum(), optimizers.SGD(0.1))
    rendering = gc.render(model)
    assert "constraint=false" in rendering.dot
    assert (rendering.engine, rendering.svg) == ("dot", "<svg/>\n")


def test_a_dot_that_cannot_be_started_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot(tmp_path, monkeypatch, "")
    (tmp_path / "dot").write_bytes(b"\x7fELF no program")
    with pytest.warns(UserWarning, match="dot could not be started"):
        assert gc.render(scoped_loss()).engine == "layered"


def test_optimizer_slots_stand_beside_their_parameter(tmp_path: Path) -> None:
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((), name="slope")
    model = gc.compile((slope * x).sum(), optimizers.Momentum(0.1))
    text = gc.render(model, tmp_path / "graph.dot", stage="backward").dot
    assert "velocity" in text
    assert "label=update" in text
    assert "style=dashed" in text
