from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc import data
from graphc.errors import DeclarationError, FeedError
from graphc.runtime.data.augment import generator
from graphc.scalar import Array
from tests.runtime.data.networks import images


def random(name: str = "test") -> np.random.Generator:
    return generator(0, name)


def test_about_half_of_the_images_are_mirrored() -> None:
    batch = images(200)
    changed = data.RandomFlip()(batch, random())
    mirrored = [np.array_equal(one, other[:, ::-1]) for one, other in zip(changed, batch, strict=True)]
    same = [np.array_equal(one, other) for one, other in zip(changed, batch, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_none_or_all_are_mirrored(probability: float) -> None:
    batch = images()
    changed = data.RandomFlip(probability)(batch, random())
    assert np.array_equal(changed, batch[:, :, ::-1] if probability else batch)


def test_crops_are_windows_of_the_padded_image() -> None:
    batch = images(40)
    changed = data.RandomCrop(padding=1)(batch, random())
    assert changed.shape == batch.shape
    assert changed.dtype == batch.dtype
    padded = np.pad(batch, [(0, 0), (1, 1), (1, 1), (0, 0)])
    found = set()
    for number, crop in enumerate(changed):
        places = [
            (r, c) for r in range(3) for c in range(3) if np.array_equal(crop, padded[number, r : r + 4, c : c + 5])
        ]
        assert len(places) == 1
        found |= set(places)
    assert len(found) == 9


def test_reflected_padding_shows_only_pixels_of_the_image() -> None:
    changed = data.RandomCrop(padding=2, mode="reflect")(images() + 1, random())
    assert changed.min() >= 1


def test_crops_have_the_size_that_is_asked_for() -> None:
    assert data.RandomCrop(size=(2, 3))(images(), random()).shape == (6, 2, 3, 3)
    with pytest.raises(FeedError, match="RandomCrop does not fit these images") as caught:
        data.RandomCrop(padding=1, size=(9, 3))(images(), random())
    assert (caught.value.expected, caught.value.got) == ("images of at least 7 x 1 pixels", "[6, 4, 5, 3]")


def test_shifts_move_the_image_and_bring_in_zeros() -> None:
    batch = images(60)[..., 0] + 1
    changed = data.RandomShift(0, 1)(batch, random())
    left = np.pad(batch[:, :, 1:], [(0, 0), (0, 0), (0, 1)])
    right = np.pad(batch[:, :, :-1], [(0, 0), (0, 0), (1, 0)])
    counts = [
        sum(np.array_equal(one, other) for one, other in zip(changed, moved, strict=True))
        for moved in (left, batch, right)
    ]
    assert sum(counts) == 60
    assert min(counts) > 8


def test_noise_has_the_deviation_that_is_asked_for() -> None:
    changed = data.GaussianNoise(0.5)(np.ones((100, 100), np.float32), random())
    assert changed.dtype == np.float32
    assert abs(changed.mean() - 1) < 0.02
    assert abs(changed.std() - 0.5) < 0.02
    with pytest.raises(FeedError, match="GaussianNoise needs floats"):
        data.GaussianNoise(0.5)(np.ones((2, 2), np.int64), random())


def test_cutout_blanks_one_square_that_may_lie_across_the_edge() -> None:
    batch = np.ones((80, 6, 6, 2), np.float32)
    changed = data.Cutout(3, value=7.0)(batch, random())
    areas = (changed[..., 0] == 7).sum((1, 2))
    assert set(areas.tolist()) == {4, 6, 9}
    assert np.array_equal(changed[..., 0], changed[..., 1])
    assert set(np.unique(changed).tolist()) == {1.0, 7.0}


@pytest.mark.parametrize(
    "change",
    [data.RandomFlip(), data.RandomCrop(1), data.RandomShift(1, 1), data.Cutout(2), data.GaussianNoise(1.0)],
    ids=lambda change: type(change).__name__,
)
def test_changes_depend_on_the_random_numbers_alone_and_keep_the_batch(change: data.Augmentation) -> None:
    batch = images(20)
    first, second = change(batch, random()), change(batch, random())
    assert np.array_equal(first, second)
    assert not np.array_equal(first, change(batch, random("other")))
    assert np.array_equal(batch, images(20))
    assert change(batch[..., 0], random()).shape == (20, 4, 5)


@pytest.mark.parametrize(
    ("make", "expected", "got"),
    [
        (lambda: data.RandomFlip(2.0), "probability: between 0 and 1", "probability=2.0"),
        (lambda: data.RandomCrop(-1), "padding: an integer of at least 0", "padding=-1"),
        (lambda: data.RandomShift(1, -1), "shifts of at least 0", "1, -1"),
        (lambda: data.GaussianNoise(-1.0), "deviation: a number of at least 0", "deviation=-1.0"),
        (lambda: data.Cutout(0), "size: an integer of at least 1", "size=0"),
    ],
)
def test_changes_that_cannot_be_are_refused(make: Callable[[], Array], expected: str, got: str) -> None:
    with pytest.raises(DeclarationError, match="this augmentation cannot be") as caught:
        make()
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert __file__ in str(caught.value.at)
