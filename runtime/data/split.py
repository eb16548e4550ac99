"""Splitting data sets into parts, for training, validation and testing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import floor

import numpy as np

from graphc.errors import DataError, DeclarationError
from graphc.origin import user_location
from graphc.runtime.data.arrays import shuffled
from graphc.runtime.data.columns import Column, as_column, rows_of
from graphc.scalar import Array

__all__ = ["split"]


def split(
    arrays: Mapping[str, object],
    parts: Sequence[float],
    *,
    seed: int = 0,
    stratify: str | None = None,
) -> tuple[dict[str, Array | Column], ...]:
    """Parts of a data set with no sample in common, each a dictionary as ``fit`` takes it.

    arrays: by input name, of one length; columns that are not in memory stay there. parts: fractions that add up to at
    most 1 (floats), or numbers of samples (integers); what is left over is left out. seed: of the order in which the
    samples are dealt out. stratify: the name of an array of labels whose shares are to be the same in all parts, to a
    sample or two. Raises DeclarationError for parts that cannot be, DataError for arrays that do not fit.

    >>> data = {"x": np.arange(10), "y": np.arange(10) % 2}
    >>> train, test = split(data, [0.8, 0.2], stratify="y")
    >>> len(train["x"]), sorted(test["y"].tolist())
    (8, [0, 1])
    """
    columns = {name: as_column(value) for name, value in arrays.items()}
    counts = {name: len(column) if column.ndim else 0 for name, column in columns.items()}
    if not columns or len(set(counts.values())) > 1:
        raise DataError(
            "the arrays have different numbers of samples" if columns else "there are no arrays to split",
            at=str(user_location()),
            expected="one length of the first axis",
            got=", ".join(f"{name}: {count}" for name, count in counts.items()) or "nothing",
        )
    count = next(iter(counts.values()))
    sizes = _sizes(parts, count)
    order = shuffled(count, seed, 0)
    if stratify is not None:
        if stratify not in columns:
            raise DeclarationError(
                f"there is no array {stratify!r} to stratify by",
                at=str(user_location()),
                expected=", ".join(map(repr, columns)),
                got=repr(stratify),
            )
        order = _dealt(order, np.asarray(columns[stratify]))
    ends = np.cumsum([0, *sizes])
    return tuple(
        {name: rows_of(column, order[start:end]) for name, column in columns.items()} for start, end in pairwise(ends)
    )


def _sizes(parts: Sequence[float], count: int) -> list[int]:
    """Numbers of samples; fractions are rounded down, and the largest remainders get what is missing."""
    whole = all(isinstance(part, int | np.integer) for part in parts)
    total = sum(parts)
    if not parts or min(parts) <= 0 or total > (count if whole else 1 + 1e-9):
        raise DeclarationError(
            "these parts cannot be",
            at=str(user_location()),
            expected=f"positive fractions that add up to at most 1, or integers that add up to at most {count}",
            got=str(list(parts)),
        )
    if whole:
        return [int(part) for part in parts]
    exact = [part * count for part in parts]
    sizes = [floor(size + 1e-9) for size in exact]
    missing = floor(total * count + 0.5) - sum(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: sizes[place] - exact[place])[:missing]:
        sizes[place] += 1
    return sizes


def _dealt(order: Array, labels: Array) -> Array:
    """The order with every class spread evenly over it, so that any stretch has all classes in their shares."""
    keys = np.empty(len(order))
    _, classes = np.unique(labels[order], return_inverse=True)
    for number in range(int(classes.max(initial=-1)) + 1):
        members = np.flatnonzero(classes == number)
        keys[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(keys, kind="stable")]
