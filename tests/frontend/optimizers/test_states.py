"""The states of every rule: their types in float32, and checkpoints that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.graph import Graph
from graphc.interpret import run_graph
from graphc.ops.leaves import State
from graphc.passes.mode import SetMode
from graphc.scalar import Array
from tests.frontend.optimizers.descent import FEATURES, START, TARGETS, gradient, regression
from tests.frontend.optimizers.test_rules import CASES

FEED = {"x": FEATURES, "y": TARGETS}
WITH_SLOTS = ["Momentum, two points", "Nesterov, look ahead", "RMSProp, centred, momentum", "AMSGrad", "NAdam"]


def new_values(graph: Graph, cells: dict[str, Array]) -> dict[str, Array]:
    """The states after a step by the reference interpreter."""
    states = {node: cells[node.op.label] for node in graph.states if isinstance(node.op, State)}
    feed = {name: array.astype(np.float32) for name, array in FEED.items()}
    _, updates = run_graph(SetMode(training=True)(graph), feed, states)
    return {node.op.label: value for node, value in updates.items() if isinstance(node.op, State)}


@pytest.mark.parametrize("name", CASES)
def test_every_rule_keeps_float32(name: str) -> None:
    optimizer, rule = CASES[name]
    x, y = gc.input("x", ("batch", 3)), gc.input("y", ("batch", 2))
    weight = gc.parameter((2, 3), START, name="weight")
    model = gc.compile(gc.losses.mean_squared_error(x @ weight.T, y), optimizer)
    before = {label: cell.array for label, cell in model.cells.items()}
    after = new_values(model.backward, before)
    for label, value in after.items():
        assert (value.dtype, value.shape) == (before[label].dtype, before[label].shape)
    np.testing.assert_allclose(after["weight"], rule(START, gradient(START), 1), 1e-4, 1e-5)
    assert all(array.dtype == np.float32 for label, array in after.items() if array.shape)


@pytest.mark.parametrize("name", WITH_SLOTS)
def test_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(name: str, tmp_path: Path) -> None:
    optimizer, _ = CASES[name]
    model, weight = regression(optimizer)
    for _ in range(3):
        model.step(FEED)
    model.save(tmp_path / "three.safetensors")
    again, same = regression(optimizer)
    again.load(tmp_path / "three.safetensors")
    for _ in range(2):
        model.step(FEED)
        again.step(FEED)
    np.testing.assert_array_equal(weight.value, same.value)
    for label, cell in model.cells.items():
        np.testing.assert_array_equal(cell.array, again.cells[label].array)
