"""The executor: a small compiled loop (``graphc.runtime.drive``) that runs a program's commands, with or without helper
threads, without the GIL.

A program is a table of int64 numbers, command after command:

    kind, function, count, argument, ...        kind 0: run on the first thread only
                                                kind 1: run on every thread, each with its part of the outermost loop
    kind, 0, 0                                  kind 2: all threads wait for each other
                                                kind 3: as 2, then stop if the status is not 0
    kind, condition, count                      kind 4: skip so many numbers if the truth value there is true
                                                kind 5: skip them if it is false

Helper threads wait for work spinning for about a tenth of a millisecond, then sleep until they are woken. What threads
share is one array of int64; what different threads write lies on different cache lines:

    0    number of the step that was started last       64 + 8*t    barriers that thread t has reached
    8    address of the table     9    its length        512 + 8*t   1 while thread t sleeps
    10   status of the step       11   threads           1024 + 8*t  last step that thread t has run
    16   1 if launch found a sleeping thread and left the step to be run after waking
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache

import numpy as np

from graphc.dtypes import INT64
from graphc.errors import DeclarationError
from graphc.frontend.state import aligned_empty
from graphc.origin import user_location
from graphc.runtime.compilation import compile_sources
from graphc.runtime.drive import drive_source
from graphc.runtime.engine import Engine

__all__ = ["MOST_THREADS", "THREADS_VARIABLE", "Executor", "default_threads", "executor_for", "thread_count"]

THREADS_VARIABLE = "GRAPHC_NUM_THREADS"
"""The environment variable that sets how many threads run a program."""
MOST_THREADS = 48
_SPINS = 3000
"""Pauses before a waiting helper goes to sleep: about a tenth of a millisecond."""
_PATIENCE = 100
"""Pauses at a barrier before a thread lets others have its processor."""


def default_threads() -> int:
    """The number of threads that programs use: $GRAPHC_NUM_THREADS, else the processors this process may run on."""
    named = os.environ.get(THREADS_VARIABLE, "")
    if named.isdigit() and int(named) > 0:
        return min(int(named), MOST_THREADS)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_THREADS)


def thread_count(asked: int | None) -> int:
    """The number of threads that a program gets: as asked, at most 48; DeclarationError for less than one."""
    if asked is None:
        return default_threads()
    if asked < 1:
        raise DeclarationError(
            "a program needs a thread",
            at=str(user_location()),
            expected="threads of at least 1",
            got=str(asked),
            way_out="threads=None takes all processors",
        )
    return min(asked, MOST_THREADS)


@cache
def _drive() -> tuple[Callable[..., int], Engine]:
    """The compiled executor."""
    (code,) = compile_sources([(drive_source(_SPINS, _PATIENCE), 2, (INT64,))])
    engine = Engine([code])
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, ctypes.c_void_p)
    return prototype(engine.address(code.symbol)), engine


class Executor:
    """Runs tables of commands on a fixed number of threads: the caller's and helpers that it keeps."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        array = aligned_empty((2048,), np.dtype(np.int64))
        array[...] = 0
        array[11] = threads
        self._shared = memoryview(array.data).cast("B").cast("q")
        self._address = int(array.ctypes.data)
        self._ignored = np.zeros(2, np.int64)
        self._scratch = int(self._ignored.ctypes.data)
        self._call, self._engine = _drive()
        self._forget_helpers()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_helpers)

    def run(self, address: int, length: int) -> int:
        """Run the table of commands of a length at an address; the status is 0 if all went well."""
        with self._lock:
            if not self._helped:
                self._start_helpers()
            shared = self._shared
            shared[8], shared[9], shared[10] = address, length, 0
            self._call(self._scratch, self._scratch, 0, 0, self._address)
            if shared[16]:
                for helper in range(1, self.threads):
                    if shared[1536 + 8 * helper]:
                        shared[1536 + 8 * helper] = 0
                        self._wake[helper].release()
                self._call(self._scratch, self._scratch, 1, 0, self._address)
            return shared[10]

    @property
    def status_address(self) -> int:
        """Where range checks write their code."""
        return self._address + 10 * 8

    def _forget_helpers(self) -> None:
        """No helper runs yet, or none any more: the child of a fork has no threads, but perhaps a lock that is held."""
        self._lock = threading.Lock()
        self._helped = False

    def _start_helpers(self) -> None:
        shared = self._shared
        self._wake = [threading.Semaphore(0) for _ in range(self.threads)]
        for thread in range(1, self.threads):
            shared[64 + 8 * thread], shared[512 + 8 * thread], shared[1024 + 8 * thread] = shared[64], 0, shared[0]
            threading.Thread(target=self._serve, args=(thread,), name=f"graphc-{thread}", daemon=True).start()
        self._helped = True

    def _serve(self, thread: int) -> None:
        scratch = np.zeros(2, np.int64)
        while True:
            self._call(scratch.ctypes.data, scratch.ctypes.data, 2, thread, self._address)
            self._wake[thread].acquire()


@cache
def executor_for(threads: int) -> Executor:
    """The executor of a number of threads; programs share it and run one at a time on it."""
    return Executor(threads)
