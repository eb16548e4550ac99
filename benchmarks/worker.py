"""One implementation in a process of its own, started and told what to do by process.py.

Its arguments: a module, what its ``build`` takes besides the workload (JSON), and a file that holds the workload. Its
answers are lines of JSON: the version, as soon as the first step is done; what the first steps gave, without dropout.
Then it reads numbers of seconds, and answers each with the microseconds of the steps that it took in them; to the line
``work`` it answers what a step has to do, if the implementation knows.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

CHECKED = 5
"""How many steps are compared with those of the reference."""
WARMING = 0.1
"""Share of a turn at its start that is not counted: caches and sleeping threads have to come back."""
LEAST = 3
"""Steps of a turn, however long they take."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not stand between the answers

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        serve(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), say)
    except ModuleNotFoundError as error:
        say(missing=f"{error.name} is not installed in {sys.executable}")
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])


def serve(module: str, options: Mapping[str, Any], path: Path, say: Callable[..., None]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(os.environ["OMP_NUM_THREADS"])])
    implementation = importlib.import_module(module)
    workload = pickle.loads(path.read_bytes())
    listed = workload.batches(implementation.LAYOUT, implementation.LABEL)
    step = implementation.build(workload, **options)
    found = [step(listed[0])]
    say(version=implementation.version())
    if workload.drops:
        plain = implementation.build(workload.without_dropout(), **options)
        found = [plain(batch) for batch in islice(cycle(listed), CHECKED)]
    else:
        found += [step(batch) for batch in islice(cycle(listed), 1, CHECKED)]
    say(checked=[workload.figure(value) for value in found])
    batches = islice(cycle(listed), CHECKED % len(listed), None)
    for line in sys.stdin:
        if line.strip() == "work":
            say(work=step.work() if hasattr(step, "work") else None)
        else:
            say(microseconds=take_steps(step, batches, float(line)), peak_megabytes=peak_megabytes())


def take_steps(step: Callable[[Any], object], batches: Iterator[Any], seconds: float) -> list[float]:
    """The microseconds of each of the steps that fit into some seconds."""
    warm = perf_counter() + WARMING * seconds
    step(next(batches))
    while perf_counter() < warm:
        step(next(batches))
    times: list[float] = []
    end = perf_counter() + seconds
    for batch in batches:
        before = perf_counter()
        step(batch)
        after = perf_counter()
        times.append((after - before) * 1e6)
        if after > end and len(times) >= LEAST:
            break
    return times


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
