"""Finding the operation that made a NaN or an infinity, and the user's line behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphc.errors import NonFiniteError
from graphc.graph import Graph
from graphc.interpret import run_graph
from graphc.node import Node, describe
from graphc.ops.leaves import Constant, State
from graphc.passes.mode import SetMode
from graphc.scalar import Array

__all__ = ["explain_non_finite"]


def explain_non_finite(graph: Graph, feed: Mapping[str, Array], states: Mapping[str, Array]) -> NonFiniteError:
    """The error that names the first node with a value that is not finite, computed with the reference interpreter.

    graph: the training graph. states: values before the step, by name.
    """
    resolved = SetMode(training=True)(graph)
    values = {node: states[node.op.label] for node in resolved.states if isinstance(node.op, State)}
    seen: dict[Node, Array] = {}
    found: list[Node] = []

    def watch(node: Node, value: Array) -> None:
        seen[node] = value
        fresh = value.dtype.kind == "f" and not np.isfinite(value).all() and not isinstance(node.op, Constant)
        if fresh and not found and all(np.isfinite(seen[n]).all() for n in node.inputs if seen[n].dtype.kind == "f"):
            found.append(node)

    run_graph(resolved, feed, values, watch)
    if not found:
        return NonFiniteError(
            "the loss or a new state is not finite, though the reference interpreter finds all values finite",
            way_out="float32 overflowed where the kernels order operations differently; use float64 to look closer",
        )
    return _error(found[0], seen)


def _error(node: Node, seen: Mapping[Node, Array]) -> NonFiniteError:
    value = seen[node]
    bad = ~np.isfinite(value)
    place = [int(number) for number in np.argwhere(bad)[0]] if value.ndim else []
    facts = [(f"operand {number}", _statistics(source, seen[source])) for number, source in enumerate(node.inputs, 1)]
    if node.origin.forward is not None:
        facts.append(("derivative", f"of {describe(node.origin.forward)}"))
    return NonFiniteError(
        f"{node.op.name} made {value[tuple(place)]} at {place} ({int(bad.sum())} of {value.size} elements)",
        at=str(node.origin.location),
        facts=facts,
        way_out="the states are as before the step; look at the operands above, lower the learning rate, or clip",
    )


def _statistics(node: Node, value: Array) -> str:
    if value.size == 0 or value.dtype.kind != "f":
        return describe(node)
    return f"{describe(node)}: from {value.min():.4g} to {value.max():.4g}, mean {value.mean():.4g}"
