"""Getting object code for sources: from the cache, from this process, or from worker processes when there is much to
do.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence

from graphc.dtypes import DType
from graphc.errors import CompilationError
from graphc.passes.source import Source
from graphc.runtime.cache import KernelCache, default_cache
from graphc.runtime.engine import assemble
from graphc.runtime.objects import ObjectCode

__all__ = ["Task", "compile_sources", "source_key"]

Task = tuple[Source, int, tuple[DType, ...]]
"""A source, the number of its integer arguments, and the element types of its buffers."""

WORTH_WORKERS = 24
"""From this many kernels on, starting worker processes (about half a second) pays."""


def source_key(task: Task) -> str:
    """A hash of what is to be compiled."""
    source, integers, buffers = task
    content = json.dumps([source.name, source.code, integers, [dtype.name for dtype in buffers]])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def compile_sources(
    tasks: Sequence[Task], cache: KernelCache | None = None, workers: int | None = None
) -> list[ObjectCode]:
    """The object code of each task, in order.

    cache: where compiled kernels are kept (the user's cache by default). workers: processes that compile; by default
    one a processor where there are at least 24 kernels to compile, else none.
    """
    cache = default_cache() if cache is None else cache
    keys = [source_key(task) for task in tasks]
    wanted = dict(zip(keys, tasks, strict=True))
    found = {key: code for key in wanted if (code := cache.load(key)) is not None}
    missing = {key: task for key, task in wanted.items() if key not in found}
    found |= {key: assemble(task[0], key) for key, task in missing.items() if task[0].language == "llvm"}
    python = {key: task for key, task in missing.items() if key not in found}
    if workers is None:
        workers = _processors() if len(python) >= WORTH_WORKERS else 0
    found |= _by_workers(python, workers) if workers > 1 and len(python) > 1 else _here(python)
    for key in missing:
        cache.store(key, found[key], wanted[key][0].name)
    if missing:
        cache.shrink()
    return [found[key] for key in keys]


def _here(tasks: dict[str, Task]) -> dict[str, ObjectCode]:
    if not tasks:
        return {}
    from graphc.runtime.compiler import compile_kernel  # imports numba, which a warm start does without

    return {key: compile_kernel(source, integers, buffers, key) for key, (source, integers, buffers) in tasks.items()}


def _processors() -> int:
    from graphc.runtime.executor import default_threads

    return default_threads()


def _by_workers(tasks: dict[str, Task], workers: int) -> dict[str, ObjectCode]:
    """Compile in fresh processes, the largest sources first, so that none is left with a long one at the end."""
    order = sorted(tasks, key=lambda key: -len(tasks[key][0].code))
    shares = [{key: tasks[key] for key in order[start::workers]} for start in range(workers)]
    running = [(share, _start_worker(share)) for share in shares if share]
    found: dict[str, ObjectCode] = {}
    for share, worker in running:
        output, errors = worker.communicate()
        if worker.returncode != 0:
            raise CompilationError(
                "a worker process could not compile kernels",
                facts=[("kernels", ", ".join(task[0].name for task in share.values())[:200])],
                got=errors.decode(errors="replace").strip().splitlines()[-1] if errors else f"exit {worker.returncode}",
            )
        for key, symbol, data in json.loads(output):
            found[key] = ObjectCode(symbol, bytes.fromhex(data))
    return found


def _start_worker(share: dict[str, Task]) -> subprocess.Popen[bytes]:
    content = [
        [key, source.name, source.code, [[n, d.name] for n, d in source.functions], source.tables, integers,
         [dtype.name for dtype in buffers]]
        for key, (source, integers, buffers) in share.items()
    ]  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "graphc.runtime.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
    )
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(content).encode() + b"\n")
    worker.stdin.flush()
    return worker


def _environment() -> dict[str, str]:
    """This process's environment, with its module search path, so that the worker finds the same graphc."""
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
