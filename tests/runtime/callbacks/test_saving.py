from __future__ import annotations

from pathlib import Path

import pytest

from graphc.errors import DeclarationError
from graphc.runtime.callbacks import BestCheckpoint, Checkpoint
from graphc.runtime.checkpoint import read_checkpoint
from tests.runtime.callbacks.scripted import scripted_model, train


def saved_weight(path: Path) -> float:
    return float(read_checkpoint(path)[0]["weight"])


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    train([5, 2, 3, 4], BestCheckpoint(path))
    assert saved_weight(path) == 2
    assert read_checkpoint(path)[1].epoch == 2


def test_the_best_epoch_is_what_the_mode_says(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    train([5, 2, 3, 4], BestCheckpoint(path, "loss", mode="max"))
    assert saved_weight(path) == 5


def test_epochs_before_a_resumption_count(tmp_path: Path) -> None:
    path, last = tmp_path / "best.safetensors", tmp_path / "last.safetensors"
    train([5, 2, 3], BestCheckpoint(path), Checkpoint(last))
    resumed = scripted_model()
    resumed.load(last)
    train([5, 2, 3, 2.5, 1, 4], BestCheckpoint(path), model=resumed)
    assert saved_weight(path) == 1
    assert read_checkpoint(path)[1].epoch == 5


def test_a_checkpoint_is_saved_every_few_epochs(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    train([1, 2, 3, 4, 5], Checkpoint(path, every_epochs=2))
    assert saved_weight(path) == 4


def test_a_checkpoint_that_is_never_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="a checkpoint is saved every so many epochs") as caught:
        Checkpoint(tmp_path / "last.safetensors", every_epochs=0)
    assert caught.value.got == "every_epochs=0"
