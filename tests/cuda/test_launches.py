"""Lists of launches, and what is too large for one."""

from __future__ import annotations

import pytest

import graphc as gc
from graphc.errors import DeviceError
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.threads import Command
from graphc.runtime.cuda.device import Launch
from graphc.runtime.cuda.launches import LaunchWriter


def writer(rows: int) -> LaunchWriter:
    """For a product of rows and an added vector, whose memory stays imaginary."""
    x, b = gc.input("x", shape=("rows", 7, 5)), gc.input("b", shape=("rows", 5))
    function = gc.function([x, b], x + gc.reshape(b, ("rows", 1, 5)))
    calls = function.program.calls
    parts = {number: [(kernel, kernel) for kernel in cuda_kernel(call).launched] for number, call in enumerate(calls)}
    return LaunchWriter(calls, parts, {"rows": rows}, lambda storage: 4096, 0, {}, 0)


def test_a_call_is_launched_with_its_sizes_and_addresses() -> None:
    made = writer(3)
    made.walk([Command(0, False, False)])
    (launch,) = made.launches
    assert isinstance(launch, Launch)
    assert (launch.blocks, launch.threads, launch.arguments) == (1, 256, (3, 4096, 4096, 4096))


def test_nothing_to_do_is_not_launched() -> None:
    made = writer(0)
    made.walk([Command(0, False, False)])
    assert made.launches == []


def test_more_elements_than_32_bits_count_are_refused_with_the_line() -> None:
    writer(61_356_675).walk([Command(0, False, False)])
    with pytest.raises(DeviceError) as caught:
        writer(61_356_676).walk([Command(0, False, False)])
    text = str(caught.value)
    assert text.startswith("kernel add_kernel would count more elements than a GPU's kernels do\n")
    assert "fewer than 2,147,483,648" in text
    assert "2,147,483,660" in text
    assert "test_launches.py" in text
    assert "a smaller batch" in text
