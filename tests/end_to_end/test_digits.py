"""The built-in task: what it reaches, and that a run is repeated to the bit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from graphc.runtime.checkpoint import read_checkpoint
from graphc.runtime.cli import main
from graphc.runtime.digits import load_digits
from graphc.runtime.tasks import load_task
from graphc.scalar import Array


def trained(seed: int, threads: int, epochs: int = 4) -> tuple[dict[str, Array], list[float]]:
    """All states after a few epochs, and the loss of each epoch."""
    task = load_task("digits", {"seed": seed, "threads": threads})
    assert task.model.executable("train").threads == threads
    history = task.model.fit(task.train, epochs=epochs, batch_size=task.batch_size, progress=False)
    return {name: cell.array.copy() for name, cell in task.model.cells.items()}, history["loss"]


def assert_same(first: dict[str, Array], second: dict[str, Array]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if first[name].tobytes() != second[name].tobytes()] == []


def test_the_split_is_fixed() -> None:
    train, test = load_digits()
    assert (len(train["label"]), len(test["label"])) == (1437, 360)
    together = np.concatenate([train["image"], test["image"]])
    assert together.shape == (1797, 8, 8)
    assert (together.min(), together.max()) == (0, 1)
    assert np.bincount(test["label"]).min() > 25
    again, _ = load_digits()
    assert again["image"].tobytes() == train["image"].tobytes()


def test_training_at_its_defaults_reaches_97_percent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--out", str(tmp_path), "--no-pictures"]) == 0
    printed = capsys.readouterr().out
    assert "digits: 17,226 parameters" in printed
    found = re.search(r"^test accuracy (\S+)$", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) >= 0.97
    task = load_task("digits", {})
    task.model.load(tmp_path / "checkpoint.safetensors")
    assert task.test is not None
    assert task.model.evaluate(task.test)["accuracy"] == pytest.approx(float(found[1]), abs=5e-5)
    _, position = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert (position.epoch, position.batch) == (task.epochs, 0)


def test_the_same_seed_gives_the_same_bits_for_one_and_two_threads() -> None:
    first, losses = trained(seed=3, threads=2)
    assert losses[-1] < 0.5 * losses[0]
    for threads in (2, 1, 1):
        again, same_losses = trained(seed=3, threads=threads)
        assert_same(first, again)
        assert same_losses == losses


def test_another_seed_gives_other_weights() -> None:
    (first, losses), (second, others) = trained(seed=3, threads=2, epochs=1), trained(seed=4, threads=2, epochs=1)
    assert losses != others
    assert not np.array_equal(first["digits/dense/weight"], second["digits/dense/weight"])
