"""gc.evaluate: values at once, by the reference interpreter, for trying things out and for checking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np

from graphc.frontend.state import SEED, STEP, cell_of
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.interpret import interpret
from graphc.node import Node
from graphc.ops.leaves import Input
from graphc.passes.naming import NameUniquely
from graphc.runtime.feeds import Feeder
from graphc.scalar import Array

__all__ = ["evaluate"]


@overload
def evaluate(values: Tensor, feed: Mapping[str, object] | None = None) -> Array: ...


@overload
def evaluate(values: Sequence[Tensor], feed: Mapping[str, object] | None = None) -> list[Array]: ...


def evaluate(values: Tensor | Sequence[Tensor], feed: Mapping[str, object] | None = None) -> Array | list[Array]:
    """The values of tensors, computed node by node with numpy; nothing is compiled.

    values: one tensor or several. feed: arrays by input name. Parameters have their present values; random numbers are
    those of seed 0 and step 0. Raises FeedError where the feed does not fit.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("n",))
    >>> gc.evaluate(x * x, {"x": [1.0, 2.0]})
    array([1., 4.], dtype=float32)
    """
    tensors = [values] if isinstance(values, Tensor) else list(values)
    graph = Graph(tuple((f"value{number}", tensor.node) for number, tensor in enumerate(tensors)))
    named = NameUniquely().replacements(graph)  # so that values are those of a compiled program
    arrays, sizes = Feeder(graph.inputs).prepare(feed or {})
    known: dict[Node, Array] = {node: arrays[node.op.label] for node in graph.inputs if isinstance(node.op, Input)}
    for node in graph.states:
        known[named[node]] = np.zeros((), np.int64) if node in (SEED, STEP) else _value(node, named[node])
    found = interpret([named[tensor.node] for tensor in tensors], known, sizes)
    results = [found[named[tensor.node]] for tensor in tensors]
    return results[0] if isinstance(values, Tensor) else results


def _value(node: Node, named: Node) -> Array:
    cell = cell_of(node)
    cell.initialize(0, str(getattr(named.op, "label", "")))
    return cell.read()
