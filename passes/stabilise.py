"""Numerical stabilisation: replace formulas that overflow or cancel by equal ones that do not, and say what was
replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.graph import Graph
from graphc.node import Node
from graphc.passes.rules.stability import STABILITY
from graphc.rewrite import Rewriting, rewrite_to_fixpoint

__all__ = ["Stabilise", "stabilise_for_gradient"]


@dataclass(frozen=True)
class Stabilise:
    """Apply the equations of ``graphc.passes.rules.stability`` until none matches."""

    description: str = "replace formulas that overflow or cancel"

    def __call__(self, graph: Graph) -> Graph:
        """The stabilised graph."""
        return self.rewrite(graph).graph

    def rewrite(self, graph: Graph, opaque: frozenset[Node] = frozenset()) -> Rewriting:
        """The stabilised graph with a log of what fired; ``opaque`` nodes survive."""
        return rewrite_to_fixpoint(graph, STABILITY, opaque)


def stabilise_for_gradient(loss: Node, wrt: Sequence[Node]) -> tuple[Node, list[Node]]:
    """The loss, stabilised, and what became of the nodes it is to be differentiated by; those survive."""
    graph = Graph((("loss", loss), *((f"wrt{number}", node) for number, node in enumerate(wrt))))
    outcome = Stabilise().rewrite(graph, frozenset(wrt))
    replaced = outcome.replaced
    return replaced[loss], [replaced[node] for node in wrt]
