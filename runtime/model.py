"""gc.compile: a loss and an optimizer as a model that trains, evaluates, predicts, saves and loads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

import numpy as np

from graphc.dims import symbols_of
from graphc.errors import DeclarationError
from graphc.frontend.metrics import Metric
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.selection import ParametersLike
from graphc.frontend.state import SEED, STEP, Cell, Parameter, cell_of, updates_on_step
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node, describe
from graphc.ops.leaves import State
from graphc.origin import user_location
from graphc.passes.build import Program
from graphc.passes.naming import NameUniquely
from graphc.passes.pipeline import run_pipeline
from graphc.passes.stabilise import Stabilise
from graphc.rewrite import Firing
from graphc.runtime.averages import averaged
from graphc.runtime.callbacks import Callback
from graphc.runtime.checking import check_model
from graphc.runtime.checkpoint import Position, read_checkpoint, restore, write_checkpoint
from graphc.runtime.data.arrays import ArrayData
from graphc.runtime.data.loader import Data, source_of
from graphc.runtime.data.sources import Epoch, check_batch_size
from graphc.runtime.declared import named_nodes
from graphc.runtime.executable import Executable
from graphc.runtime.history import History
from graphc.runtime.objective import Objective, as_objectives, watched_losses
from graphc.runtime.report import program_source, report_of
from graphc.runtime.target import Target
from graphc.runtime.timeline import write_trace
from graphc.runtime.training import evaluate_on, fit
from graphc.runtime.watching import Watching
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.cuda.executable import CudaExecutable

__all__ = ["Model", "compile"]


class Model:
    """A loss to be minimised, compiled. Made by ``gc.compile``.

    position: where training stands. stabilised: the rewritings that made the formulas safe, with the user's lines.
    objectives: what is minimised, by which optimizer. averages: the states that average parameters, by their names.
    """

    def __init__(
        self,
        loss: Tensor | Objective | Sequence[Objective],
        optimizer: Optimizer | None = None,
        metrics: Mapping[str, Tensor | Metric] | None = None,
        outputs: Mapping[str, Tensor] | None = None,
        *,
        parameters: ParametersLike | None = None,
        seed: int = 0,
        threads: int | None = None,
        fuse: bool = True,
        winograd: bool = True,
        target: str | None = None,
        precision: str = "float32",
        dump: str | os.PathLike[str] | None = None,
        name: str = "model",
    ) -> None:
        self.objectives = as_objectives(loss, optimizer, parameters)
        self.name, self.target = name, Target.of(target, threads, fuse, winograd, precision)
        self.position = Position()
        self._dump = dump
        self.watching = Watching.of(metrics or {})
        losses, asked = watched_losses(self.objectives), dict(outputs or {})
        counted = {key: value.counts if isinstance(value, Metric) else value for key, value in (metrics or {}).items()}
        watched = {**losses, **counted}
        for key in losses.keys() & (metrics or {}).keys():
            raise DeclarationError(f"{key!r} is both a loss and a metric", at=str(user_location()))
        clash = watched.keys() & asked.keys()
        if clash:
            raise DeclarationError(f"{sorted(clash)[0]!r} is both a metric and an output", at=str(user_location()))
        named = named_nodes({**watched, **asked})
        declared = Graph(named, updates_on_step(named), name)
        _check_outputs(asked)
        self._watched, self._asked = list(watched), list(asked)
        self.declared = self._name_states(declared, seed)
        self._programs: dict[str, Program] = {}
        self._executables: dict[str, Executable | CudaExecutable] = {}
        self.backward, self.stabilised = self._differentiate()

    # Building.
    def _name_states(self, declared: Graph, seed: int) -> Graph:
        """The declared graph with unique names, and a cell for each name."""
        replaced = NameUniquely().replacements(declared)
        self._declared_by = {replaced[node]: node for node in declared.states}
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
        several = len(self.objectives) > 1
        updates: dict[Node, Node] = {}
        for objective in self.objectives:
            loss = stable.graph.output(objective.name if several else "loss")
            found = objective.updates(loss, self._declared_by)
            _check_disjoint([node for node in found if node in updates and node is not STEP])
            updates |= found
        graph = Graph(stable.graph.outputs, (*stable.graph.updates, *updates.items()), self.name)
        replaced = NameUniquely().replacements(graph)
        for node in graph.states:
            label = _label(replaced[node])
            if label not in self.cells:
                self.cells[label] = cell_of(node)
                self.cells[label].initialize(int(self.cells["seed"].read()), label)
        self.averages = {
            _label(replaced[node]): _label(replaced[average])
            for objective in self.objectives
            for node, average in objective.optimizer.averages.items()
            if node in updates
        }
        return graph.map(replaced), stable.firings

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; of several objectives, that of the first."""
        return self.objectives[0].optimizer

    def executable(self, mode: str = "train") -> Executable | CudaExecutable:
        """The compiled program of a mode: "train" (loss, metrics, updates), "evaluate", or "predict" (the outputs)."""
        if mode not in self._executables:
            program = self.program(mode)
            cells = {node: self.cells[_label(node)] for node in program.graph.states}
            self._executables[mode] = self.target.executable(program, cells)
        return self._executables[mode]

    def program(self, mode: str = "train") -> Program:
        """The program of a mode: its kernels and its memory, of which nothing is compiled yet."""
        if mode not in self._programs:
            self._programs[mode] = self.target.program(self.graph(mode))
        return self._programs[mode]

    def graph(self, mode: str = "train", target: Target | None = None) -> Graph:
        """The optimised graph of a mode, for the model's target or another."""
        target = target if target is not None else self.target
        if mode == "train":
            return run_pipeline(self.backward, target.passes(training=True), dump=self._dump)
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
        return run_pipeline(part, target.passes(training=False), dump=self._dump)

    # Using.
    def step(self, feed: Mapping[str, object], check_finite: bool = False) -> dict[str, float]:
        """One training step on one batch: the loss and metrics before the update.

        feed: arrays by input name. Raises FeedError before anything changes.
        """
        executable = self.executable("train")
        arrays, sizes = executable.feeder.prepare(feed, check_finite)
        return self.watching.values(executable.run(arrays, sizes))

    def fit(
        self,
        data: Data,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: Data | None = None,
        validation_split: float = 0.0,
        callbacks: Sequence[Callback] = (),
        check_finite: bool = False,
        progress: bool | None = None,
    ) -> History:
        """Train for a number of epochs, from where training stands.

        data, validation_data: arrays by input name, samples along the first axis (``np.load(..., mmap_mode="r")`` and
        ``gc.data.Column`` are read batch by batch); or an iterable of batches, or a function of the epoch (from 1) that
        makes them, whose sizes and order then count; or a ``gc.data.Loader`` of either. validation_split: validate on
        the last so large a part of the arrays, taken before any shuffling. shuffle: a new order each epoch, from the
        seed. check_finite: refuse NaN in the data, and stop with NonFiniteError, which names the line, when one
        appears. progress: show a bar; by default only on a terminal. Ctrl-C ends the training after the present step;
        the model is usable and ``history.interrupted`` is True. Raises FeedError for data that do not fit, before any
        step for arrays, before its own step for a batch.
        """
        source = source_of(self.program("train").graph.inputs, data, check_finite, training=True)
        held_out = None
        if validation_data is not None:
            held_out = source_of(self.program("evaluate").graph.inputs, validation_data, check_finite)
        if validation_split:
            if held_out is not None:
                raise DeclarationError(
                    "fit takes validation_data or validation_split, not both", at=str(user_location())
                )
            source, last = source.held_out(validation_split)
            held_out = last.only(self.executable("evaluate").feeder.labels)
        return fit(
            self,
            source,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation=held_out,
            callbacks=callbacks,
            check_finite=check_finite,
            progress=progress,
        )

    def evaluate(self, data: Data, *, batch_size: int = 256) -> dict[str, float]:
        """The loss and metrics on data, in inference mode: means over samples, and finished counts.

        Raises FeedError if there are no samples.
        """
        check_batch_size("evaluate", batch_size)
        return evaluate_on(self, source_of(self.program("evaluate").graph.inputs, data), batch_size)

    def predict(self, data: Data, *, batch_size: int = 256) -> dict[str, Array]:
        """The outputs on data, in inference mode, batch after batch joined along the first axis."""
        check_batch_size("predict", batch_size)
        executable = self.executable("predict")
        source = source_of(executable.program.graph.inputs, data)
        parts: dict[str, list[Array]] = {}
        with closing(source.epoch(Epoch(batch_size))) as batches:
            for batch in [source.columns] if isinstance(source, ArrayData) and not source.count else batches:
                arrays, sizes = executable.feeder.prepare(batch)
                for key, value in executable.run(arrays, sizes).items():
                    parts.setdefault(key, []).append(value)
        return {key: np.concatenate(values) for key, values in parts.items()}

    def averaged(self) -> AbstractContextManager[None]:
        """A block in which the weights are the averages that ``gc.optimizers.Average`` keeps, and these the weights.

        Evaluate, predict or save in it; do not train. Before the first step the weights stay what they are.
        DeclarationError if the model keeps no averages.
        """
        return averaged(self)

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

    def source(self, mode: str = "train", target: str | None = None) -> str:
        """The generated program of a mode as Python source: each kernel with what it computes and for which line.

        target: "cpu" or "cuda"; by default the model's own. No GPU is needed.
        """
        chosen = self.target.other(target)
        program = self.program(mode) if chosen == self.target else chosen.program(self.graph(mode, chosen))
        return program_source(program, f"{self.name}, {mode}", chosen)

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
            cells = self.learned
            states = {name: value for name, value in states.items() if name in cells}
        restore(path, states, cells)
        if not parameters_only:
            self.position = position

    @property
    def learned(self) -> dict[str, Cell]:
        """What the model itself has learned, by name: parameters and the states of layers, but not the optimizer's."""
        names = [_label(node) for node in self.declared.states]
        return {name: self.cells[name] for name in names if name not in ("seed", "step")}


def _label(node: Node) -> str:
    return node.op.label if isinstance(node.op, State) else ""


def _check_disjoint(shared: Sequence[Node]) -> None:
    if shared:
        raise DeclarationError(
            f"{_label(shared[0])!r} is changed by two objectives",
            at=str(user_location()),
            facts=[("state", describe(shared[0]))],
            expected="parameters, and an optimizer, of each objective's own",
            way_out="give gc.objective the parameters that it trains",
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
    loss: Tensor | Objective | Sequence[Objective],
    optimizer: Optimizer | None = None,
    metrics: Mapping[str, Tensor | Metric] | None = None,
    outputs: Mapping[str, Tensor] | None = None,
    *,
    parameters: ParametersLike | None = None,
    seed: int = 0,
    threads: int | None = None,
    fuse: bool = True,
    winograd: bool = True,
    target: str | None = None,
    precision: str = "float32",
    dump: str | os.PathLike[str] | None = None,
    name: str = "model",
) -> Model:
    """Compile a loss and an optimizer into a model: one program for the whole training step.

    loss: a float scalar, or objectives (``gc.objective``), which one step minimises together. metrics: scalars
    to be watched, averaged over samples, or ``gc.metrics.Metric``, whose counts are summed over batches. outputs:
    tensors for ``predict``; their first axis counts samples, DeclarationError if it does not.
    parameters: which ones are trained, a list or a function of a parameter; by default all trainable ones that the
    loss depends on. Models that share parameters share their values. seed: of initial values, random numbers and the
    order of samples. threads: default $GRAPHC_NUM_THREADS or all processors; the bits do not depend on it. fuse: False
    gives every value a kernel of its own, with the same bits. winograd: False computes convolutions of 3 x 3 in float32
    as the sums they are declared to be, not with fewer multiplications (docs/numerics.md). target: "cpu", or "cuda" for
    the first NVIDIA GPU (docs/cuda.md); default $GRAPHC_TARGET or "cpu". precision: of products on a GPU, "float32",
    "exact" for the bits of the CPU, "tf32" or "bfloat16" for faster products of rounded operands. dump: a folder for
    the graph's text after each pass (default $GRAPHC_DUMP). name: titles pictures and dumps.

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
        parameters=parameters,
        seed=seed,
        threads=threads,
        fuse=fuse,
        winograd=winograd,
        target=target,
        precision=precision,
        dump=dump,
        name=name,
    )
