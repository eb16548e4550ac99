"""Columns that are read row by row when a batch asks for them: memory maps, folders of images, texts."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from graphc.scalar import Array

__all__ = ["Column", "Rows", "Stored", "as_column", "rows_of"]


class Column(ABC):
    """An array that is not in memory: ``fit`` asks for the rows of a batch when their turn comes.

    shape: of the whole, samples first. dtype: of its elements. Derive from it and define ``rows``.

    >>> import graphc as gc
    >>> class Squares(gc.data.Column):
    ...     shape, dtype = (1000, 1), np.dtype("float32")
    ...     def rows(self, places):
    ...         return (places[:, None] ** 2).astype(self.dtype)
    >>> Squares()[2:4].tolist()
    [[4.0], [9.0]]
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @abstractmethod
    def rows(self, places: Array) -> Array:
        """The rows at some places, [places, *shape[1:]]."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Array) -> Array:
        return self.rows(np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows))

    def __array__(self, dtype: np.dtype[np.generic] | None = None, copy: bool | None = None) -> Array:
        return self[:].astype(dtype or self.dtype, copy=False)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


class Stored(Column):
    """A memory-mapped array as a column."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def rows(self, places: Array) -> Array:
        """Read the rows."""
        return np.asarray(self.array[places])


class Rows(Column):
    """Some rows of a column, in an order."""

    def __init__(self, column: Column, places: Array) -> None:
        self._column, self._places = column, places
        self.shape, self.dtype = (len(places), *column.shape[1:]), column.dtype

    def rows(self, places: Array) -> Array:
        """The column's rows behind these."""
        return self._column.rows(self._places[places])


def as_column(value: object) -> Array | Column:
    """A column for what must not be read as a whole, an array for all else.

    >>> as_column([1, 2])
    array([1, 2])
    """
    if isinstance(value, np.memmap):
        return Stored(value)
    return value if isinstance(value, Column) else np.asarray(value)


def rows_of(column: Array | Column, places: Array) -> Array | Column:
    """Some rows; those of a column stay where they are.

    >>> rows_of(np.asarray([[1, 2], [3, 4]]), np.asarray([1]))
    array([[3, 4]])
    """
    return Rows(column, places) if isinstance(column, Column) else column[places]
