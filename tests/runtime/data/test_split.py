from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphc as gc
from graphc import data
from graphc.errors import DataError, DeclarationError
from tests.runtime.data.networks import counter


def labels(*counts: int) -> dict[str, object]:
    y = np.repeat(np.arange(len(counts)), counts)
    return {"x": np.arange(len(y)), "y": y}


@given(count=st.integers(1, 60), shares=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 3))
def test_parts_hold_every_sample_once_in_sizes_within_one_of_the_fractions(
    count: int, shares: list[int], seed: int
) -> None:
    fractions = [share / sum(shares) for share in shares]
    parts = data.split({"x": np.arange(count)}, fractions, seed=seed)
    assert sorted(sample for part in parts for sample in np.asarray(part["x"]).tolist()) == list(range(count))
    assert all(abs(len(part["x"]) - count * share) < 1 for part, share in zip(parts, fractions, strict=True))


def test_rows_stay_together_and_the_seed_decides() -> None:
    arrays = {"x": np.arange(20), "y": np.arange(20) * 10}
    first, second, other = (data.split(arrays, [0.5, 0.5], seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(np.asarray(first["y"]), np.asarray(first["x"]) * 10)
    assert np.array_equal(first["x"], second["x"])
    assert not np.array_equal(first["x"], other["x"])


def test_numbers_of_samples_leave_the_others_out() -> None:
    parts = data.split({"x": np.arange(10)}, [3, 4])
    assert [len(part["x"]) for part in parts] == [3, 4]
    assert len(data.split({"x": np.arange(10)}, [0.5])[0]["x"]) == 5


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=5), seed=st.integers(0, 3))
def test_stratified_parts_have_the_shares_of_the_whole(counts: list[int], seed: int) -> None:
    parts = data.split(labels(*counts), [0.6, 0.2, 0.2], seed=seed, stratify="y")
    total = sum(counts)
    for part in parts:
        found = np.bincount(np.asarray(part["y"]), minlength=len(counts))
        expected = np.asarray(counts) * len(part["y"]) / total
        assert np.abs(found - expected).max() < 2


def test_stratified_samples_are_chosen_by_the_seed() -> None:
    first, other = (data.split(labels(20, 20), [0.5], seed=seed, stratify="y")[0] for seed in (0, 1))
    assert sorted(np.asarray(first["x"]).tolist()) != sorted(np.asarray(other["x"]).tolist())


def test_parts_of_columns_that_are_not_in_memory_stay_there(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(10.0))
    train, test = data.split({"x": np.load(tmp_path / "x.npy", mmap_mode="r")}, [0.8, 0.2])
    assert isinstance(train["x"], gc.data.Column)
    assert len(test["x"]) == 2
    assert counter().fit(train, validation_data=test).names == ["epoch", "loss", "val_loss", "seconds"]


@pytest.mark.parametrize("parts", [[], [0.5, 0.6], [0.5, 0.0], [6, 5], [-1]])
def test_parts_that_cannot_be_are_refused(parts: list[float]) -> None:
    with pytest.raises(DeclarationError, match="these parts cannot be") as caught:
        data.split({"x": np.arange(10)}, parts)
    assert caught.value.expected == "positive fractions that add up to at most 1, or integers that add up to at most 10"
    assert caught.value.got == str(parts)


def test_arrays_that_cannot_be_split_are_refused() -> None:
    with pytest.raises(DataError, match="the arrays have different numbers of samples") as caught:
        data.split({"x": np.arange(4), "y": np.arange(3)}, [0.5])
    assert caught.value.got == "x: 4, y: 3"
    with pytest.raises(DataError, match="there are no arrays to split"):
        data.split({}, [0.5])
    with pytest.raises(DeclarationError, match="there is no array 'z' to stratify by") as refused:
        data.split({"x": np.arange(4)}, [0.5], stratify="z")
    assert refused.value.expected == "'x'"


@pytest.mark.parametrize(("fraction", "side"), [(-0.1, "validate"), (0.95, "train"), (1.5, "train")])
def test_a_validation_split_that_leaves_nothing_is_refused(fraction: float, side: str) -> None:
    with pytest.raises(DeclarationError, match=f"leaves no samples to {side} on") as caught:
        counter().fit({"x": np.arange(10.0)}, validation_split=fraction)
    assert caught.value.got == "10 samples"


def test_a_validation_split_holds_the_last_samples_before_shuffling() -> None:
    assert counter().fit({"x": np.arange(10.0)}, validation_split=0.9)["loss"] == [0.0]
    history = counter().fit({"x": np.arange(10.0)}, validation_split=0.3, epochs=2)
    assert history["val_loss"] == [8.0, 8.0]
    assert history["loss"] == [3.0, 3.0]


def test_a_validation_split_besides_validation_data_is_refused() -> None:
    with pytest.raises(DeclarationError, match="fit takes validation_data or validation_split, not both"):
        counter().fit({"x": [1.0]}, validation_data={"x": [1.0]}, validation_split=0.5)
