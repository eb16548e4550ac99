"""Derivatives of compiled functions against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import graphc as gc
from graphc.scalar import Array
from tests.harness import slope

Feed = dict[str, Array]


def along(value: gc.Tensor, inputs: dict[str, gc.Tensor], directions: Feed) -> gc.Tensor:
    """The derivative of a scalar along one direction of all inputs."""
    total = gc.constant(0.0, "float64")
    for name, gradient in zip(inputs, gc.grad(value, list(inputs.values())), strict=True):
        total = total + gc.sum(gradient * gc.constant(directions[name]))
    return total


def assert_slopes(function: Callable[..., gc.Tensor], data: Feed, training: bool = False) -> None:
    """The first and second derivative of the sine of the result, along a random direction, are slopes.

    training: which side of switches.
    """
    rng = np.random.default_rng(1)
    directions = {name: rng.normal(size=array.shape) for name, array in data.items()}
    inputs = {name: gc.input(name, array.shape, "float64") for name, array in data.items()}
    result = function(*inputs.values())
    weights = rng.normal(size=[int(str(size)) for size in result.shape])
    value = (gc.sin(result) * gc.constant(weights)).sum()
    first = along(value, inputs, directions)
    compiled = gc.function(list(inputs.values()), [value, first, along(first, inputs, directions)], training=training)

    def at(order: int, step: Array) -> float:
        found = compiled(*(array + step * directions[name] for name, array in data.items()))
        assert isinstance(found, list)
        return float(found[order])

    start, ahead = np.zeros(()), np.ones(())
    scale = 1 + max(abs(at(order, start)) for order in range(3))
    for order in (0, 1):
        found = slope(partial(at, order), start, ahead, 1e-4)
        assert at(order + 1, start) == pytest.approx(found, rel=1e-7, abs=1e-8 * scale), order + 1
    assert abs(at(2, start)) > 1e-3, "nothing depends on anything, so nothing was compared"
