"""The workloads' arrays, and graphc's and numpy's steps on small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.commands import module

NAMES = [
    *("logreg", "mlp-small", "mlp-wide", "svm-linear", "lenet5", "keras-cnn"),
    *("resnet20", "elementwise-chain", "vae", "nano-gpt", "deeplab-mini", "char-lstm"),
]


def same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_all_workloads_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(module("workloads", monkeypatch).WORKLOADS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_is_made_of_the_same_numbers_every_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = module("workloads", monkeypatch).WORKLOADS[name]
    first, second = make(), make()
    assert first.name == name
    assert same(first.params, second.params)
    assert same(first.data, second.data)
    assert {value.dtype for value in first.params.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(value).all() for value in [*first.params.values(), *first.data.values()])


def test_minibatches_have_the_layout_and_the_labels_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = module("workloads", monkeypatch).WORKLOADS["resnet20"]()
    first, last = workload.batches("NCHW", "int64")[3], workload.batches("NHWC", "int32")[3]
    assert (first["x"].shape, first["y"].dtype) == ((32, 3, 32, 32), np.int64)
    assert (last["x"].shape, last["y"].dtype) == ((32, 32, 32, 3), np.int32)
    np.testing.assert_array_equal(first["x"].transpose(0, 2, 3, 1), last["x"])
    np.testing.assert_array_equal(first["y"], last["y"])
    assert workload.samples == 32


def test_float64_changes_floats_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = module("workloads", monkeypatch).WORKLOADS["logreg"]()
    double = workload.double()
    assert {value.dtype for value in double.params.values()} == {np.dtype(np.float64)}
    assert (double.data["x"].dtype, double.data["y"].dtype) == (np.float64, np.int32)
    np.testing.assert_array_equal(double.params["w"], workload.params["w"])


def test_dropout_is_left_out_where_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    workloads = module("workloads", monkeypatch).WORKLOADS
    assert workloads["keras-cnn"]().without_dropout().cfg == {"p1": 0.0, "p2": 0.0}
    plain = workloads["logreg"]()
    assert plain.without_dropout() is plain


def test_next_characters_follow_from_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = module("workloads", monkeypatch).WORKLOADS["char-lstm"]().batches()
    for batch, after in pairwise(batches):
        np.testing.assert_array_equal(batch["x"][:, 1:], batch["y"][:, :-1])
        np.testing.assert_array_equal(batch["y"][:, -1], after["x"][:, 0])


OPTIMIZERS = [
    {"kind": "sgd", "lr": 0.05},
    {"kind": "momentum", "lr": 0.05, "mu": 0.9},
    {"kind": "adam", "lr": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
]


@pytest.mark.parametrize("options", OPTIMIZERS, ids=lambda options: str(options["kind"]))
def test_graphc_and_numpy_lose_the_same(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    small = module("workloads.perceptrons", monkeypatch).mlp_small(4, 8)
    workload = replace(small, opt=options)
    losses = []
    for name in ("with_graphc", "with_numpy"):
        implementation = module(name, monkeypatch)
        step = implementation.build(workload)
        batches = workload.batches(implementation.LAYOUT, implementation.LABEL)
        losses.append([step(batch) for batch in islice(batches, 5)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert len(set(losses[0])) == 5


def test_graphc_knows_the_work_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = module("workloads.perceptrons", monkeypatch).mlp_small(4, 8)
    work = module("with_graphc", monkeypatch).build(workload).work()
    products = 2 * 4 * (2 * 784 * 8 + 3 * 8 * 10)
    assert products <= work["flops"] < 2 * products
    assert work["bytes"] >= 4 * (784 * 8 + 4 * 784)
    assert min(work["seconds"], work["peak_flops"], work["peak_bytes"]) > 0


def test_numpys_derivatives_along_the_chain_are_those_of_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = module("with_numpy", monkeypatch).OPERATIONS
    x, step = np.array([0.3, 0.8, 1.7]), 1e-6
    for name, operation in operations.items():
        _, slope = operation(x, 0.5)
        difference = (operation(x + step, 0.5)[0] - operation(x - step, 0.5)[0]) / (2 * step)
        np.testing.assert_allclose(1.0 if slope is None else slope, difference, rtol=1e-7, err_msg=name)


def test_the_chain_has_thirty_operations_that_numpy_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = module("workloads", monkeypatch).WORKLOADS["elementwise-chain"]().cfg["chain"]
    assert len(chain) == 30
    assert {name for name, *_ in chain} <= module("with_numpy", monkeypatch).OPERATIONS.keys()
