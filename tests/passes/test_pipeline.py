from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import VerificationError
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph, rebuild
from graphc.node import Node, apply
from graphc.ops.transcendental import Exp, Sin
from graphc.origin import Origin
from graphc.passes.build import optimisations
from graphc.passes.pipeline import DUMP_VARIABLE, Pass, Probe, run_pipeline
from graphc.passes.simplify import Simplify
from graphc.tensor_type import tensor_type
from graphc.text import parse
from tests.passes.building import perceptron

X = gc.input("x", shape=("batch", 3))
FEED = {"x": np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]], np.float32)}


@dataclass(frozen=True)
class SineForExp:
    """A wrong pass: it computes sines where exponentials were asked for."""

    description: str = "a mistake"

    def __call__(self, graph: Graph) -> Graph:
        def change(node: Node) -> Node:
            return apply(Sin(), *node.inputs) if isinstance(node.op, Exp) else node

        return graph.map(rebuild(graph.nodes, change))


@dataclass(frozen=True)
class ForgeType:
    """A wrong pass: its output has a type that its op does not infer."""

    description: str = "another mistake"

    def __call__(self, graph: Graph) -> Graph:
        return Graph((("y", Node(Exp(), (X.node,), tensor_type("f64", 3), Origin())),))


@dataclass(frozen=True)
class ShiftSums:
    """A wrong pass: every sum comes out a little larger."""

    description: str = "a small mistake"

    def __call__(self, graph: Graph) -> Graph:
        def change(node: Node) -> Node:
            if node.op.name != "reduce_sum":
                return node
            return apply(node.op, (Tensor(node.inputs[0]) * 1.01).node)

        return graph.map(rebuild(graph.nodes, change))


def declared() -> Graph:
    return gc.graph_of({"y": gc.sum(gc.exp(X * 1.0), axis=1)}, name="probed")


def test_passes_run_in_their_order_and_are_watched() -> None:
    seen: list[tuple[str, int]] = []
    run_pipeline(
        declared(), optimisations(training=True), watch=lambda name, graph: seen.append((name, len(graph.nodes)))
    )
    assert [name for name, _ in seen] == [type(step).__name__ for step in optimisations(training=True)]
    assert dict(seen) == {
        "NameUniquely": 6,
        "SetMode": 6,
        "Stabilise": 6,
        "Simplify": 3,
        "Fold": 3,
        "SplitReductions": 3,
        "SplitPhases": 3,
        "LayOut": 3,
        "UseWinograd": 3,
        "OptimiseBodies": 3,
        "IsolateRoots": 3,
    }


def test_every_pass_says_in_a_few_words_what_it_does() -> None:
    for step in optimisations(training=True):
        assert 10 < len(step.description) < 80


def test_the_text_after_each_pass_is_dumped_and_parses(tmp_path: Path) -> None:
    run_pipeline(declared(), optimisations(training=True), dump=tmp_path / "new")
    names = ["declared", *(type(step).__name__ for step in optimisations(training=True))]
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == [f"probed_{number:02}_{name}.txt" for number, name in enumerate(names)]
    first, last = files[0].read_text("utf-8"), files[-1].read_text("utf-8")
    assert "multiply" in first
    assert "multiply" not in last
    assert "test_pipeline.py" in last
    assert [len(parse(text).nodes) for text in (first, last)] == [6, 3]


def test_the_environment_names_the_folder_of_dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DUMP_VARIABLE, str(tmp_path))
    run_pipeline(declared(), [Simplify()])
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["probed_00_declared.txt", "probed_01_Simplify.txt"]


def test_a_model_dumps_its_backward_pass_and_updates(tmp_path: Path) -> None:
    w = gc.parameter((3,), "ones", name="w")
    gc.compile(gc.sum(gc.tanh(X @ w)), optimizers.SGD(0.1), dump=tmp_path, name="dumped").graph("train")
    text = (tmp_path / "dumped_00_declared.txt").read_text("utf-8")
    assert "update" in text
    assert len(list(tmp_path.iterdir())) == 1 + len(optimisations(training=True))


def test_a_probe_passes_when_all_passes_are_right() -> None:
    graph = run_pipeline(declared(), optimisations(training=True), probe=Probe(FEED, {}))
    assert graph.output("y").op.name == "reduce_sum"


def test_a_probe_names_the_first_wrong_pass_and_the_output() -> None:
    passes: list[Pass] = [Simplify(), SineForExp(), Simplify()]
    with pytest.raises(VerificationError) as caught:
        run_pipeline(declared(), passes, probe=Probe(FEED, {}))
    text = str(caught.value)
    assert text.startswith("pass SineForExp changes the value of output 'y'\n  difference up to ")
    assert "expected   equal values within 0.0001 of their size" in text


def test_a_probe_names_the_first_node_that_differs() -> None:
    with pytest.raises(VerificationError) as caught:
        run_pipeline(declared(), [Simplify(), ShiftSums()], probe=Probe(FEED, {}))
    text = str(caught.value)
    assert text.startswith("pass ShiftSums changes the value of output 'y'\n")
    assert "node       f32[batch]  result of reduce_sum, declared at" in text
    assert 'return gc.graph_of({"y": gc.sum(gc.exp(X * 1.0), axis=1)}, name="probed")' in text


def test_a_probe_forgives_rounding_as_told() -> None:
    run_pipeline(declared(), [ShiftSums()], probe=Probe(FEED, {}, relative=0.02))


def test_a_probe_compares_updates_too() -> None:
    state = gc.state([1.0, 2.0, 3.0], name="counter")
    graph = gc.graph_of({"y": X * 1.0}, {state: gc.exp(state)})
    states = {node: np.array([1.0, 2.0, 3.0], np.float32) for node in graph.states}
    with pytest.raises(VerificationError, match="pass SineForExp changes the value of the update of 'counter'"):
        run_pipeline(graph, [SineForExp()], probe=Probe(FEED, states))


def test_the_verifier_names_the_pass_that_broke_the_graph_where_it_is_asked_to() -> None:
    with pytest.raises(VerificationError, match="the graph is malformed after ForgeType: its op infers f32"):
        run_pipeline(declared(), [ForgeType(), Simplify()], check=True)


def test_the_verifier_always_runs_at_the_end() -> None:
    with pytest.raises(VerificationError, match="the graph is malformed after the pipeline: its op infers f32"):
        run_pipeline(declared(), [ForgeType()])
    switch = gc.graph_of({"y": gc.training_switch(X, X * 2.0)})
    with pytest.raises(VerificationError, match="the training switch was not resolved"):
        run_pipeline(switch, [Simplify()])


def test_every_pass_leaves_the_training_graph_sound() -> None:
    model = perceptron(optimizers.Adam())
    run_pipeline(model.backward, optimisations(training=True), check=True)
