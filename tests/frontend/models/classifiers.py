"""Classifiers at small sizes, with data and optimizers with which they learn something in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphc as gc
from graphc import layers, losses, models, optimizers
from graphc.frontend.initializers import Normal
from graphc.scalar import Array

CLASSES = 3


def adam(rate: float) -> Callable[[], optimizers.Optimizer]:
    return lambda: optimizers.Adam(rate)


def momentum(rate: float) -> Callable[[], optimizers.Optimizer]:
    return lambda: optimizers.Momentum(rate, 0.9)


def patterns(shape: tuple[int, ...], count: int = 12) -> dict[str, Array]:
    """One pattern a class, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    means = rng.normal(size=(CLASSES, *shape))
    images = means[labels] + 0.3 * rng.normal(size=(count, *shape))
    return {"image": images.astype(np.float32), "label": labels}


def losses_of(
    network: layers.Layer, shape: tuple[int, ...], optimizer: optimizers.Optimizer, steps: int
) -> list[float]:
    """The loss at each step, on the same few samples; every gradient is checked to exist and to differ from zero."""
    image, label = gc.input("image", ("batch", *shape)), gc.input("label", ("batch",), "int64")
    loss = losses.softmax_cross_entropy(network(image), label)
    model = gc.compile(loss, optimizer, threads=1)
    assert {p.name for p in model.parameters} == {p.name for p in network.parameters}
    before = [parameter.value for parameter in model.parameters]
    data = patterns(shape)
    found = [float(model.step(data)["loss"]) for _ in range(steps)]
    still = [p.name for p, value in zip(model.parameters, before, strict=True) if np.array_equal(p.value, value)]
    assert still == []
    return found


CASES: dict[str, tuple[layers.Layer, tuple[int, ...], Callable[[], optimizers.Optimizer]]] = {
    "linear_classifier": (models.linear_classifier(CLASSES), (4, 4, 3), adam(0.01)),
    "mlp": (models.mlp((8, 6), CLASSES, "tanh"), (5, 5), adam(0.03)),
    "batch_norm_mlp": (models.batch_norm_mlp((8, 8), CLASSES), (5, 5), adam(0.03)),
    "maxout_mlp": (
        models.maxout_mlp((6, 6), 3, CLASSES),
        (5, 5),
        lambda: optimizers.MaxNorm(optimizers.Adam(0.03), 1.9),
    ),
    "lenet1": (models.lenet1(CLASSES, original=True), (16, 16, 1), adam(0.003)),
    "lenet5": (models.lenet5(CLASSES), (16, 16, 1), adam(0.003)),
    "lenet5_original": (
        models.lenet5(original=True, codes=np.sign(np.random.default_rng(0).normal(size=(CLASSES, 84)))),
        (16, 16, 1),
        adam(0.003),
    ),
    "worksheet_cnn": (models.worksheet_cnn(CLASSES, (4, 6), 32), (8, 8, 1), adam(0.01)),
    "alexnet": (models.alexnet(CLASSES, (8, 16, 16, 16, 16), 64, Normal(0.03)), (67, 67, 3), adam(0.003)),
    "vgg16": (models.vgg16(CLASSES, (4, 4, 4, 8, 8), 32), (32, 32, 3), adam(0.01)),
    "resnet": (models.resnet((1, 1), False, CLASSES, (2, 4)), (16, 16, 3), momentum(0.03)),
    "bottlenecks": (models.resnet((1, 1), True, CLASSES, (2, 2)), (16, 16, 3), momentum(0.03)),
    "resnet_cifar": (models.resnet_cifar(8, CLASSES, 4), (8, 8, 3), momentum(0.05)),
    "resnet_cifar_b": (models.resnet_cifar(8, CLASSES, 4, option="B"), (8, 8, 3), momentum(0.05)),
    "plain_cifar": (models.plain_cifar(8, CLASSES, 4), (8, 8, 3), momentum(0.05)),
}
