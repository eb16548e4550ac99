"""The other losses and their gradients, and the options of the losses of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import losses
from graphc.scalar import Array
from tests.against_torch.peer import torch
from tests.against_torch.test_losses import CLASSES, check, classes, scores

F = torch.nn.functional
Pair = tuple[Callable[..., gc.Tensor], Callable[..., Any]]

OTHERS = np.random.default_rng(3).normal(0, 3, size=(23, CLASSES)).astype(np.float32)
WEIGHTS = np.arange(1.0, CLASSES + 1).astype(np.float32)

NUMBERS: dict[str, Pair] = {
    "absolute": (losses.mean_absolute_error, F.l1_loss),
    "huber": (lambda x, y: losses.huber(x, y, 1.5), lambda x, y: F.huber_loss(x, y, delta=1.5)),
    "smooth l1": (lambda x, y: losses.smooth_l1(x, y, 0.5), lambda x, y: F.smooth_l1_loss(x, y, beta=0.5)),
    "poisson": (
        lambda x, y: losses.poisson(x / 4, y, reduction="none"),
        lambda x, y: F.poisson_nll_loss(x / 4, y, reduction="none"),
    ),
    "divergence": (
        lambda x, y: losses.kl_divergence(gc.log_softmax(x), gc.softmax(y)),
        lambda x, y: F.kl_div(F.log_softmax(x, -1), F.softmax(y, -1), reduction="batchmean"),
    ),
    "cosine": (
        lambda x, y: losses.cosine(x, y, "none"),
        lambda x, y: F.cosine_embedding_loss(x, y, torch.ones(23), reduction="none"),
    ),
    "triplet": (
        lambda x, y: losses.triplet(x, y, OTHERS, 2.0),
        lambda x, y: F.triplet_margin_loss(x, y, torch.from_numpy(OTHERS), 2.0, eps=0.0),
    ),
    "probabilities": (
        lambda x, y: losses.binary_cross_entropy_of_probabilities(gc.sigmoid(x / 4), gc.sigmoid(y)),
        lambda x, y: F.binary_cross_entropy(torch.sigmoid(x / 4), torch.sigmoid(y)),
    ),
    "positive weight": (
        lambda x, y: losses.binary_cross_entropy(x, gc.sigmoid(y), positive_weight=WEIGHTS),
        lambda x, y: F.binary_cross_entropy_with_logits(x, torch.sigmoid(y), pos_weight=torch.from_numpy(WEIGHTS)),
    ),
    "smoothed probabilities of classes": (
        lambda x, y: losses.softmax_cross_entropy(x, gc.softmax(y), label_smoothing=0.1, class_weights=WEIGHTS),
        lambda x, y: F.cross_entropy(x, F.softmax(y, -1), torch.from_numpy(WEIGHTS), label_smoothing=0.1),
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_loss_of_numbers(name: str) -> None:
    check(*NUMBERS[name], scores(), OTHERS)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_cross_entropy_with_options(reduction: str, smoothing: float, weights: Array | None) -> None:
    check(
        lambda x, y: losses.softmax_cross_entropy(
            x, y, reduction, label_smoothing=smoothing, class_weights=weights, ignore_index=2
        ),
        lambda x, y: F.cross_entropy(
            x,
            y,
            None if weights is None else torch.from_numpy(weights),
            ignore_index=2,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        scores(),
        classes(),
    )


def test_squared_hinge_divided_by_the_classes_is_torchs_multi_margin_loss() -> None:
    check(
        lambda x, y: losses.hinge(x, y, squared=True, divide_by_classes=True),
        lambda x, y: F.multi_margin_loss(x, y, p=2),
        scores(),
        classes(),
    )
