"""The reference interpreter: it computes a graph node by node with numpy, and so defines what a graph means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from graphc.dims import Dim, evaluate
from graphc.errors import FeedError, GraphcError
from graphc.graph import Graph, toposort
from graphc.node import Node, describe
from graphc.ops.leaves import Input, State
from graphc.scalar import Array

__all__ = ["bind_sizes", "interpret", "run_graph"]

Watch = Callable[[Node, Array], None]


def bind_sizes(shapes: Iterable[tuple[str, tuple[object, ...], tuple[int, ...]]]) -> dict[str, int]:
    """The numbers behind named sizes, from triples (label, declared shape, shape that came).

    Raises FeedError where ranks, numbers or two uses of a name disagree.
    """
    sizes: dict[str, int] = {}
    source: dict[str, str] = {}
    for label, declared, came in shapes:
        if len(declared) != len(came):
            raise FeedError(
                f"input {label!r} has {len(declared)} dimensions, the array has {len(came)}",
                expected=_shape_text(declared),
                got=_shape_text(came),
                way_out="add or remove dimensions with numpy's reshape",
            )
        for axis, (want, got) in enumerate(zip(declared, came, strict=True)):
            if isinstance(want, Dim) and want.factor == 1 and len(want.symbols) == 1:
                name = want.symbols[0]
                if sizes.setdefault(name, got) != got:
                    raise FeedError(
                        f"dimension {name!r} is {got} in {label!r}, but {sizes[name]} in {source[name]!r}",
                        expected=f"one number for {name!r} in all inputs",
                        got=f"axis {axis} of {label!r} is {got}",
                    )
                source.setdefault(name, label)
            elif isinstance(want, int) and want != got:
                raise FeedError(
                    f"input {label!r}: axis {axis} has the wrong size",
                    expected=_shape_text(declared),
                    got=_shape_text(came),
                )
    for label, declared, came in shapes:
        for axis, (want, got) in enumerate(zip(declared, came, strict=True)):
            if isinstance(want, Dim) and set(want.symbols) <= sizes.keys() and evaluate(want, sizes) != got:
                raise FeedError(
                    f"input {label!r}: axis {axis} has the wrong size",
                    expected=f"{want} = {evaluate(want, sizes)}",
                    got=str(got),
                )
    return sizes


def _shape_text(shape: Iterable[object]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def interpret(
    roots: Iterable[Node], values: Mapping[Node, Array], sizes: Mapping[str, int], watch: Watch | None = None
) -> dict[Node, Array]:
    """The values of all nodes that the roots need, from values of inputs and states (or of any inner node).

    watch is called with each node and its value as it is computed.
    """
    known: dict[Node, Array] = dict(values)
    with np.errstate(all="ignore"):
        for node in toposort(roots):
            if node not in known:
                known[node] = _value(node, known, sizes)
            if watch is not None:
                watch(node, known[node])
    return known


def _value(node: Node, known: Mapping[Node, Array], sizes: Mapping[str, int]) -> Array:
    if isinstance(node.op, (Input, State)):
        raise FeedError(f"no value for {node.op.name} {node.op.label!r}", facts=[("declared", describe(node))])
    try:
        value = node.op.with_sizes(sizes).reference(*(known[source] for source in node.inputs))
    except GraphcError as error:
        raise error.located(str(node.origin.location)) from None
    return np.asarray(value, node.type.dtype.numpy)


def run_graph(
    graph: Graph, feed: Mapping[str, Array], states: Mapping[Node, Array], watch: Watch | None = None
) -> tuple[dict[str, Array], dict[Node, Array]]:
    """The outputs by name and the new values of updated states, from arrays of the declared types."""
    inputs = [(node, node.op.label) for node in graph.inputs if isinstance(node.op, Input)]
    missing = [label for _, label in inputs if label not in feed]
    if missing:
        raise FeedError(f"input {missing[0]!r} is missing", expected="a value for each input", got=str(list(feed)))
    sizes = bind_sizes([(label, node.type.shape, np.shape(feed[label])) for node, label in inputs])
    values = {node: np.asarray(feed[label], node.type.dtype.numpy) for node, label in inputs}
    values.update({node: np.asarray(states[node], node.type.dtype.numpy) for node in graph.states if node in states})
    known = interpret(graph.roots, values, sizes, watch)
    outputs = {name: known[node] for name, node in graph.outputs}
    return outputs, {state: known[node] for state, node in graph.updates}
