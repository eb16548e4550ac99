"""Initial values and data from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from workloads.spec import Array

Random = np.random.Generator
Initial = Callable[[Random, tuple[int, ...]], Array]

_FLIPPED = 0.1
"""Share of labels and of characters at random: otherwise data so regular would soon be learnt by heart."""


def normal(rng: Random, shape: tuple[int, ...], deviation: float) -> Array:
    return (deviation * rng.standard_normal(shape)).astype(np.float32)


def he(rng: Random, shape: tuple[int, ...]) -> Array:
    """For ReLU; the shape of a dense weight or of a convolution kernel."""
    return normal(rng, shape, math.sqrt(2 / _fan_in(shape)))


def glorot(rng: Random, shape: tuple[int, ...]) -> Array:
    """For tanh and linear layers."""
    fan_in = _fan_in(shape)
    fan_out = shape[1] if len(shape) == 2 else shape[0] * math.prod(shape[2:])
    return uniform(rng, shape, math.sqrt(6 / (fan_in + fan_out)))


def uniform(rng: Random, shape: tuple[int, ...], limit: float) -> Array:
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def _fan_in(shape: tuple[int, ...]) -> int:
    return shape[0] if len(shape) == 2 else math.prod(shape[1:])


def dense(rng: Random, sizes: list[int], initial: Initial = he) -> dict[str, Array]:
    """Weights w1, w2, ... and biases b1, b2, ... of a chain of dense layers."""
    found = {}
    for number, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        found[f"w{number}"] = initial(rng, (inputs, outputs))
        found[f"b{number}"] = zeros(outputs)
    return found


def pictures(rng: Random, batches: int, samples: int, shape: tuple[int, ...], classes: int = 10) -> dict[str, Array]:
    """Noisy copies of one pattern a class, centred around zero: x, and the classes y."""
    patterns = rng.standard_normal((classes, *shape), np.float32)
    labels = rng.integers(0, classes, (batches, samples), np.int32)
    images = patterns[labels] + rng.standard_normal((batches, samples, *shape), np.float32)
    flipped = rng.random(labels.shape) < _FLIPPED
    labels = np.where(flipped, rng.integers(0, classes, labels.shape, np.int32), labels)
    return {"x": images, "y": labels}


def bright_pictures(rng: Random, batches: int, samples: int, shape: tuple[int, ...]) -> dict[str, Array]:
    """As ``pictures``, with values between 0 and 1."""
    data = pictures(rng, batches, samples, shape)
    return {**data, "x": np.clip(0.5 + data["x"] / 4, 0, 1)}


def characters(rng: Random, batches: int, samples: int, length: int, alphabet: int) -> dict[str, Array]:
    """Texts in which a character has few likely successors: x, and the next characters y.

    A sample of one minibatch goes on in the same sample of the next.
    """
    likely = rng.integers(0, alphabet, (alphabet, 4))
    text = np.empty((samples, batches * length + 1), np.int32)
    text[:, 0] = rng.integers(0, alphabet, samples)
    for place in range(1, text.shape[1]):
        follower = likely[text[:, place - 1], rng.integers(0, 4, samples)]
        stray = rng.integers(0, alphabet, samples)
        text[:, place] = np.where(rng.random(samples) < _FLIPPED, stray, follower)
    pieces = (text[:, :-1], text[:, 1:])
    x, y = (piece.reshape(samples, batches, length).swapaxes(0, 1) for piece in pieces)
    return {"x": x, "y": y}
