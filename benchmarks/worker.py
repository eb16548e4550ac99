"""One implementation in a process of its own, started and told what to do by run.py.

Its arguments: a module of mlp/, the file of the problem, the number of threads. Its answers are lines of JSON: the
version, as soon as the first loss is there; the losses to be checked; then, for each number of steps that it reads, the
microseconds that each of them took.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

CHECKED = 20
"""How many steps are compared with those of numpy."""
WARMING = 20
"""Steps at the start of each turn that are not counted: caches and sleeping threads have to come back."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not stand between the answers

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), say)
    except ModuleNotFoundError as error:
        say(error=f"{error.name} is not installed in {sys.executable}")
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])


def serve(module: str, path: Path, threads: int, say: Callable[..., None]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    implementation = importlib.import_module(module)
    from mlp.problem import Problem

    problem = Problem.read(path)
    step = implementation.start(problem, threads)
    batches = cycle(zip(problem.images, problem.labels.astype(implementation.LABELS), strict=True))
    losses = [step(*next(batches))]
    say(version=implementation.version())
    losses += [step(*batch) for batch in islice(batches, CHECKED - 1)]
    say(losses=losses, peak_megabytes=peak_megabytes())
    for line in sys.stdin:
        for batch in islice(batches, WARMING):
            step(*batch)
        times = []
        for images, labels in islice(batches, int(line)):
            before = perf_counter()
            step(images, labels)
            times.append((perf_counter() - before) * 1e6)
        say(microseconds=times, peak_megabytes=peak_megabytes())


def peak_megabytes() -> float:
    """The most memory that this process has had in use.

    Linux lets the resource module count what the parent had before this program was loaded, hence /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
