"""One implementation in a process of its own, started and told what to do by process.py.

Its arguments: a module, what its ``build`` takes besides the workload (JSON), and a file that holds the workload. Its
answers are lines of JSON: the version, as soon as the first step is done; what the first steps gave, without dropout.
Then it reads numbers of seconds, and answers each with the microseconds of the steps that it took in them; to the line
``work`` it answers what a step has to do, if the implementation knows. On a GPU, whose steps go on after the function
has returned, it waits after every 20.
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
BLOCK = 20
"""Steps on a GPU before the loss is waited for."""


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
    found = [workload.figure(step(listed[0]))]
    say(version=implementation.version())
    if workload.drops:
        plain = implementation.build(workload.without_dropout(), **options)
        found = [workload.figure(plain(batch)) for batch in islice(cycle(listed), CHECKED)]
    else:
        found += [workload.figure(step(batch)) for batch in islice(cycle(listed), 1, CHECKED)]
    say(checked=found)
    on_gpu = options.get("device") == "cuda"
    take, peak = (take_blocks, implementation.peak_megabytes) if on_gpu else (take_steps, peak_megabytes)
    batches = islice(cycle(listed), CHECKED % len(listed), None)
    for line in sys.stdin:
        if line.strip() == "work":
            say(work=step.work() if hasattr(step, "work") else None)
        else:
            say(microseconds=take(step, batches, float(line)), peak_megabytes=peak())


def take_steps(step: Callable[[Any], object], batches: Iterator[Any], seconds: float) -> list[float]:
    """The microseconds of each of the steps that fit into some seconds."""

    def one() -> float:
        batch = next(batches)
        before = perf_counter()
        step(batch)
        return perf_counter() - before

    return repeated(one, seconds)


def take_blocks(step: Callable[[Any], Any], batches: Iterator[Any], seconds: float) -> list[float]:
    """The microseconds of a step, for each of the blocks of steps that fit into some seconds.

    Steps run one after the other, so the last loss is there when all of them are done.
    """

    def one() -> float:
        before = perf_counter()
        losses = [step(batch) for batch in islice(batches, BLOCK)]
        float(losses[-1])
        return (perf_counter() - before) / BLOCK

    return repeated(one, seconds)


def repeated(one: Callable[[], float], seconds: float) -> list[float]:
    """What a function says in microseconds, again and again for some seconds. It returns seconds."""
    warm = perf_counter() + WARMING * seconds
    one()
    while perf_counter() < warm:
        one()
    times: list[float] = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(times) < LEAST:
        times.append(one() * 1e6)
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
