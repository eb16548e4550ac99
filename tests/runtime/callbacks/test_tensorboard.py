from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import graphc as gc
from graphc.errors import MissingPackageError
from graphc.runtime.callbacks import TensorBoard
from graphc.runtime.callbacks.tensorboard import graph_nodes
from tests.runtime.callbacks.scripted import scripted_model, train


class Nodes(list[Any]):
    """A repeated field of a message."""

    def add(self, **fields: object) -> object:
        self.append(SimpleNamespace(**fields, attr=defaultdict(SimpleNamespace)))
        return self[-1]


class Recorder:
    """What a writer of event files was asked to write."""

    def __init__(self, folder: str) -> None:
        self.folder, self.calls = folder, list[tuple[object, ...]]()
        self.file_writer = SimpleNamespace(add_event=lambda event: self.calls.append(("graph", event.graph_def)))
        WRITERS.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.calls.append((name, value, step))

    def add_histogram(self, name: str, value: Any, step: int) -> None:
        self.calls.append((name, "histogram", float(value), step))

    def flush(self) -> None:
        self.calls.append(("flush",))

    def close(self) -> None:
        self.calls.append(("close",))


WRITERS: list[Recorder] = []


def definition() -> SimpleNamespace:
    """Stands for a message of a graph; its bytes are the lines of its nodes."""
    nodes = Nodes()
    return SimpleNamespace(node=nodes, SerializeToString=lambda: [f"{node.name} = {node.op}" for node in nodes])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    modules: dict[str, dict[str, object]] = {
        "tensorboardX": {"SummaryWriter": Recorder},
        "tensorboardX.proto": {},
        "tensorboardX.proto.event_pb2": {"Event": SimpleNamespace},
        "tensorboardX.proto.graph_pb2": {"GraphDef": definition},
    }
    for name, values in modules.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    WRITERS.clear()
    return WRITERS


def test_curves_histograms_and_the_graph_are_written(tmp_path: Path, recorded: list[Recorder]) -> None:
    train([5.0, 3.0], TensorBoard(tmp_path))
    (writer,) = recorded
    assert writer.folder == str(tmp_path)
    assert writer.calls[0][0] == "graph"
    assert ("loss/training", 5.0, 1) in writer.calls
    assert ("loss/validation", 3.0, 2) in writer.calls
    assert [call for call in writer.calls if "histogram" in call] == [
        ("weight", "histogram", 5.0, 1),
        ("weight", "histogram", 3.0, 2),
    ]
    assert writer.calls[-1] == ("close",)
    assert writer.calls.count(("flush",)) == 2


def test_histograms_come_every_few_epochs_or_never(tmp_path: Path, recorded: list[Recorder]) -> None:
    train([5.0, 3.0, 1.0], TensorBoard(tmp_path, histograms=2, graph=False), TensorBoard(tmp_path, histograms=0))
    steps = [[call[-1] for call in writer.calls if "histogram" in call] for writer in recorded]
    assert steps == [[2], []]
    assert [writer.calls[0][0] for writer in recorded] == ["loss/training", "graph"]


def test_nodes_are_grouped_by_their_scopes() -> None:
    model = scripted_model()
    nodes = {node.name: node for node in graph_nodes(model.declared)}
    assert nodes["weight"].op == "state"
    assert nodes["outputs/loss"].op == "output"
    assert dict(nodes["x"].facts)["type"] == "f32[batch]"
    assert "scripted.py:" in dict(nodes["x"].facts)["line"]
    assert all(source in nodes for node in nodes.values() for source in node.inputs)
    with gc.scope("outer"), gc.scope("inner"):
        grouped = graph_nodes(gc.graph_of({"y": gc.exp(gc.input("x", shape=()))}))
    assert [node.name for node in grouped] == ["x", "outer/inner/exp_1", "outputs/y"]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingPackageError, match="event files for TensorBoard need tensorboardX") as caught:
        train([1.0], TensorBoard(tmp_path))
    assert caught.value.way_out == "pip install 'graphc[tensorboard]', or log with gc.callbacks.CSVLog"
    assert "model.fit" in str(caught.value.at)
