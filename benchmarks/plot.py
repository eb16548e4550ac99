"""Step times as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from results import Result, thread_count

COLOURS = {
    "graphc": "#1b6ca8",
    "numpy": "#9aa5b1",
    "torch": "#e07a3f",
    "torch-last": "#f2b48a",
    "torch.compile": "#b5451b",
    "jax": "#4c9f70",
}
LONGEST = 5.0
"""Where a bar is cut off; its figure is written beside it."""


def draw(measured: list[tuple[str, int, list[Result]]], path: Path) -> None:
    """Bars of step time relative to graphc's, one panel a workload and number of threads."""
    shown = []
    for name, threads, results in measured:
        medians = {result.name: result.median for result in results if result.rounds}
        if "graphc" in medians:
            bars = {one: value / medians["graphc"] for one, value in medians.items()}
            shown.append((f"{name}\n{thread_count(threads)}, {_duration(medians['graphc'])}", bars))
    if not shown:
        raise SystemExit("nothing to draw: graphc has no times")
    heights = [len(bars) for _, bars in shown]
    figure, axes = plt.subplots(
        len(shown), figsize=(8, 0.28 * sum(heights) + 0.3 * len(shown) + 0.8), height_ratios=heights, squeeze=False
    )
    limit = min(LONGEST, max(1.2 * max(bars.values()) for _, bars in shown))
    for axis, (title, bars) in zip(axes[:, 0], shown, strict=True):
        names = list(bars)
        axis.barh(names, [min(bars[name], limit) for name in names], color=[COLOURS[name] for name in names])
        for row, name in enumerate(names):
            cut = bars[name] > limit
            place, side = (limit, "right") if cut else (bars[name], "left")
            axis.text(
                place, row, f" {bars[name]:.2f} ", va="center", ha=side, fontsize=8, color="white" if cut else "black"
            )
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlim(0, limit)
        axis.invert_yaxis()
        axis.set_ylabel(title, rotation=0, ha="right", va="center", labelpad=8, fontsize=9)
        axis.tick_params(axis="y", labelsize=8, length=0)
        axis.tick_params(axis="x", labelbottom=axis is axes[-1, 0], labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("time of a training step relative to graphc (shorter is quicker)")
    figure.tight_layout(h_pad=0.3)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _duration(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g} ms" if microseconds >= 1000 else f"{microseconds:.3g} µs"
