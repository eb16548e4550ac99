"""Checks of what models are called with."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError
from graphc.frontend.layers import Layer
from graphc.frontend.tensor import Tensor
from graphc.origin import user_location

__all__ = ["two_inputs"]


def two_inputs(layer: Layer, inputs: Sequence[Tensor], names: str) -> tuple[Tensor, Tensor]:
    """The inputs of a layer that takes two tensors; names: what they are, as in "logits, image"."""
    if len(inputs) != 2 or not all(isinstance(value, Tensor) for value in inputs):
        raise DeclarationError(
            f"layer {layer.name!r} takes two tensors",
            at=str(user_location()),
            expected=f"layer({names})",
            got=", ".join(type(value).__name__ for value in inputs) or "nothing",
        )
    first, second = inputs
    return first, second
