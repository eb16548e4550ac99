from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import data
from graphc.errors import DataError, DeclarationError


def test_characters_become_numbers_and_come_back() -> None:
    text = "Ein Öl, ein 🙂!\n"
    letters = data.Vocabulary.of(text)
    codes = letters.encode(text)
    assert codes.dtype == np.int64
    assert letters.decode(codes) == text
    assert sorted(set(codes.tolist())) == list(range(len(letters)))


def test_the_order_of_the_vocabulary_is_the_users() -> None:
    assert data.Vocabulary("cab").encode("abc").tolist() == [1, 2, 0]
    assert data.Vocabulary("ab").encode("").tolist() == []


def test_an_unknown_character_is_refused_with_its_place() -> None:
    with pytest.raises(DataError, match="the character 'z' is not in the vocabulary") as caught:
        data.Vocabulary("ab\n").encode("ab\nbz")
    assert caught.value.got == "'z' at place 4, line 2"
    assert caught.value.expected == "one of the 3 characters 'ab\\n'"


def test_a_number_without_a_character_is_refused() -> None:
    with pytest.raises(DataError, match="a number stands for no character") as caught:
        data.Vocabulary("ab").decode([0, 2])
    assert (caught.value.expected, caught.value.got) == ("numbers from 0 to 1", "2")


@pytest.mark.parametrize("characters", ["", "aba"])
def test_a_vocabulary_without_or_with_repeated_characters_is_refused(characters: str) -> None:
    with pytest.raises(DeclarationError, match="a vocabulary holds each of its characters once"):
        data.Vocabulary(characters)


def test_targets_are_the_windows_one_place_further_on() -> None:
    inputs, targets = data.character_windows(np.arange(10), length=4, step=2)
    assert inputs[:].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert np.array_equal(targets[:], inputs[:] + 1)
    assert targets[np.asarray([2])].tolist() == [[5, 6, 7, 8]]
    assert data.character_windows(np.arange(9), length=4)[0].shape == (2, 4)


def test_a_model_trains_on_windows() -> None:
    x, y = (gc.input(name, shape=("batch", 4), dtype="int64") for name in "xy")
    table = gc.parameter((5, 5), initializer="zeros", name="table")
    logits = gc.take(table, x)
    model = gc.compile(gc.losses.softmax_cross_entropy(logits, y), gc.optimizers.SGD(2.0))
    letters = data.Vocabulary("abcde")
    inputs, targets = data.character_windows(letters.encode("abcde" * 30), length=4, step=3)
    history = model.fit({"x": inputs, "y": targets}, epochs=20, batch_size=8)
    assert history["loss"][0] > 1.0
    assert history["loss"][-1] < 0.2


def test_a_text_that_is_too_short_and_wrong_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="there is no window of 4 characters with one after it") as caught:
        data.character_windows(np.arange(4), length=4)
    assert (caught.value.expected, caught.value.got) == ("[characters], more than 4 of them", "[4]")
    with pytest.raises(DeclarationError, match="windows have a positive length and step") as refused:
        data.character_windows(np.arange(4), length=2, step=0)
    assert refused.value.got == "length=2, step=0"
