"""Fifty steps of training on real digits against the same network written by hand in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses
from graphc.frontend.optimizers import SGD, Adam, Momentum, Optimizer
from graphc.runtime.data.arrays import shuffled
from graphc.runtime.digits import load_digits
from graphc.scalar import Array
from tests.end_to_end.numpy_network import HandAdam, HandMomentum, HandSGD, Network

STEPS, BATCH = 50, 32
Hand = HandSGD | HandMomentum | HandAdam


@dataclass(frozen=True)
class Setup:
    hidden: Sequence[int]
    optimizer: Callable[[], Optimizer]
    by_hand: Callable[[], Hand]


SETUPS = {
    "two layers, gradient descent": Setup([32], lambda: SGD(0.1), lambda: HandSGD(0.1)),
    "three layers, momentum": Setup([32, 16], lambda: Momentum(0.05, 0.9), lambda: HandMomentum(0.05, 0.9)),
    "three layers, Adam": Setup([32, 16], lambda: Adam(3e-3), lambda: HandAdam(3e-3)),
}


@cache
def digits() -> tuple[Array, Array]:
    """Images as float64 [n, 64], and labels."""
    train, _ = load_digits()
    return train["image"].reshape(-1, 64).astype(np.float64), train["label"]


def compiled(hidden: Sequence[int], optimizer: Optimizer, dropout: float = 0.0) -> gc.Model:
    image = gc.input("image", shape=("batch", 64), dtype="float64")
    label = gc.input("label", shape=("batch",), dtype="int64")
    stack: list[layers.Layer] = []
    for units in hidden:
        stack += [layers.Dense(units, activation="relu"), layers.Dropout(dropout)]
    logits = layers.Sequential([*stack, layers.Dense(10)])(image)
    return gc.compile(losses.softmax_cross_entropy(logits, label), optimizer)


def copied(model: gc.Model) -> Network:
    return Network([parameter.value for parameter in model.parameters])


def train_by_hand(network: Network, optimizer: Hand, x: Array, label: Array) -> float:
    """One step; the loss before it."""
    loss = network.loss(x, label)
    optimizer.step(network, network.gradients(x, label))
    return loss


def check_parameters(model: gc.Model, network: Network) -> None:
    for parameter, right in zip(model.parameters, network.parameters, strict=True):
        np.testing.assert_allclose(parameter.value, right, rtol=0, atol=1e-10, err_msg=parameter.name)


@pytest.mark.parametrize("name", SETUPS)
def test_losses_and_parameters_are_those_of_numpy(name: str) -> None:
    setup = SETUPS[name]
    images, labels = digits()
    model = compiled(setup.hidden, setup.optimizer())
    network, by_hand = copied(model), setup.by_hand()
    assert [p.shape for p in network.parameters[::2]] == list(
        zip([64, *setup.hidden], [*setup.hidden, 10], strict=True)
    )
    found, right = [], []
    for number in range(STEPS):
        rows = np.arange(number * BATCH, (number + 1) * BATCH) % len(labels)
        found.append(model.step({"image": images[rows], "label": labels[rows]})["loss"])
        right.append(train_by_hand(network, by_hand, images[rows], labels[rows]))
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-10)
    check_parameters(model, network)
    assert right[-1] < 0.7 * right[0], "nothing was learnt, so nothing was compared"


class Losses(gc.callbacks.Callback):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        self.values.append(logs["loss"])


def test_fit_takes_the_batches_of_its_seeded_order_and_a_smaller_last_one() -> None:
    images, labels = digits()
    model = compiled([32], SGD(0.1))
    network, by_hand, kept = copied(model), HandSGD(0.1), Losses()
    history = model.fit({"image": images, "label": labels}, epochs=2, batch_size=BATCH, callbacks=[kept])
    assert len(labels) % BATCH == 29
    right, epochs = [], []
    for epoch in range(2):
        order = shuffled(len(labels), 0, epoch)
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        steps = [train_by_hand(network, by_hand, images[rows], labels[rows]) for rows in batches]
        epochs.append(np.average(steps, weights=[len(rows) for rows in batches]))
        right += steps
    np.testing.assert_allclose(kept.values, right, rtol=0, atol=1e-10)
    np.testing.assert_allclose(history["loss"], epochs, rtol=0, atol=1e-10)
    check_parameters(model, network)


def test_evaluation_leaves_dropout_out() -> None:
    images, labels = digits()
    model = compiled([32, 16], SGD(0.1), dropout=0.5)
    found = model.evaluate({"image": images, "label": labels})["loss"]
    assert found == pytest.approx(copied(model).loss(images, labels), rel=0, abs=1e-10)
    plain = copied(model).loss(images[:BATCH], labels[:BATCH])
    training = model.step({"image": images[:BATCH], "label": labels[:BATCH]})["loss"]
    assert abs(training - plain) > 1e-3
