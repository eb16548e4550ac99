from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphc as gc
from graphc import optimizers
from graphc.errors import CheckpointError
from graphc.runtime.checkpoint import Position, read_checkpoint
from graphc.scalar import Array
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model

DATA = digits_data(60)


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


def same_states(left: gc.Model, right: gc.Model) -> bool:
    others = states_of(right)
    return all(same_bits(value, others[name]) for name, value in states_of(left).items())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint in the middle of the second epoch."""
    model = digits_model()
    model.fit(DATA, batch_size=20)
    stop_after(model, 4)
    model.save(tmp_path / "saved.safetensors")
    return tmp_path / "saved.safetensors"


def stop_after(model: gc.Model, steps: int) -> None:
    """Train until a number of steps in all is done, and stop there as by an error."""

    class Stop(gc.callbacks.Callback):
        def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
            if int(model.cells["step"].array) == steps:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        model.fit(DATA, epochs=9, batch_size=20, callbacks=[Stop()])


def refused(model: gc.Model, path: Path, load: Callable[[], None] | None = None) -> CheckpointError:
    """The error of loading a file, after which the model is the same to the bit."""
    before, position = states_of(model), model.position
    with pytest.raises(CheckpointError) as caught:
        (load or (lambda: model.load(path)))()
    assert all(same_bits(value, before[name]) for name, value in states_of(model).items())
    assert model.position is position
    return caught.value


def test_a_loaded_model_trains_on_with_the_same_bits(saved: Path) -> None:
    whole, resumed = digits_model(), digits_model(seed=77)
    whole.fit(DATA, epochs=3, batch_size=20)
    resumed.load(saved)
    assert (resumed.position.epoch, resumed.position.batch) == (1, 1)
    assert int(resumed.cells["seed"].array) == 0
    resumed.fit(DATA, epochs=2, batch_size=20)
    assert same_states(whole, resumed)
    assert [row["loss"] for row in whole.position.history] == [row["loss"] for row in resumed.position.history]


def test_every_state_and_the_position_come_back(saved: Path) -> None:
    states, position = read_checkpoint(saved)
    model = digits_model()
    assert states.keys() == model.cells.keys()
    assert int(states["step"]) == 4
    assert position.totals.keys() == {"loss", "accuracy"}
    assert [row["epoch"] for row in position.history] == [1]
    model.load(saved)
    assert all(same_bits(value, states[name]) for name, value in states_of(model).items())
    assert model.position == position


def test_the_learning_rate_is_saved(tmp_path: Path) -> None:
    rate = optimizers.Adam(0.25)
    model = digits_model(optimizer=rate)
    rate.learning_rate = 0.125
    model.save(tmp_path / "rate.safetensors")
    rate.learning_rate = 0.5
    model.load(tmp_path / "rate.safetensors")
    assert rate.learning_rate == 0.125


def test_parameters_alone_can_be_loaded(saved: Path) -> None:
    model = digits_model(optimizer=optimizers.SGD(0.1), seed=5)
    position = model.position
    model.load(saved, parameters_only=True)
    states = read_checkpoint(saved)[0]
    for name in ("net/dense/weight", "net/dense/bias", "net/dense_1/weight", "net/dense_1/bias"):
        assert same_bits(model.cells[name].array, states[name])
    assert [int(model.cells[name].array) for name in ("seed", "step")] == [5, 0]
    assert model.position is position == Position()


def test_folders_on_the_way_are_made_and_no_other_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run" / "model.safetensors"
    digits_model().save(path)
    digits_model().save(path)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.safetensors"
    assert refused(digits_model(), path).what == f"there is no file {path}"


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 200, 5000, -4, -1])
def test_a_truncated_file_is_refused(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    error = refused(digits_model(), saved)
    assert error.what == f"{saved} is no whole safetensors file"
    assert error.got
    assert error.way_out == "it may have been cut off while it was copied; use another checkpoint"


@pytest.mark.parametrize("content", [b"epoch,loss\n1,0.5\n" * 50, bytes(4000), b"\xff" * 4000], ids=["text", "0", "ff"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    assert refused(digits_model(), path).what == f"{path} is no whole safetensors file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(digits_model(), tmp_path).what


class Bomb:
    """Unpickling it would make a folder."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("exploded",)


def test_a_pickle_is_refused_and_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    assert refused(digits_model(), path).what == f"{path} is no whole safetensors file"
    assert not (tmp_path / "exploded").exists()


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(states_of(digits_model()), path, {"format": "pt"})
    error = refused(digits_model(), path)
    assert error.what == f"{path} was not written by graphc"
    assert error.expected == "a safetensors file with format 'graphc-checkpoint' in its metadata"
    assert error.got == "metadata {'format': 'pt'}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"version": "2"}, "has version 2 of the format"),
        ({"position": "{"}, "has a damaged position"),
        ({"position": '{"era": 3}'}, "has a damaged position"),
        ({"position": "[1, 2]"}, "has a damaged position"),
    ],
)
def test_metadata_that_cannot_be_read_are_refused(saved: Path, change: dict[str, str], what: str) -> None:
    metadata = {"format": "graphc-checkpoint", "version": "1", "position": json.dumps({"epoch": 1})} | change
    save_file(load_file(saved), saved, metadata)
    assert refused(digits_model(), saved).what == f"{saved} {what}"


def test_a_flipped_bit_in_any_state_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for place in np.linspace(start, len(content) - 1, 12, dtype=int):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        saved.write_bytes(damaged)
        error = refused(digits_model(), saved)
        assert error.what == f"{saved} is damaged: its contents do not match its checksum"
        assert re.fullmatch("checksum [0-9a-f]{8}", str(error.expected))
        assert re.fullmatch("[0-9a-f]{8}", str(error.got))
        assert error.way_out == "some bits changed since it was written; use another checkpoint or copy it again"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"net/dense/bias/moment1", b"net/dense/bias/moment3"), (b'\\"batch\\": 1,', b'\\"batch\\": 2,')],
    ids=["name", "position"],
)
def test_a_changed_name_or_position_is_noticed(saved: Path, old: bytes, new: bytes) -> None:
    content = saved.read_bytes()
    assert content.count(old) == 1
    saved.write_bytes(content.replace(old, new))
    assert refused(digits_model(), saved).what == f"{saved} is damaged: its contents do not match its checksum"


def test_a_file_of_another_tool_has_no_checksum_and_is_loaded(saved: Path) -> None:
    states = load_file(saved)
    states["net/dense/bias"][:] = 0.5
    save_file(states, saved, {"format": "graphc-checkpoint", "version": "1", "position": "{}"})
    model = digits_model()
    model.load(saved)
    assert model.cells["net/dense/bias"].array.tolist() == [0.5] * 16
    assert model.position == Position()


def test_other_shapes_are_listed(saved: Path) -> None:
    error = refused(digits_model(hidden=8), saved)
    assert error.what == f"{saved} is a checkpoint of another model; this one is unchanged"
    assert ("different", "net/dense/weight: the model has f32[64, 8], the file float32[64, 16]") in error.facts
    assert error.facts[-1] == ("", "and 1 more")
    assert error.expected == "the same states with the same shapes"


def test_another_optimizer_is_refused_with_a_way_out(saved: Path) -> None:
    error = refused(digits_model(optimizer=optimizers.Momentum(0.1)), saved)
    assert ("missing", "net/dense/bias/velocity: the model has f32[16]") in error.facts
    assert ("unknown", "net/dense/bias/moment1: the file has float32[16]") in error.facts
    assert error.way_out == "build the model as it was; parameters_only=True leaves out the optimizer's state"


def test_another_element_type_is_refused(saved: Path) -> None:
    states = load_file(saved)
    states["net/dense/bias"] = states["net/dense/bias"].astype(np.float64)
    metadata = {"format": "graphc-checkpoint", "version": "1", "position": "{}"}
    save_file(states, saved, metadata)
    error = refused(digits_model(), saved)
    assert error.facts == (("different", "net/dense/bias: the model has f32[16], the file float64[16]"),)


def test_parameters_of_another_model_are_refused(saved: Path) -> None:
    model = digits_model(hidden=8)
    error = refused(model, saved, lambda: model.load(saved, parameters_only=True))
    assert len(error.facts) == 3


@pytest.mark.parametrize("fails", ["graphc.runtime.checkpoint.os.fsync", "graphc.runtime.checkpoint.os.replace"])
def test_a_failing_write_leaves_the_old_file_whole(saved: Path, fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("the disk is full")

    content = saved.read_bytes()
    model = digits_model(seed=9)
    with monkeypatch.context() as patched:
        patched.setattr(fails, refuse)
        with pytest.raises(OSError, match="the disk is full"):
            model.save(saved)
    assert saved.read_bytes() == content
    assert list(saved.parent.iterdir()) == [saved]


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, rename = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        order.append("sync")
        sync(handle)

    def note_rename(source: str, target: Path) -> None:
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr("graphc.runtime.checkpoint.os.fsync", note_sync)
    monkeypatch.setattr("graphc.runtime.checkpoint.os.replace", note_rename)
    digits_model().save(tmp_path / "model.safetensors")
    assert order[:2] == ["sync", "rename"]
