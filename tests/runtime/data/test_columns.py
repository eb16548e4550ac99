from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError
from graphc.runtime.data.arrays import ArrayData
from graphc.runtime.data.columns import Rows, as_column, rows_of
from graphc.scalar import Array
from tests.runtime.data.networks import counter, losses_of


class Squares(gc.data.Column):
    """Remembers which rows it was asked for."""

    def __init__(self, count: int = 10) -> None:
        self.shape, self.dtype = (count,), np.dtype(np.int64)
        self.asked: list[list[int]] = []

    def rows(self, places: Array) -> Array:
        self.asked.append(places.tolist())
        squares: Array = places**2
        return squares


def mapped(folder: Path, array: Array) -> Array:
    np.save(folder / "x.npy", array)
    found: Array = np.load(folder / "x.npy", mmap_mode="r")
    return found


def test_rows_are_read_when_their_batch_comes() -> None:
    column = Squares(5)
    assert losses_of({"x": column}, batch_size=2) == [0.5, 6.5, 16.0]
    assert column.asked == [[0, 1], [2, 3], [4]]


def test_rows_are_read_in_the_order_of_the_epoch() -> None:
    lazy, whole = counter(), counter()
    column = Squares()
    assert lazy.fit({"x": column}, batch_size=3)["loss"] == whole.fit({"x": np.arange(10) ** 2}, batch_size=3)["loss"]
    assert sorted(place for asked in column.asked for place in asked) == list(range(10))


def test_a_memory_map_is_not_read_as_a_whole(tmp_path: Path) -> None:
    array = mapped(tmp_path, np.arange(12, dtype=np.uint8))
    node = gc.input("x", shape=("n",)).node
    column = ArrayData.of([node], {"x": array}).columns["x"]
    assert isinstance(column, gc.data.Column)
    assert column[np.asarray([3, 1])].tolist() == [3.0, 1.0]
    assert column[2:4].dtype == np.float32
    assert losses_of({"x": array}) == [1.5, 5.5, 9.5]


def test_parts_of_a_memory_map_stay_in_the_file(tmp_path: Path) -> None:
    array = mapped(tmp_path, np.arange(10.0))
    assert isinstance(rows_of(as_column(array), np.asarray([1, 2])), Rows)
    assert counter().fit({"x": array}, validation_split=0.2)["val_loss"] == [8.5]


def test_a_column_is_an_array_where_one_is_asked_for() -> None:
    assert np.asarray(Squares(4)).tolist() == [0, 1, 4, 9]
    assert np.asarray(Rows(Squares(), np.asarray([3, 0]))).tolist() == [9, 0]


def test_a_column_of_the_wrong_type_or_shape_is_refused_before_it_is_read() -> None:
    column = Squares()
    label = gc.input("label", shape=("n", 2)).node
    with pytest.raises(FeedError, match="does not take an array of this shape"):
        ArrayData.of([label], {"label": column})
    column.dtype = np.dtype(np.float64)
    whole = gc.input("label", shape=("n",), dtype="int64").node
    with pytest.raises(FeedError, match="input 'label' does not take this value") as caught:
        ArrayData.of([whole], {"label": column})
    assert caught.value.got == "an array of float64"
    assert column.asked == []
