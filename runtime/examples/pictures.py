"""Pictures that tasks leave in their run folder: rows of images, and clouds of points. They need matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphc.errors import MissingPackageError
from graphc.scalar import Array

__all__ = ["Row", "draw_images", "draw_points"]


@dataclass(frozen=True)
class Row:
    """A row of images [count, height, width] under a title; low and high: the values of the first and last colour."""

    title: str
    images: Array
    low: float = 0.0
    high: float = 1.0
    colours: str = "gray"


def _new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError("pictures need matplotlib", way_out="pip install 'graphc[demo]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def draw_images(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of images; MissingPackageError without matplotlib."""
    count = max(len(row.images) for row in rows)
    figure = _new_figure(0.85 * count, 1.15 * len(rows))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, row in zip(parts, rows, strict=True):
        part.suptitle(row.title, x=0.01, ha="left", fontsize=10)
        for place, image in enumerate(row.images, start=1):
            axes = part.add_subplot(1, count, place)
            axes.imshow(image, cmap=row.colours, vmin=row.low, vmax=row.high, interpolation="nearest")
            axes.set_axis_off()
    figure.savefig(path, dpi=120)


def draw_points(path: Path, clouds: Mapping[str, Array]) -> None:
    """Write clouds of points [count, 2] side by side, at one scale; MissingPackageError without matplotlib."""
    figure = _new_figure(3.6 * len(clouds), 3.8)
    reach = 1.1 * max(float(np.abs(points).max()) for points in clouds.values())
    for number, (title, points) in enumerate(clouds.items(), start=1):
        axes = figure.add_subplot(1, len(clouds), number)
        axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.6)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.grid(alpha=0.3)
        axes.set_title(title)
    figure.savefig(path, dpi=120)
