"""Training steps of every kind of network on the GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.runtime.target import Target
from tests.cuda.networks import perceptron, perceptron_feed, recurrent, recurrent_feed
from tests.end_to_end.workloads import WORKLOADS
from tests.gpu.targets import CPU, EXACT, FAST, Feed, check_same, trained

pytestmark = pytest.mark.gpu

Case = tuple[Callable[[], gc.Model], list[Feed]]


def case(name: str, steps: int = 3) -> Case:
    """How to make a network, and batches for it."""
    if name == "choices":
        return recurrent, [recurrent_feed(4, seed) for seed in range(steps)]
    if name == "dropout":
        return perceptron, [perceptron_feed(8, seed) for seed in range(steps)]
    workload = WORKLOADS[name]
    return workload.compiled, list(workload.feeds(steps))


def check_exact(name: str, target: Target) -> None:
    make, feeds = case(name)
    wanted = trained(make, CPU, feeds)
    assert len({float(wanted[f"loss {step}"]) for step in range(3)}) == 3, "no parameter moved"
    check_same(wanted, trained(make, target, feeds))


def check_close(name: str, target: Target) -> None:
    """Losses and states are those of the CPU up to rounding."""
    make, feeds = case(name)
    wanted, found = trained(make, CPU, feeds), trained(make, target, feeds)
    assert wanted.keys() == found.keys()
    for part, value in wanted.items():
        np.testing.assert_allclose(found[part], value, rtol=1e-4, atol=1e-4, err_msg=part)


def check_replayed(name: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps replayed as graphs and steps that run kernel by kernel give the same bits; so do equal runs."""
    make, feeds = case(name, 5)
    replayed = [trained(make, target, feeds) for _ in range(2)]
    monkeypatch.setenv("GRAPHC_CUDA_ONE_BY_ONE", "1")
    one_by_one = trained(make, target, feeds)
    for found in replayed:
        check_same(one_by_one, found)


@pytest.mark.parametrize("name", [*WORKLOADS, "choices", "dropout"])
def test_three_exact_steps_give_the_bits_of_the_cpu(name: str) -> None:
    check_exact(name, EXACT)


@pytest.mark.parametrize("name", WORKLOADS)
def test_three_steps_in_float32_give_the_numbers_of_the_cpu(name: str) -> None:
    check_close(name, FAST)


@pytest.mark.parametrize("name", ["mlp", "resnet", "transformer", "lstm", "choices", "dropout"])
def test_graphs_and_single_kernels_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_replayed(name, FAST, monkeypatch)
