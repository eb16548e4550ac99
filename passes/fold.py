"""Constant folding: what depends on constants alone is computed once, by the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphc.errors import GraphcError
from graphc.graph import Graph, rebuild
from graphc.literal import Literal
from graphc.node import Node, apply
from graphc.op import Elementwise
from graphc.ops.comparison import Select
from graphc.ops.leaves import Constant, Leaf
from graphc.ops.movement import BroadcastInDim
from graphc.rewrite import splat_value
from graphc.scalar import Array

__all__ = ["Fold"]


@dataclass(frozen=True)
class Fold:
    """Compute nodes whose operands are constants.

    Uniform constants stay one number and a broadcast, whatever their size; others are folded up to ``limit`` elements,
    so that folding never costs seconds or swells the program.
    """

    limit: int = 1024
    description: str = "compute what depends on constants alone"

    def __call__(self, graph: Graph) -> Graph:
        """The folded graph."""
        return graph.map(self.replacements(graph))

    def replacements(self, graph: Graph) -> dict[Node, Node]:
        """Old node -> new node, for all nodes."""
        return rebuild(graph.nodes, self._fold)

    def _fold(self, node: Node) -> Node:
        if not node.inputs or isinstance(node.op, (Leaf, BroadcastInDim)):
            return node
        if isinstance(node.op, Select):
            choice = splat_value(node.inputs[0])
            if choice is not None:
                return node.inputs[1 if choice else 2]
        if isinstance(node.op, Elementwise) and all(splat_value(source) is not None for source in node.inputs):
            return self._uniform(node)
        small = isinstance(node.type.elements, int) and node.type.elements <= self.limit
        if small and all(isinstance(source.op, Constant) for source in node.inputs):
            values = [source.op.value.array for source in node.inputs if isinstance(source.op, Constant)]
            return _computed(node, values)
        return node

    def _uniform(self, node: Node) -> Node:
        numbers = [np.asarray(splat_value(source), source.type.dtype.numpy) for source in node.inputs]
        scalar = _computed(node, numbers)
        return apply(BroadcastInDim(node.type.shape, ()), scalar) if node.type.shape else scalar


def _computed(node: Node, values: Sequence[Array]) -> Node:
    try:
        with np.errstate(all="ignore"):
            value = node.op.reference(*values)
    except GraphcError as error:
        raise error.located(str(node.origin.location)) from None
    return apply(Constant(Literal.of(value, node.type.dtype)))
