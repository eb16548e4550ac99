"""gc.compile: a loss and an optimizer as a model that trains, evaluates, predicts, saves and loads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from graphc.dims import symbols_of
from graphc.errors import DeclarationError, GradientError
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.state import SEED, STEP, Cell, Parameter, cell_of, updates_on_step
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node, describe
from graphc.ops.leaves import State
from graphc.origin import user_location
from graphc.passes.autodiff import differentiate, start_of
from graphc.passes.build import build_program, optimisations
from graphc.passes.fuse import Fuse
from graphc.passes.naming import NameUniquely
from graphc.passes.pipeline import run_pipeline
from graphc.passes.stabilise import Stabilise
from graphc.rewrite import Firing
from graphc.runtime.callbacks import Callback
from graphc.runtime.checking import check_model
from graphc.runtime.checkpoint import Position, read_checkpoint, restore, write_checkpoint
from graphc.runtime.data import ArrayData, check_batch_size
from graphc.runtime.declared import named_nodes
from graphc.runtime.executable import Executable
from graphc.runtime.history import History
from graphc.runtime.report import program_source, report_of
from graphc.runtime.timeline import write_trace
from graphc.runtime.training import evaluate_on, fit
from graphc.scalar import Array

__all__ = ["Model", "compile"]


class Model:
    """A loss to be minimised, compiled. Made by ``gc.compile``.

    position: where training stands. stabilised: the rewritings that made the formulas safe, with the user's lines.
    """

    def __init__(
        self,
        loss: Tensor,
        optimizer: Optimizer,
        metrics: Mapping[str, Tensor] | None = None,
        outputs: Mapping[str, Tensor] | None = None,
        *,
        seed: int = 0,
        threads: int | None = None,
        fuse: bool = True,
        winograd: bool = True,
        dump: str | os.PathLike[str] | None = None,
        name: str = "model",
    ) -> None:
        _check_loss(loss)
        self.name, self.optimizer, self.threads = name, optimizer, threads
        self.position = Position()
        self._fuse, self.winograd, self._dump = Fuse(enabled=fuse), winograd, dump
        _check_metrics(metrics or {})
        watched = {"loss": loss, **(metrics or {})}
        asked = dict(outputs or {})
        clash = watched.keys() & asked.keys()
        if clash:
            raise DeclarationError(f"{sorted(clash)[0]!r} is both a metric and an output", at=str(user_location()))
        named = named_nodes({**watched, **asked})
        declared = Graph(named, updates_on_step(named), name)
        _check_outputs(asked)
        self._watched, self._asked = list(watched), list(asked)
        self.declared = self._name_states(declared, seed)
        self._programs: dict[str, Executable] = {}
        self.backward, self.stabilised = self._differentiate()

    # Building.
    def _name_states(self, declared: Graph, seed: int) -> Graph:
        """The declared graph with unique names, and a cell for each name."""
        replaced = NameUniquely().replacements(declared)
        own = {SEED: Cell(SEED.type, cell_of(SEED).initializer), STEP: Cell(STEP.type, cell_of(STEP).initializer)}
        own[SEED].set(seed)
        own[STEP].set(0)
        self.cells: dict[str, Cell] = {"seed": own[SEED], "step": own[STEP]}
        self.parameters: list[Parameter] = []
        for node in declared.states:
            label = _label(replaced[node])
            self.cells[label] = own.get(node) or cell_of(node)
            if isinstance(node.op, State) and node.op.trainable:
                self.parameters.append(Parameter(node))
        for label, cell in self.cells.items():
            cell.initialize(seed, label)
        return declared.map(replaced)

    def _differentiate(self) -> tuple[Graph, list[Firing]]:
        """The training graph: loss and metrics, their stable forms, gradients, the updates of states and parameters."""
        names = tuple((key, self.declared.output(key)) for key in self._watched)
        watched = Graph(names, self.declared.updates, self.name)
        stable = Stabilise().rewrite(watched)
        loss = stable.graph.output("loss")
        in_loss = Graph((("loss", loss),)).states
        trainable = [node for node in in_loss if isinstance(node.op, State) and node.op.trainable]
        if not trainable:
            raise GradientError(
                "the loss depends on no trainable parameter",
                facts=[("loss", describe(self.declared.output("loss")))],
                way_out="declare parameters with layers or gc.parameter",
            )
        gradients = differentiate({loss: start_of(loss)}, trainable)
        useless = [node for node in trainable if node not in gradients]
        if useless:
            raise GradientError(
                f"no gradient reaches parameter {_label(useless[0])!r}",
                facts=[("parameter", describe(useless[0]))],
                way_out="it feeds only into operations without derivatives, or behind stop_gradient",
            )
        updates = self.optimizer.updates({node: gradients[node] for node in trainable})
        graph = Graph(stable.graph.outputs, (*stable.graph.updates, *updates.items()), self.name)
        replaced = NameUniquely().replacements(graph)
        for node in graph.states:
            label = _label(replaced[node])
            if label not in self.cells:
                self.cells[label] = cell_of(node)
                self.cells[label].initialize(int(self.cells["seed"].array), label)
        return graph.map(replaced), stable.firings

    def executable(self, mode: str = "train") -> Executable:
        """The compiled program of a mode: "train" (loss, metrics, updates), "evaluate", or "predict" (the outputs)."""
        if mode not in self._programs:
            graph = self.graph(mode)
            cells = {node: self.cells[_label(node)] for node in graph.states}
            self._programs[mode] = Executable(build_program(graph, self._fuse), cells, self.threads)
        return self._programs[mode]

    def graph(self, mode: str = "train") -> Graph:
        """The optimised graph of a mode."""
        if mode == "train":
            return run_pipeline(self.backward, optimisations(True, self.winograd), dump=self._dump)
        if mode not in ("evaluate", "predict"):
            raise DeclarationError(f"there is no mode {mode!r}", expected="train, evaluate or predict")
        names = self._watched if mode == "evaluate" else self._asked
        if not names:
            raise DeclarationError(
                "the model has no outputs to predict",
                at=str(user_location()),
                way_out='give gc.compile outputs={"logits": logits}',
            )
        part = Graph(tuple((key, self.declared.output(key)) for key in names), (), f"{self.name}_{mode}")
        return run_pipeline(part, optimisations(False, self.winograd), dump=self._dump)

    # Using.
    def step(self, feed: Mapping[str, object], check_finite: bool = False) -> dict[str, float]:
        """One training step on one batch: the loss and metrics before the update.

        feed: arrays by input name. Raises FeedError before anything changes.
        """
        executable = self.executable("train")
        arrays, sizes = executable.feeder.prepare(feed, check_finite)
        return {key: float(value) for key, value in executable.run(arrays, sizes).items()}

    def fit(
        self,
        data: Mapping[str, object],
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: Mapping[str, object] | None = None,
        callbacks: Sequence[Callback] = (),
        check_finite: bool = False,
        progress: bool | None = None,
    ) -> History:
        """Train for a number of epochs, from where training stands.

        data, validation_data: arrays by input name, samples along the first axis. shuffle: a new order each epoch, from
        the seed. check_finite: refuse NaN in the data, and stop with NonFiniteError, which names the line, when one
        appears. progress: show a bar; by default only on a terminal. Ctrl-C ends the training after the present step;
        the model is usable and ``history.interrupted`` is True.
        """
        inputs = self.executable("train").program.graph.inputs
        held_out = None
        if validation_data is not None:
            held_out = ArrayData.of(self.executable("evaluate").program.graph.inputs, validation_data, check_finite)
        return fit(
            self,
            ArrayData.of(inputs, data, check_finite),
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation=held_out,
            callbacks=callbacks,
            check_finite=check_finite,
            progress=progress,
        )

    def evaluate(self, data: Mapping[str, object], *, batch_size: int = 256) -> dict[str, float]:
        """The loss and metrics on data, in inference mode, averaged over samples; FeedError if there are none."""
        check_batch_size("evaluate", batch_size)
        inputs = self.executable("evaluate").program.graph.inputs
        return evaluate_on(self, ArrayData.of(inputs, data), batch_size)

    def predict(self, data: Mapping[str, object], *, batch_size: int = 256) -> dict[str, Array]:
        """The outputs on data, in inference mode, batch after batch joined along the first axis."""
        check_batch_size("predict", batch_size)
        executable = self.executable("predict")
        columns = ArrayData.of(executable.program.graph.inputs, data)
        parts: dict[str, list[Array]] = {}
        for batch in columns.batches(batch_size) if columns.count else [columns.columns]:
            arrays, sizes = executable.feeder.prepare(batch)
            for key, value in executable.run(arrays, sizes).items():
                parts.setdefault(key, []).append(value)
        return {key: np.concatenate(values) for key, values in parts.items()}

    def check(self, feed: Mapping[str, object], *, relative: float = 1e-3, absolute: float = 1e-5) -> list[str]:
        """Compare every pass and the compiled step with the reference interpreter on a batch; nothing is changed.

        The result says what was compared. Raises VerificationError that names the first pass (and node), or the output
        or update, whose values differ by more than rounding.
        """
        return check_model(self, feed, relative, absolute)

    def report(self, feed: Mapping[str, object] | None = None, *, batch: int = 32, timed: bool = True) -> str:
        """The training step in figures: memory, and for each kernel operations, bytes, microseconds and their share.

        The rates that a kernel reaches are compared with what this machine can do at best: ``roofline`` is the larger
        of its shares of the peaks. feed: a batch to measure with; without it ``batch`` random samples. timed: False
        leaves out times, rates and peaks.
        """
        return report_of(self, feed, batch, timed)

    def trace(self, feed: Mapping[str, object], path: str | os.PathLike[str]) -> None:
        """Write when each kernel of one training step ran on each thread, for chrome://tracing or ui.perfetto.dev.

        feed: a batch to run the step on; the states are as before afterwards. Each kernel comes with its operations,
        bytes, the user's lines and what it computes. Raises FeedError before anything is written.
        """
        write_trace(self, feed, path)

    def source(self, mode: str = "train", target: str = "cpu") -> str:
        """The generated program of a mode as Python source: each kernel with what it computes and for which line.

        target: "cpu", or "cuda" for the same kernels as numba-cuda would compile them.
        """
        return program_source(self.executable(mode).program, f"{self.name}, {mode}", target)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all states and the position to a safetensors file, as a whole or not at all."""
        write_checkpoint(path, self.cells, self.position)

    def load(self, path: str | os.PathLike[str], parameters_only: bool = False) -> None:
        """Take all states and the position from a file that ``save`` wrote.

        parameters_only: leave the optimizer's state, the step and the position as they are. Raises CheckpointError,
        with the model unchanged, for a file that is damaged, foreign, or of another model.
        """
        states, position = read_checkpoint(path)
        cells = self.cells
        if parameters_only:
            names = {_label(node) for node in self.declared.states if isinstance(node.op, State)} - {"seed", "step"}
            cells = {name: cell for name, cell in cells.items() if name in names}
            states = {name: value for name, value in states.items() if name in names}
        restore(path, states, cells)
        if not parameters_only:
            self.position = position


def _label(node: Node) -> str:
    return node.op.label if isinstance(node.op, State) else ""


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor) or loss.shape or not loss.dtype.is_float:
        raise GradientError(
            "a loss is a float scalar",
            at=str(user_location()),
            facts=[("loss", describe(loss.node) if isinstance(loss, Tensor) else repr(loss))],
            expected="f32[] or f64[]",
            way_out="take the sum or the mean",
        )


def _check_metrics(metrics: Mapping[str, Tensor]) -> None:
    for name, metric in metrics.items():
        if not isinstance(metric, Tensor) or metric.shape:
            raise DeclarationError(
                f"metric {name!r} is no scalar",
                at=str(user_location()),
                facts=[("metric", describe(metric.node) if isinstance(metric, Tensor) else repr(metric))],
                expected="one number for a batch, such as f32[]",
                got=str(metric.type) if isinstance(metric, Tensor) else type(metric).__name__,
                way_out="take the mean, or give it to gc.compile as one of the outputs",
            )


def _check_outputs(outputs: Mapping[str, Tensor]) -> None:
    """Refuse outputs that cannot be joined batch after batch, since their first axis does not grow with the samples."""
    inputs = Graph(named_nodes(outputs)).inputs
    counted = symbols_of(size for node in inputs for size in node.type.shape[:1])
    for name, output in outputs.items():
        if not set(counted) & set(symbols_of(output.shape[:1])):
            raise DeclarationError(
                f"output {name!r} has no first axis that counts samples",
                at=str(user_location()),
                facts=[("output", describe(output.node))],
                expected=f"a first axis of size {' or '.join(counted) or 'batch'}",
                got=str(output.type),
                way_out="make it a metric if it is a scalar, or compute it with gc.function",
            )


def compile(
    loss: Tensor,
    optimizer: Optimizer,
    metrics: Mapping[str, Tensor] | None = None,
    outputs: Mapping[str, Tensor] | None = None,
    *,
    seed: int = 0,
    threads: int | None = None,
    fuse: bool = True,
    winograd: bool = True,
    dump: str | os.PathLike[str] | None = None,
    name: str = "model",
) -> Model:
    """Compile a loss and an optimizer into a model: one program for the whole training step.

    loss: a float scalar. metrics: scalars to be watched. outputs: tensors for ``predict``; their first axis counts
    samples, DeclarationError if it does not. seed: of initial values, random numbers and the order of samples. threads:
    default $GRAPHC_NUM_THREADS or all processors; the bits do not depend on it. fuse: False gives every value a kernel
    of its own, with the same bits. winograd: False computes convolutions of 3 x 3 in float32 as the sums they are
    declared to be, not with fewer multiplications (docs/numerics.md). dump: a folder for the graph's text after each
    pass (default $GRAPHC_DUMP). name: titles pictures and dumps.

    >>> import graphc as gc
    >>> x, y = gc.input("x", shape=("batch", 2)), gc.input("y", shape=("batch", 1))
    >>> loss = gc.losses.mean_squared_error(gc.layers.Dense(1)(x), y)
    >>> model = gc.compile(loss, optimizer=gc.optimizers.SGD(0.1))
    >>> history = model.fit({"x": [[0.0, 1.0], [1.0, 0.0]], "y": [[1.0], [2.0]]}, epochs=100)
    >>> history["loss"][-1] < 0.01
    True
    """
    return Model(
        loss,
        optimizer,
        metrics,
        outputs,
        seed=seed,
        threads=threads,
        fuse=fuse,
        winograd=winograd,
        dump=dump,
        name=name,
    )
