"""Reports: a program in figures, and its kernels as source to be read."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphc.dims import Dim, Size, evaluate
from graphc.dtypes import FLOAT32, DType
from graphc.frontend.state import SEED, STEP
from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import Input, State
from graphc.passes.build import Program
from graphc.passes.lower import KernelCall
from graphc.passes.source import print_function, print_kernel
from graphc.passes.spaces import cone
from graphc.runtime.executable import Executable
from graphc.runtime.feeds import Feeder
from graphc.runtime.figures import bytes_of, flops_of
from graphc.runtime.peaks import Peaks, peaks_of
from graphc.runtime.ranges import checked_by_host
from graphc.runtime.target import Target
from graphc.scalar import Array
from graphc.text.printer import number_nodes, print_line

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["contents_of", "profile", "program_source", "report_of"]

_REPEATS = 30
_MEANINGS = {
    "exchange(": "exchange(x, half) is x of the thread whose number differs in that bit",
    "quotient(": "quotient(a, b) and rest(a, b) are a // b and a % b in 32 bits",
    "when0": "a kernel on one side of a choice runs if the condition, when0[0], is what chosen0 says",
    "scratch": "scratch is memory that kernels share one after the other",
}
"""What names mean that only kernels for a GPU use."""


def report_of(model: Model, feed: Mapping[str, object] | None, batch: int, timed: bool) -> str:
    """The text of ``Model.report``."""
    if model.target.name == "cuda":
        return _cuda_report(model, feed, batch, timed)
    executable = model.executable("train")
    assert isinstance(executable, Executable)
    program = executable.program
    arrays, sizes = executable.feeder.prepare(feed or _random_feed(program.graph, batch))
    times = profile(executable, arrays, sizes) if timed else None
    peaks = peaks_of(executable.threads) if timed else None
    kernels = len({print_kernel(call.kernel).code for call in program.calls})
    lines = [
        *_summary(model, program, sizes, f"{executable.threads} threads", kernels),
        *([f"  peaks       {peaks}"] if peaks is not None else []),
        "",
        *_kernel_table(program.calls, sizes, times, peaks),
    ]
    return "\n".join(lines)


def _summary(model: Model, program: Program, sizes: Mapping[str, int], where: str, kernels: int) -> list[str]:
    """What the whole step computes and needs."""
    given = ", ".join(f"{name} = {number}" for name, number in sizes.items())
    trained = sum(int(np.prod(parameter.value.shape)) for parameter in model.parameters)
    return [
        f"{model.name}: one training step, {given}, {where}",
        f"  parameters  {trained:,} numbers",
        f"  states      {sum(cell.nbytes for cell in model.cells.values()):,} bytes with the optimizer's",
        f"  arena       {program.plan.arena_bytes(sizes):,} bytes = {program.plan.formula}",
        f"  kernels     {len(program.calls)} calls of {kernels} kernels",
        f"  operations  {_total(program.calls, sizes):,} floating point",
    ]


def _cuda_report(model: Model, feed: Mapping[str, object] | None, batch: int, timed: bool) -> str:
    """The report of a model for a GPU. Untimed, it needs none: kernels are compiled for one of capability 9.0."""
    from graphc.runtime.cuda.device import open_device
    from graphc.runtime.cuda.executable import CudaExecutable
    from graphc.runtime.cuda.listing import kernel_rows

    program = model.program("train")
    arrays, sizes = Feeder(program.graph.inputs).prepare(feed or _random_feed(program.graph, batch))
    capability, where, times, library = (9, 0), "compiled for sm_90", None, frozenset[int]()
    if timed:
        executable, device = model.executable("train"), open_device()
        assert isinstance(executable, CudaExecutable)
        capability, where = device.capability, device.name
        times, library = executable.profile(arrays, sizes), executable.library_calls
    kernels = len({model.target.sources(call)[-1].code for call in program.calls})
    rows = kernel_rows(program.calls, sizes, model.target.exact, capability, times, library)
    return "\n".join([*_summary(model, program, sizes, where, kernels), "", *rows])


def _kernel_table(
    calls: Sequence[KernelCall], sizes: Mapping[str, int], times: Sequence[float] | None, peaks: Peaks | None
) -> Iterator[str]:
    names = max(len(call.kernel.name) for call in calls)
    clock = "        us   share  GFLOP/s     GB/s  roofline" if times is not None else ""
    yield f"   #  {'kernel':<{names}}  {'operations':>12}  {'bytes':>12}{clock}"
    rounds = [evaluate(call.rounds, sizes) for call in calls]
    whole = sum(map(operator.mul, times, rounds)) if times is not None else 1.0
    for number, call in enumerate(calls):
        flops, moved = flops_of(call, sizes) * rounds[number], bytes_of(call, sizes) * rounds[number]
        row = f"  {number + 1:>2}  {call.kernel.name:<{names}}  {flops:>12,}  {moved:>12,}"
        if times is not None and peaks is not None:
            seconds = times[number] * rounds[number]
            roofline = peaks.share(flops, moved, seconds, _computes_in(call, sizes))
            row += f"  {seconds * 1e6:>8.2f}  {seconds / whole:>6.1%}"
            row += f"  {flops / seconds / 1e9:>7.2f}  {moved / seconds / 1e9:>7.2f}  {roofline:>8.1%}"
        yield f"{row}  in {rounds[number]} rounds" if rounds[number] != 1 else row
    if times is not None:
        yield f"      {'sum of the kernels':<{names}}  {'':>12}  {'':>12}  {whole * 1e6:>8.2f}"


def _computes_in(call: KernelCall, sizes: Mapping[str, int]) -> DType:
    """The element type of the largest argument of floats."""
    floats = [storage.type for storage in call.arguments if storage.type.dtype.is_float]
    return max(floats, key=lambda kind: evaluate(kind.elements, sizes)).dtype if floats else FLOAT32


def _total(calls: Sequence[KernelCall], sizes: Mapping[str, int]) -> int:
    return sum(flops_of(call, sizes) * evaluate(call.rounds, sizes) for call in calls)


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
    best = [float("inf")] * len(executable.program.calls)
    with executable.keeping_states():
        executable.run(inputs, sizes)
        for number in range(len(best)):
            table = executable.one_call(number, inputs, sizes, _REPEATS)
            for _ in range(10):
                start = time.perf_counter()
                executable.run_table(table)
                best[number] = min(best[number], (time.perf_counter() - start) / _REPEATS)
    return best


def program_source(program: Program, title: str, target: Target) -> str:
    """All kernels of a program as Python source, each headed by what it computes and the user's lines."""
    how = "as numba compiles them for the CPU" if target.name == "cpu" else "as numba-cuda compiles them"
    parts = [f"# {title}: {len(program.calls)} kernel calls, printed {how}"]
    functions: dict[tuple[str, DType], None] = {}
    known: dict[str, int] = {}
    for number, (call, contents) in enumerate(zip(program.calls, contents_of(program), strict=True), 1):
        sources = target.sources(call)
        for source in sources:
            functions |= dict.fromkeys(source.functions)
        header = [f"# call {number}: {', '.join(map(str, call.arguments))}"]
        code = "\n\n".join(source.code.rstrip() for source in sources)
        if code in known:
            parts.append("\n".join([*header, f"# the same kernel as call {known[code]}"]))
            continue
        known[code] = number
        if target.name == "cuda" and checked_by_host(call):
            header.append("#   the host does this before the step")
        header += [f"#   {text}{f'    {line}' if line else ''}" for text, line in contents]
        parts.append("\n".join([*header, code]))
    if target.name == "cuda":
        parts[0] = "\n".join([parts[0], *_glossary(list(known))])
    return "\n\n\n".join([parts[0], *_functions(list(functions)), *parts[1:]]) + "\n"


def _glossary(kernels: Sequence[str]) -> Iterator[str]:
    """A comment for each name in kernels for a GPU that stands in no manual."""
    for name, meaning in _MEANINGS.items():
        if any(name in code for code in kernels):
            yield f"# {meaning}"


def contents_of(program: Program) -> Iterator[list[tuple[str, str]]]:
    """For each call its nodes in the text form, each with the user's line, which may be empty."""
    names = number_nodes(program.graph)
    lines = _lines(program.graph)
    stored = {node for call in program.calls for node in call.nodes}
    for call in program.calls:
        inside = [node for node in reversed(cone(call.nodes, stored)) if node in names]
        inside.sort(key=lambda node: int(names[node][1:]))
        yield [(print_line(node, names), lines.get(node, "")) for node in inside]


def _lines(graph: Graph) -> dict[Node, str]:
    """Where nodes were declared. Those made of constants, the seed and the step alone are one node in all programs,
    whose line would mislead."""
    own: set[Node] = set()
    for node in graph.nodes:
        leaf = isinstance(node.op, (Input, State)) and node not in (SEED, STEP)
        if leaf or any(source in own for source in node.inputs):
            own.add(node)
    return {node: node.origin.location.short for node in own if node.origin.location}


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
