"""Real kills: a process that SIGKILL stops at any moment leaves a checkpoint from which the same bits follow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphc.runtime.checkpoint import read_checkpoint
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model

ROOT = Path(__file__).parents[2]
EPOCHS, BATCH = 6, 20
LAST = 29
"""The step after which training waits for its kill: the last but one."""

TRAIN = f"""
import sys
import graphc as gc
from tests.runtime.networks import digits_data, digits_model

path, mode = sys.argv[1:]

class Talk(gc.callbacks.Callback):
    def on_batch_end(self, model, logs):
        step = int(model.cells["step"].array)
        print(step, flush=True)
        if mode == "wait" and step == {LAST}:
            sys.stdin.read()

model = digits_model()
try:
    model.load(path)
except gc.errors.CheckpointError as error:
    assert error.what == f"there is no file {{path}}"
left = {EPOCHS} - model.position.epoch
save = gc.callbacks.Checkpoint(path, every_batches=2)
model.fit(digits_data(100), epochs=left, batch_size={BATCH}, callbacks=[save, Talk()])
"""

SAVE = """
import sys
import numpy as np
from graphc.frontend.initializers import Zeros
from graphc.frontend.state import Cell
from graphc.runtime.checkpoint import Position, write_checkpoint
from graphc.tensor_type import tensor_type

cells = {f"state{number}": Cell(tensor_type("f32", 300, 300), Zeros()) for number in range(3)}
number = 0
while True:
    number += 1
    for cell in cells.values():
        cell.set(np.full((300, 300), number))
    write_checkpoint(sys.argv[1], cells, Position(epoch=number))
    print(number, flush=True)
"""

DIE_INSIDE = """
import os, signal, sys
from graphc.frontend.initializers import Zeros
from graphc.frontend.state import Cell
from graphc.runtime import checkpoint
from graphc.tensor_type import tensor_type

cells = {"state": Cell(tensor_type("f32", 1000), Zeros())}
cells["state"].set([1.0] * 1000)
checkpoint.write_checkpoint(sys.argv[1], cells, checkpoint.Position(epoch=1))
cells["state"].set([2.0] * 1000)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], die)
checkpoint.write_checkpoint(sys.argv[1], cells, checkpoint.Position(epoch=2))
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def kill_after(program: str, lines: int, *arguments: object) -> int:
    """Run a program, kill it when it has printed a number of lines; the last number it printed before the signal."""
    with start(program, *arguments) as process:
        assert process.stdout is not None
        printed = [int(process.stdout.readline())]
        while len(printed) < lines and printed[-1] != LAST:
            printed.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    return printed[-1]


def test_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    reached = [kill_after(TRAIN, lines, path, "wait") for lines in (1, 4, 9)]
    assert reached == sorted(reached)
    with start(TRAIN, path, "finish") as last:
        output, _ = last.communicate()
    assert last.returncode == 0
    assert output.split()[-1] == "30"

    whole = digits_model()
    history = whole.fit(digits_data(100), epochs=EPOCHS, batch_size=BATCH)
    states, position = read_checkpoint(path)
    assert all(same_bits(cell.array, states[name]) for name, cell in whole.cells.items())
    assert [row["loss"] for row in position.history] == history["loss"]
    assert (position.epoch, position.batch) == (EPOCHS, 0)


@pytest.mark.parametrize("saves", [1, 6])
def test_a_kill_while_saving_leaves_one_whole_file(tmp_path: Path, saves: int) -> None:
    path = tmp_path / "saved.safetensors"
    for _ in range(3):
        before = kill_after(SAVE, saves, path)
        states, position = read_checkpoint(path)
        assert position.epoch >= before
        assert all(np.all(value == position.epoch) for value in states.values())


@pytest.mark.parametrize(("call", "epoch"), [("fsync", 1), ("chmod", 1), ("replace", 1), ("close", 2)])
def test_a_kill_at_each_moment_of_a_save_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, call: str, epoch: int
) -> None:
    path = tmp_path / "saved.safetensors"
    with start(DIE_INSIDE, path, call) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    states, position = read_checkpoint(path)
    assert position.epoch == epoch
    assert np.all(states["state"] == epoch)
