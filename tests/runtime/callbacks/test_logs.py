from __future__ import annotations

from pathlib import Path

import pytest

from graphc.runtime.callbacks import Plot
from graphc.runtime.history import History
from tests.runtime.callbacks.scripted import train


def test_a_picture_of_all_epochs_is_drawn_every_few_epochs_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(History, "plot", lambda history, path: drawn.append(len(history)))
    train([3, 2, 1, 1, 1], Plot(tmp_path / "run" / "history.png", every_epochs=2))
    train([3, 2], Plot(tmp_path / "run" / "history.png", every_epochs=2))
    assert drawn == [2, 4, 5, 2]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "run" / "history.png"
    train([3, 2], Plot(path))
    assert path.read_bytes().startswith(b"\x89PNG")
