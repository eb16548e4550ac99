"""Augmentation: random changes to a batch of images [batch, height, width, channels] or [batch, height, width].

Each takes a batch and numpy's random numbers and gives a new batch of the same element type; the batch it was given
stays. The numbers depend on the seed, the epoch and the batch, so that a resumed training sees the same changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator, Philox

from graphc.errors import DeclarationError, FeedError
from graphc.origin import user_location
from graphc.philox import stream_key
from graphc.scalar import Array

__all__ = ["Augmentation", "Cutout", "GaussianNoise", "RandomCrop", "RandomFlip", "RandomShift", "generator"]


def generator(seed: int, name: str) -> Generator:
    """Random numbers that depend on a seed and a name alone: the same for each call, with one release of numpy.

    >>> bool(generator(0, "a").random() == generator(0, "a").random() != generator(0, "b").random())
    True
    """
    return Generator(Philox(key=[seed % 2**64, stream_key(name)]))


class Augmentation(ABC):
    """A random change to a batch: derive from it, and draw from the given numbers alone.

    >>> import graphc as gc
    >>> class Brighten(gc.data.Augmentation):
    ...     def __call__(self, batch, random):
    ...         return batch + random.random((len(batch), 1, 1, 1), batch.dtype)
    >>> Brighten()(np.zeros((2, 4, 4, 3)), np.random.default_rng(0)).shape
    (2, 4, 4, 3)
    """

    @abstractmethod
    def __call__(self, batch: Array, random: Generator) -> Array:
        """The changed batch."""


@dataclass(frozen=True)
class RandomFlip(Augmentation):
    """Mirror each image left to right with a probability.

    >>> RandomFlip(1.0)(np.asarray([[[1, 2, 3]]]), generator(0, "example")).tolist()
    [[[3, 2, 1]]]
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, "probability: between 0 and 1", f"probability={self.probability}")

    def __call__(self, batch: Array, random: Generator) -> Array:
        """Mirror those images whose number is below the probability."""
        _require_images(self, batch)
        changed = batch.copy()
        chosen = random.random(len(batch)) < self.probability
        changed[chosen] = batch[chosen, :, ::-1]
        return changed


@dataclass(frozen=True)
class RandomCrop(Augmentation):
    """Pad each image on all sides and cut out a random rectangle.

    padding: pixels on each side. size: (height, width) of the result, by default that of the images. mode: "constant"
    pads with zeros, "reflect" with the mirror image. Padding by 4 is the augmentation of He et al., 2016.

    >>> RandomCrop(size=(2, 2))(np.ones((5, 4, 4, 3)), generator(0, "example")).shape
    (5, 2, 2, 3)
    """

    padding: int = 0
    size: tuple[int, int] | None = None
    mode: Literal["constant", "reflect"] = "constant"

    def __post_init__(self) -> None:
        _require(self.padding >= 0, "padding: an integer of at least 0", f"padding={self.padding}")
        _require(self.mode in ("constant", "reflect"), 'mode: "constant" or "reflect"', f"mode={self.mode!r}")

    def __call__(self, batch: Array, random: Generator) -> Array:
        """Cut a rectangle out of each image."""
        _require_images(self, batch)
        height, width = self.size or batch.shape[1:3]
        around = [(0, 0), (self.padding,) * 2, (self.padding,) * 2, (0, 0)][: batch.ndim]
        padded = np.pad(batch, around, mode=self.mode)
        spare = (padded.shape[1] - height, padded.shape[2] - width)
        if min(spare) < 0:
            raise FeedError(
                "RandomCrop does not fit these images",
                expected=f"images of at least {height - 2 * self.padding} x {width - 2 * self.padding} pixels",
                got=str(list(batch.shape)),
                way_out="more padding, or a smaller size",
            )
        return _windows(padded, _integers(random, len(batch), spare), height, width)


@dataclass(frozen=True)
class RandomShift(Augmentation):
    """Shift each image by up to so many pixels each way; zeros come in at the edges.

    rows, columns: the largest shifts.

    >>> RandomShift(0, 1)(np.asarray([[[1, 2, 3]]]), generator(2, "example")).shape
    (1, 1, 3)
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        _require(min(self.rows, self.columns) >= 0, "shifts of at least 0", f"{self.rows}, {self.columns}")

    def __call__(self, batch: Array, random: Generator) -> Array:
        """Shift each image."""
        _require_images(self, batch)
        around = [(0, 0), (self.rows,) * 2, (self.columns,) * 2, (0, 0)][: batch.ndim]
        starts = _integers(random, len(batch), (2 * self.rows, 2 * self.columns))
        return _windows(np.pad(batch, around), starts, *batch.shape[1:3])


@dataclass(frozen=True)
class GaussianNoise(Augmentation):
    """Add normal noise of a standard deviation to every number, whatever the axes.

    >>> bool(np.std(GaussianNoise(0.5)(np.zeros((10, 100)), generator(0, "example"))) < 0.6)
    True
    """

    deviation: float

    def __post_init__(self) -> None:
        _require(self.deviation >= 0, "deviation: a number of at least 0", f"deviation={self.deviation}")

    def __call__(self, batch: Array, random: Generator) -> Array:
        """Add the noise; FeedError for integers, which cannot take it."""
        if batch.dtype.kind != "f":
            raise FeedError(
                "GaussianNoise needs floats", got=str(batch.dtype), way_out='declare the input with dtype="float32"'
            )
        noise = random.standard_normal(batch.shape, np.float32 if batch.dtype == np.float32 else np.float64)
        noise *= self.deviation
        noise += batch
        return noise


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Blank a square of each image (DeVries and Taylor, 2017).

    size: pixels of a side; the square's centre is anywhere in the image, so that parts of it may lie outside. value:
    what the square holds.

    >>> Cutout(1)(np.ones((1, 3, 3)), generator(0, "example")).sum()
    np.float64(8.0)
    """

    size: int
    value: float = 0.0

    def __post_init__(self) -> None:
        _require(self.size >= 1, "size: an integer of at least 1", f"size={self.size}")

    def __call__(self, batch: Array, random: Generator) -> Array:
        """Blank the squares."""
        _require_images(self, batch)
        height, width = batch.shape[1:3]
        starts = _integers(random, len(batch), (height - 1, width - 1)) - self.size // 2
        inside = [
            (start[:, None] <= np.arange(size)) & (np.arange(size) < start[:, None] + self.size)
            for start, size in zip(starts.T, (height, width), strict=True)
        ]
        changed = batch.copy()
        changed[inside[0][:, :, None] & inside[1][:, None, :]] = self.value
        return changed


def _integers(random: Generator, count: int, largest: tuple[int, int]) -> Array:
    """Pairs of integers from 0 to the largest, [count, 2]."""
    return random.integers(0, largest, (count, 2), endpoint=True)


def _windows(batch: Array, starts: Array, height: int, width: int) -> Array:
    """From each image the window that starts at its pair."""
    found = np.empty((len(batch), height, width, *batch.shape[3:]), batch.dtype)
    for window, image, (row, column) in zip(found, batch, starts.tolist(), strict=True):
        window[:] = image[row : row + height, column : column + width]
    return found


def _require(right: bool, expected: str, got: str) -> None:
    if not right:
        raise DeclarationError("this augmentation cannot be", at=str(user_location()), expected=expected, got=got)


def _require_images(change: Augmentation, batch: Array) -> None:
    if batch.ndim not in (3, 4):
        raise FeedError(
            f"{type(change).__name__} changes images",
            expected="[batch, height, width, channels] or [batch, height, width]",
            got=str(list(batch.shape)),
        )
