"""Processes that take steps: started, compared with a reference, and timed in turns."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import isclose
from pathlib import Path
from typing import Any

from results import Result

FOLDER = Path(__file__).parent
TOLERANCE = 1e-3
ROUNDS = 6
"""Turns of each implementation."""
REST = 0.05
"""Seconds between turns, after which the threads of the last one sleep."""


class LeftOutError(Exception):
    """An implementation that gives no figures; the text says why."""


class MissingError(LeftOutError):
    """A library is not installed."""


@dataclass(frozen=True)
class Implementation:
    """A module with ``build``, ``version``, LAYOUT and LABEL. options: of ``build``. peer: one of a library that
    ``--python`` gives an environment. only: the workloads that it is for, if not all. devices: where it can run."""

    module: str
    options: Mapping[str, object] = field(default_factory=dict)
    peer: bool = False
    only: tuple[str, ...] | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")

    def takes(self, workload: str) -> bool:
        return self.only is None or workload in self.only

    def on_gpu(self, precision: str) -> Implementation:
        """The same on a GPU. precision: of products, "float32" or "tf32"."""
        return replace(self, options={**self.options, "device": "cuda", "precision": precision})


class Worker:
    """A process that takes steps of one workload; a context, at whose end it ends."""

    def __init__(
        self, chosen: Implementation, python: str, workload: Path, cache: Path, threads: int, double: bool = False
    ) -> None:
        self._errors = cache.with_suffix(".log")
        started = time.perf_counter()
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [python, FOLDER / "worker.py", chosen.module, json.dumps(chosen.options), workload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(cache, threads, double, str(chosen.options.get("device", "cpu"))),
            )
        try:
            self.version = str(self._answer()["version"])
            self.first_step_seconds = time.perf_counter() - started
            self.checked: list[float] = self._answer()["checked"]
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def take_steps(self, seconds: float) -> tuple[list[float], float]:
        """The microseconds of each step, and the most memory so far in megabytes."""
        answer = self._ask(str(seconds))
        return list(answer["microseconds"]), float(answer["peak_megabytes"])

    def work(self) -> dict[str, float] | None:
        """What a step has to do, if the implementation knows."""
        found: dict[str, float] | None = self._ask("work")["work"]
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, question: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(question, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._errors.read_text("utf-8", "replace").splitlines()[-1:]
            raise LeftOutError(f"the process ended with status {self._process.wait()}: {''.join(said)}")
        answer: dict[str, Any] = json.loads(line)
        if "missing" in answer:
            raise MissingError(answer["missing"])
        if "error" in answer:
            raise LeftOutError(answer["error"])
        return answer


def environment(cache: Path, threads: int, double: bool, device: str = "cpu") -> dict[str, str]:
    """This environment, with the number of threads, and a folder for whatever a library keeps between processes.

    double: JAX has to be told that float64 is meant. device: also for JAX, which takes most of a GPU's memory at once
    unless it is told not to.
    """
    libraries = ("OMP", "OPENBLAS", "MKL", "GRAPHC")
    return {
        **os.environ,
        **{f"{library}_NUM_THREADS": str(threads) for library in libraries},
        "PYTHONPATH": os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")])),
        "GRAPHC_CACHE_DIR": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": device,
        **({"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if device == "cuda" else {}),
        "JAX_ENABLE_X64": "1" if double else "0",
    }


def expected(references: Iterable[tuple[str, Implementation, str]], workload: Any, threads: int) -> Reference:
    """What the first steps give in float64, by the first of some implementations that is installed.

    references: their names and Pythons. LeftOutError if there is none.
    """
    with tempfile.TemporaryDirectory() as path:
        file = Path(path, "workload")
        file.write_bytes(pickle.dumps(workload.without_dropout().double()))
        for name, chosen, python in references:
            try:
                with Worker(chosen, python, file, Path(path, name), threads, double=True) as worker:
                    return Reference(f"{name} {worker.version} in float64", worker.checked)
            except MissingError:
                continue
    raise LeftOutError("nothing to compare the losses with: install torch or jax")


@dataclass(frozen=True)
class Reference:
    """The right losses, and whose they are."""

    name: str
    values: list[float]

    def difference(self, found: Sequence[float]) -> str:
        """Where values part from these, if they do."""
        for number, (got, wanted) in enumerate(zip(found, self.values, strict=True), 1):
            if not isclose(got, wanted, rel_tol=TOLERANCE):
                return f"wrong: step {number} gives {got:.6g}, the reference {wanted:.6g}"
        return ""


def measure(
    implementations: Mapping[str, tuple[Implementation, str]],
    workload: Any,
    reference: Reference,
    threads: int,
    seconds: float,
    cold: bool = True,
) -> list[Result]:
    """The results of implementations, which take steps in turns.

    implementations: with their Pythons. seconds: for each in all. cold: also time a start with nothing compiled before.
    """
    with tempfile.TemporaryDirectory() as path, ExitStack() as stack:
        file = Path(path, "workload")
        file.write_bytes(pickle.dumps(workload))
        results, timed = [], []
        for name, (chosen, python) in implementations.items():
            result = Result(name)
            results.append(result)
            print(f"  {name}", end="", file=sys.stderr, flush=True)
            try:
                for state in ("cold", "warm") if cold else ("warm",):
                    worker = Worker(chosen, python, file, Path(path, name), threads)
                    result.first_step_seconds[state] = worker.first_step_seconds
                    if state == "cold":
                        worker.stop()
            except (LeftOutError, OSError) as reason:
                result.left_out = str(reason)
                continue
            stack.enter_context(worker)
            result.version = worker.version
            result.left_out = reference.difference(worker.checked)
            if not result.left_out:
                timed.append((result, worker))
        print(file=sys.stderr)
        _take_turns(timed, seconds)
        for result, worker in timed:
            result.work = worker.work()
    return results


def _take_turns(timed: list[tuple[Result, Worker]], seconds: float) -> None:
    for turn in range(ROUNDS):
        first = turn % max(len(timed), 1)
        for result, worker in timed[first:] + timed[:first]:
            time.sleep(REST)
            try:
                times, result.peak_megabytes = worker.take_steps(seconds / ROUNDS)
            except (LeftOutError, OSError) as reason:
                result.left_out = str(reason)
                result.rounds.clear()
                timed.remove((result, worker))
            else:
                result.rounds.append(times)
