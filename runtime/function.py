"""gc.function: any graph as a Python function of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from graphc.errors import DeclarationError
from graphc.frontend.state import SEED, STEP, Cell, cell_of
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import Input
from graphc.ops.sampling import Random
from graphc.origin import user_location
from graphc.passes.build import Program
from graphc.passes.naming import NameUniquely
from graphc.passes.pipeline import run_pipeline
from graphc.runtime.declared import named_nodes
from graphc.runtime.executable import Executable
from graphc.runtime.feeds import Feeder
from graphc.runtime.report import program_source
from graphc.runtime.target import Target

if TYPE_CHECKING:
    from graphc.runtime.cuda.executable import CudaExecutable

__all__ = ["Function", "bind_cells", "function"]

Outputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


def bind_cells(graph: Graph, own: Mapping[Node, Cell], seed: int) -> tuple[Graph, dict[Node, Cell]]:
    """The graph with unique names, and the cell of each of its states; cells that have no value get it from the seed.

    own: cells that stand for states of this program alone, as its seed and step counter.
    """
    replaced = NameUniquely().replacements(graph)
    cells = {replaced[node]: own[node] if node in own else cell_of(node) for node in graph.states}
    for node, cell in cells.items():
        cell.initialize(seed, str(getattr(node.op, "label", "")))
    return graph.map(replaced), cells


class Function:
    """A compiled graph. Call it with arrays in the order of the inputs, or by their names.

    It returns what ``outputs`` was: one array, a list, or a dictionary.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Outputs,
        updates: Mapping[Tensor, Tensor] | Sequence[tuple[Tensor, Tensor]] = (),
        *,
        training: bool = False,
        seed: int = 0,
        threads: int | None = None,
        fuse: bool = True,
        winograd: bool = True,
        target: str | None = None,
        precision: str = "float32",
        name: str = "function",
    ) -> None:
        self._kind = "one" if isinstance(outputs, Tensor) else "dict" if isinstance(outputs, Mapping) else "list"
        pairs = list(updates.items() if isinstance(updates, Mapping) else updates)
        declared = Graph(
            named_nodes(_named(outputs)),
            tuple((state.node, value.node) for state, value in pairs),
            name,
            tuple(tensor.node for tensor in inputs),
        )
        declared = _count_calls(declared)
        self._inputs = [tensor.node for tensor in inputs]
        self._feeder = Feeder(self._inputs)
        _check_inputs(self._inputs, declared)
        step, seed_cell = Cell(STEP.type, cell_of(STEP).initializer), Cell(SEED.type, cell_of(SEED).initializer)
        seed_cell.set(seed)
        step.set(0)
        graph, self._cells = bind_cells(declared, {SEED: seed_cell, STEP: step}, seed)
        self.target = Target.of(target, threads, fuse, winograd, precision)
        self._bound, self._training = graph, training
        self.graph = run_pipeline(graph, self.target.passes(training))
        self._program = self.target.program(self.graph)
        if self.target.name == "cpu":
            self._executable = self._compile()

    def _compile(self) -> Executable | CudaExecutable:
        return self.target.executable(self._program, self._cells)

    @cached_property
    def _executable(self) -> Executable | CudaExecutable:
        """The compiled program; for a GPU from the first call on, so that the source can be read without one."""
        return self._compile()

    @property
    def program(self) -> Program:
        """The kernel calls and the memory plan."""
        return self._program

    def source(self, target: str | None = None) -> str:
        """The generated program as Python source. target: "cpu" or "cuda"; by default the function's own."""
        chosen = self.target.other(target)
        if chosen == self.target:
            return program_source(self.program, self.graph.name, chosen)
        graph = run_pipeline(self._bound, chosen.passes(self._training))
        return program_source(chosen.program(graph), graph.name, chosen)

    def __call__(self, *args: object, **named: object) -> object:
        """Compute the outputs; FeedError for arrays that do not fit."""
        labels = [node.op.label for node in self._inputs if isinstance(node.op, Input)]
        if len(args) > len(labels):
            raise DeclarationError(
                f"{len(args)} arguments for {len(labels)} inputs", expected=", ".join(labels), at=str(user_location())
            )
        feed = dict(zip(labels, args, strict=False)) | named
        arrays, sizes = self._feeder.prepare(feed)
        found = self._executable.run(arrays, sizes)
        outputs = {name: np.asarray(value) for name, value in found.items()}  # a GPU may still compute a number
        if self._kind == "one":
            return outputs["output"]
        return outputs if self._kind == "dict" else list(outputs.values())


def _named(outputs: Outputs) -> dict[str, Tensor]:
    if isinstance(outputs, Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping):
        return dict(outputs)
    return {f"output{number}": tensor for number, tensor in enumerate(outputs)}


def _count_calls(graph: Graph) -> Graph:
    """The graph with an update of the step counter if it draws random numbers, so that every call draws new ones."""
    random = any(isinstance(node.op, Random) for node in graph.nodes)
    if not random or any(state is STEP for state, _ in graph.updates):
        return graph
    return replace(graph, updates=(*graph.updates, (STEP, (Tensor(STEP) + 1).node)))


def _check_inputs(inputs: Sequence[Node], graph: Graph) -> None:
    for node in inputs:
        if not isinstance(node.op, Input):
            raise DeclarationError("an argument of a function is no input", at=str(user_location()), got=repr(node))
    missing = [node.op.label for node in graph.inputs if node not in inputs and isinstance(node.op, Input)]
    if missing:
        raise DeclarationError(
            f"the outputs depend on input {missing[0]!r}, which is not among the function's inputs",
            at=str(user_location()),
            way_out="add it to the list of inputs",
        )


def function(
    inputs: Sequence[Tensor],
    outputs: Outputs,
    updates: Mapping[Tensor, Tensor] | Sequence[tuple[Tensor, Tensor]] = (),
    *,
    training: bool = False,
    seed: int = 0,
    threads: int | None = None,
    fuse: bool = True,
    winograd: bool = True,
    target: str | None = None,
    precision: str = "float32",
    name: str = "function",
) -> Function:
    """Compile a graph into a function of arrays.

    inputs: tensors made by ``gc.input``, in the order of the arguments. outputs: one tensor, a list, or a dictionary.
    updates: pairs (state, new value) applied at each call. training: which side of dropout and the like. seed: of
    random numbers and initial values; every call draws new numbers. threads: default $GRAPHC_NUM_THREADS or all
    processors. fuse: False gives every value a kernel of its own, with the same bits. winograd: False computes
    convolutions of 3 x 3 in float32 as the sums they are declared to be, not with fewer multiplications. target,
    precision: as in ``gc.compile``.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("n",))
    >>> double = gc.function([x], x * 2)
    >>> double([1.0, 2.0])
    array([2., 4.], dtype=float32)
    """
    return Function(
        inputs,
        outputs,
        updates,
        training=training,
        seed=seed,
        threads=threads,
        fuse=fuse,
        winograd=winograd,
        target=target,
        precision=precision,
        name=name,
    )
