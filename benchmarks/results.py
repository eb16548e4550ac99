"""Results, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

HEADER = (
    "                                  microseconds a step                    first step, s      peak\n"
    "                                median       p10       p90   ratio      cold     warm         MB"
)


@dataclass
class Result:
    """What is known of one implementation. left_out: why it has no times. work: of a step of graphc."""

    name: str
    version: str = ""
    left_out: str = ""
    first_step_seconds: dict[str, float] = field(default_factory=dict)
    peak_megabytes: float = 0.0
    rounds: list[list[float]] = field(default_factory=list)
    work: dict[str, float] | None = None

    def microseconds(self) -> dict[str, float]:
        """The median step and how far most steps spread around it."""
        low, middle, high = np.percentile(np.concatenate(self.rounds), [10, 50, 90])
        return {"median": float(middle), "p10": float(low), "p90": float(high)}

    @property
    def median(self) -> float:
        return self.microseconds()["median"]

    def as_dict(self) -> dict[str, object]:
        """All figures, for JSON."""
        return {
            "version": self.version,
            **({"left_out": self.left_out} if self.left_out else {}),
            **({"microseconds": self.microseconds()} if self.rounds else {}),
            "round_medians": [median(times) for times in self.rounds],
            "first_step_seconds": self.first_step_seconds,
            "peak_megabytes": self.peak_megabytes,
            **({"work": self.work} if self.work else {}),
        }


def thread_count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def best_peer(results: Sequence[Result]) -> Result | None:
    """The quickest that is not graphc."""
    peers = [result for result in results if result.rounds and result.name != "graphc"]
    return min(peers, key=lambda result: result.median, default=None)


def rows(results: Sequence[Result]) -> list[str]:
    """A line for each result, below HEADER, and one about graphc's work."""
    best, lines = best_peer(results), []
    for result in results:
        title = f"{result.name} {result.version}"
        if result.left_out:
            lines.append(f"  {title:26}left out: {result.left_out}")
            continue
        spread, start = result.microseconds(), result.first_step_seconds
        ratio = f"{spread['median'] / best.median:8.2f}" if best else f"{'-':>8}"
        lines.append(
            f"  {title:26}{spread['median']:10.1f}{spread['p10']:10.1f}{spread['p90']:10.1f}{ratio}"
            f"{start['cold']:10.2f}{start['warm']:9.2f}{result.peak_megabytes:11.0f}"
        )
    return lines + [_work(result.work, result.median) for result in results if result.work]


def _work(work: dict[str, float], microseconds: float) -> str:
    seconds = microseconds / 1e6
    flops, moved = work["flops"] / seconds, work["bytes"] / seconds
    peak, copies = work["peak_flops"], work["peak_bytes"]
    share, roofline = flops / peak, work["seconds"] / seconds
    return (
        f"  graphc reaches {flops / 1e9:.1f} of {peak / 1e9:.1f} GFLOP/s ({share:.0%}) and {moved / 1e9:.1f} GB/s"
        f" (copies in memory: {copies / 1e9:.1f}); {roofline:.0%} of the roofline"
    )
