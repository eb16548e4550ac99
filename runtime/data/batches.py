"""Batches that the user makes: lists, generators, functions of the epoch."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from graphc.errors import DeclarationError, FeedError, GraphcError
from graphc.node import Node
from graphc.ops.leaves import Input
from graphc.origin import user_location
from graphc.runtime.data.arrays import ArrayData, counts_samples
from graphc.runtime.data.sources import Batches, Epoch, Source
from graphc.runtime.feeds import as_array, check_names
from graphc.scalar import Array

__all__ = ["BatchData"]


class BatchData(Source):
    """Dictionaries of arrays by input name, one a batch; their sizes and their order are the user's.

    A generator serves one epoch, an iterable that starts anew (a list) or a function of the epoch any number.
    """

    def __init__(self, inputs: Sequence[Node], batches: Batches) -> None:
        self._declared = {node.op.label: node for node in inputs if isinstance(node.op, Input)}
        self._counted = next((label for label, node in self._declared.items() if counts_samples(node)), None)
        self._batches = batches

    def epoch(self, which: Epoch, start: int = 0) -> Generator[dict[str, Array], None, None]:
        """The user's batches, converted; those before ``start`` are made and left out."""
        number = which.number + 1
        made = iter(self._batches(number) if callable(self._batches) else self._batches)
        place = 0
        try:
            for place, batch in enumerate(made, 1):
                if place > start:
                    yield self._converted(batch, f"{place} of epoch {number}")
        finally:
            close = getattr(made, "close", None)
            if close is not None:
                close()
        if not place:
            self._refuse_empty(number)

    def batch_count(self, size: int) -> int | None:
        """The length of a list of batches."""
        return len(self._batches) if isinstance(self._batches, Sequence) else None

    def samples_in(self, batch: Mapping[str, Array]) -> int:
        """The length of the first axis that counts samples; one where there is none."""
        return 1 if self._counted is None else len(batch[self._counted])

    def require_samples(self, purpose: str) -> None:
        """FeedError for an empty list."""
        if isinstance(self._batches, Sequence) and not self._batches:
            raise FeedError(
                f"there are no batches to {purpose}",
                at=str(user_location()),
                expected="at least one batch",
                got=repr(self._batches),
            )

    def held_out(self, fraction: float) -> tuple[Source, ArrayData]:
        """Refused: nobody knows how many there will be."""
        raise DeclarationError(
            "validation_split needs arrays, not batches",
            at=str(user_location()),
            got=f"validation_split={fraction} with {type(self._batches).__name__}",
            way_out="give validation_data, or split the arrays with gc.data.split",
        )

    def _converted(self, batch: object, place: str) -> dict[str, Array]:
        if not isinstance(batch, Mapping):
            raise FeedError(
                f"batch {place} is no dictionary",
                expected=f"a dictionary with {', '.join(map(repr, self._declared))}",
                got=type(batch).__name__,
                way_out='yield batches such as {"x": x, "y": y}',
            )
        try:
            check_names(self._declared, batch)
            found = {label: as_array(node, batch[label]) for label, node in self._declared.items()}
        except GraphcError as error:
            raise error.located(None, [("batch", place)]) from None
        if self._counted is not None and not found[self._counted].size:
            raise FeedError(
                f"batch {place} holds no samples",
                expected="at least one sample along the first axis",
                got=f"{self._counted}: {list(found[self._counted].shape)}",
            )
        return found

    def _refuse_empty(self, number: int) -> None:
        once = iter(self._batches) is self._batches if not callable(self._batches) else False
        raise FeedError(
            f"there are no batches in epoch {number}",
            expected="at least one batch",
            got="a generator that is used up" if once else "none",
            way_out="give a function of the epoch that makes its batches, or a list" if once else None,
        )
