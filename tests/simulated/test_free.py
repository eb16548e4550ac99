"""Sums whose order is free, in the simulator: right up to rounding, and the same every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.passes.pipeline import run_pipeline
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.target import Target
from tests.cuda.fake_driver import FakeDriver
from tests.harness import same_bits
from tests.simulated.device import simulated

Make = Callable[[Tensor], "dict[str, Tensor]"]


def normalised(x: Tensor) -> dict[str, Tensor]:
    mean = x.mean(axis=(0, 1, 2))
    variance = ((x - mean) ** 2.0).mean(axis=(0, 1, 2))
    return {"y": (x - mean) / gc.sqrt(variance + 1e-5), "variance": variance}


CASES: dict[str, tuple[Make, tuple[int | str, ...], int]] = {
    "columns": (lambda x: {"y": x.sum(axis=0)}, ("n", 40), 0),
    "long columns": (lambda x: {"y": gc.exp(x.sum(axis=0) * 0.01)}, (4000, 7), 1),
    "columns of each sample": (lambda x: {"y": x.sum(axis=1)}, (3, 300, 20), 1),
    "two sums of columns": (lambda x: {"a": x.sum(axis=0), "b": (x * x).sum(axis=0)}, (1200, 20), 1),
    "values stored on the way": (lambda x: {"y": gc.exp(x), "s": gc.exp(x).sum(axis=0)}, (900, 10), 1),
    "a long row": (lambda x: {"y": gc.max(x)}, (3000,), 1),
    "few long rows": (lambda x: {"y": (x * x).sum(axis=1)}, (3, 2000), 0),
    "several axes": (lambda x: {"y": x.mean()}, ("n", 9), 0),
    "integers": (lambda x: {"y": gc.cast(x * 9.0, "int32").sum(axis=0)}, (3000, 3), 1),
    "batch normalisation": (normalised, (5, 12, 12, 6), 2),
}


def on_gpu(function: gc.Function) -> CudaExecutable:
    target = Target("cuda")
    program = target.program(run_pipeline(function._bound, target.passes(training=True)))
    return simulated(program, function._executable.cells, "float32", FakeDriver())


@pytest.mark.parametrize("name", CASES)
def test_sums_in_another_order_are_right_up_to_rounding(name: str) -> None:
    make, shape, in_parts = CASES[name]
    x = gc.input("x", shape=shape)
    function = gc.function([x], make(x), training=True, threads=1)
    data = np.random.default_rng(0).standard_normal([size if isinstance(size, int) else 777 for size in shape])
    data = data.astype(np.float32)
    wanted = function(data)
    assert isinstance(wanted, dict)
    gpu = on_gpu(function)
    assert sum(bool(kernel.scratch) for several in gpu.kernels.values() for kernel in several) == 2 * in_parts
    arrays, sizes = gpu.feeder.prepare({"x": data})
    found, again = gpu.run(arrays, sizes), gpu.run(arrays, sizes)
    for key, value in wanted.items():
        assert np.asarray(found[key]).dtype == value.dtype
        np.testing.assert_allclose(np.asarray(found[key]), value, rtol=3e-5, atol=3e-5)
        assert same_bits(np.asarray(found[key]), np.asarray(again[key]))


def test_a_nan_and_an_infinity_are_not_lost() -> None:
    x = gc.input("x", shape=(3000, 3))
    function = gc.function([x], {"sum": x.sum(axis=0), "max": gc.max(x, axis=0)}, threads=1)
    data = np.zeros((3000, 3), np.float32)
    data[1234, 0], data[77, 1] = np.nan, -np.inf
    gpu = on_gpu(function)
    arrays, sizes = gpu.feeder.prepare({"x": data})
    found = gpu.run(arrays, sizes)
    np.testing.assert_array_equal(np.asarray(found["sum"]), [np.nan, -np.inf, 0.0])
    np.testing.assert_array_equal(np.asarray(found["max"]), [np.nan, 0.0, 0.0])
