"""The callback that writes event files for TensorBoard, with tensorboardX."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc.errors import MissingPackageError
from graphc.graph import Graph
from graphc.node import Node
from graphc.origin import user_location
from graphc.runtime.callbacks.callback import Callback

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["GraphNode", "TensorBoard", "graph_nodes"]


@dataclass(frozen=True)
class GraphNode:
    """A node as TensorBoard's graph tab shows it; slashes in names are its groups."""

    name: str
    op: str
    inputs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()


class TensorBoard(Callback):
    """Write curves, histograms of what is learned, and the declared graph for ``tensorboard --logdir folder``.

    folder: of the event files. histograms: draw those of all parameters and states of layers after every so many
    epochs; 0 for none. graph: write the graph when training begins. Needs tensorboardX (``pip install
    'graphc[tensorboard]'``), MissingPackageError without it when training begins.

    >>> import graphc as gc
    >>> gc.callbacks.TensorBoard("run/events", histograms=5).histograms
    5
    """

    def __init__(self, folder: str | os.PathLike[str], histograms: int = 1, graph: bool = True) -> None:
        self.folder, self.histograms, self.graph = Path(folder), histograms, graph
        self._writer: Any = None

    def on_train_begin(self, model: Model) -> None:
        """Open the event file and write the graph."""
        try:
            from tensorboardX import SummaryWriter
            from tensorboardX.proto.event_pb2 import Event
            from tensorboardX.proto.graph_pb2 import GraphDef
        except ImportError:
            raise MissingPackageError(
                "event files for TensorBoard need tensorboardX",
                at=str(user_location()),
                way_out="pip install 'graphc[tensorboard]', or log with gc.callbacks.CSVLog",
            ) from None
        self._writer = SummaryWriter(str(self.folder))
        if self.graph:
            definition = GraphDef()
            for node in graph_nodes(model.declared):
                made = definition.node.add(name=node.name, op=node.op, input=node.inputs)
                for key, text in node.facts:
                    made.attr[key].s = text.encode()
            self._writer.file_writer.add_event(Event(graph_def=definition.SerializeToString()))

    def on_epoch_end(self, model: Model, epoch: int, logs: dict[str, float]) -> None:
        """Write the row; training and validation of one number share a group."""
        for name, value in logs.items():
            if name != "epoch":
                group, kind = name.removeprefix("val_"), "validation" if name.startswith("val_") else "training"
                self._writer.add_scalar(f"{group}/{kind}", value, epoch)
        if self.histograms and epoch % self.histograms == 0:
            for name, cell in model.learned.items():
                self._writer.add_histogram(name, cell.read(), epoch)
        self._writer.flush()

    def on_train_end(self, model: Model) -> None:
        """Close the event file."""
        self._writer.close()


def graph_nodes(graph: Graph) -> list[GraphNode]:
    """The nodes of a graph, grouped by their scopes, and one for each output."""
    names: dict[Node, str] = {}
    for number, node in enumerate(graph.nodes):
        names[node] = getattr(node.op, "label", "") or "/".join([*node.origin.scope, f"{node.op.name}_{number}"])
    shown = [
        GraphNode(name, node.op.name, tuple(names[source] for source in node.inputs), _facts(node))
        for node, name in names.items()
    ]
    return shown + [GraphNode(f"outputs/{name}", "output", (names[node],)) for name, node in graph.outputs]


def _facts(node: Node) -> tuple[tuple[str, str], ...]:
    location = node.origin.location
    return (("type", str(node.type)), *([("line", str(location))] if location is not None else []))
