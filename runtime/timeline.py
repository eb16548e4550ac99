"""Timelines: when each kernel call of a training step began and ended on each thread, as a file that chrome://tracing
and ui.perfetto.dev open.

The clock is read by the program itself: a small kernel that stores the time stands before and after each call.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphc.dtypes import INT64
from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.passes.llvm import Assembly
from graphc.passes.source import Source
from graphc.runtime.compilation import compile_sources
from graphc.runtime.engine import Engine
from graphc.runtime.executable import Executable
from graphc.runtime.figures import bytes_of, flops_of
from graphc.runtime.report import contents_of
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["timeline", "write_trace"]

_TRIES = 10


def write_trace(model: Model, feed: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Write what ``Model.trace`` promises."""
    executable = model.executable("train")
    if not isinstance(executable, Executable):
        raise DeclarationError(
            "only steps on the CPU can be traced",
            at=str(user_location()),
            got=f"a model for {model.target.name!r}",
            way_out="model.report() times each kernel by itself",
        )
    arrays, sizes = executable.feeder.prepare(feed)
    given = ", ".join(f"{name} = {number}" for name, number in sizes.items())
    events = [_title("process_name", 0, f"{model.name}: one training step, {given}")]
    events += [_title("thread_name", thread, f"thread {thread}") for thread in range(executable.threads)]
    events += _calls(executable, timeline(executable, arrays, sizes), sizes)
    Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}, indent=1) + "\n", "utf-8")


def timeline(executable: Executable, inputs: Mapping[str, Array], sizes: Mapping[str, int]) -> Array:
    """Nanoseconds from the start of a step, [threads, calls, 2]: when each call began and ended; -1 for threads that
    had no part in it. Of some steps the fastest; the states are put back afterwards.
    """
    if not hasattr(time, "clock_gettime"):
        raise DeclarationError(
            "this system has no clock that kernels can read",
            expected="clock_gettime, as POSIX describes it",
            way_out="model.report() times each kernel by itself",
        )
    address, _ = _clock()
    places = 2 * len(executable.program.calls)
    times = np.empty((executable.threads, places), np.int64)
    base = times.ctypes.data
    best = times
    with executable.keeping_states():
        executable.run(inputs, sizes)
        table = executable.marked_step(inputs, sizes, lambda place: (address, 2, places, base + 8 * place))
        for number in range(_TRIES):
            times[...] = -1
            executable.run_table(table)
            if number == 0 or np.ptp(times[times >= 0]) < np.ptp(best[best >= 0]):
                best = times.copy()
    return np.where(best < 0, -1, best - best[best >= 0].min()).reshape(executable.threads, -1, 2)


def _title(kind: str, thread: int, text: str) -> dict[str, object]:
    return {"name": kind, "ph": "M", "pid": 1, "tid": thread, "args": {"name": text}}


def _calls(executable: Executable, times: Array, sizes: Mapping[str, int]) -> Iterator[dict[str, object]]:
    """An event for each call and each thread that took part in it."""
    program = executable.program
    for number, (call, contents) in enumerate(zip(program.calls, contents_of(program), strict=True)):
        facts = {
            "call": number + 1,
            "operations": flops_of(call, sizes),
            "bytes": bytes_of(call, sizes),
            "lines": ", ".join(dict.fromkeys(line for _, line in contents if line)),
            "computes": [text for text, _ in contents],
        }
        for thread in range(executable.threads):
            began, ended = times[thread, number].tolist()
            if began >= 0:
                yield {
                    "name": call.kernel.name,
                    "cat": "kernel",
                    "ph": "X",
                    "ts": began / 1e3,
                    "dur": (ended - began) / 1e3,
                    "pid": 1,
                    "tid": thread,
                    "args": facts,
                }


@cache
def _clock() -> tuple[int, Engine]:
    """The address of the kernel that stores the time, and what keeps it alive."""
    (code,) = compile_sources([(_clock_source(), 3, (INT64,))])
    engine = Engine([code])
    return engine.address(code.symbol), engine


def _clock_source() -> Source:
    """A kernel that stores the nanoseconds of the monotonic clock in a row of its own for each thread."""
    assembly = Assembly()
    assembly.lines.append(
        "define i32 @KERNEL(ptr %result, ptr %exception, i64 %part, i64 %parts, i64 %row, ptr %times) {\nentry:"
    )
    now = assembly.emit("alloca [2 x i64]")
    assembly.emit(f"call i32 @clock_gettime(i32 {int(time.CLOCK_MONOTONIC)}, ptr {now})")
    seconds = assembly.emit(f"load i64, ptr {now}")
    nanoseconds = assembly.emit(f"load i64, ptr {assembly.at('i64', now, '1')}")
    whole = assembly.plus(assembly.times(seconds, "1000000000"), nanoseconds)
    place = assembly.at("i64", "%times", assembly.times("%part", "%row"))
    assembly.do(f"store i64 {whole}, ptr {place}")
    assembly.do("ret i32 0")
    code = "\n".join([*assembly.lines, "}", "declare i32 @clock_gettime(i32, ptr)"]) + "\n"
    return Source("clock", code, language="llvm")
