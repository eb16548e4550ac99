"""Roots of their own: every output and every update is computed by a node that nothing else is a root of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphc.graph import Graph
from graphc.node import Node, apply
from graphc.ops.leaves import Leaf
from graphc.ops.unary import Copy
from graphc.origin import derived_from

__all__ = ["IsolateRoots"]


@dataclass(frozen=True)
class IsolateRoots:
    """Insert copies where an output or update is a leaf, or the value of another output or update too."""

    description: str = "give each output and update a value of its own"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with copies."""
        taken: set[Node] = set()

        def own(node: Node) -> Node:
            with derived_from(node.origin):
                while isinstance(node.op, Leaf) or node in taken:
                    node = apply(Copy(), node)
            taken.add(node)
            return node

        updates = tuple((state, own(value)) for state, value in graph.updates)
        outputs = tuple((name, own(node)) for name, node in graph.outputs)
        return replace(graph, outputs=outputs, updates=updates)
