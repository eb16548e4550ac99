"""Training while other processes take the processors, also with more threads than there are processors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.end_to_end.workloads import WORKLOADS

SPIN = """
import sys
print(flush=True)
while True:
    pass
"""


@pytest.fixture
def busy_processors() -> Iterator[None]:
    """As many processes as there are processors, up to eight, do nothing as fast as they can."""
    with ExitStack() as stack:
        for _ in range(min(os.cpu_count() or 1, 8)):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE))
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        yield


def trained(threads: int, steps: int) -> tuple[list[str], dict[str, bytes]]:
    """The losses, and the bytes of all states after the last step."""
    workload = WORKLOADS["worksheet"]
    model = workload.compiled(threads)
    found = [model.step(feed)["loss"].hex() for feed in workload.feeds(steps)]
    return found, {name: cell.array.tobytes() for name, cell in model.cells.items()}


@pytest.mark.usefixtures("busy_processors")
@pytest.mark.parametrize("threads", [2, 8])
def test_threads_that_wait_for_a_processor_compute_the_same_bits(threads: int) -> None:
    assert trained(threads, 20) == trained(1, 20)
