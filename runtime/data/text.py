"""Text for language models: characters as numbers, and windows of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from graphc.errors import DataError, DeclarationError
from graphc.origin import user_location
from graphc.runtime.data.columns import Column
from graphc.scalar import Array

__all__ = ["Vocabulary", "character_windows"]


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows; the number of each is its place.

    >>> letters = Vocabulary.of("hello")
    >>> letters.characters, letters.encode("hole").tolist()
    ('ehlo', [1, 3, 2, 0])
    >>> letters.decode([2, 3])
    'lo'
    """

    characters: str

    def __post_init__(self) -> None:
        if not self.characters or len(set(self.characters)) < len(self.characters):
            raise DeclarationError(
                "a vocabulary holds each of its characters once",
                at=str(user_location()),
                got=repr(self.characters[:80]),
                way_out="gc.data.Vocabulary.of(text) collects the characters of a text",
            )

    def __len__(self) -> int:
        return len(self.characters)

    @staticmethod
    def of(text: str) -> Vocabulary:
        """The characters of a text, sorted."""
        return Vocabulary("".join(sorted(set(text))))

    def encode(self, text: str) -> Array:
        """The numbers of the characters of a text, [characters] of int64; DataError for one that is not known."""
        points = _points(text)
        known = _points(self.characters)
        order = np.argsort(known)
        places = order[np.minimum(np.searchsorted(known, points, sorter=order), len(known) - 1)]
        unknown = np.flatnonzero(known[places] != points)
        if len(unknown):
            place = int(unknown[0])
            line = text.count("\n", 0, place) + 1
            raise DataError(
                f"the character {text[place]!r} is not in the vocabulary",
                at=str(user_location()),
                expected=f"one of the {len(self)} characters {self.characters[:80]!r}",
                got=f"{text[place]!r} at place {place}, line {line}",
                way_out="make the vocabulary from all of the text, or replace the character",
            )
        return places.astype(np.int64)

    def decode(self, codes: Array | Iterable[int]) -> str:
        """The text of some numbers; DataError for one that stands for no character."""
        numbers = [int(code) for code in codes]
        wrong = [code for code in numbers if not 0 <= code < len(self)]
        if wrong:
            raise DataError(
                "a number stands for no character",
                at=str(user_location()),
                expected=f"numbers from 0 to {len(self) - 1}",
                got=str(wrong[0]),
            )
        return "".join(self.characters[code] for code in numbers)


def character_windows(codes: Array, length: int, step: int | None = None) -> tuple[Column, Column]:
    """Windows of a text for a language model: inputs and targets, [windows, length] each.

    A target is its input's window one place further on, so that the model learns to tell the next character. codes:
    [characters] of integers. step: places between the starts of two windows; by default ``length``, so that they do not
    overlap. The windows are cut when a batch asks for them. Raises DataError for a text that is too short.

    >>> inputs, targets = character_windows(np.arange(8), length=3)
    >>> inputs[:].tolist(), targets[:].tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    step = length if step is None else step
    if length < 1 or step < 1:
        raise DeclarationError(
            "windows have a positive length and step", at=str(user_location()), got=f"length={length}, step={step}"
        )
    codes = np.asarray(codes)
    if codes.ndim != 1 or len(codes) <= length:
        raise DataError(
            f"there is no window of {length} characters with one after it",
            at=str(user_location()),
            expected=f"[characters], more than {length} of them",
            got=str(list(codes.shape)),
        )
    return _Windows(codes[:-1], length, step), _Windows(codes[1:], length, step)


class _Windows(Column):
    def __init__(self, codes: Array, length: int, step: int) -> None:
        self._windows = np.lib.stride_tricks.sliding_window_view(codes, length)[::step]
        self.shape, self.dtype = self._windows.shape, codes.dtype

    def rows(self, places: Array) -> Array:
        found: Array = self._windows[places]
        return found


def _points(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
