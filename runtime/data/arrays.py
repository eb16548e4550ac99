"""Data sets of arrays: named columns of one length, shuffled and cut into batches by the seed alone."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from graphc.dims import Dim
from graphc.errors import DeclarationError, FeedError
from graphc.frontend.initializers import Stream
from graphc.node import Node
from graphc.ops.leaves import Input
from graphc.origin import user_location
from graphc.runtime.data.columns import Column, as_column, rows_of
from graphc.runtime.data.sources import Epoch, Source
from graphc.runtime.feeds import as_array, check_names
from graphc.scalar import Array

__all__ = ["ArrayData", "counts_samples", "shuffled"]


def shuffled(count: int, seed: int, epoch: int) -> Array:
    """The order of samples in an epoch: a permutation that depends on the count, the seed and the epoch alone.

    >>> sorted(shuffled(4, seed=0, epoch=0).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(Stream(seed, f"shuffle/{epoch}").uniform((count,)), kind="stable")


def counts_samples(node: Node) -> bool:
    """Whether the first axis of an input has a size of its own name, as that of samples has."""
    leading = node.type.shape[0] if node.type.shape else None
    return isinstance(leading, Dim) and leading.factor == 1 and len(leading.symbols) == 1


@dataclass(frozen=True)
class ArrayData(Source):
    """Arrays by input name, checked against the inputs once; the first axis of each counts samples.

    Columns that are not in memory (``Column``, ``np.memmap``) are read and converted batch by batch.
    """

    columns: Mapping[str, Array | Column]
    count: int

    @staticmethod
    def of(
        inputs: Sequence[Node], data: Mapping[str, object], finite: bool = False, changing: Collection[str] = ()
    ) -> ArrayData:
        """The data set of a mapping from input names to arrays.

        Raises FeedError for wrong names, element types or shapes, and for arrays of different lengths; with ``finite``
        also for NaN and infinities in arrays that are in memory. changing: inputs whose samples get their shape later.
        """
        declared = {node.op.label: node for node in inputs if isinstance(node.op, Input)}
        check_names(declared, data)
        columns = {label: _column(node, data[label]) for label, node in declared.items()}
        for label, node in declared.items():
            _check_rows(label, node, columns[label], label in changing, finite)
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

    def epoch(self, which: Epoch, start: int = 0) -> Generator[dict[str, Array], None, None]:
        """The batches of an epoch, shuffled if asked."""
        order = shuffled(self.count, which.seed, which.number) if which.shuffle else None
        return self.batches(which.size, order, start)

    def batches(self, size: int, order: Array | None = None, start: int = 0) -> Generator[dict[str, Array], None, None]:
        """Batches of at most ``size`` samples, in an order of samples, from batch number ``start`` on."""
        for first in range(start * size, self.count, size):
            rows = slice(first, first + size) if order is None else order[first : first + size]
            yield {label: np.ascontiguousarray(column[rows]) for label, column in self.columns.items()}

    def batch_count(self, size: int) -> int:
        """How many batches there are."""
        return -(-self.count // size)

    def samples_in(self, batch: Mapping[str, Array]) -> int:
        """The length of the first axis."""
        return len(next(iter(batch.values())))

    def held_out(self, fraction: float) -> tuple[ArrayData, ArrayData]:
        """The first samples and the last ``fraction`` of them, before any shuffling."""
        first = floor(self.count * (1 - fraction) + 1e-9)
        if not 0 < first < self.count:
            raise DeclarationError(
                f"validation_split={fraction} leaves no samples to {'validate' if first > 0 else 'train'} on",
                at=str(user_location()),
                expected="a fraction between 0 and 1 with at least one sample on each side",
                got=f"{self.count} samples",
            )
        return self._part(0, first), self._part(first, self.count)

    def only(self, labels: Iterable[str]) -> ArrayData:
        """The same samples with some of the columns."""
        return ArrayData({label: self.columns[label] for label in labels}, self.count)

    def _part(self, start: int, end: int) -> ArrayData:
        parts = {
            label: rows_of(column, np.arange(start, end)) if isinstance(column, Column) else column[start:end]
            for label, column in self.columns.items()
        }
        return ArrayData(parts, end - start)


class _Converted(Column):
    """A column with its rows in the element type that an input declares."""

    def __init__(self, node: Node, column: Column) -> None:
        as_array(node, np.zeros((1, *column.shape[1:]), column.dtype))
        self._node, self._column = node, column
        self.shape, self.dtype = column.shape, node.type.dtype.numpy

    def rows(self, places: Array) -> Array:
        return as_array(self._node, self._column.rows(places))


def _column(node: Node, value: object) -> Array | Column:
    if not isinstance(value, Column | np.memmap):
        return as_array(node, value)
    column = as_column(value)
    assert isinstance(column, Column)
    return _Converted(node, column)


def _check_rows(label: str, node: Node, column: Array | Column, changing: bool, finite: bool) -> None:
    if not counts_samples(node):
        raise FeedError(
            f"input {label!r} has no first axis that counts samples",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected='a shape such as ("batch", ...)',
            got=str(node.type),
            way_out="feed such an input with gc.function or model.step",
        )
    wanted = list(node.type.shape[1:])
    fits = column.ndim == len(wanted) + 1 and all(
        isinstance(size, Dim) or size == got for size, got in zip(wanted, column.shape[1:], strict=True)
    )
    if not fits and not (changing and column.ndim):
        raise FeedError(
            f"input {label!r} does not take an array of this shape",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected=f"[samples, {', '.join(map(str, wanted))}]" if wanted else "[samples]",
            got=str(list(column.shape)),
            way_out="reshape the array, or declare the input with its shape",
        )
    if finite and isinstance(column, np.ndarray) and column.dtype.kind == "f" and not np.isfinite(column).all():
        place = [int(number) for number in np.argwhere(~np.isfinite(column))[0]]
        raise FeedError(
            f"input {label!r} holds a number that is not finite",
            facts=[("declared", f"{node.type} at {node.origin.location}")],
            expected="finite numbers",
            got=f"{column[tuple(place)]} at {place}",
            way_out="clean the data, or leave out check_finite",
        )
