"""What tests of models share: data, and a few steps that change every parameter and lower the loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

import graphc as gc
from graphc.scalar import Array


def pixels(*shape: int) -> Array:
    """Numbers between 0 and 1, the same in every test."""
    return np.random.default_rng(0).random(shape, np.float32)


def labels(classes: int, *shape: int) -> Array:
    """Integers below a number of classes, the same in every test."""
    return np.random.default_rng(0).integers(0, classes, shape)


def assert_learns(
    loss: gc.Tensor | gc.Objective | Sequence[gc.Objective],
    parameters: Iterable[gc.Parameter],
    feed: Mapping[str, object],
    steps: int = 6,
    share: float = 0.95,
    rate: float = 0.01,
) -> gc.Model:
    """Steps of Adam on one batch lower the loss to a share of what it was, and change each parameter."""
    known = list(parameters)
    optimizer = gc.optimizers.Adam(rate) if isinstance(loss, gc.Tensor) else None
    model = gc.compile(loss, optimizer, threads=1)
    assert {parameter.name for parameter in model.parameters} == {parameter.name for parameter in known}
    before = [parameter.value for parameter in known]
    found = [model.step(feed)["loss"] for _ in range(steps)]
    still = [p.name for p, value in zip(known, before, strict=True) if np.array_equal(p.value, value)]
    assert still == []
    assert np.isfinite(found).all()
    assert found[-1] < share * found[0], found
    return model
