"""Unique names: states and random streams that were declared under one name get numbers, in the order of the graph."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from graphc.errors import DeclarationError
from graphc.graph import Graph, rebuild
from graphc.node import Node, apply, describe
from graphc.ops.leaves import Input, State
from graphc.ops.sampling import Random
from graphc.origin import user_location

__all__ = ["NameUniquely"]


@dataclass(frozen=True)
class NameUniquely:
    """Give each state and random node a label of its own.

    The labels depend on the graph alone, so a program declared twice, in one process or in two, has the same names: in
    its checkpoints, its dumps and the keys of its random numbers.
    """

    description: str = "give states and random streams unique names"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with unique labels."""
        return graph.map(self.replacements(graph))

    def replacements(self, graph: Graph) -> dict[Node, Node]:
        """Old node -> new node, for all nodes. Raises DeclarationError for two inputs of one name."""
        _check_inputs(graph)
        taken: dict[type, set[str]] = {State: set(), Random: set()}

        def rename(node: Node) -> Node:
            op = node.op
            if not isinstance(op, (State, Random)):
                return node
            used = taken[State if isinstance(op, State) else Random]
            label, number = op.label, 0
            while label in used:
                number += 1
                label = f"{op.label}_{number}"
            used.add(label)
            return node if label == op.label else apply(dataclasses.replace(op, label=label), *node.inputs)

        return rebuild(graph.nodes, rename)


def _check_inputs(graph: Graph) -> None:
    first: dict[str, Node] = {}
    for node in graph.inputs:
        label = node.op.label if isinstance(node.op, Input) else ""
        if first.setdefault(label, node) is not node:
            raise DeclarationError(
                f"two inputs are called {label!r}",
                at=str(user_location()),
                facts=[("first", describe(first[label])), ("second", describe(node))],
                expected="one input of each name",
                way_out="declare it once and use that tensor everywhere, or give one of them another name",
            )
