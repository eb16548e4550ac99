"""What this machine can reach at best: operations a second in registers, and bytes a second in copies of some sizes.

Measured by small generated kernels on the program's own threads, once a process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from graphc.dtypes import FLOAT32, FLOAT64, DType
from graphc.frontend.state import aligned_empty
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.llvm import Assembly, Carried, type_of
from graphc.passes.source import Source
from graphc.runtime.compilation import Task, compile_sources
from graphc.runtime.engine import Engine, host
from graphc.runtime.executor import executor_for
from graphc.scalar import Array

__all__ = ["Peaks", "copy_source", "multiply_add_source", "peaks_of"]

_COPIED = (2**18, 2**22, 2**26)
"""Bytes that a copy reads and writes: within a core's cache, within the last cache, more than most last caches hold."""
_LEAST = 2**22
"""Bytes that are copied at least for one measurement."""
_ROUNDS = 20_000
_TRIES = 5
_UNROLLED = 4
_HEAD = "define i32 @KERNEL(ptr %result, ptr %exception, i64 %part, i64 %parts, i64 %rounds, "


@dataclass(frozen=True)
class Peaks:
    """Rates of a number of threads. flops: operations a second, by element type. copies: bytes a second, by bytes."""

    flops: Mapping[str, float]
    copies: Mapping[int, float]

    def share(self, flops: int, moved: int, seconds: float, dtype: DType) -> float:
        """How near a kernel comes to the roofline (S. Williams et al. 2009): the larger of its shares of both peaks.

        moved: the bytes of its arguments; it is compared with the largest copy that is no larger, or the smallest.

        >>> from graphc.dtypes import FLOAT32
        >>> peaks = Peaks({"float32": 1e11}, {1000: 1e11, 10_000: 1e10})
        >>> peaks.share(5000, 1000, 1e-7, FLOAT32), peaks.share(5000, 50_000, 1e-5, FLOAT32)
        (0.5, 0.5)
        """
        size = max((size for size in self.copies if size <= moved), default=min(self.copies))
        return max(flops / self.flops[dtype.name], moved / self.copies[size]) / seconds

    def __str__(self) -> str:
        compute = ", ".join(f"{rate / 1e9:.1f} in {name}" for name, rate in self.flops.items())
        copies = ", ".join(f"{rate / 1e9:.1f} in {_size(size)}" for size, rate in self.copies.items())
        return f"GFLOP/s {compute}; GB/s of copies {copies}"


@cache
def peaks_of(threads: int) -> Peaks:
    """The peaks of a number of threads, measured at the first call."""
    unit = VectorUnit.of(host()[1])
    floats = (FLOAT32, FLOAT64)
    tasks: list[Task] = [
        *((multiply_add_source(unit, dtype), 3, (dtype,)) for dtype in floats),
        (copy_source(unit), 4, (FLOAT32, FLOAT32)),
    ]
    codes = compile_sources(tasks)
    engine = Engine(codes)
    addresses = [engine.address(code.symbol) for code in codes]
    flops = {}
    for dtype, address in zip(floats, addresses, strict=False):
        sums = aligned_empty((threads * unit.bytes,), np.dtype(np.uint8))
        work = 2 * _ROUNDS * _sums(unit) * (unit.bytes // dtype.itemsize) * threads
        flops[dtype.name] = work / _fastest([address, _ROUNDS, sums.ctypes.data], threads)
    return Peaks(flops, {moved: _copy_rate(addresses[-1], moved, threads) for moved in _COPIED})


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 2**20 else f"{count >> 10} KB"


def _copy_rate(address: int, moved: int, threads: int) -> float:
    """Bytes a second of a copy; a small one is repeated inside the kernel."""
    rounds = max(_LEAST // moved, 1)
    source, target = (aligned_empty((moved // 2,), np.dtype(np.uint8)) for _ in range(2))
    source[...] = target[...] = 0  # the system gives out memory when it is touched
    call = [address, rounds, moved // 2, source.ctypes.data, target.ctypes.data]
    return rounds * moved / _fastest(call, threads)


def _fastest(call: Sequence[int], threads: int) -> float:
    """Seconds that all threads take for a kernel, the fastest of a few. call: its address and its arguments."""
    table: Array = np.array([1, call[0], len(call) - 1, *call[1:]], np.int64)
    best = float("inf")
    for _ in range(_TRIES):
        start = time.perf_counter()
        executor_for(threads).run(int(table.ctypes.data), len(table))
        best = min(best, time.perf_counter() - start)
    return best


def _sums(unit: VectorUnit) -> int:
    """Sums that run side by side: enough to hide how long one takes, and all in registers."""
    return unit.registers - 4


def multiply_add_source(unit: VectorUnit, dtype: DType) -> Source:
    """A kernel that does nothing but multiply and add in registers."""
    assembly = Assembly()
    lanes = unit.bytes // dtype.itemsize
    element, vector = type_of(dtype), type_of(dtype, lanes)
    assembly.lines.append(f"{_HEAD}ptr %sums) {{\nentry:")
    sums = [Carried(vector, f"splat ({element} {number}.0)") for number in range(_sums(unit))]
    with assembly.loop("0", "%rounds", carried=sums):
        for one in sums:
            product = assembly.emit(f"fmul contract {vector} {one.value}, splat ({element} 0.5)")
            one.value = assembly.emit(f"fadd contract {vector} {product}, splat ({element} 1.0)")
    total = sums[0].value
    for one in sums[1:]:
        total = assembly.emit(f"fadd {vector} {total}, {one.value}")
    place = assembly.at(vector, "%sums", "%part")  # stored, or LLVM would leave the loop out
    return _finished("multiply_adds", assembly, f"store {vector} {total}, ptr {place}")


def copy_source(unit: VectorUnit) -> Source:
    """A kernel that copies bytes, each thread its share, again and again."""
    assembly = Assembly()
    vector = type_of(FLOAT32, unit.bytes // FLOAT32.itemsize)
    assembly.lines.append(f"{_HEAD}i64 %bytes, ptr noalias %from, ptr noalias %to) {{\nentry:")
    step = unit.bytes * _UNROLLED
    first, last = assembly.share("%bytes", step)
    with assembly.loop("0", "%rounds"), assembly.loop(first, last, step) as start:
        for number in range(_UNROLLED):
            offset = assembly.plus(start, str(number * unit.bytes))
            value = assembly.emit(f"load {vector}, ptr {assembly.at('i8', '%from', offset)}, align 64")
            assembly.do(f"store {vector} {value}, ptr {assembly.at('i8', '%to', offset)}, align 64")
    return _finished("copy", assembly)


def _finished(name: str, assembly: Assembly, *last: str) -> Source:
    for line in (*last, "ret i32 0"):
        assembly.do(line)
    return Source(name, "\n".join([*assembly.lines, "}"]) + "\n", language="llvm")
