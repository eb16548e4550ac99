"""The tasks that come with graphc train at a tiny size, and leave what they promise."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from graphc.runtime.cli import main
from graphc.runtime.tasks import BUILT_IN, load_task, task_options

TINY: dict[str, tuple[dict[str, object], list[str]]] = {
    "autoencoder": ({"hidden": 12, "code": 4, "sparse": 0.01}, ["reconstructions.png"]),
    "vae": ({"hidden": 12, "units": 2}, ["reconstructions.png", "samples.png"]),
    "gan": ({"hidden": 8, "points": 512}, ["samples.png"]),
    "char-lstm": ({"units": 8, "length": 8, "characters": 3000}, ["sample.txt"]),
    "gpt": ({"units": 8, "heads": 2, "depth": 1, "length": 8, "characters": 3000}, ["sample.txt"]),
    "shapes": ({"samples": 40, "side": 16}, ["predictions.png"]),
    "visualise": ({"width": 2, "steps": 3}, ["liked.png"]),
}
"""Options of the tasks, and what each leaves."""


@pytest.mark.parametrize("name", [name for name in TINY if name not in ("gan", "char-lstm")])
def test_a_task_trains_and_leaves_its_pictures(name: str, tmp_path: Path) -> None:
    options, left = TINY[name]
    task = load_task(name, options)
    history = task.model.fit(task.train, epochs=2, batch_size=task.batch_size, progress=False)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][1] < history["loss"][0]
    assert task.leave is not None
    task.leave(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["gan", "char-lstm"])
def test_a_run_folder_holds_the_usual_and_what_the_task_leaves(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, left = TINY[name]
    chosen = [f"{option}={value}" for option, value in options.items()]
    run = tmp_path / "run"
    assert main(["train", name, "--epochs", "1", "--out", str(run), "--no-pictures", "--set", *chosen]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "trained 1 epochs in" in out
    usual = ["checkpoint.safetensors", "history.csv", "history.png", "kernels.py", "report.txt"]
    assert sorted(path.name for path in run.iterdir()) == sorted([*usual, *left])
    if "sample.txt" in left:
        sample = (run / "sample.txt").read_text("utf-8")
        assert len(sample) == 405
        assert sample.startswith("The ")
        assert sample.rstrip("\n") in out


def test_a_run_without_matplotlib_lacks_only_the_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    chosen = [f"{option}={value}" for option, value in TINY["gan"][0].items()]
    run = tmp_path / "run"
    assert main(["train", "gan", "--epochs", "1", "--out", str(run), "--no-pictures", "--set", *chosen]) == 0
    assert capsys.readouterr().err == "plots need matplotlib\npictures need matplotlib\n"
    left = ["checkpoint.safetensors", "history.csv", "kernels.py", "report.txt"]
    assert sorted(path.name for path in run.iterdir()) == left


def test_every_built_in_task_is_tried_here_but_the_digits() -> None:
    assert {"digits", *TINY} == set(BUILT_IN)
    for name in BUILT_IN:
        assert {"seed", "threads", "learning_rate"} <= task_options(name).keys()
