"""From a graph to a program: the pipeline of graph passes, then fusion, placement, lowering and the memory plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from graphc.graph import Graph
from graphc.node import Node
from graphc.passes.bodies import OptimiseBodies
from graphc.passes.fold import Fold
from graphc.passes.fuse import Fuse
from graphc.passes.gemm import split_products
from graphc.passes.isolate import IsolateRoots
from graphc.passes.layout import LayOut
from graphc.passes.lower import KernelCall, KernelWriter
from graphc.passes.lower_groups import STATUS, lower_group
from graphc.passes.lower_scan import lower_cond, lower_scan
from graphc.passes.lower_special import lower_copy
from graphc.passes.memory import MemoryPlan, plan_memory
from graphc.passes.mode import SetMode
from graphc.passes.naming import NameUniquely
from graphc.passes.phases import SplitPhases
from graphc.passes.pipeline import Pass, run_pipeline
from graphc.passes.place import place_values
from graphc.passes.rows import merge_rows
from graphc.passes.simplify import Simplify
from graphc.passes.split import SplitReductions
from graphc.passes.stabilise import Stabilise
from graphc.passes.storage import Side, Storage, memory_of
from graphc.passes.winograd import UseWinograd

__all__ = ["Program", "build_program", "checks_inputs", "optimisations"]


def optimisations(training: bool, winograd: bool = True, vectors: bool = True) -> tuple[Pass, ...]:
    """The passes between a declared (and differentiated) graph and its kernels, in their order.

    winograd: whether convolutions may take the form with fewer multiplications. vectors: whether kernels read right
    operands of products in vectors.
    """
    return (
        NameUniquely(),
        SetMode(training),
        Stabilise(),
        Simplify(),
        Fold(),
        Simplify(),
        SplitReductions(),
        SplitPhases(),
        LayOut(vectors),
        UseWinograd(winograd),
        OptimiseBodies(partial(_optimised_body, training=training, winograd=winograd, vectors=vectors)),
        IsolateRoots(),
    )


def _optimised_body(body: Graph, training: bool, winograd: bool, vectors: bool) -> Graph:
    """The body of a loop after all passes but the last, which follows when it is known what of it is needed."""
    return run_pipeline(body, optimisations(training, winograd, vectors)[:-1], dump="")


@dataclass(frozen=True)
class Program:
    """A graph as a sequence of kernel calls over planned memory; nothing of it is compiled yet.

    checks: the range checks by the code that they write to the status.
    """

    graph: Graph
    calls: tuple[KernelCall, ...]
    plan: MemoryPlan
    checks: tuple[Node, ...]

    @property
    def storages(self) -> tuple[Storage, ...]:
        """All storages that the calls use, in the order of first use."""
        arguments = [argument for call in self.calls for argument in call.arguments]
        arguments += [place.condition for call in self.calls for place in call.loops if isinstance(place, Side)]
        return tuple(dict.fromkeys(memory for argument in arguments for memory in memory_of(argument)))


def build_program(graph: Graph, fuse: Fuse | None = None, split: bool = False, on_gpu: bool = False) -> Program:
    """The program of an optimised graph.

    split: large products have kernels of their own, for a library to compute. on_gpu: what is computed row by row, one
    call after the other, becomes one kernel, and so does the writing of a padded tensor.
    """
    checks: list[Node] = []
    ordered = _checks_first(_calls_of(graph, fuse or Fuse(), checks, count(), on_gpu))
    if split:
        ordered = split_products(ordered)
    if on_gpu:
        ordered = merge_rows(ordered)
    return Program(graph, tuple(ordered), plan_memory(ordered), tuple(checks))


def _calls_of(graph: Graph, fuse: Fuse, checks: list[Node], numbers: Iterator[int], on_gpu: bool) -> list[KernelCall]:
    """The calls that compute a graph; numbers: for names of loops and choices."""
    fusion = fuse(graph)
    placement = place_values(graph, fusion)
    calls: list[KernelCall] = []
    for group in placement.groups:
        if group.kind == "check":
            checks.append(group.roots[0])
        if group.kind in ("scan", "cond"):
            lower = lower_scan if group.kind == "scan" else lower_cond
            body = partial(_calls_of, fuse=fuse, checks=checks, numbers=numbers, on_gpu=on_gpu)
            calls += lower(group.roots, fusion.stored, placement.storage, f"{group.kind}{next(numbers)}", body)
        else:
            calls += lower_group(group, fusion.stored, placement.storage, len(checks), on_gpu)
    for source, target in placement.copies:
        calls.append(lower_copy(KernelWriter(fusion.stored, placement.storage), source, target))
    return calls


def checks_inputs(call: KernelCall) -> bool:
    """Whether a call is a range check of what is fed, or of what is computed from that alone in the same kernel."""
    return STATUS in call.arguments and all(s.kind in ("input", "status", "constant") for s in call.arguments)


def _checks_first(calls: Sequence[KernelCall]) -> list[KernelCall]:
    """Checks of inputs come before everything else, so that a wrong label stops the step before it changes anything."""
    return [*(call for call in calls if checks_inputs(call)), *(call for call in calls if not checks_inputs(call))]
