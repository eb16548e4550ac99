"""Worker processes that compile kernels for a GPU: each reads its share as one line of JSON and writes what it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from graphc.dtypes import DTYPES, UINT32, UINT64
from graphc.errors import CompilationError
from graphc.passes.source import Source
from graphc.runtime.cuda.compiler import Cubin, Task, assemble_task, lower_task

__all__ = ["by_workers", "main", "worthwhile"]

WORTH_WORKERS = 64
"""From this many kernels on, starting worker processes (about two seconds) pays."""
_BY_NAME = {dtype.name: dtype for dtype in (*DTYPES, UINT32, UINT64)}


def worthwhile(kernels: int) -> int:
    """How many workers should compile so many kernels; 0 if this process should."""
    from graphc.runtime.executor import default_threads

    return default_threads() if kernels >= WORTH_WORKERS else 0


def by_workers(tasks: Sequence[Task], capability: tuple[int, int], workers: int) -> list[Cubin]:
    """Compile in fresh processes, the largest sources first, so that none is left with a long one at the end."""
    order = sorted(range(len(tasks)), key=lambda number: -len(tasks[number].source.code))
    shares = [share for start in range(workers) if (share := order[start::workers])]
    running = [(share, _start([tasks[number] for number in share], capability)) for share in shares]
    made: dict[int, Cubin] = {}
    for share, worker in running:
        output, errors = worker.communicate()
        if worker.returncode != 0:
            raise CompilationError(
                "a worker process could not compile kernels for CUDA",
                facts=[("kernels", ", ".join(tasks[number].source.name for number in share)[:200])],
                got=errors.decode(errors="replace").strip().splitlines()[-1] if errors else f"exit {worker.returncode}",
            )
        for number, fields in zip(share, json.loads(output), strict=True):
            made[number] = Cubin(**fields | {"data": bytes.fromhex(fields["data"])})
    return [made[number] for number in range(len(tasks))]


def _start(share: Sequence[Task], capability: tuple[int, int]) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "graphc.runtime.cuda.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert worker.stdin is not None
    worker.stdin.write(json.dumps([capability, *map(_written, share)]).encode() + b"\n")
    worker.stdin.flush()
    return worker


def _written(task: Task) -> list[object]:
    source = task.source
    functions = [(name, dtype.name) for name, dtype in source.functions]
    parts = [source.name, source.code, functions, source.tables]
    return [parts, task.arguments, task.threads, task.shuffles]


def main() -> None:
    """Compile what standard input asks for."""
    made = []
    (major, minor), *tasks = json.loads(sys.stdin.readline())
    for (name, code, functions, tables), arguments, threads, shuffles in tasks:
        called = tuple((function, _BY_NAME[dtype]) for function, dtype in functions)
        source = Source(name, code, called, tuple(tables))
        task = Task(source, tuple(arguments), threads, shuffles)
        cubin = assemble_task(lower_task(task), (major, minor))
        made.append(asdict(cubin) | {"data": cubin.data.hex()})
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
