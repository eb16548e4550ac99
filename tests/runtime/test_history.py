from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import pytest

import graphc as gc
from graphc.errors import MissingPackageError

ROWS = [
    {"epoch": 1, "loss": 0.5, "seconds": 0.1},
    {"epoch": 2, "loss": 0.25, "val_loss": 0.75, "seconds": 0.1},
]


def test_columns_are_read_by_name() -> None:
    history = gc.History(ROWS)
    assert history["loss"] == [0.5, 0.25]
    assert math.isnan(history["val_loss"][0])
    assert history["val_loss"][1] == 0.75
    assert history.names == ["epoch", "loss", "seconds", "val_loss"]
    assert list(history) == ROWS
    assert len(history) == 2


def test_rows_are_written_as_csv(tmp_path: Path) -> None:
    gc.History(ROWS).to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["epoch", "loss", "seconds", "val_loss"],
        ["1", "0.5", "0.1", ""],
        ["2", "0.25", "0.1", "0.75"],
    ]


def test_an_empty_history_is_written_too(tmp_path: Path) -> None:
    gc.History().to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text("utf-8").strip() == ""
    assert gc.History()["loss"] == []


@pytest.mark.parametrize(
    ("name", "start"), [("curves.png", b"\x89PNG"), ("curves.svg", b"<?xml"), ("curves.pdf", b"%PDF")]
)
def test_curves_are_drawn_in_the_format_of_the_ending(name: str, start: bytes, tmp_path: Path) -> None:
    gc.History(ROWS).plot(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_training_and_validation_share_a_plot(tmp_path: Path) -> None:
    rows = [{**row, "accuracy": 0.5, "val_accuracy": 0.25} for row in ROWS]
    gc.History(rows).plot(tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text("utf-8")
    titles = [line.split()[1] for line in text.splitlines() if line.strip().startswith("<!--")]
    assert titles.count("loss") == titles.count("accuracy") == 1
    assert titles.count("validation") == 2
    assert "seconds" not in titles


def test_an_empty_history_is_drawn_too(tmp_path: Path) -> None:
    gc.History().plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()


def test_without_matplotlib_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError) as caught:
        gc.History(ROWS).plot(tmp_path / "curves.png")
    assert caught.value.what == "plots need matplotlib"
    assert caught.value.way_out == "pip install 'graphc[demo]', or use history.to_csv"
    assert isinstance(caught.value, ImportError)
    assert list(tmp_path.iterdir()) == []
