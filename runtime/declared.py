"""gc.graph_of: tensors as a graph that prints, renders and verifies, without compiling it."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.errors import DeclarationError
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node, describe
from graphc.origin import user_location
from graphc.passes.naming import NameUniquely
from graphc.verify import is_label

__all__ = ["graph_of", "named_nodes"]


def named_nodes(tensors: Mapping[str, Tensor]) -> tuple[tuple[str, Node], ...]:
    """The outputs of a graph; DeclarationError for a name that the text form could not print."""
    for name, tensor in tensors.items():
        if not is_label(name):
            raise DeclarationError(
                f"an output cannot be called {name!r}",
                at=str(user_location()),
                facts=[("output", describe(tensor.node))],
                expected="a letter or underscore, then letters, digits, underscores, dots, dashes and slashes",
                got=repr(name),
            )
    return tuple((name, tensor.node) for name, tensor in tensors.items())


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
        named_nodes(outputs),
        tuple((state.node, value.node) for state, value in (updates or {}).items()),
        name,
    )
    return NameUniquely()(declared)
