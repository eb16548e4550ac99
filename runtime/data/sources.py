"""Sources of batches: what the training loop asks for, whatever the data are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.scalar import Array

if TYPE_CHECKING:
    from graphc.runtime.data.arrays import ArrayData

__all__ = ["Batches", "Epoch", "Source", "check_batch_size"]

Batches = Iterable[Mapping[str, object]] | Callable[[int], Iterable[Mapping[str, object]]]
"""Batches that the user makes: an iterable of them, or a function that makes those of an epoch (numbered from 1)."""


def check_batch_size(purpose: str, size: object) -> None:
    """DeclarationError for a size of batches that is no positive integer."""
    if not isinstance(size, int) or size < 1:
        raise DeclarationError(
            f"{purpose} needs a batch_size of at least 1",
            at=str(user_location()),
            expected="batch_size: a positive integer",
            got=f"batch_size={size!r}",
        )


@dataclass(frozen=True)
class Epoch:
    """Which batches are wanted. size: the most samples of a batch. seed, number (from 0): what the order depends on."""

    size: int
    seed: int = 0
    number: int = 0
    shuffle: bool = False


class Source(ABC):
    """Where the batches of an epoch come from, checked against the inputs of a program."""

    @abstractmethod
    def epoch(self, which: Epoch, start: int = 0) -> Generator[dict[str, Array], None, None]:
        """The batches of an epoch from batch number ``start`` on."""

    @abstractmethod
    def batch_count(self, size: int) -> int | None:
        """How many batches an epoch has; None if that is not known before."""

    @abstractmethod
    def samples_in(self, batch: Mapping[str, Array]) -> int:
        """How many samples a batch holds."""

    @abstractmethod
    def require_samples(self, purpose: str) -> None:
        """FeedError if it is known that there are none."""

    @abstractmethod
    def held_out(self, fraction: float) -> tuple[Source, ArrayData]:
        """The first samples, to train on, and the last, to validate on; DeclarationError if they cannot be parted."""
