"""The workloads in graphc."""

from __future__ import annotations

import os
from collections.abc import Mapping

import graphc_adapter
from workloads.spec import Array, Workload

LAYOUT, LABEL = graphc_adapter.LAYOUT, graphc_adapter.LABEL


def version() -> str:
    import graphc

    return graphc.__version__


def build(workload: Workload) -> Step:
    """A function that takes a training step; threads are those that the environment says."""
    graphc_adapter.init(int(os.environ["GRAPHC_NUM_THREADS"]), {})
    return Step(workload)


class Step:
    """A compiled model."""

    def __init__(self, workload: Workload) -> None:
        self._model = graphc_adapter.compile_model(workload)

    def __call__(self, batch: Mapping[str, Array]) -> float:
        return self._model.step(batch)["loss"]

    def work(self) -> dict[str, float]:
        """What a step has to do, and what this machine does at best.

        flops, bytes: of all kernels, each argument of each counted once. seconds: what they would take if every kernel
        were as quick as the machine allows. peak_flops, peak_bytes: a second, the latter in copies of the main memory.
        """
        from graphc.dims import evaluate
        from graphc.dtypes import FLOAT32
        from graphc.runtime.peaks import peaks_of
        from graphc.runtime.report import bytes_of, flops_of

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
