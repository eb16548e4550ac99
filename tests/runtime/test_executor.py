from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError
from graphc.runtime.executor import MOST_THREADS, Executor, default_threads, executor_for, thread_count
from graphc.scalar import Array

ROOT = Path(__file__).parents[2]
DATA = np.random.default_rng(0).standard_normal((3000, 20)).astype(np.float32)


def normalised(threads: int | None) -> gc.Function:
    """Three kernels one after the other, with barriers between them."""
    x = gc.input("x", shape=("batch", 20))
    centred = x - x.mean(axis=0)
    return gc.function([x], gc.softmax(centred @ gc.constant(DATA[:20]), axis=-1), threads=threads)


def array_of(value: object) -> Array:
    assert isinstance(value, np.ndarray)
    return value


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
def test_many_runs_give_one_result(threads: int) -> None:
    function = normalised(threads)
    expected = array_of(normalised(1)(DATA)).tobytes()
    assert all(array_of(function(DATA)).tobytes() == expected for _ in range(50))


def test_helpers_wake_up_again_after_sleeping() -> None:
    function = normalised(3)
    expected = array_of(function(DATA)).tobytes()
    pause = threading.Event()
    for _ in range(3):
        pause.wait(0.02)
        assert array_of(function(DATA)).tobytes() == expected


def test_programs_of_one_number_of_threads_share_an_executor() -> None:
    assert executor_for(2) is executor_for(2)
    assert executor_for(2) is not executor_for(3)
    names = [thread.name for thread in threading.enumerate()]
    normalised(3)
    normalised(3)
    assert [thread.name for thread in threading.enumerate()].count("graphc-2") == names.count("graphc-2")


def test_threads_of_the_user_may_call_at_once() -> None:
    functions = [normalised(2), normalised(2), normalised(1)]
    expected = array_of(functions[0](DATA)).tobytes()
    found: list[bytes] = []

    def call(function: gc.Function) -> None:
        found.extend(array_of(function(DATA)).tobytes() for _ in range(20))

    callers = [threading.Thread(target=call, args=(function,)) for function in functions]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [expected] * 60


def test_an_empty_table_runs() -> None:
    table = np.zeros(0, np.int64)
    assert Executor(1).run(table.ctypes.data, 0) == 0
    assert executor_for(2).run(table.ctypes.data, 0) == 0


def test_the_environment_sets_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for text, number in (("3", 3), ("1000", MOST_THREADS), ("0", available), ("many", available), ("", available)):
        monkeypatch.setenv("GRAPHC_NUM_THREADS", text)
        assert default_threads() == thread_count(None) == number


def test_more_threads_than_an_executor_has_room_for_are_not_started() -> None:
    assert thread_count(1) == 1
    assert thread_count(MOST_THREADS + 1) == MOST_THREADS


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(threads: int) -> None:
    with pytest.raises(DeclarationError, match="a program needs a thread") as caught:
        normalised(threads)
    assert (caught.value.expected, caught.value.got) == ("threads of at least 1", str(threads))
    assert caught.value.way_out == "threads=None takes all processors"


FORK = """
import os
import numpy as np
import graphc as gc

x = gc.input("x", shape=("n", 64))
function = gc.function([x], gc.tanh(x) @ gc.constant(np.ones((64, 64), np.float32)), threads=3)
data = np.ones((4000, 64), np.float32)
expected = function(data).tobytes()
child = os.fork()
if child == 0:
    os._exit(0 if all(function(data).tobytes() == expected for _ in range(5)) else 1)
assert os.waitpid(child, 0)[1] == 0
assert function(data).tobytes() == expected
"""


def test_a_function_made_before_a_fork_runs_in_the_child() -> None:
    # Python 3.12 warns of forks with threads: the very case.
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0
