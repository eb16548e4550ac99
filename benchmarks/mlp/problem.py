"""The problem that every implementation solves: 784 inputs, 128 hidden units with ReLU, 10 classes, plain SGD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

INPUTS, HIDDEN, CLASSES = 784, 128, 10
BATCH, BATCHES = 32, 64
RATE = 0.05

Array = np.ndarray


@dataclass(frozen=True)
class Problem:
    """Minibatches, and the parameters to start from: float32, but for the labels. rate: the learning rate."""

    images: Array
    labels: Array
    weight1: Array
    bias1: Array
    weight2: Array
    bias2: Array
    rate: float = RATE

    @staticmethod
    def make() -> Problem:
        """Noisy copies of one picture for each class."""
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, (BATCHES, BATCH))
        pictures = rng.random((CLASSES, INPUTS))
        images = np.clip(pictures[labels] + rng.normal(0, 0.5, (BATCHES, BATCH, INPUTS)), 0, 1)
        weight1 = rng.normal(0, (2 / INPUTS) ** 0.5, (INPUTS, HIDDEN))
        weight2 = rng.normal(0, (2 / HIDDEN) ** 0.5, (HIDDEN, CLASSES))
        floats = (images, weight1, np.zeros(HIDDEN), weight2, np.zeros(CLASSES))
        image, *parameters = (value.astype(np.float32) for value in floats)
        return Problem(image, labels, *parameters)

    @staticmethod
    def read(path: Path) -> Problem:
        """The problem in a file that ``write`` made."""
        with np.load(path) as arrays:
            return Problem(**arrays)

    def write(self, path: Path) -> None:
        """Keep the arrays, so that every process works on the same ones."""
        np.savez(path, **{name: value for name, value in vars(self).items() if name != "rate"})
