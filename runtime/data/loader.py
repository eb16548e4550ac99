"""The loader: what data are fed, with which random changes, and how far ahead."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from graphc.errors import DeclarationError, FeedError, GraphcError
from graphc.node import Node
from graphc.origin import user_location
from graphc.runtime.data.arrays import ArrayData
from graphc.runtime.data.augment import Augmentation, generator
from graphc.runtime.data.batches import BatchData
from graphc.runtime.data.prefetch import prefetched
from graphc.runtime.data.sources import Batches, Epoch, Source
from graphc.scalar import Array

__all__ = ["Data", "Loader", "source_of"]


@dataclass(frozen=True)
class Loader:
    """Data with how they are to be loaded: ``fit`` takes it wherever it takes data.

    data: arrays by input name, or batches (an iterable, or a function of the epoch that makes them). augment: for an
    input the random changes to its batches, in training only. They are drawn from the model's seed, the epoch, the
    batch and their place in the list, so that inputs with the same list change together (an image and its mask); the
    last one must give what the input takes.
    drop_last: leave out a last batch that is smaller than the others. prefetch: how many batches may be made ahead, on
    a thread; 0 for none. The bits depend on none of it. Raises DeclarationError for arguments that cannot be.

    >>> import graphc as gc, numpy as np
    >>> x, y = gc.input("x", shape=("batch", 4, 4, 1)), gc.input("y", shape=("batch", 1))
    >>> loss = gc.losses.mean_squared_error(gc.layers.Dense(1)(gc.layers.Flatten()(x)), y)
    >>> model = gc.compile(loss, gc.optimizers.SGD(0.01))
    >>> arrays = {"x": np.ones((10, 4, 4, 1)), "y": np.ones((10, 1))}
    >>> loader = gc.data.Loader(arrays, augment={"x": [gc.data.RandomFlip()]}, drop_last=True)
    >>> len(model.fit(loader, epochs=2, batch_size=4))
    2
    """

    data: Mapping[str, object] | Batches
    augment: Mapping[str, Sequence[Augmentation]] | None = None
    drop_last: bool = False
    prefetch: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.prefetch, int) or self.prefetch < 0:
            raise DeclarationError(
                "a loader makes a number of batches ahead",
                at=str(user_location()),
                expected="prefetch: an integer of at least 0",
                got=f"prefetch={self.prefetch!r}",
            )
        if self.drop_last and not isinstance(self.data, Mapping):
            raise DeclarationError(
                "drop_last needs arrays: batches that you make have the sizes that you give them",
                at=str(user_location()),
                got=f"drop_last=True with {type(self.data).__name__}",
                way_out="leave out the last batch where the batches are made",
            )


Data = Mapping[str, object] | Loader | Batches
"""What ``fit`` and ``evaluate`` take: arrays by input name, batches, or a loader of either."""


def source_of(inputs: Sequence[Node], data: Data, finite: bool = False, training: bool = False) -> Source:
    """The source of batches of some data, checked against the inputs as far as it is known."""
    if isinstance(data, Loader):
        augment = _checked(inputs, data.augment) if training else {}
        if isinstance(data.data, Mapping):
            return _Loaded(ArrayData.of(inputs, data.data, finite, augment), augment, data, training)
        return _Loaded(source_of(inputs, data.data, finite), augment, data, training)
    if isinstance(data, Mapping):
        return ArrayData.of(inputs, data, finite)
    if not callable(data) and not hasattr(data, "__iter__"):
        raise FeedError(
            "these are no data",
            at=str(user_location()),
            expected="a dictionary of arrays, an iterable of batches, or a function of the epoch that makes them",
            got=type(data).__name__,
        )
    return BatchData(inputs, data)


def _checked(
    inputs: Sequence[Node], augment: Mapping[str, Sequence[Augmentation]] | None
) -> Mapping[str, Sequence[Augmentation]]:
    known = [getattr(node.op, "label", "") for node in inputs]
    for label in augment or {}:
        if label not in known:
            raise DeclarationError(
                f"there is no input {label!r} to augment",
                at=str(user_location()),
                expected=", ".join(map(repr, known)),
                got=repr(label),
            )
    return augment or {}


@dataclass(frozen=True)
class _Loaded(Source):
    inner: Source
    augment: Mapping[str, Sequence[Augmentation]]
    loader: Loader
    training: bool

    def epoch(self, which: Epoch, start: int = 0) -> Generator[dict[str, Array], None, None]:
        batches = self._augmented(which, start)
        return prefetched(batches, self.loader.prefetch) if self.loader.prefetch else batches

    def _augmented(self, which: Epoch, start: int) -> Generator[dict[str, Array], None, None]:
        total = self.batch_count(which.size) if self.loader.drop_last and self.training else None
        with closing(self.inner.epoch(which, start)) as batches:
            for number, batch in enumerate(batches, start):
                if total is not None and number >= total:
                    return
                for label, changes in self.augment.items():
                    batch[label] = self._changed(batch[label], changes, which, number)
                yield batch

    def _changed(self, batch: Array, changes: Sequence[Augmentation], which: Epoch, number: int) -> Array:
        for place, change in enumerate(changes):
            random = generator(which.seed, f"augment/{which.number}/{number}/{place}")
            try:
                batch = change(batch, random)
            except GraphcError as error:
                raise error.located(None, [("batch", f"{number + 1} of epoch {which.number + 1}")]) from None
        return batch

    def batch_count(self, size: int) -> int | None:
        if isinstance(self.inner, ArrayData) and self.loader.drop_last and self.training:
            return self.inner.count // size
        return self.inner.batch_count(size)

    def samples_in(self, batch: Mapping[str, Array]) -> int:
        return self.inner.samples_in(batch)

    def require_samples(self, purpose: str) -> None:
        self.inner.require_samples(purpose)

    def held_out(self, fraction: float) -> tuple[Source, ArrayData]:
        first, last = self.inner.held_out(fraction)
        return _Loaded(first, self.augment, self.loader, self.training), last
