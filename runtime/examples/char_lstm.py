"""The task "char-lstm": a recurrent network that learns to write docstrings, character by character."""

from __future__ import annotations

from graphc.frontend import models, optimizers
from graphc.runtime.examples.texts import VOCABULARY, text_task
from graphc.runtime.tasks import Task

__all__ = ["task"]

IS_USER_CODE = True


def task(
    units: int = 128,
    depth: int = 1,
    length: int = 64,
    characters: int = 120_000,
    learning_rate: float = 5e-3,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """One LSTM, windows of 64 characters, Adam with clipped gradients, 12 epochs."""
    network = models.CharLSTM(len(VOCABULARY), units, depth, name="char-lstm")
    optimizer = optimizers.ClipByGlobalNorm(optimizers.Adam(learning_rate), 1.0)
    return text_task(network, optimizer, characters, length, 12, seed, threads)
