"""The task "gpt": a small transformer that learns to write docstrings, character by character."""

from __future__ import annotations

from graphc.frontend import models, optimizers
from graphc.runtime.examples.texts import VOCABULARY, text_task
from graphc.runtime.tasks import Task

__all__ = ["task"]

IS_USER_CODE = True


def task(
    units: int = 64,
    heads: int = 4,
    depth: int = 2,
    length: int = 64,
    dropout: float = 0.0,
    characters: int = 100_000,
    learning_rate: float = 3e-3,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Two blocks of four heads, windows of 64 characters, AdamW, 12 epochs."""
    network = models.GPT(len(VOCABULARY), length, units, heads, depth, dropout, name="gpt")
    return text_task(network, optimizers.AdamW(learning_rate), characters, length, 12, seed, threads)
