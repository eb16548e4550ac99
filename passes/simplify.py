"""Simplification: arithmetic and movement equations, applied until none matches."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.graph import Graph
from graphc.passes.rules.algebra import ALGEBRA, MARKERS
from graphc.passes.rules.movement import MOVEMENT
from graphc.rewrite import Rewriting, rewrite_to_fixpoint

__all__ = ["Simplify"]


@dataclass(frozen=True)
class Simplify:
    """Apply the equations of ``algebra`` and ``movement``; ``drop_markers`` also removes spent gradient markers."""

    drop_markers: bool = True
    description: str = "arithmetic and movement equations"

    def __call__(self, graph: Graph) -> Graph:
        """The simplified graph."""
        return self.rewrite(graph).graph

    def rewrite(self, graph: Graph) -> Rewriting:
        """The simplified graph with a log of what fired."""
        return rewrite_to_fixpoint(graph, (*ALGEBRA, *MOVEMENT, *(MARKERS if self.drop_markers else ())))
