"""Running averages of weights in the place of the weights, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.origin import user_location

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["averaged"]


@contextmanager
def averaged(model: Model) -> Iterator[None]:
    """Swap weights and averages, and back at the end; before the first step the weights stay."""
    if not model.averages:
        raise DeclarationError(
            "the model keeps no averages of its weights",
            at=str(user_location()),
            way_out="compile it with gc.optimizers.Average(optimizer)",
        )
    begun = int(model.cells["step"].read()) > 0
    if begun:
        _swap(model)
    try:
        yield
    finally:
        if begun:
            _swap(model)


def _swap(model: Model) -> None:
    for weight, average in model.averages.items():
        before = model.cells[weight].read()
        model.cells[weight].set(model.cells[average].read())
        model.cells[average].set(before)
