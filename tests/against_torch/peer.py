"""What the comparisons share: torch itself, and the way between its layout, channels first, and ours, channels last."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

import graphc as gc
from graphc.scalar import Array

torch: Any = importlib.import_module("torch")  # not typed, and not there on most machines

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def image_for_torch(x: Array) -> Any:
    """[batch, *spatial, channels] as a leaf that is differentiated by."""
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy()).requires_grad_()


def image_of(x: Any) -> Array:
    return np.moveaxis(x.detach().numpy(), 1, -1)


def kernel_for_torch(kernel: Array, transposed: bool = False) -> Any:
    """[*window, features, outputs] as [outputs, features, *window]; transposed ones have their features first."""
    moved = np.moveaxis(kernel, (-2, -1), (0, 1) if transposed else (1, 0))
    return torch.from_numpy(moved.copy()).requires_grad_()


def kernel_of(kernel: Any, transposed: bool = False) -> Array:
    return np.moveaxis(kernel.detach().numpy(), (0, 1), (-2, -1) if transposed else (-1, -2))


def with_gradients(function: Any, data: Mapping[str, Array], weights: Array, training: bool = False) -> list[Array]:
    """A compiled function of arrays, and the gradients of its sum with weights by each of them."""
    inputs = [gc.input(name, array.shape, str(array.dtype)) for name, array in data.items()]
    result = function(*inputs)
    gradients = gc.grad(gc.sum(result * gc.constant(weights)), inputs)
    found = gc.function(inputs, [result, *gradients], training=training)(**data)
    assert isinstance(found, list)
    return found


def assert_close(found: Array, expected: Array, tolerance: float | None = None) -> None:
    """Equal within a part of the largest element, since sums may cancel."""
    scale = float(np.abs(expected).max(initial=1.0))
    allowed = TOLERANCE[str(expected.dtype)] if tolerance is None else tolerance
    np.testing.assert_allclose(found, expected, 0, allowed * scale, strict=True)
