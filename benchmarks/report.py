"""Results, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Result:
    """What is known of one implementation. left_out: why it has no times."""

    name: str
    version: str = ""
    left_out: str = ""
    first_step_seconds: dict[str, float] = field(default_factory=dict)
    peak_megabytes: dict[str, float] = field(default_factory=dict)
    rounds: list[list[float]] = field(default_factory=list)

    def microseconds(self) -> dict[str, float]:
        """The median step and how far most steps spread around it."""
        low, middle, high = np.percentile(np.concatenate(self.rounds), [10, 50, 90])
        return {"median": float(middle), "p10": float(low), "p90": float(high)}


def table(results: list[Result]) -> str:
    """The results as text."""
    medians = {result.name: result.microseconds()["median"] for result in results if result.rounds}
    lines = [
        "                                  microseconds a step             first step, s      peak memory, MB",
        "                              median     p10     p90   ratio      cold     warm       cold     warm",
    ]
    for result in results:
        title = f"{result.name} {result.version}"
        if result.left_out:
            lines.append(f"{title:26}  left out: {result.left_out}")
            continue
        spread = result.microseconds()
        ratio = f"{spread['median'] / medians['graphc']:8.2f}" if "graphc" in medians else f"{'':8}"
        lines.append(
            f"{title:26}{spread['median']:10.1f}{spread['p10']:8.1f}{spread['p90']:8.1f}{ratio}"
            f"{result.first_step_seconds['cold']:10.2f}{result.first_step_seconds['warm']:9.2f}"
            f"{result.peak_megabytes['cold']:11.0f}{result.peak_megabytes['warm']:9.0f}"
        )
    return "\n".join(lines)


def as_json(facts: dict[str, str], threads: int, steps: int, results: list[Result]) -> str:
    """The results and what they were measured on and with."""
    content = {
        "machine": facts,
        "threads": threads,
        "steps": steps,
        "results": {
            result.name: {
                "version": result.version,
                **({"left_out": result.left_out} if result.left_out else {}),
                **({"microseconds": result.microseconds()} if result.rounds else {}),
                "round_medians": [float(np.median(times)) for times in result.rounds],
                "first_step_seconds": result.first_step_seconds,
                "peak_megabytes": result.peak_megabytes,
            }
            for result in results
        },
    }
    return json.dumps(content, indent=1) + "\n"
