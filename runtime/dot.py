"""Drawing with Graphviz: the DOT text of a picture, and the ``dot`` program as a child process with a time limit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from html import escape
from typing import Any

import graphviz

from graphc.runtime.picture import COLOURS, Arrow, Box, Picture

__all__ = ["TIME_LIMIT", "dot_program", "dot_source", "run_dot"]

TIME_LIMIT = 10.0
"""Seconds that ``dot`` may take; then the picture is drawn by our own layout."""
_LARGE = 300
_CLUSTER_FILLS = ("#fafafa", "#f3f5f8", "#eceff4", "#e5e9f0")
_KINDS_SHOWN = ("input", "state", "forward", "backward", "update")


def dot_source(picture: Picture) -> str:
    """The DOT text of a picture."""
    settings = {
        "rankdir": "TB",
        "nslimit": "2",
        "nslimit1": "2",
        "fontname": "Helvetica",
        "fontsize": "11",
        "label": picture.title,
        "labelloc": "t",
        "nodesep": "0.25",
        "ranksep": "0.35",
    }
    if len(picture.boxes) > _LARGE:
        settings |= {"mclimit": "0.5", "splines": "polyline"}
    graph = graphviz.Digraph(
        graph_attr=settings,
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Helvetica",
            "fontsize": "10",
            "margin": "0.08,0.04",
        },
        edge_attr={
            "fontname": "Helvetica",
            "fontsize": "8",
            "color": "#666666",
            "fontcolor": "#555555",
            "arrowsize": "0.6",
        },
    )
    names = {box.key: f"n{number}" for number, box in enumerate(picture.boxes)}
    _clusters(graph, picture.boxes, names, (), picture.kernels)
    for arrow in picture.arrows:
        _edge(graph, arrow, names)
    return str(graph.source)


def _clusters(graph: Any, boxes: Iterable[Box], names: dict[Any, str], path: tuple[str, ...], kernels: bool) -> None:
    """Boxes of a cluster, then the clusters inside it."""
    inner: dict[str, list[Box]] = {}
    for box in boxes:
        if len(box.cluster) > len(path):
            inner.setdefault(box.cluster[len(path)], []).append(box)
            continue
        fill, border = COLOURS[box.kind]
        label = "\n".join([box.title, *box.lines]).replace("\\", "\\\\")
        graph.node(names[box.key], label=label, fillcolor=fill, color=border, tooltip=box.note or box.title)
    for name, members in inner.items():
        deeper = (*path, name)
        with graph.subgraph(name="cluster_" + "/".join(deeper)) as cluster:
            border, width = ("#444444", "1.4") if kernels else ("#b0b0b0", "0.8")
            cluster.attr(
                label=name,
                style="rounded,filled",
                fillcolor=_CLUSTER_FILLS[min(len(path), 3)],
                color=border,
                penwidth=width,
                fontcolor="#444444",
            )
            _clusters(cluster, members, names, deeper, kernels)


def _edge(graph: Any, arrow: Arrow, names: dict[Any, str]) -> None:
    options: dict[str, str] = {}
    if arrow.dashed:
        options |= {"style": "dashed", "constraint": "false", "color": COLOURS["update"][1]}
    if arrow.value or arrow.gradient:
        lines = [escape(arrow.label)] if arrow.label and arrow.label != "f32[]" else []
        if arrow.value:
            lines.append(f'<font color="#1e7b34" point-size="10">{escape(arrow.value)}</font>')
        if arrow.gradient:
            lines.append(f'<font color="#c0392b" point-size="10">{escape(arrow.gradient)}</font>')
        options["label"] = f"<{'<br/>'.join(lines)}>"
    elif arrow.label:
        options["label"] = arrow.label
    graph.edge(names[arrow.source], names[arrow.target], **options)


def dot_program() -> str | None:
    """The path of the ``dot`` program; None where Graphviz is not installed."""
    return shutil.which("dot")


def run_dot(program: str, source: str, kind: str, limit: float = TIME_LIMIT) -> bytes | str:
    """The picture in a format (svg, png, pdf) as bytes, or a text that says why there is none.

    Some versions of dot stumble over arrows that do not count for the ranks, where clusters are many; then they count.
    """
    drawn = _run(program, source, kind, limit)
    if isinstance(drawn, str) and "init_rank" in drawn:
        return _run(program, source.replace("constraint=false", ""), kind, limit)
    return drawn


def _run(program: str, source: str, kind: str, limit: float) -> bytes | str:
    try:
        done = subprocess.run(
            [program, f"-T{kind}"], input=source.encode(), capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return f"dot took more than {limit:g} seconds"
    except OSError as error:
        return f"dot could not be started: {error}"
    if done.returncode != 0 or not done.stdout:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        return f"dot failed: {said or f'it ended with status {done.returncode} and no picture'}"
    return done.stdout
