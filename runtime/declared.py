"""gc.graph_of: tensors as a graph that prints, renders and verifies, without compiling it."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.passes.naming import NameUniquely

__all__ = ["graph_of"]


def graph_of(
    outputs: Mapping[str, Tensor], updates: Mapping[Tensor, Tensor] | None = None, name: str = "graph"
) -> Graph:
    """The graph of named tensors and state updates, with unique names.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 2))
    >>> len(gc.graph_of({"y": x + x}).nodes)
    2
    """
    declared = Graph(
        tuple((key, tensor.node) for key, tensor in outputs.items()),
        tuple((state.node, value.node) for state, value in (updates or {}).items()),
        name,
    )
    return NameUniquely()(declared)
