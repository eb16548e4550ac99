"""What is said on the GPU of integers out of range, and of memory that is not there."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeviceError, FeedError
from graphc.runtime.cuda.device import Device

pytestmark = pytest.mark.gpu


def lookup(target: str) -> gc.Function:
    """Looks up fed indices (near), and indices that a state moves (far)."""
    index, shift = gc.input("index", shape=("n",), dtype="int64"), gc.state(1, name="shift")
    table = gc.constant(np.arange(4.0, dtype=np.float32))
    near = gc.take(table, gc.check_range(index, 0, 4))
    far = gc.take(table, gc.check_range(index + shift, 0, 4))
    return gc.function([index], {"near": near.sum(), "far": far.sum()}, {shift: shift + 0}, target=target)


def refusal(function: gc.Function, index: list[int]) -> str:
    with pytest.raises(FeedError) as caught:
        float(np.asarray(values(function, index)["far"]))
    return str(caught.value)


def values(function: gc.Function, index: list[int]) -> dict[str, object]:
    found = function(index)
    assert isinstance(found, dict)
    return found


def test_an_index_out_of_range_in_an_input_is_refused_as_on_the_cpu() -> None:
    cpu, gpu = lookup("cpu"), lookup("cuda")
    for _ in range(3):
        text = refusal(gpu, [0, -1])
        assert text == refusal(cpu, [0, -1])
        assert "input 'index': 1 of 2 integers are out of range" in text
        assert float(np.asarray(values(gpu, [0, 1])["near"])) == 1.0


def test_a_computed_index_out_of_range_is_reported_when_an_output_is_read() -> None:
    cpu, gpu = lookup("cpu"), lookup("cuda")
    for _ in range(3):  # the first step runs kernel by kernel, the others as graphs
        text = refusal(gpu, [1, 3])
        assert text == refusal(cpu, [1, 3])
        assert text.startswith("a computed integer is out of range; states may have been updated\n")
        assert float(np.asarray(values(gpu, [0, 1])["far"])) == 3.0


def test_memory_that_no_gpu_has_is_refused_with_the_numbers(gpu: Device) -> None:
    x, y = gc.input("x", shape=("n", 1)), gc.input("y", shape=(1, "n"))
    function = gc.function([x, y], gc.exp(x) * y, target="cuda")
    count = 2_000_000
    with pytest.raises(DeviceError) as caught:
        function(np.zeros((count, 1), np.float32), np.zeros((1, count), np.float32))
    text = str(caught.value)
    assert text.startswith(f"{gpu.name} has too little free memory for this program\n")
    assert f"outputs    {4 * count * count:,} bytes" in text
    assert f"inputs     {16 * count:,} bytes" in text
    limits = re.search(r"expected   at most ([\d,]+) bytes, which are free of ([\d,]+)\n", text)
    assert limits is not None
    free, total = (int(number.replace(",", "")) for number in limits.groups())
    assert total == gpu.memory()[1]
    assert 0 < free <= total
    found = function(np.zeros((2, 1), np.float32), np.ones((1, 2), np.float32))
    assert np.asarray(found).tolist() == [[1.0, 1.0], [1.0, 1.0]]
