from __future__ import annotations

import numpy as np

import graphc as gc
from graphc import layers
from graphc.ops.comparison import TrainingSwitch
from graphc.ops.sampling import Random
from graphc.passes.mode import SetMode

X = gc.input("x", shape=("batch", 8))


def dropout() -> gc.Graph:
    return gc.graph_of({"y": layers.Dropout(0.5)(X) * 2.0})


def test_inference_turns_dropout_off_and_drops_its_random_numbers() -> None:
    graph = SetMode(training=False)(dropout())
    assert graph.output("y") is (X * 2.0).node
    assert graph.states == ()


def test_training_keeps_the_mask() -> None:
    graph = SetMode(training=True)(dropout())
    assert not any(isinstance(node.op, TrainingSwitch) for node in graph.nodes)
    assert sum(isinstance(node.op, Random) for node in graph.nodes) == 1


def test_nested_switches_are_all_resolved() -> None:
    inner = gc.training_switch(X, X * 2.0)
    graph = gc.graph_of({"y": gc.training_switch(inner + 1.0, inner * inner)})
    assert SetMode(training=True)(graph).output("y") is (X + 1.0).node
    assert SetMode(training=False)(graph).output("y") is ((X * 2.0) * (X * 2.0)).node


def test_a_compiled_function_computes_the_side_it_was_asked_for() -> None:
    y = gc.training_switch(X + 1.0, X - 1.0)
    data = np.ones((2, 8), np.float32)
    for training, expected in ((True, 2.0), (False, 0.0)):
        got = gc.function([X], y, training=training)(data)
        np.testing.assert_array_equal(np.asarray(got), np.full((2, 8), expected))
