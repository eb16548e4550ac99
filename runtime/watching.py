"""Losses and metrics from batch to batch: means over samples, and counts that are summed and finished at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from graphc.errors import DeclarationError, GraphcError
from graphc.frontend.metrics import Metric
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["Late", "Total", "Watching"]

_MOST_LATE = 16
"""Steps that may wait to be added up; a GPU is never so far behind that reading the oldest would hold it up."""
Total = float | list[float]
"""A sum over batches: of means, each times its number of samples, or of the counts of a metric, row after row."""


@dataclass(frozen=True)
class Watching:
    """What becomes of the watched outputs of a program. metrics: those that are counted; others are means."""

    metrics: Mapping[str, Metric]

    @classmethod
    def of(cls, metrics: Mapping[str, Tensor | Metric]) -> Watching:
        """For metrics by name; DeclarationError for what is neither a scalar nor a Metric."""
        for name, metric in metrics.items():
            if not isinstance(metric, Metric) and (not isinstance(metric, Tensor) or metric.shape):
                raise DeclarationError(
                    f"metric {name!r} is no scalar",
                    at=str(user_location()),
                    facts=[("metric", describe(metric.node) if isinstance(metric, Tensor) else repr(metric))],
                    expected="one number for a batch, such as f32[]",
                    got=str(metric.type) if isinstance(metric, Tensor) else type(metric).__name__,
                    way_out="take the mean, or give it to gc.compile as one of the outputs",
                )
        return cls({name: metric for name, metric in metrics.items() if isinstance(metric, Metric)})

    def values(self, found: Mapping[str, Array]) -> dict[str, float]:
        """The losses and metrics of one batch, from a program's outputs."""
        return {key: self._finish(key, value) if key in self.metrics else float(value) for key, value in found.items()}

    def add(self, totals: dict[str, Total], found: Mapping[str, Array], samples: int) -> None:
        """Add the outputs for a batch to the sums."""
        for key, value in found.items():
            before = totals.get(key, 0.0)
            if isinstance(before, list) or key in self.metrics:
                totals[key] = (np.asarray(value, np.float64).ravel() + before).tolist()
            else:
                totals[key] = before + float(value) * samples

    def results(self, totals: Mapping[str, Total], samples: int) -> dict[str, float]:
        """The losses and metrics of all batches, from the sums."""
        return {
            key: self._finish(key, total) if isinstance(total, list) else total / samples
            for key, total in totals.items()
        }

    def _finish(self, key: str, counts: object) -> float:
        metric = self.metrics[key]
        sizes = [size for size in metric.counts.shape if isinstance(size, int)]
        return float(metric.finish(np.asarray(counts, np.float64).reshape(sizes)))


class Late:
    """Outputs of the last steps that are not added up yet: a GPU may still compute them, and whoever reads a number
    waits for it.

    add: takes the outputs of a step and its number of samples; it gets the steps in their order, the last at the end
    of the block that this is used in, also if that ends with an error. A step whose outputs cannot be read is left out,
    and its error raised once the others have been added.
    """

    def __init__(self, add: Callable[[Mapping[str, Array], int], None]) -> None:
        self._add = add
        self._steps: deque[tuple[Mapping[str, Array], int]] = deque()

    def put(self, found: Mapping[str, Array], samples: int) -> None:
        """Have a step added up, at the latest a few steps from now."""
        self._steps.append((found, samples))
        if len(self._steps) > _MOST_LATE:
            self.add_all_but(_MOST_LATE)

    def add_all_but(self, count: int = 0) -> None:
        """Add up all steps but the last of them."""
        failure: GraphcError | None = None
        while len(self._steps) > count:
            try:
                self._add(*self._steps[0])
            except GraphcError as error:
                failure = failure or error
            self._steps.popleft()
        if failure is not None:
            raise failure

    def __enter__(self) -> Late:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.add_all_but()
            return
        with suppress(GraphcError):
            self.add_all_but()
