"""Every op, compiled for a GPU and run in the simulator: the bits of the CPU's kernels."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.op import Sample
from graphc.passes.pipeline import run_pipeline
from graphc.runtime.target import Target
from tests.cuda.fake_driver import FakeDriver
from tests.harness import BATCH, SIZES, all_samples, declare, operands, same_bits
from tests.simulated.device import simulated


@pytest.mark.parametrize("sample", [pytest.param(sample, id=name) for name, sample in all_samples()])
def test_a_simulated_kernel_gives_the_bits_of_the_cpu(sample: Sample) -> None:
    inputs, result = declare(sample)
    function = gc.function([*inputs, Tensor(BATCH)], result, training=True, winograd=False, threads=1)
    fed = [*operands(sample), np.zeros(SIZES["batch"], np.float32)]
    wanted = function(*fed)
    target = Target("cuda", precision="exact")
    program = target.program(run_pipeline(function._bound, target.passes(training=True)))
    gpu = simulated(program, function._executable.cells, "exact", FakeDriver())
    arrays, sizes = gpu.feeder.prepare(dict(zip(gpu.feeder.labels, _in_order(gpu.feeder.labels, fed), strict=True)))
    found = np.asarray(gpu.run(arrays, sizes)["output"])
    assert isinstance(wanted, np.ndarray)
    assert same_bits(found, wanted)


def _in_order(labels: list[str], fed: list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]) -> list[object]:
    """What is fed to inputs x0, x1, ... and, last, to the input that brings the sizes."""
    return [fed[-1] if label == "sizes" else fed[int(label[1:])] for label in labels]
