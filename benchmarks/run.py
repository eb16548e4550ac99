"""Time the training step of a small network in graphc and in other libraries, side by side.

Every implementation runs in a process of its own with the same number of threads; the processes take their steps in
turns, so that other load on the machine hits all alike. An implementation whose losses differ from numpy's gets no
time. See README.md for what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from math import isclose
from pathlib import Path
from typing import Any

from machine import machine
from mlp import with_numpy
from mlp.problem import BATCH, CLASSES, HIDDEN, INPUTS, Problem
from report import Result, as_json, table
from worker import CHECKED

FOLDER = Path(__file__).parent
MODULES = {
    "graphc": "mlp.with_graphc",
    "numpy": "mlp.with_numpy",
    "torch": "mlp.with_torch",
    "torch.compile": "mlp.with_torch_compile",
    "jax": "mlp.with_jax",
}
PEERS = ("torch", "torch.compile", "jax")
"""What ``--python PATH`` applies to."""
TOLERANCE = 1e-3
REST = 0.1
"""Seconds between turns, after which the threads of the last one sleep."""


class LeftOutError(Exception):
    """An implementation that gives no figures; the text says why."""


class Worker:
    """A process that takes steps."""

    def __init__(self, name: str, python: str, folder: Path, threads: int) -> None:
        self._errors = folder / f"{name}.log"
        started = time.perf_counter()
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [python, FOLDER / "worker.py", MODULES[name], folder / "problem.npz", str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(folder / f"{name}-cache", threads),
            )
        self.version = str(self._answer()["version"])
        self.first_step_seconds = time.perf_counter() - started
        answer = self._answer()
        self.losses: list[float] = answer["losses"]
        self.peak_megabytes: float = answer["peak_megabytes"]

    def steps(self, count: int) -> list[float]:
        """The microseconds that each of a number of steps takes."""
        assert self._process.stdin is not None
        print(count, file=self._process.stdin, flush=True)
        answer = self._answer()
        self.peak_megabytes = answer["peak_megabytes"]
        return list(answer["microseconds"])

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._errors.read_text("utf-8", "replace").splitlines()[-1:]
            raise LeftOutError(f"the process ended with status {self._process.wait()}: {''.join(said)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self.stop()
            raise LeftOutError(answer["error"])
        return answer


def environment(cache: Path, threads: int) -> dict[str, str]:
    """This environment, with the number of threads, and a folder for whatever a library keeps between processes."""
    libraries = ("OMP", "OPENBLAS", "MKL")
    return {
        **os.environ,
        **{f"{library}_NUM_THREADS": str(threads) for library in libraries},
        "GRAPHC_CACHE_DIR": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }


def start(name: str, python: str, folder: Path, threads: int, expected: list[float]) -> tuple[Result, Worker | None]:
    """Start an implementation twice, first with nothing cached; the second process stays."""
    try:
        cold = Worker(name, python, folder, threads)
        cold.stop()
        warm = Worker(name, python, folder, threads)
    except (LeftOutError, OSError) as reason:
        return Result(name, left_out=str(reason)), None
    states = {"cold": cold, "warm": warm}
    result = Result(
        name,
        warm.version,
        difference(warm.losses, expected),
        {state: worker.first_step_seconds for state, worker in states.items()},
        {state: worker.peak_megabytes for state, worker in states.items()},
    )
    return result, warm


def difference(losses: list[float], expected: list[float]) -> str:
    """Where losses part from the expected ones, if they do."""
    for number, (got, wanted) in enumerate(zip(losses, expected, strict=True), 1):
        if not isclose(got, wanted, rel_tol=TOLERANCE):
            return f"wrong: the loss of step {number} is {got:.6f}, numpy's is {wanted:.6f}"
    return ""


def measure(names: list[str], pythons: dict[str, str], arguments: argparse.Namespace) -> list[Result]:
    """The results of implementations, in order."""
    problem = Problem.make()
    reference = with_numpy.start(problem, 1)
    expected = [reference(*batch) for batch in islice(zip(problem.images, problem.labels, strict=True), CHECKED)]
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        problem.write(folder / "problem.npz")
        started = []
        for name in names:
            print(f"starting {name}", file=sys.stderr)
            started.append(start(name, pythons[name], folder, arguments.threads, expected))
        running = [(result, worker) for result, worker in started if worker is not None]
        timed = [(result, worker) for result, worker in running if not result.left_out]
        for turn in range(arguments.rounds):
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
            first = turn % max(len(timed), 1)
            for result, worker in timed[first:] + timed[:first]:
                time.sleep(REST)
                result.rounds.append(worker.steps(arguments.steps))
        for result, worker in running:
            result.peak_megabytes["warm"] = worker.peak_megabytes
            worker.stop()
    return [result for result, _ in started]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="steps a turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each implementation (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each implementation (%(default)s)")
    parser.add_argument("--only", default=",".join(MODULES), metavar="NAMES", help="which to run (%(default)s)")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="a Python that has the peers (torch, torch.compile, jax), or the named implementation; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    chosen = parser.parse_args(arguments)
    if min(chosen.steps, chosen.rounds, chosen.threads) < 1:
        parser.error("steps, rounds and threads must be positive")
    chosen.only = chosen.only.split(",")
    unknown = [name for name in chosen.only if name not in MODULES]
    if unknown:
        parser.error(f"there is no implementation {unknown[0]!r}; there are {', '.join(MODULES)}")
    return chosen


def interpreters(options: list[str]) -> dict[str, str]:
    """The Python of each implementation."""
    found = dict.fromkeys(MODULES, sys.executable)
    for option in options:
        name, _, path = option.partition("=")
        found.update({name: path} if name in MODULES else dict.fromkeys(PEERS, option))
    return found


def main() -> None:
    arguments = parse()
    facts = machine()
    results = measure(arguments.only, interpreters(arguments.python), arguments)
    print(f"MLP {INPUTS}-{HIDDEN}-{CLASSES}, batch {BATCH}, SGD, float32, {arguments.threads} threads, ", end="")
    print(f"{arguments.rounds} rounds of {arguments.steps} steps, interleaved\n")
    for name, fact in facts.items():
        print(f"{name + ':':14} {fact}")
    print(f"\n{table(results)}")
    if arguments.json is not None:
        arguments.json.write_text(as_json(facts, arguments.threads, arguments.steps, results), "utf-8")


if __name__ == "__main__":
    main()
