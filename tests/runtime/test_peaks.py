"""The peaks of the machine, and what share of them a kernel reaches."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from graphc.dtypes import FLOAT32, FLOAT64, DType
from graphc.frontend.state import aligned_empty
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.source import Source
from graphc.runtime.engine import Engine, assemble, host
from graphc.runtime.peaks import Peaks, copy_source, multiply_add_source, peaks_of

PEAKS = Peaks({"float32": 1e11, "float64": 5e10}, {2**18: 1e11, 2**26: 1e10})
HERE = VectorUnit.of(host()[1])
UNITS = [VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32)]


def run(source: Source, part: int, parts: int, *arguments: int) -> None:
    """Run a kernel by hand, as one of some threads."""
    code = assemble(source, "test")
    engine = Engine([code])
    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int32, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *[ctypes.c_int64] * len(arguments)
    )
    assert prototype(engine.address(code.symbol))(None, None, part, parts, *arguments) == 0


def test_the_peaks_of_this_machine_are_rates_and_measured_once() -> None:
    peaks = peaks_of(2)
    assert peaks.flops.keys() == {"float32", "float64"}
    assert list(peaks.copies) == [2**18, 2**22, 2**26]
    assert all(1e7 < rate < 1e15 for rate in (*peaks.flops.values(), *peaks.copies.values()))
    assert peaks_of(2) is peaks


def test_peaks_print_with_units() -> None:
    assert str(PEAKS) == ("GFLOP/s 100.0 in float32, 50.0 in float64; GB/s of copies 100.0 in 256 KB, 10.0 in 64 MB")


def test_the_share_is_the_larger_of_computing_and_moving() -> None:
    assert PEAKS.share(50_000, 1000, 1e-6, FLOAT32) == pytest.approx(0.5)
    assert PEAKS.share(1000, 50_000, 1e-6, FLOAT32) == pytest.approx(0.5)
    assert PEAKS.share(0, 0, 1e-6, FLOAT32) == 0.0


def test_float64_is_compared_with_its_own_peak() -> None:
    assert PEAKS.share(50_000, 1000, 1e-6, FLOAT64) == pytest.approx(1.0)


def test_a_kernel_is_compared_with_a_copy_that_is_no_larger() -> None:
    for moved, rate in ((8, 1e11), (2**18, 1e11), (2**26 - 1, 1e11), (2**26, 1e10), (2**30, 1e10)):
        assert PEAKS.share(0, moved, 1.0, FLOAT32) == pytest.approx(moved / rate)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_the_multiply_adds_are_carried_out(dtype: DType) -> None:
    sums = aligned_empty((2, HERE.bytes // dtype.itemsize), dtype.numpy)
    sums[...] = -1
    start = np.arange(HERE.registers - 4)
    for rounds, total in ((0, start.sum()), (1, (start / 2 + 1).sum()), (3, (start / 8 + 1.75).sum())):
        run(multiply_add_source(HERE, dtype), 1, 2, rounds, sums.ctypes.data)
        assert (sums[1] == total).all()
    assert (sums[0] == -1).all()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{8 * unit.bytes}-bit")
def test_the_threads_of_a_copy_share_it(unit: VectorUnit) -> None:
    source, target = (aligned_empty((4096,), np.dtype(np.uint8)) for _ in range(2))
    source[...], target[...] = np.arange(4096) % 251 + 1, 0
    run(copy_source(unit), 0, 2, 3, 4096, source.ctypes.data, target.ctypes.data)
    assert (target[:2048] == source[:2048]).all()
    assert not target[2048:].any()
    run(copy_source(unit), 1, 2, 3, 4096, source.ctypes.data, target.ctypes.data)
    assert (target == source).all()
