"""Losses and their gradients, with every reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import losses
from graphc.scalar import Array
from tests.against_torch.peer import assert_close, torch

CLASSES = 7


def check(ours: Callable[..., gc.Tensor], theirs: Callable[..., Any], scores: Array, targets: Array) -> None:
    """Values and gradients by the scores; those of single samples are summed with weights."""
    x = torch.from_numpy(scores.copy()).requires_grad_()
    value = theirs(x, torch.from_numpy(targets))
    weights = np.random.default_rng(2).normal(size=tuple(value.shape)).astype(np.float32)
    (value * torch.from_numpy(weights)).sum().backward()
    given = gc.input("scores", scores.shape), gc.input("targets", targets.shape, str(targets.dtype))
    result = ours(*given)
    gradient = gc.grad(gc.sum(result * gc.constant(weights)), given[0])
    assert isinstance(gradient, gc.Tensor)
    found = gc.function(list(given), {"value": result, "gradient": gradient})(scores, targets)
    assert isinstance(found, dict)
    assert_close(found["value"], value.detach().numpy())
    assert_close(found["gradient"], x.grad.numpy())


def scores(scale: float = 3.0) -> Array:
    return np.random.default_rng(0).normal(0, scale, size=(23, CLASSES)).astype(np.float32)


def classes() -> Array:
    return np.random.default_rng(1).integers(0, CLASSES, 23)


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_softmax_cross_entropy(reduction: str, scale: float) -> None:
    check(
        lambda x, y: losses.softmax_cross_entropy(x, y, reduction),
        lambda x, y: torch.nn.functional.cross_entropy(x, y, reduction=reduction),
        scores(scale),
        classes(),
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_binary_cross_entropy(reduction: str) -> None:
    check(
        lambda x, y: losses.binary_cross_entropy(x, y, reduction),
        lambda x, y: torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction=reduction),
        scores(10.0),
        np.random.default_rng(1).random((23, CLASSES), np.float32),
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mean_squared_error(reduction: str) -> None:
    check(
        lambda x, y: losses.mean_squared_error(x, y, reduction),
        lambda x, y: torch.nn.functional.mse_loss(x, y, reduction=reduction),
        scores(),
        np.random.default_rng(1).random((23, CLASSES), np.float32),
    )


@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_hinge_is_torchs_multi_margin_loss_times_the_number_of_classes(margin: float) -> None:
    check(
        lambda x, y: losses.hinge(x, y, margin),
        lambda x, y: torch.nn.functional.multi_margin_loss(x, y, margin=margin) * CLASSES,
        scores(),
        classes(),
    )
