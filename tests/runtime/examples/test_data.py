"""What the tasks make themselves: points of a ring, shapes, text of the library, and text that a model writes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from graphc.errors import MissingPackageError
from graphc.runtime.examples.gan import ring
from graphc.runtime.examples.pictures import Row, draw_images
from graphc.runtime.examples.shapes import draw_shapes
from graphc.runtime.examples.texts import VOCABULARY, library_text, write_text
from graphc.scalar import Array


def test_a_ring_is_a_ring() -> None:
    points = ring(2000)
    radius = np.hypot(points[:, 0], points[:, 1])
    np.testing.assert_allclose([radius.mean(), radius.std()], [2.0, 0.1], atol=0.02)
    np.testing.assert_allclose(points.mean(0), 0, atol=0.15)
    angle = np.arctan2(points[:, 1], points[:, 0])
    assert abs(np.corrcoef(angle, radius)[0, 1]) < 0.1


def test_shapes_are_lighter_than_their_background_and_of_all_kinds() -> None:
    images, classes = draw_shapes(60, 32)
    assert (images.shape, classes.shape) == ((60, 32, 32, 1), (60, 32, 32))
    assert sorted(set(classes.ravel().tolist())) == [0, 1, 2, 3]
    light = [float(images[..., 0][classes == kind].mean()) for kind in range(4)]
    assert abs(light[0] - 0.2) < 0.01
    assert min(light[1:]) > 0.6
    again, _ = draw_shapes(60, 32)
    np.testing.assert_array_equal(images, again)


def test_library_text_begins_with_the_zen_and_has_known_characters(capsys: pytest.CaptureFixture[str]) -> None:
    text = library_text(20_000)
    assert len(text) == 20_000
    assert text.startswith("The Zen of Python, by Tim Peters\n\nBeautiful is better than ugly.\n")
    assert "Command-line parsing library" in text
    assert "  " not in text
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text
    assert capsys.readouterr().out == ""


def test_a_model_goes_on_from_the_last_characters_it_can_see() -> None:
    windows: list[str] = []

    def next_letter(codes: Array) -> Array:
        windows.append(VOCABULARY.decode(codes[0]))
        return np.asarray(np.eye(len(VOCABULARY))[(codes + 1) % len(VOCABULARY)] * 50)

    assert write_text(next_letter, "ab", 4, 3, heat=0.5, seed=0) == "abcdef"
    assert [window[:3] for window in windows] == ["ab\n", "abc", "bcd", "cde"]


def test_pictures_without_matplotlib_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match="pictures need matplotlib") as caught:
        draw_images(tmp_path, [Row("one", np.zeros((1, 2, 2)))])
    assert "way out    pip install 'graphc[demo]'" in str(caught.value)
