"""The adapter gives graphc to another harness: a step through it, and what it does to initial values."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from graphc.scalar import Array
from tests.benchmarks.commands import BENCHMARKS


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The adapter, initialised for two threads as a harness does it."""
    spec = importlib.util.spec_from_file_location("graphc_adapter", BENCHMARKS / "graphc_adapter.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    monkeypatch.delenv("BENCH_CACHE_DIR", raising=False)
    module.init(2, {})
    return module


@dataclass
class Workload:
    """What a harness hands to an adapter, with one minibatch."""

    name: str
    opt: dict[str, Any]
    params: dict[str, Array]
    batch: dict[str, Array]
    cfg: dict[str, Any] = field(default_factory=dict)

    def batches(self, layout: str, label: str) -> list[dict[str, Array]]:
        assert (layout, label) == ("NHWC", "int32")
        return [self.batch]


def regression() -> Workload:
    """Logistic regression on four samples."""
    images = np.random.default_rng(0).random((4, 6), np.float32)
    return Workload(
        "logreg",
        {"kind": "sgd", "lr": 0.5},
        {"w": np.zeros((6, 3), np.float32), "b": np.zeros(3, np.float32)},
        {"x": images, "y": np.array([0, 2, 1, 0], np.int32)},
    )


def segmentation() -> Workload:
    """A dilated convolution and a head that is zero, on two images of which two of three labels count."""
    rng = np.random.default_rng(0)
    labels = np.arange(128, dtype=np.int32).reshape(2, 8, 8) % 3
    labels[labels == 2] = 255
    return Workload(
        "deeplab-mini",
        {"kind": "momentum", "lr": 0.2, "mu": 0.9, "wd": 1e-3},
        {
            "atr.w": rng.standard_normal((5, 2, 3, 3), np.float32),
            "atr.b": np.zeros(5, np.float32),
            "head.w": np.zeros((3, 5, 1, 1), np.float32),
            "head.b": np.zeros(3, np.float32),
        },
        {"x": rng.random((2, 4, 4, 2), np.float32), "y": labels},
        {"convs": [("atr", 2, 5, 3, 1, 2, 4), ("head", 5, 3, 1, 1, 1, 4)], "ignore": 255, "up": 2},
    )


@pytest.mark.parametrize("make", [regression, segmentation])
def test_the_adapter_builds_a_step_that_trains(adapter: Any, make: Callable[[], Workload]) -> None:
    workload = make()
    before = {name: value.copy() for name, value in workload.params.items()}
    assert adapter.supports(workload.name, {}) is None
    step = adapter.build(workload, adapter.VARIANTS["default"])
    losses = [step(workload.batch) for _ in range(3)]
    assert losses[0] == pytest.approx(math.log(3), rel=1e-6)
    assert losses[0] > losses[1] > losses[2]
    for name, value in workload.params.items():
        np.testing.assert_array_equal(value, before[name])


def test_the_adapter_interpolates_between_pixel_centres(adapter: Any) -> None:
    np.testing.assert_array_equal(
        adapter._bilinear(2, 4).T,
        [[1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]],
    )


def test_the_adapter_puts_weights_behind_images_in_the_order_of_channels_last(adapter: Any) -> None:
    images = np.random.default_rng(0).random((2, 16, 5, 5))
    weight = np.random.default_rng(1).random((400, 7))
    moved = adapter.channels_last({"c2w": np.zeros((16, 6, 5, 5)), "w3": weight})["w3"]
    rows = images.transpose(0, 2, 3, 1).reshape(2, 400)
    np.testing.assert_allclose(rows @ moved, images.reshape(2, 400) @ weight)


def test_the_adapter_says_what_it_does_not_support(adapter: Any) -> None:
    assert adapter.supports("resnet20", {}) is None
    assert adapter.supports("sudoku", {}) == "unknown to this adapter"
