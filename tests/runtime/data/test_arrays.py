from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError
from graphc.node import Node
from graphc.runtime.data.arrays import ArrayData, shuffled
from graphc.scalar import Array


def inputs() -> list[Node]:
    image = gc.input("image", shape=("batch", 2, 3))
    label = gc.input("label", shape=("batch",), dtype="int64")
    return [image.node, label.node]


def data(count: int) -> dict[str, object]:
    return {"image": np.arange(count * 6.0).reshape(count, 2, 3), "label": np.arange(count)}


def labels(batches: list[dict[str, Array]]) -> list[list[int]]:
    return [batch["label"].tolist() for batch in batches]


def refusal(columns: dict[str, object], finite: bool = False) -> FeedError:
    with pytest.raises(FeedError) as caught:
        ArrayData.of(inputs(), columns, finite)
    return caught.value


def test_columns_are_converted_once_to_the_declared_types() -> None:
    found = ArrayData.of(inputs(), data(5))
    assert found.count == 5
    assert {name: column.dtype.name for name, column in found.columns.items()} == {"image": "float32", "label": "int64"}


def test_an_array_that_fits_is_not_copied() -> None:
    column = np.zeros((4, 2, 3), np.float32)
    assert ArrayData.of(inputs(), {**data(4), "image": column}).columns["image"] is column


@pytest.mark.parametrize(("count", "size", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (0, 4, [])])
def test_batches_hold_every_sample_once(count: int, size: int, sizes: list[int]) -> None:
    found = ArrayData.of(inputs(), data(count))
    batches = list(found.batches(size))
    assert [len(batch["image"]) for batch in batches] == sizes
    assert len(sizes) == found.batch_count(size)
    assert [label for batch in labels(batches) for label in batch] == list(range(count))
    assert all(column.flags.c_contiguous for batch in batches for column in batch.values())


def test_batches_follow_an_order_and_keep_rows_together() -> None:
    found = ArrayData.of(inputs(), data(5))
    batches = list(found.batches(2, np.asarray([4, 2, 0, 1, 3])))
    assert labels(batches) == [[4, 2], [0, 1], [3]]
    assert batches[0]["image"][1].ravel().tolist() == [12, 13, 14, 15, 16, 17]


def test_batches_start_at_a_number() -> None:
    found = ArrayData.of(inputs(), data(7))
    order = np.arange(7)[::-1]
    assert labels(list(found.batches(3, order, start=1))) == [[3, 2, 1], [0]]
    assert list(found.batches(3, order, start=3)) == []


def test_the_order_depends_on_count_seed_and_epoch_alone() -> None:
    first = shuffled(50, seed=1, epoch=2)
    assert np.array_equal(first, shuffled(50, seed=1, epoch=2))
    for other in (shuffled(50, seed=2, epoch=2), shuffled(50, seed=1, epoch=3)):
        assert not np.array_equal(first, other)
    assert sorted(first.tolist()) == list(range(50))
    assert shuffled(0, seed=1, epoch=0).tolist() == []


def test_the_order_is_the_one_of_earlier_versions() -> None:
    assert shuffled(8, seed=0, epoch=0).tolist() == [1, 4, 7, 3, 6, 5, 0, 2]


def test_every_place_is_equally_likely() -> None:
    places = np.asarray([shuffled(5, seed=0, epoch=epoch) for epoch in range(200)])
    counts = np.stack([np.bincount(places[:, place], minlength=5) for place in range(5)])
    assert np.abs(counts - 40).max() < 5 * np.sqrt(40)


def test_a_missing_or_unknown_column_is_named() -> None:
    assert refusal({"image": data(3)["image"]}).what == "input 'label' is missing"
    error = refusal({**data(3), "weight": [1.0]})
    assert error.what == "there is no input 'weight'"
    assert error.expected == "a dictionary with 'image', 'label'"
    assert error.got == "'image', 'label', 'weight'"


def test_columns_of_different_lengths_are_refused() -> None:
    error = refusal({**data(4), "label": np.arange(3)})
    assert error.what == "the arrays have different numbers of samples"
    assert (error.expected, error.got) == ("one length of the first axis", "image: 4, label: 3")


@pytest.mark.parametrize(
    ("image", "got"),
    [(np.zeros((4, 3, 2)), "[4, 3, 2]"), (np.zeros((4, 6)), "[4, 6]"), (np.zeros((4, 2, 3, 1)), "[4, 2, 3, 1]")],
)
def test_columns_of_another_shape_are_refused(image: object, got: str) -> None:
    error = refusal({**data(4), "image": image})
    assert error.what == "input 'image' does not take an array of this shape"
    assert (error.expected, error.got) == ("[samples, 2, 3]", got)
    assert error.way_out == "reshape the array, or declare the input with its shape"
    assert "f32[batch, 2, 3] at" in str(error)


def test_a_column_of_labels_has_one_axis() -> None:
    assert refusal({**data(4), "label": np.zeros((4, 1), np.int64)}).expected == "[samples]"


def test_an_input_without_an_axis_of_samples_is_refused() -> None:
    weight = gc.input("weight", shape=(3,)).node
    with pytest.raises(FeedError, match="input 'weight' has no first axis that counts samples") as caught:
        ArrayData.of([weight], {"weight": [1.0, 2.0, 3.0]})
    assert caught.value.way_out == "feed such an input with gc.function or model.step"
    assert caught.value.got == "f32[3]"


def test_numbers_that_are_not_finite_are_refused_when_asked() -> None:
    image = np.zeros((4, 2, 3))
    image[2, 1, 0] = -np.inf
    assert ArrayData.of(inputs(), {**data(4), "image": image}).count == 4
    error = refusal({**data(4), "image": image}, finite=True)
    assert error.what == "input 'image' holds a number that is not finite"
    assert (error.expected, error.got) == ("finite numbers", "-inf at [2, 1, 0]")
