"""The workloads in graphc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import graphc_adapter
from workloads.spec import Array, Workload

LAYOUT, LABEL = graphc_adapter.LAYOUT, graphc_adapter.LABEL

_allocated: dict[int, int] = {}
_peak = 0


def version() -> str:
    import graphc

    return graphc.__version__


def build(workload: Workload, device: str = "cpu", precision: str = "float32") -> Step:
    """A function that takes a training step; threads are those that the environment says.

    On a GPU a step returns before it is done; reading its loss waits for it.
    """
    graphc_adapter.init(int(os.environ["GRAPHC_NUM_THREADS"]), {})
    return Step(workload) if device == "cpu" else StepOnGpu(workload, precision)


class Step:
    """A compiled model."""

    def __init__(self, workload: Workload) -> None:
        self._model = graphc_adapter.compile_model(workload, target="cpu")

    def __call__(self, batch: Mapping[str, Array]) -> float:
        return self._model.step(batch)["loss"]

    def work(self) -> dict[str, float]:
        """What a step has to do, and what this machine does at best.

        flops, bytes: of all kernels, each argument of each counted once. seconds: what they would take if every kernel
        were as quick as the machine allows. peak_flops, peak_bytes: a second, the latter in copies of the main memory.
        """
        from graphc.dims import evaluate
        from graphc.dtypes import FLOAT32
        from graphc.runtime.figures import bytes_of, flops_of
        from graphc.runtime.peaks import peaks_of

        executable = self._model.executable("train")
        peaks = peaks_of(executable.threads)
        made = [(call, evaluate(call.rounds, {})) for call in executable.program.calls]
        calls = [(flops_of(call, {}) * rounds, bytes_of(call, {}) * rounds) for call, rounds in made]
        return {
            "flops": sum(flops for flops, _ in calls),
            "bytes": sum(moved for _, moved in calls),
            "seconds": sum(peaks.share(flops, moved, 1.0, FLOAT32) for flops, moved in calls),
            "peak_flops": peaks.flops["float32"],
            "peak_bytes": peaks.copies[max(peaks.copies)],
        }


class StepOnGpu:
    """A compiled model on a GPU."""

    def __init__(self, workload: Workload, precision: str) -> None:
        watch_memory()
        model = graphc_adapter.compile_model(workload, target="cuda", precision=precision)
        self._executable = model.executable("train")

    def __call__(self, batch: Mapping[str, Array]) -> Any:
        arrays, sizes = self._executable.feeder.prepare(batch)
        return self._executable.run(arrays, sizes)["loss"]


def watch_memory() -> None:
    """Count what is allocated on the GPU from now on."""
    from graphc.runtime.cuda.device import open_device

    device: Any = open_device()
    if "allocate" in vars(device):
        return
    allocate, release = device.allocate, device.release

    def counted(size: int) -> int:
        global _peak
        address = allocate(size)
        _allocated[address] = size
        _peak = max(_peak, sum(_allocated.values()))
        return int(address)

    def uncounted(address: int) -> None:
        _allocated.pop(address, None)
        release(address)

    device.allocate, device.release = counted, uncounted


def peak_megabytes() -> float:
    """The most memory of the GPU that has been allocated for values."""
    return _peak / 2**20
