"""A small task file for the command line, and a stand-in for the dot program."""

from __future__ import annotations

from pathlib import Path

import pytest

TASK = '''"""A line through points."""

import numpy as np

import graphc as gc
from graphc import layers, losses, optimizers


def task(hidden=4, rate=0.1, seed=0, threads=None):
    x, y = gc.input("x", shape=("batch", 2)), gc.input("y", shape=("batch", 1))
    network = layers.Sequential([layers.Dense(hidden, activation="tanh"), layers.Dense(1)], name="line")
    loss = losses.mean_squared_error(network(x), y)
    model = gc.compile(loss, optimizers.Momentum(rate), seed=seed, threads=threads, name="line")
    points = np.random.default_rng(0).random((48, 2))
    data = {"x": points, "y": points.sum(axis=1, keepdims=True)}
    return gc.Task(model, train=data, test={name: part[:16] for name, part in data.items()}, epochs=3, batch_size=16)
'''


def write_task(folder: Path, text: str = TASK) -> str:
    """The path of a task file in a folder."""
    path = folder / "line.py"
    path.write_text(text, "utf-8")
    return str(path)


def stand_in_dot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the system's only program a dot that draws nothing, so that no test depends on Graphviz."""
    folder.mkdir()
    program = folder / "dot"
    program.write_text('#!/bin/sh\necho "<svg>$1</svg>"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
