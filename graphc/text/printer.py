"""Printing graphs: deterministic names, types on every line."""

from __future__ import annotations

import dataclasses
import json
import re

from graphc.dtypes import DType
from graphc.graph import Graph
from graphc.literal import Literal
from graphc.node import Node
from graphc.op import Op
from graphc.ops.scan import Body
from graphc.tensor_type import TensorType

__all__ = ["LABEL", "number_nodes", "print_graph", "print_line"]

LABEL = re.compile(r"[A-Za-z_][\w.\-/]*")
"""Names that stand in the text as they are."""


def number_nodes(graph: Graph) -> dict[Node, str]:
    """The names %0, %1, ... that the printed form gives to the nodes."""
    return {node: f"%{number}" for number, node in enumerate(graph.nodes)}


def print_graph(graph: Graph, origins: bool = False) -> str:
    """The text form of a graph; with origins, each line ends in a comment with the scope and the user's line.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 2))
    >>> print(print_graph(gc.graph_of({"y": x * 2.0})))
    graph graph(batch) {
      %0 = input[label="x", type=f32[batch, 2]]() : f32[batch, 2]
      %1 = constant[value=f32[]{2.0}]() : f32[]
      %2 = broadcast_in_dim[shape=(batch, 2), dims=()](%1) : f32[batch, 2]
      %3 = multiply(%0, %2) : f32[batch, 2]
      return y=%3
    }
    """
    names = number_nodes(graph)
    name = graph.name if LABEL.fullmatch(graph.name) else _literal(graph.name)
    lines = [f"graph {name}({', '.join(graph.sizes)}) {{"]
    for node in graph.nodes:
        comment = _origin_comment(node) if origins else ""
        lines.append(f"  {print_line(node, names)}{comment}")
    lines.append("  return " + ", ".join(f"{name}={names[node]}" for name, node in graph.outputs))
    lines += [f"  update {names[state]} = {names[value]}" for state, value in graph.updates]
    return "\n".join([*lines, "}"])


def print_line(node: Node, names: dict[Node, str]) -> str:
    """One node as a line of the text form."""
    inputs = ", ".join(names.get(source, "%?") for source in node.inputs)
    return f"{names.get(node, '%?')} = {node.op.name}{_fields(node.op)}({inputs}) : {node.type}"


def _fields(op: Op) -> str:
    shown = [
        f"{field.name}={_literal(getattr(op, field.name))}"
        for field in dataclasses.fields(op)
        if field.repr and getattr(op, field.name) != field.default
    ]
    return f"[{', '.join(shown)}]" if shown else ""


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Body):
        kinds = (("r", value.results), ("s", value.saved))
        named = tuple((f"{kind}{number}", node) for kind, nodes in kinds for number, node in enumerate(nodes))
        return " ".join(print_graph(Graph(named, name="body", arguments=value.parameters)).split())
    if isinstance(value, (TensorType, DType, Literal, int)) or value.__class__.__name__ == "Dim":
        return str(value)
    raise TypeError(f"a field of type {type(value).__name__} has no text form")


def _origin_comment(node: Node) -> str:
    parts = ["/".join(node.origin.scope)] if node.origin.scope else []
    if node.origin.location is not None:
        parts.append(node.origin.location.short)
    if node.origin.forward is not None:
        parts.append(f"derivative of {node.origin.forward.op.name}")
    return f"  # {', '.join(parts)}" if parts else ""
