"""Checking a compilation on real data: every pass, and the compiled step, against the reference interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from graphc.errors import VerificationError
from graphc.graph import Graph
from graphc.interpret import run_graph
from graphc.node import Node, describe
from graphc.ops.leaves import State
from graphc.passes.mode import SetMode
from graphc.passes.pipeline import Probe, run_pipeline
from graphc.runtime.feeds import Feeder
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["check_model"]


def check_model(model: Model, feed: Mapping[str, object], relative: float, absolute: float) -> list[str]:
    """The text of what was compared; VerificationError at the first difference."""
    graph = SetMode(training=True)(model.backward)
    arrays, sizes = Feeder(graph.inputs).prepare(feed)
    before = {name: cell.read() for name, cell in model.cells.items()}
    states = {node: before[node.op.label] for node in graph.states if isinstance(node.op, State)}
    passed: list[str] = []

    def watch(name: str, result: Graph) -> None:
        passed.append(f"pass {name:<14} same values, {len(result.nodes)} nodes")

    probe = Probe(arrays, states, relative, absolute)
    run_pipeline(graph, model.target.passes(training=True), probe=probe, watch=watch)
    expected, updates = run_graph(graph, arrays, states)
    executable = model.executable("train")
    outputs = executable.run(arrays, sizes)
    after = {name: cell.read() for name, cell in model.cells.items()}
    for name, value in before.items():
        model.cells[name].set(value)
    for name, value in outputs.items():
        _compare(f"output {name!r}", value, expected[name], None, relative, absolute)
    for node, wanted in updates.items():
        label = node.op.label if isinstance(node.op, State) else ""
        _compare(f"the new value of {label!r}", after[label], wanted, node, relative, absolute)
    passed.append(
        f"kernels             same outputs and {len(updates)} updates in {len(executable.program.calls)} calls"
    )
    return passed


def _compare(what: str, got: Array, wanted: Array, node: Node | None, relative: float, absolute: float) -> None:
    if not np.allclose(got, wanted, relative, absolute, equal_nan=True):
        worst = float(np.nanmax(np.abs(np.asarray(got, np.float64) - np.asarray(wanted, np.float64))))
        raise VerificationError(
            f"the kernels compute another {what} than the reference interpreter",
            facts=[("difference", f"up to {worst:.3g}"), *([("node", describe(node))] if node is not None else [])],
            expected=f"equal values within {relative} of their size",
            way_out="compile with fuse=False to see whether fusion is to blame",
        )
