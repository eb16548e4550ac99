"""gc.render: pictures of graphs and programs at every stage."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.errors import RenderError
from graphc.frontend.state import SEED, STEP, cell_of
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.interpret import interpret
from graphc.node import Node
from graphc.ops.leaves import Input, State
from graphc.passes.autodiff import differentiate, start_of
from graphc.runtime.diagram import picture_of_graph, picture_of_program
from graphc.runtime.dot import TIME_LIMIT, dot_program, dot_source, run_dot
from graphc.runtime.feeds import Feeder
from graphc.runtime.function import Function
from graphc.runtime.layered import layered_svg
from graphc.runtime.model import Model
from graphc.runtime.picture import Picture, collapse
from graphc.scalar import Array

__all__ = ["Rendering", "render"]

STAGES = ("declared", "backward", "optimised", "kernels")
_MOST_BOXES = 1000


@dataclass(frozen=True)
class Rendering:
    """A drawn picture. svg: its text. dot: the same for Graphviz. engine: "dot" or "layered". message: why not dot."""

    svg: str
    dot: str
    engine: str
    message: str = ""

    def _repr_svg_(self) -> str:
        return self.svg


def render(
    what: Tensor | Mapping[str, Tensor] | Graph | Model | Function,
    path: str | os.PathLike[str] | None = None,
    *,
    stage: str | None = None,
    feed: Mapping[str, object] | None = None,
    most_boxes: int = _MOST_BOXES,
    time_limit: float = TIME_LIMIT,
) -> Rendering:
    """Draw a graph: boxes for values in nested clusters for scopes, element types and shapes on the arrows.

    Inputs are white, states yellow, the forward graph blue, the backward graph orange, updates green.

    what: a tensor (its graph), tensors by name, a graph, a model or a function. path: where to write it; the ending
    chooses svg, png, pdf or dot. stage: of a model "declared", "backward" (with gradients and updates), "optimised", or
    "kernels" (the default), where each kernel is a cluster around what it computes. feed: arrays by input name; then
    example values stand on the arrows, above the gradients of the (scalar) tensor. most_boxes: larger pictures have
    their clusters collapsed. time_limit: seconds for Graphviz; without it, or beyond that, an own layout is drawn, with
    a warning.

    Raises RenderError for unknown stages and endings, and for png and pdf without Graphviz.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 3))
    >>> gc.render(gc.relu(x)).svg.lstrip().startswith("<")
    True
    """
    picture = collapse(_picture(what, stage, feed), most_boxes)
    kind = Path(path).suffix.lstrip(".").lower() if path is not None else "svg"
    if kind not in ("svg", "png", "pdf", "dot", "gv"):
        raise RenderError(f"pictures are not written as .{kind}", expected=".svg, .png, .pdf or .dot", got=str(path))
    source = dot_source(picture)
    if path is not None and kind in ("dot", "gv"):
        Path(path).write_text(source, "utf-8")
        return Rendering(layered_svg(picture), source, "layered")
    program = dot_program()
    drawn: bytes | str = "the dot program of Graphviz is not installed"
    if program is not None:
        drawn = run_dot(program, source, kind, time_limit)
    if isinstance(drawn, bytes):
        svg = drawn.decode() if kind == "svg" else ""
        if path is not None:
            Path(path).write_bytes(drawn)
        return Rendering(svg, source, "dot")
    if kind != "svg":
        raise RenderError(f"a .{kind} picture needs Graphviz", got=drawn, way_out="write .svg, or install Graphviz")
    warnings.warn(f"{drawn}; the picture has graphc's own layout, without clusters", stacklevel=2)
    svg = layered_svg(picture)
    if path is not None:
        Path(path).write_text(svg, "utf-8")
    return Rendering(svg, source, "layered", drawn)


def _picture(what: object, stage: str | None, feed: Mapping[str, object] | None) -> Picture:
    if stage is not None and stage not in STAGES:
        raise RenderError(f"there is no stage {stage!r}", expected=", ".join(STAGES), got=stage)
    if isinstance(what, Model):
        return _picture_of_model(what, stage or "kernels")
    if isinstance(what, Function):
        if stage in (None, "kernels"):
            return picture_of_program(what.program, what.graph.name)
        return picture_of_graph(what.graph)
    if isinstance(what, Tensor):
        graph = Graph((("loss" if not what.shape else "output", what.node),), (), "declared")
        values, gradients = _examples(graph, what, feed) if feed is not None else ({}, {})
        return picture_of_graph(graph, values, gradients)
    if isinstance(what, Mapping):
        return picture_of_graph(Graph(tuple((str(name), tensor.node) for name, tensor in what.items()), (), "declared"))
    if isinstance(what, Graph):
        return picture_of_graph(what)
    raise RenderError(
        "this cannot be drawn",
        expected="a tensor, tensors by name, a graph, a model or a function",
        got=type(what).__name__,
    )


def _picture_of_model(model: Model, stage: str) -> Picture:
    if stage == "declared":
        return picture_of_graph(model.declared)
    if stage == "backward":
        return picture_of_graph(model.backward)
    if stage == "optimised":
        return picture_of_graph(model.graph("train"))
    return picture_of_program(model.program("train"), model.name)


def _examples(graph: Graph, loss: Tensor, feed: Mapping[str, object]) -> tuple[dict[Node, Array], dict[Node, Array]]:
    """Values of all nodes for a feed, and the gradients of a scalar by them."""
    arrays, sizes = Feeder(graph.inputs).prepare(feed)
    known = {node: arrays[node.op.label] for node in graph.inputs if isinstance(node.op, Input)}
    for node in graph.states:
        if isinstance(node.op, State):
            cell_of(node).initialize(0, node.op.label)
            known[node] = np.zeros((), np.int64) if node in (SEED, STEP) else cell_of(node).read()
    found: dict[Node, Node] = {}
    if not loss.shape and loss.dtype.is_float:
        floats = [node for node in graph.nodes if node.type.dtype.is_float]
        found = differentiate({loss.node: start_of(loss.node)}, floats)
    values = interpret([*graph.roots, *found.values()], known, sizes)
    return {node: values[node] for node in graph.nodes}, {node: values[slope] for node, slope in found.items()}
