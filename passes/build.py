"""From a graph to a program: the pipeline of graph passes, then fusion, placement, lowering and the memory plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.graph import Graph
from graphc.node import Node
from graphc.passes.fold import Fold
from graphc.passes.fuse import Fuse
from graphc.passes.isolate import IsolateRoots
from graphc.passes.layout import LayOut
from graphc.passes.lower import KernelCall, KernelWriter
from graphc.passes.lower_groups import STATUS, lower_group
from graphc.passes.lower_special import lower_copy
from graphc.passes.memory import MemoryPlan, plan_memory
from graphc.passes.mode import SetMode
from graphc.passes.naming import NameUniquely
from graphc.passes.phases import SplitPhases
from graphc.passes.pipeline import Pass
from graphc.passes.place import place_values
from graphc.passes.simplify import Simplify
from graphc.passes.split import SplitReductions
from graphc.passes.stabilise import Stabilise
from graphc.passes.storage import Storage
from graphc.passes.winograd import UseWinograd

__all__ = ["Program", "build_program", "optimisations"]


def optimisations(training: bool, winograd: bool = True) -> tuple[Pass, ...]:
    """The passes between a declared (and differentiated) graph and its kernels, in their order.

    winograd: whether convolutions may take the form with fewer multiplications.
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
        LayOut(),
        UseWinograd(winograd),
        IsolateRoots(),
    )


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
        return tuple(dict.fromkeys(storage for call in self.calls for storage in call.arguments))


def build_program(graph: Graph, fuse: Fuse | None = None) -> Program:
    """The program of an optimised graph."""
    fusion = (fuse or Fuse())(graph)
    placement = place_values(graph, fusion)
    calls: list[KernelCall] = []
    checks: list[Node] = []
    for group in placement.groups:
        if group.kind == "check":
            checks.append(group.roots[0])
        calls += lower_group(group, fusion.stored, placement.storage, len(checks))
    for source, target in placement.copies:
        calls.append(lower_copy(KernelWriter(fusion.stored, placement.storage), source, target))
    ordered = _checks_first(calls)
    return Program(graph, tuple(ordered), plan_memory(ordered), tuple(checks))


def _checks_first(calls: Sequence[KernelCall]) -> list[KernelCall]:
    """Checks of inputs come before everything else, so that a wrong label stops the step before it changes anything."""

    def of_inputs(call: KernelCall) -> bool:
        return STATUS in call.arguments and all(s.kind in ("input", "status", "constant") for s in call.arguments)

    return [*(call for call in calls if of_inputs(call)), *(call for call in calls if not of_inputs(call))]
