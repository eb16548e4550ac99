"""Whole training steps of every kind of network: the same bits however they run, and the interpreter's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

import graphc as gc
from graphc.passes.threads import plan_commands
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.executable import Executable
from graphc.scalar import Array
from tests.end_to_end.workloads import WORKLOADS, Feed, Workload
from tests.harness import same_bits


@cache
def model_of(name: str, fuse: bool = True) -> gc.Model:
    """The model of one thread, which tests leave as it is."""
    return WORKLOADS[name].compiled(1, fuse)


def trained(executable: Executable | CudaExecutable, feeds: Sequence[Feed]) -> dict[str, Array]:
    """The loss and all states after a step on each batch; afterwards the states are as before."""
    found: dict[str, Array] = {}
    with executable.keeping_states():
        for step, feed in enumerate(feeds):
            found[f"loss {step}"] = executable.run(*executable.feeder.prepare(feed))["loss"]
            for node, cell in executable.cells.items():
                found[f"{getattr(node.op, 'label', '')} {step}"] = cell.array.copy()
    return found


def different(left: dict[str, Array], right: dict[str, Array]) -> list[str]:
    """The names of numbers that do not have the same bits."""
    assert left.keys() == right.keys()
    return [name for name, value in left.items() if not same_bits(value, right[name])]


def shared_kernels(executable: Executable | CudaExecutable, workload: Workload, threads: int) -> int:
    """How many kernels of a training step the threads share."""
    program = executable.program
    commands = plan_commands(program.calls, program.plan, {"batch": workload.batch}, threads)
    return sum(command.split for command in commands)


@pytest.mark.parametrize("name", WORKLOADS)
def test_neither_threads_nor_fusion_change_a_bit_of_a_training_step(name: str) -> None:
    workload = WORKLOADS[name]
    fused, unfused = (model_of(name, fuse).executable() for fuse in (True, False))
    assert len(unfused.program.calls) > len(fused.program.calls)
    feeds = workload.feeds(3)
    expected = trained(fused, feeds)
    assert len({float(expected[f"loss {step}"]) for step in range(3)}) == 3, "no parameter moved"
    assert shared_kernels(fused, workload, 2) >= 2
    # More threads than processors, and than rows of some axes, must do no harm.
    others = [Executable(fused.program, fused.cells, threads) for threads in (2, 3, 5, 8)]
    for other in (*others, Executable(unfused.program, unfused.cells, 2)):
        assert different(expected, trained(other, feeds)) == [], (other.threads, other.program is fused.program)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_compiled_training_step_computes_what_the_interpreter_does(name: str) -> None:
    (feed,) = WORKLOADS[name].feeds(1)
    model = model_of(name)
    summary = model.check(feed)[-1]
    assert f"same outputs and {len(model.graph().updates)} updates" in summary


@pytest.mark.parametrize("name", [name for name, each in WORKLOADS.items() if "batch" in each.inputs.get("y", ())])
def test_batches_of_other_sizes_in_between_do_not_change_a_bit(name: str) -> None:
    workload = WORKLOADS[name]
    first = model_of(name).executable()
    batches = [replace(workload, batch=size).feeds(1) for size in (3, workload.batch, 1, 2 * workload.batch + 1)]
    fresh = [trained(Executable(first.program, first.cells, 1), batch) for batch in batches]
    used = Executable(first.program, first.cells, 3)
    for batch, expected in zip(batches * 2, fresh * 2, strict=True):
        assert different(expected, trained(used, batch)) == []
