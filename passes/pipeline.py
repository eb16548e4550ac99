"""Pipelines: tuples of passes, run with dumps, verification and comparison on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from graphc.errors import VerificationError
from graphc.graph import Graph
from graphc.interpret import run_graph
from graphc.node import Node, describe
from graphc.scalar import Array
from graphc.text import print_graph
from graphc.verify import COMPILABLE, RULES, verify

__all__ = ["DUMP_VARIABLE", "Pass", "Probe", "run_pipeline"]

DUMP_VARIABLE = "GRAPHC_DUMP"
"""The environment variable that names a folder for the text of the graph after each pass."""


class Pass(Protocol):
    """A value that turns a graph into an equal graph; its fields are its options."""

    @property
    def description(self) -> str:
        """What the pass does, in a few words."""

    def __call__(self, graph: Graph) -> Graph:
        """The new graph; the old one is unchanged."""


@dataclass(frozen=True)
class Probe:
    """Data on which the debug mode evaluates the graph before and after each pass.

    feed: arrays by input name. states: values of the state nodes. relative, absolute: what may differ by rounding.
    """

    feed: Mapping[str, Array]
    states: Mapping[Node, Array]
    relative: float = 1e-4
    absolute: float = 1e-5


def run_pipeline(
    graph: Graph,
    passes: Sequence[Pass],
    *,
    check: bool = False,
    probe: Probe | None = None,
    dump: str | os.PathLike[str] | None = None,
    watch: Callable[[str, Graph], None] | None = None,
) -> Graph:
    """Run passes one after the other and verify the result.

    check: verify after each pass. probe: also evaluate before and after each pass and raise VerificationError naming
    the first pass whose values differ, and where. dump: a folder for the text after each pass (default: $GRAPHC_DUMP).
    watch: called with each pass's name and its graph.
    """
    folder = dump if dump is not None else os.environ.get(DUMP_VARIABLE)
    _dump(folder, 0, "declared", graph)
    before = run_graph(graph, probe.feed, probe.states) if probe is not None else None
    for number, step in enumerate(passes, 1):
        name = type(step).__name__
        previous, graph = graph, step(graph)
        _dump(folder, number, name, graph)
        if check or probe is not None:
            verify(graph, RULES, name)
        if probe is not None and before is not None:
            before = _compare(name, previous, graph, probe, before)
        if watch is not None:
            watch(name, graph)
    verify(graph, COMPILABLE, "the pipeline")
    return graph


def _dump(folder: str | os.PathLike[str] | None, number: int, name: str, graph: Graph) -> None:
    if folder:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{graph.name}_{number:02}_{name}.txt").write_text(print_graph(graph, origins=True) + "\n", "utf-8")


Values = tuple[dict[str, Array], dict[Node, Array]]


def _compare(name: str, previous: Graph, graph: Graph, probe: Probe, before: Values) -> Values:
    after = run_graph(graph, probe.feed, probe.states)
    for (label, _), old, new in zip(
        _roots(graph), [*before[0].values(), *before[1].values()], [*after[0].values(), *after[1].values()], strict=True
    ):
        if not np.allclose(old, new, probe.relative, probe.absolute, equal_nan=True):
            worst = float(np.nanmax(np.abs(np.asarray(old, np.float64) - np.asarray(new, np.float64))))
            culprit = _first_difference(previous, graph, probe)
            raise VerificationError(
                f"pass {name} changes the value of {label}",
                facts=[("difference", f"up to {worst:.3g}"), *([("node", describe(culprit))] if culprit else [])],
                expected=f"equal values within {probe.relative} of their size",
            )
    return after


def _roots(graph: Graph) -> list[tuple[str, Node]]:
    updates = [(f"the update of {getattr(state.op, 'label', 'a state')!r}", value) for state, value in graph.updates]
    return [(f"output {name!r}", node) for name, node in graph.outputs] + updates


def _first_difference(previous: Graph, graph: Graph, probe: Probe) -> Node | None:
    """The first node of the new graph, by its origin, whose value no node of the same origin and type had before."""
    seen: dict[object, list[Array]] = {}
    run_graph(previous, probe.feed, probe.states, lambda node, value: seen.setdefault(_mark(node), []).append(value))
    odd: list[Node] = []

    def watch(node: Node, value: Array) -> None:
        known = seen.get(_mark(node), [])
        close = (np.allclose(value, old, probe.relative, probe.absolute, equal_nan=True) for old in known)
        if known and not odd and not any(close):
            odd.append(node)

    run_graph(graph, probe.feed, probe.states, watch)
    return odd[0] if odd else None


def _mark(node: Node) -> object:
    return (node.origin.location, node.origin.scope, node.type, node.op.name)
