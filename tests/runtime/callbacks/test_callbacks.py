from __future__ import annotations

import csv
from pathlib import Path

import pytest

import graphc as gc
from graphc.runtime.callbacks import Callback, Checkpoint, CSVLog
from graphc.runtime.checkpoint import read_checkpoint
from tests.runtime.networks import digits_data, digits_model

DATA = digits_data(50)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_base_does_nothing() -> None:
    watched, alone = digits_model(), digits_model()
    assert watched.fit(DATA, callbacks=[Callback()])["loss"] == alone.fit(DATA)["loss"]


def test_a_checkpoint_is_saved_after_each_epoch(tmp_path: Path) -> None:
    path = tmp_path / "run" / "model.safetensors"
    found: list[tuple[int, int]] = []

    class Look(Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            if path.exists():
                position = read_checkpoint(path)[1]
                found.append((position.epoch, position.batch))

    digits_model().fit(DATA, epochs=3, batch_size=25, callbacks=[Checkpoint(path), Look()])
    assert found == [(1, 0), (1, 0), (2, 0), (2, 0)]
    assert read_checkpoint(path)[1].epoch == 3


def test_a_checkpoint_is_saved_every_so_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[tuple[int, int]] = []
    monkeypatch.setattr(
        gc.Model, "save", lambda model, path: saved.append((model.position.epoch, model.position.batch))
    )
    save = Checkpoint(tmp_path / "model.safetensors", every_batches=2)
    digits_model().fit(DATA, epochs=2, batch_size=20, callbacks=[save])
    assert saved == [(0, 2), (1, 0), (1, 1), (1, 3), (2, 0)]


def test_the_log_holds_all_epochs_also_those_before_a_resumption(tmp_path: Path) -> None:
    path = tmp_path / "run" / "history.csv"
    first = digits_model()
    first.fit(DATA, epochs=2, callbacks=[CSVLog(path)], validation_data=digits_data(20, seed=1))
    assert [row["epoch"] for row in read_rows(path)] == ["1", "2"]
    first.save(tmp_path / "model.safetensors")
    second = digits_model()
    second.load(tmp_path / "model.safetensors")
    second.fit(DATA, epochs=1, callbacks=[CSVLog(path)])
    rows = read_rows(path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert rows[2]["val_loss"] == ""
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in second.position.history]
    assert list(path.parent.iterdir()) == [path]


def test_logs_of_a_batch_are_its_loss_and_metrics() -> None:
    logs: list[dict[str, float]] = []

    class Keep(Callback):
        def on_batch_end(self, model: gc.Model, given: dict[str, float]) -> None:
            logs.append(given)

    history = digits_model().fit(DATA, batch_size=50, callbacks=[Keep()])
    assert [entry.keys() for entry in logs] == [{"loss", "accuracy"}]
    assert logs[0]["loss"] == pytest.approx(history["loss"][0], rel=1e-12)
