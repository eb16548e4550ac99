"""What training recorded: one row an epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from graphc.errors import MissingPackageError

__all__ = ["History"]


@dataclass
class History:
    """Rows of numbers, one an epoch: epoch (from 1), loss, metrics, val_loss and so on, seconds.

    interrupted: True if Ctrl-C ended the training early. stopped: why a callback ended it early, None if none did.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False
    stopped: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> list[float]:
        """The column of a name, NaN where an epoch did not record it."""
        return [row.get(name, float("nan")) for row in self.rows]

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order in which they first appeared."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names)
            writer.writeheader()
            writer.writerows(self.rows)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the curves into a picture (PNG, SVG, PDF by the ending); MissingPackageError without matplotlib."""
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            raise MissingPackageError(
                "plots need matplotlib", way_out="pip install 'graphc[demo]', or use history.to_csv"
            ) from None
        curves = [name for name in self.names if name not in ("epoch", "seconds")]
        bases = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
        figure = Figure(figsize=(4.2 * max(len(bases), 1), 3.2), layout="constrained")
        for number, base in enumerate(bases):
            axes = figure.add_subplot(1, len(bases), number + 1)
            for name in (base, f"val_{base}"):
                if name in curves:
                    label = "validation" if name.startswith("val_") else "training"
                    axes.plot(self["epoch"], self[name], label=label, marker=".", markersize=4)
            axes.set_title(base)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        figure.savefig(path, dpi=120)
