"""Whole training steps of every kind of network on a simulated GPU: the bits of the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.target import Target
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.pairs import run
from tests.end_to_end.workloads import WORKLOADS, Workload
from tests.harness import same_bits
from tests.simulated.device import simulated


def small(name: str) -> Workload:
    """A workload with two samples a step where that is possible: the simulator is slow."""
    workload = WORKLOADS[name]
    return replace(workload, batch=2) if workload.batch == 33 else workload


def on_gpu(model: gc.Model, precision: str) -> CudaExecutable:
    target = Target("cuda", precision=precision)
    program = target.program(model.graph("train", target))
    cells = {node: model.cells[str(getattr(node.op, "label", ""))] for node in program.graph.states}
    return simulated(program, cells, precision, FakeDriver())


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_training_step_has_the_bits_of_the_cpu(name: str) -> None:
    workload = small(name)
    cpu, other = workload.compiled(), workload.compiled()
    cpu.target = replace(cpu.target, winograd=False)
    (feed,) = workload.feeds(1)
    wanted, found = run(cpu.executable(), feed), run(on_gpu(other, "exact"), feed)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert same_bits(np.asarray(found[key]), value), key
    different = [key for key, cell in cpu.cells.items() if not same_bits(cell.read(), other.cells[key].read())]
    assert different == []


def test_a_step_that_need_not_be_exact_is_close() -> None:
    workload = small("transformer")
    cpu, other = workload.compiled(), workload.compiled()
    (feed,) = workload.feeds(1)
    gpu = on_gpu(other, "float32")
    assert any(kernel.scratch for several in gpu.kernels.values() for kernel in several)
    wanted, found = run(cpu.executable(), feed), run(gpu, feed)
    assert float(found["loss"]) == pytest.approx(float(wanted["loss"]), rel=1e-5)
    for key, cell in cpu.cells.items():
        np.testing.assert_allclose(other.cells[key].read(), cell.read(), rtol=1e-4, atol=1e-6, err_msg=key)
