"""Reports: a program in figures, and its kernels as source to be read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphc.dims import Dim, Size, evaluate
from graphc.dtypes import DType
from graphc.errors import DeclarationError
from graphc.frontend.state import SEED, STEP
from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import Input, State
from graphc.passes.build import Program
from graphc.passes.lower import KernelCall
from graphc.passes.source import CPU, CUDA, print_function, print_kernel
from graphc.passes.spaces import cone
from graphc.runtime.executable import Executable
from graphc.scalar import Array
from graphc.text.printer import number_nodes, print_line

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["profile", "program_source", "report_of"]

_REPEATS = 30
_TARGETS = {
    "cpu": (CPU, "printed as numba compiles them for the CPU"),
    "cuda": (CUDA, "printed as numba-cuda would compile them"),
}


def report_of(model: Model, feed: Mapping[str, object] | None, batch: int, timed: bool) -> str:
    """The text of ``Model.report``."""
    executable = model.executable("train")
    program = executable.program
    arrays, sizes = executable.feeder.prepare(feed or _random_feed(program.graph, batch))
    times = profile(executable, arrays, sizes) if timed else None
    given = ", ".join(f"{name} = {number}" for name, number in sizes.items())
    plan = program.plan
    trained = sum(int(np.prod(parameter.value.shape)) for parameter in model.parameters)
    state_bytes = sum(cell.array.nbytes for cell in model.cells.values())
    kernels = len({print_kernel(call.kernel).code for call in program.calls})
    lines = [
        f"{model.name}: one training step, {given}, {executable.threads} threads",
        f"  parameters  {trained:,} numbers",
        f"  states      {state_bytes:,} bytes with the optimizer's",
        f"  arena       {plan.arena_bytes(sizes):,} bytes = {plan.formula}",
        f"  kernels     {len(program.calls)} calls of {kernels} kernels",
        f"  operations  {_total(program.calls, sizes):,} floating point",
        "",
        *_kernel_table(program.calls, sizes, times),
    ]
    return "\n".join(lines)


def _kernel_table(
    calls: Sequence[KernelCall], sizes: Mapping[str, int], times: Sequence[float] | None
) -> Iterator[str]:
    names = max(len(call.kernel.name) for call in calls)
    clock = "        us   share" if times is not None else ""
    yield f"   #  {'kernel':<{names}}  {'operations':>12}  {'bytes':>12}{clock}"
    whole = sum(times) if times is not None else 1.0
    for number, call in enumerate(calls):
        moved = sum(evaluate(s.type.elements, sizes) * s.type.dtype.itemsize for s in call.arguments)
        row = f"  {number + 1:>2}  {call.kernel.name:<{names}}  {_flops(call, sizes):>12,}  {moved:>12,}"
        if times is not None:
            row += f"  {times[number] * 1e6:>8.2f}  {times[number] / whole:>5.1%}"
        yield row
    if times is not None:
        yield f"      {'sum of the kernels':<{names}}  {'':>12}  {'':>12}  {whole * 1e6:>8.2f}"


def _flops(call: KernelCall, sizes: Mapping[str, int]) -> int:
    return sum(evaluate(size, sizes) for size in call.flops)


def _total(calls: Sequence[KernelCall], sizes: Mapping[str, int]) -> int:
    return sum(_flops(call, sizes) for call in calls)


def _random_feed(graph: Graph, batch: int) -> dict[str, Array]:
    """Numbers of the right types: floats between 0 and 1, integers 0."""
    rng = np.random.default_rng(0)
    feed: dict[str, Array] = {}
    for node in graph.inputs:
        shape = tuple(_number(size, batch) for size in node.type.shape)
        label = str(getattr(node.op, "label", ""))
        feed[label] = rng.random(shape) if node.type.dtype.is_float else np.zeros(shape, node.type.dtype.numpy)
        feed[label] = feed[label].astype(node.type.dtype.numpy)
    return feed


def _number(size: Size, batch: int) -> int:
    return size.factor * batch ** len(size.symbols) if isinstance(size, Dim) else size


def profile(executable: Executable, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> list[float]:
    """Seconds that each kernel call takes by itself, the fastest of many; the states are put back afterwards."""
    kept = {node: cell.array.copy() for node, cell in executable.cells.items()}
    executable.run(inputs, sizes)
    best = [float("inf")] * len(executable.program.calls)
    for number in range(len(best)):
        table = executable.one_call(number, inputs, sizes, _REPEATS)
        for _ in range(10):
            start = time.perf_counter()
            executable.run_table(table)
            best[number] = min(best[number], (time.perf_counter() - start) / _REPEATS)
    for node, value in kept.items():
        executable.cells[node].set(value)
    return best


def program_source(program: Program, title: str, target: str = "cpu") -> str:
    """All kernels of a program as Python source, each headed by what it computes and the user's lines."""
    if target not in _TARGETS:
        raise DeclarationError(f"there is no target {target!r}", expected=", ".join(_TARGETS), got=target)
    dialect, how = _TARGETS[target]
    names = number_nodes(program.graph)
    lines = _lines(program.graph)
    stored = {node for call in program.calls for node in call.nodes}
    parts = [f"# {title}: {len(program.calls)} kernel calls, {how}"]
    functions: dict[tuple[str, DType], None] = {}
    known: dict[str, int] = {}
    for number, call in enumerate(program.calls, 1):
        source = print_kernel(call.kernel, dialect)
        for function in source.functions:
            functions.setdefault(function)
        header = [f"# call {number}: {', '.join(map(str, call.arguments))}"]
        if source.code in known:
            parts.append("\n".join([*header, f"# the same kernel as call {known[source.code]}"]))
            continue
        known[source.code] = number
        inside = [node for node in reversed(cone(call.nodes, stored)) if node in names]
        for node in sorted(inside, key=lambda node: int(names[node][1:])):
            header.append(f"#   {print_line(node, names)}{lines.get(node, '')}")
        parts.append("\n".join([*header, source.code.rstrip()]))
    return "\n\n\n".join([parts[0], *_functions(list(functions)), *parts[1:]]) + "\n"


def _lines(graph: Graph) -> dict[Node, str]:
    """Where nodes were declared. Those made of constants, the seed and the step alone are one node in all programs,
    whose line would mislead."""
    own: set[Node] = set()
    for node in graph.nodes:
        leaf = isinstance(node.op, (Input, State)) and node not in (SEED, STEP)
        if leaf or any(source in own for source in node.inputs):
            own.add(node)
    return {node: f"    {node.origin.location.short}" for node in own if node.origin.location}


def _functions(wanted: list[tuple[str, DType]]) -> list[str]:
    """The source of functions, those that they call first."""
    done: dict[tuple[str, DType], str] = {}
    stack = list(reversed(wanted))
    while stack:
        function = stack[-1]
        source = print_function(*function)
        missing = [other for other in source.functions if other not in done]
        if missing and function not in done:
            stack += missing
            continue
        done.setdefault(function, source.code.rstrip())
        stack.pop()
    return list(done.values())
