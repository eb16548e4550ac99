"""Timing a task's training step: what ``graphc bench`` prints.

Each figure comes from a fresh process, which this module also is the program of: it says when the first step is done,
then takes more steps and says how long each took.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from graphc.errors import DeclarationError, GraphcError
from graphc.runtime.cache import FOLDER_VARIABLE
from graphc.runtime.data.arrays import ArrayData
from graphc.runtime.executor import THREADS_VARIABLE
from graphc.runtime.tasks import load_task, message_of, task_options

__all__ = ["Bench", "bench", "main"]

_WARMING = 20
"""Steps that are not counted: caches fill, and sleeping threads wake."""
_BATCHES = 32


@dataclass(frozen=True)
class Bench:
    """What was measured. microseconds: of each step, by threads. first_step: seconds from the start of the process.

    peak_megabytes: the most memory that a process with a warm cache had resident.
    """

    task: str
    batch_size: int
    microseconds: Mapping[int, Sequence[float]]
    first_step: Mapping[str, float]
    peak_megabytes: float

    def spread(self) -> dict[int, dict[str, float]]:
        """The median step and the 10th and 90th percentile, by threads."""
        found = {}
        for threads, times in self.microseconds.items():
            low, middle, high = np.percentile(times, [10, 50, 90]).tolist()
            found[threads] = {"median": middle, "p10": low, "p90": high}
        return found

    def __str__(self) -> str:
        steps = len(next(iter(self.microseconds.values())))
        lines = [f"{self.task}: {steps} training steps of {self.batch_size} samples", ""]
        lines.append("  microseconds a step    median       p10       p90")
        for threads, row in self.spread().items():
            title = f"{threads} thread{'s' if threads > 1 else ''}"
            lines.append(f"  {title:<19}{row['median']:>10.1f}{row['p10']:>10.1f}{row['p90']:>10.1f}")
        cold, warm = self.first_step["cold"], self.first_step["warm"]
        lines += [
            "",
            f"  first step   {cold:.2f} s with nothing compiled before, {warm:.2f} s with the kernels in the cache",
            f"  peak memory  {self.peak_megabytes:.0f} MB",
        ]
        return "\n".join(lines)

    def as_json(self) -> str:
        """All figures."""
        content = {
            "task": self.task,
            "batch_size": self.batch_size,
            "steps": len(next(iter(self.microseconds.values()))),
            "microseconds": {str(threads): row for threads, row in self.spread().items()},
            "first_step_seconds": dict(self.first_step),
            "peak_megabytes": self.peak_megabytes,
            "machine": {"system": platform.platform(), "processors": os.cpu_count(), "numpy": np.__version__},
        }
        return json.dumps(content, indent=1) + "\n"


def bench(
    task: str, options: Mapping[str, object], threads: Sequence[int], steps: int, batch_size: int | None
) -> Bench:
    """Time the training step of a task with some numbers of threads.

    The first process starts with an empty cache of kernels, the others with what it left there. Raises GraphcError if a
    process ends early.
    """
    if steps < 1 or (batch_size is not None and batch_size < 1):
        raise DeclarationError(
            "bench needs at least one step, and batches of at least one sample",
            got=f"steps {steps}, batch size {batch_size}",
        )
    first_step: dict[str, float] = {}
    microseconds: dict[int, list[float]] = {}
    peaks = [0.0]
    size = 0
    with tempfile.TemporaryDirectory() as cache:
        for state, count, number in [("cold", threads[-1], 0), *(("warm", count, steps) for count in threads)]:
            seconds, answer = _process(task, options, count, number, batch_size, cache)
            first_step[state] = seconds
            size = int(answer["batch_size"])
            if number:
                microseconds[int(answer["threads"])] = list(answer["microseconds"])
                peaks.append(float(answer["peak_megabytes"]))
    return Bench(task, size, microseconds, first_step, max(peaks))


def _process(
    task: str, options: Mapping[str, object], threads: int, steps: int, batch_size: int | None, cache: str
) -> tuple[float, dict[str, Any]]:
    """Seconds to the first step of a fresh process, and what it says at the end."""
    if "threads" in task_options(task):
        options = {**options, "threads": threads}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        THREADS_VARIABLE: str(threads),
        FOLDER_VARIABLE: cache,
    }
    arguments = [task, repr(dict(options)), str(steps), str(batch_size)]
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "graphc.runtime.bench", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            seconds = time.perf_counter() - started
            answer = process.stdout.readline()
        if not answer:
            errors.seek(0)
            raise GraphcError(
                "the process that takes steps ended early",
                expected="exit 0",
                got=f"exit {process.returncode}: {''.join(errors.read().splitlines()[-1:])}",
            )
    found: dict[str, Any] = json.loads(answer)
    if "error" in found:
        raise GraphcError(found["error"])
    return seconds, found


def main() -> None:
    """Take steps of a task. Arguments: the task, its options, steps, samples a step or None."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a task prints must not stand between the answers
    name, options, steps, batch_size = sys.argv[1:]
    try:
        found = _take_steps(name, ast.literal_eval(options), int(steps), ast.literal_eval(batch_size), answers)
    except GraphcError as error:
        found = {"error": message_of(error)}
        print(file=answers)
    print(json.dumps(found), file=answers, flush=True)


def _take_steps(
    name: str, options: Mapping[str, object], steps: int, batch_size: int | None, answers: TextIO
) -> dict[str, object]:
    task = load_task(name, options)
    model = task.model
    executable = model.executable("train")
    data = ArrayData.of(executable.program.graph.inputs, task.train)
    data.require_samples("take steps on")
    size = min(batch_size or task.batch_size, data.count)
    batches = list(islice(data.batches(size), min(data.count // size, _BATCHES)))
    model.step(batches[0])
    print("ready", file=answers, flush=True)
    times = []
    for batch in islice(cycle(batches), _WARMING + steps if steps else 0):
        before = time.perf_counter()
        model.step(batch)
        times.append((time.perf_counter() - before) * 1e6)
    return {
        "microseconds": times[_WARMING:],
        "threads": executable.threads,
        "batch_size": size,
        "peak_megabytes": _peak_megabytes(),
    }


def _peak_megabytes() -> float:
    """The most memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux the resource module also counts the parent's memory at the fork
        (line,) = (line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
