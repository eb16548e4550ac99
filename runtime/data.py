"""Data sets of arrays: named columns of one length, shuffled and cut into batches by the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.dims import Dim
from graphc.errors import DeclarationError, FeedError
from graphc.frontend.initializers import Stream
from graphc.node import Node
from graphc.ops.leaves import Input
from graphc.origin import user_location
from graphc.runtime.feeds import as_array, check_names
from graphc.scalar import Array

__all__ = ["ArrayData", "check_batch_size", "shuffled"]


def shuffled(count: int, seed: int, epoch: int) -> Array:
    """The order of samples in an epoch: a permutation that depends on the count, the seed and the epoch alone.

    >>> sorted(shuffled(4, seed=0, epoch=0).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(Stream(seed, f"shuffle/{epoch}").uniform((count,)), kind="stable")


def check_batch_size(purpose: str, size: object) -> None:
    """DeclarationError for a size of batches that is no positive integer."""
    if not isinstance(size, int) or size < 1:
        raise DeclarationError(
            f"{purpose} needs a batch_size of at least 1",
            at=str(user_location()),
            expected="batch_size: a positive integer",
            got=f"batch_size={size!r}",
        )


@dataclass(frozen=True)
class ArrayData:
    """Arrays by input name, checked against the inputs once; the first axis of each counts samples."""

    columns: Mapping[str, Array]
    count: int

    @staticmethod
    def of(inputs: Sequence[Node], data: Mapping[str, object], finite: bool = False) -> ArrayData:
        """The data set of a mapping from input names to arrays.

        Raises FeedError for wrong names, element types or shapes, and for arrays of different lengths; with ``finite``
        also for NaN and infinities.
        """
        declared = {node.op.label: node for node in inputs if isinstance(node.op, Input)}
        check_names(declared, data)
        columns = {label: as_array(node, data[label]) for label, node in declared.items()}
        for label, node in declared.items():
            _check_rows(label, node, columns[label], finite)
        counts = {label: len(column) for label, column in columns.items()}
        if len(set(counts.values())) > 1:
            raise FeedError(
                "the arrays have different numbers of samples",
                expected="one length of the first axis",
                got=", ".join(f"{label}: {count}" for label, count in counts.items()),
            )
        return ArrayData(columns, next(iter(counts.values()), 0))

    def require_samples(self, purpose: str) -> None:
        """FeedError if there are none."""
        if not self.count:
            raise FeedError(
                f"there are no samples to {purpose}",
                at=str(user_location()),
                expected="at least one sample along the first axis",
                got=", ".join(f"{label}: {list(column.shape)}" for label, column in self.columns.items())
                or "no inputs",
            )

    def batches(self, size: int, order: Array | None = None, start: int = 0) -> Iterator[dict[str, Array]]:
        """Batches of at most ``size`` samples, in an order of samples, from batch number ``start`` on."""
        for first in range(start * size, self.count, size):
            rows = slice(first, first + size) if order is None else order[first : first + size]
            yield {label: np.ascontiguousarray(column[rows]) for label, column in self.columns.items()}

    def batch_count(self, size: int) -> int:
        """How many batches there are."""
        return -(-self.count // size)


def _check_rows(label: str, node: Node, column: Array, finite: bool) -> None:
    shape = node.type.shape
    leading = shape[0] if shape else None
    if not (isinstance(leading, Dim) and leading.factor == 1 and len(leading.symbols) == 1):
        raise FeedError(
            f"input {label!r} has no first axis that counts samples",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected='a shape such as ("batch", ...)',
            got=str(node.type),
            way_out="feed such an input with gc.function or model.step",
        )
    wanted = list(shape[1:])
    fits = column.ndim == len(shape) and all(
        isinstance(size, Dim) or size == got for size, got in zip(wanted, column.shape[1:], strict=True)
    )
    if not fits:
        raise FeedError(
            f"input {label!r} does not take an array of this shape",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected=f"[samples, {', '.join(map(str, wanted))}]" if wanted else "[samples]",
            got=str(list(column.shape)),
            way_out="reshape the array, or declare the input with its shape",
        )
    if finite and column.dtype.kind == "f" and not np.isfinite(column).all():
        place = [int(number) for number in np.argwhere(~np.isfinite(column))[0]]
        raise FeedError(
            f"input {label!r} holds a number that is not finite",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected="finite numbers",
            got=f"{column[tuple(place)]} at {place}",
            way_out="clean the data, or leave out check_finite",
        )
