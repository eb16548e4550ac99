"""The benchmarks run: the command's table and figures, and a step through the adapter for other harnesses."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.scalar import Array

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_command_compares_graphc_with_numpy(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = run("--only", "graphc,numpy", "--steps", "3", "--rounds", "1", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert "MLP 784-128-10, batch 32, SGD, float32, 2 threads" in done.stdout
    assert rows["graphc"][5] == "1.00"
    assert len(rows["numpy"]) == 10
    results = json.loads(figures.read_text("utf-8"))["results"]
    assert list(results) == ["graphc", "numpy"]
    for result in results.values():
        assert "left_out" not in result
        positive = [
            *result["microseconds"].values(),
            *result["first_step_seconds"].values(),
            *result["peak_megabytes"].values(),
            *result["round_medians"],
        ]
        assert len(positive) == 8
        assert min(positive) > 0


def test_a_peer_whose_python_lacks_it_is_named_in_the_table(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', "utf-8")
    bare.chmod(0o755)
    done = run("--only", "jax", "--python", f"jax={bare}", "--steps", "1", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[:8] == ["jax", "left", "out:", "jax", "is", "not", "installed", "in"]


def test_an_unknown_implementation_is_refused() -> None:
    done = run("--only", "graphc,caffe")
    assert done.returncode == 2
    assert "there is no implementation 'caffe'; there are graphc, numpy, torch, torch.compile, jax" in done.stderr


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
class Regression:
    """Logistic regression on four samples, described as a harness describes it."""

    name: str = "logreg"
    opt: dict[str, Any] = field(default_factory=lambda: {"kind": "sgd", "lr": 0.5})
    cfg: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Array] = field(
        default_factory=lambda: {"w": np.zeros((6, 3), np.float32), "b": np.zeros(3, np.float32)}
    )

    def batches(self, layout: str, label: str) -> list[dict[str, Array]]:
        images = np.random.default_rng(0).random((4, 6), np.float32)
        return [{"x": images, "y": np.array([0, 2, 1, 0], label)}]


def test_the_adapter_builds_a_step_that_trains(adapter: Any) -> None:
    workload = Regression()
    assert adapter.supports(workload.name, {}) is None
    step = adapter.build(workload, adapter.VARIANTS["default"])
    (batch,) = workload.batches(adapter.LAYOUT, adapter.LABEL)
    losses = [step(batch) for _ in range(3)]
    assert losses[0] == pytest.approx(math.log(3), rel=1e-6)
    assert losses[0] > losses[1] > losses[2]
    assert not workload.params["w"].any()


def test_the_adapter_gives_reasons_for_what_it_does_not_support(adapter: Any) -> None:
    assert adapter.supports("lenet5", {}) == "needs convolution and pooling"
    assert adapter.supports("sudoku", {}) == "unknown to this adapter"
