"""Models of text: what each place may see, and that they learn to repeat a text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, models
from graphc.errors import DeclarationError, ShapeError
from tests.frontend.models.training import assert_learns, labels, pixels

MODELS: dict[str, Callable[[], layers.Layer]] = {
    "lstm": lambda: models.CharLSTM(7, units=8),
    "gpt": lambda: models.GPT(7, length=6, units=8, heads=2, depth=1),
    "untied": lambda: models.GPT(7, length=8, units=8, heads=2, depth=1, tied=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_place_sees_no_later_characters_and_the_text_is_learned(name: str) -> None:
    net, text = MODELS[name](), gc.input("text", ("batch", 6), "int64")
    logits = net(text)
    assert str(logits.type) == "f32[batch, 6, 7]"
    read = gc.function([text], logits)
    one = labels(7, 1, 6)
    other = one.copy()
    other[0, 4] = (other[0, 4] + 1) % 7
    first, second = np.asarray(read(one)), np.asarray(read(other))
    np.testing.assert_array_equal(first[0, :4], second[0, :4])
    assert not np.array_equal(first[0, 4:], second[0, 4:])

    loss = losses.softmax_cross_entropy(logits, gc.input("next", ("batch", 6), "int64"))
    codes = labels(7, 4, 7)
    codes[:, 6] = codes[:, 0]
    assert_learns(loss, net.parameters, {"text": codes[:, :-1], "next": codes[:, 1:]}, 8, 0.9, rate=0.03)


def test_layers_and_dropout_are_added() -> None:
    net = models.CharLSTM(7, units=4, depth=2, dropout=0.5)
    net(gc.input("text", ("batch", 3), "int64"))
    assert [str(p.type) for p in net.parameters] == [
        *("f32[7, 4]", "f32[4, 16]", "f32[4, 16]", "f32[16]", "f32[4, 16]", "f32[4, 16]", "f32[16]"),
        *("f32[4, 7]", "f32[7]"),
    ]
    with pytest.raises(DeclarationError, match="depth must be a whole number of at least 1"):
        models.CharLSTM(7, depth=0)


def test_a_gpt_of_the_size_of_gpt2_has_its_parameters() -> None:
    net = models.GPT(50257, length=1024, units=768, heads=12, depth=12)
    net(gc.input("text", ("batch", 1024), "int64"))
    assert net.parameter_count == 124439808


def test_text_longer_than_a_gpt_is_refused() -> None:
    with pytest.raises(ShapeError, match="GPT 'gpt' does not fit this input") as caught:
        models.GPT(7, length=8, units=8, heads=2, depth=1)(gc.input("text", ("batch", 9), "int64"))
    assert "expected   [batch, time] with an integer from 1 to 8\n  got        i64[batch, 9]" in str(caught.value)


def test_captions_follow_from_the_image() -> None:
    net = models.CaptionDecoder(words=6, units=8)
    features, words = gc.input("features", ("batch", 5)), gc.input("words", ("batch", 4), "int64")
    logits = net(features, words)
    assert str(logits.type) == "f32[batch, 4, 6]"
    following = gc.input("following", ("batch", 4), "int64")
    loss = losses.softmax_cross_entropy(logits, following, ignore_index=-1)
    image, caption = 4 * pixels(3, 5), np.tile([0, 1, 2, 3], (3, 1))
    after = np.array([[1, 2, 3, -1], [2, 3, 4, 5], [5, 4, -1, -1]])
    assert_learns(loss, net.parameters, {"features": image, "words": caption, "following": after}, 12, 0.8, rate=0.05)
    read = gc.function([features, words], logits)
    found = np.asarray(read(image, caption))
    assert not np.array_equal(found[0], found[1])
