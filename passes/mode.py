"""Training and inference: which side of the training switches a graph keeps."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.graph import Graph, rebuild
from graphc.node import Node
from graphc.ops.comparison import TrainingSwitch

__all__ = ["SetMode"]


@dataclass(frozen=True)
class SetMode:
    """Resolve every training switch: dropout draws its mask while training and does nothing in inference."""

    training: bool
    description: str = "resolve dropout and other switches between training and inference"

    def __call__(self, graph: Graph) -> Graph:
        """The graph of the chosen mode."""

        def choose(node: Node) -> Node:
            return node.inputs[0 if self.training else 1] if isinstance(node.op, TrainingSwitch) else node

        return graph.map(rebuild(graph.nodes, choose))
