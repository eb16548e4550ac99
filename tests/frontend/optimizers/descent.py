"""Least squares in float64, trained by an optimizer and by a rule in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphc as gc
from graphc.frontend.optimizers import Optimizer
from graphc.scalar import Array

Rule = Callable[[Array, Array, int], Array]
"""The new weights from weights, gradient and the number of the step."""

START = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]])
FEATURES = np.random.default_rng(0).normal(size=(8, 3))
TARGETS = (FEATURES[:, :1] > 0).astype(np.float64) * np.array([1.0, -1.0])
STEPS = 20


def regression(optimizer: Optimizer) -> tuple[gc.Model, gc.Parameter]:
    """The model and its weight."""
    x, y = gc.input("x", ("batch", 3), "float64"), gc.input("y", ("batch", 2), "float64")
    weight = gc.parameter((2, 3), START, name="weight", dtype="float64")
    return gc.compile(gc.losses.mean_squared_error(x @ weight.T, y), optimizer), weight


def gradient(weight: Array, rows: slice = slice(None)) -> Array:
    x, y = FEATURES[rows], TARGETS[rows]
    return np.asarray(2 * (x @ weight.T - y).T @ x / y.size)


def train(optimizer: Optimizer, steps: int = STEPS) -> list[Array]:
    """The weights after each step."""
    model, weight = regression(optimizer)
    path = []
    for _ in range(steps):
        model.step({"x": FEATURES, "y": TARGETS})
        path.append(weight.value)
    return path


def follow(rule: Rule, steps: int = STEPS) -> list[Array]:
    """The weights after each step of a rule."""
    weight, path = START.copy(), []
    for step in range(1, steps + 1):
        weight = np.asarray(rule(weight, gradient(weight), step))
        path.append(weight)
    return path


def assert_follows(optimizer: Optimizer, rule: Rule) -> None:
    """Twenty steps of both are equal but for rounding."""
    np.testing.assert_allclose(train(optimizer), follow(rule), 1e-10, 1e-12)
