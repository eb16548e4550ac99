"""The networks that benchmarks train, small enough for tests and large enough for threads to share their kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.scalar import Array

Shape: TypeAlias = tuple[int | str, ...]
Feed: TypeAlias = Mapping[str, Array]
Inputs: TypeAlias = Mapping[str, gc.Tensor]

CLASSES = 10
LENGTH = 9
"""Positions in a text."""
WIDTH = 32
"""Features of a character."""


@dataclass(frozen=True)
class Workload:
    """A loss to train. inputs: shape by name; ``y`` are classes, ``text`` characters, the others random numbers."""

    loss: Callable[[Inputs], gc.Tensor]
    inputs: Mapping[str, Shape]
    batch: int = 33
    optimizer: Callable[[], optimizers.Optimizer] = lambda: optimizers.SGD(0.05)

    def compiled(self, threads: int = 1, fuse: bool = True) -> gc.Model:
        """A fresh model; its initial values are always the same."""
        kinds = {name: "int64" if name in ("y", "text") else "float32" for name in self.inputs}
        declared = {name: gc.input(name, shape, kinds[name]) for name, shape in self.inputs.items()}
        return gc.compile(self.loss(declared), self.optimizer(), threads=threads, fuse=fuse, name="workload")

    def feeds(self, steps: int) -> list[Feed]:
        """Batches of random data."""
        rng = np.random.default_rng(0)
        return [{name: self._random(rng, name) for name in self.inputs} for _ in range(steps)]

    def _random(self, rng: np.random.Generator, name: str) -> Array:
        shape = [self.batch if size == "batch" else int(size) for size in self.inputs[name]]
        if name in ("y", "text"):
            return rng.integers(0, CLASSES, shape)
        return rng.random(shape, np.float32)


def weight(*shape: int) -> gc.Parameter:
    return gc.parameter(shape, "glorot_uniform" if len(shape) > 1 else "zeros", name="weight")


def dense(x: gc.Tensor, units: int) -> gc.Tensor:
    features = x.shape[-1]
    assert isinstance(features, int)
    return x @ weight(features, units) + weight(units)


def logistic(given: Inputs) -> gc.Tensor:
    return losses.softmax_cross_entropy(dense(given["x"], CLASSES), given["y"])


def perceptron(given: Inputs) -> gc.Tensor:
    hidden = gc.relu(dense(gc.relu(dense(given["x"], 72)), 40))
    return losses.softmax_cross_entropy(dense(hidden, CLASSES), given["y"])


def support_vectors(given: Inputs) -> gc.Tensor:
    matrix = weight(100, CLASSES)
    return losses.hinge(given["x"] @ matrix + weight(CLASSES), given["y"]) + 1e-3 * (matrix * matrix).sum()


def autoencoder(given: Inputs) -> gc.Tensor:
    hidden = gc.relu(dense(given["x"], 48))
    mean, log_variance = dense(hidden, 7), dense(hidden, 7)
    code = mean + gc.exp(log_variance / 2) * given["noise"]
    fit = losses.binary_cross_entropy(dense(gc.relu(dense(code, 48)), 100), given["x"], reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean * mean - gc.exp(log_variance)).sum()
    return (fit + divergence) / gc.dim_size(given["x"], 0).cast("float32")


def chain(given: Inputs) -> gc.Tensor:
    value: gc.Tensor = gc.parameter((90, 101), "glorot_uniform", name="chain")
    for _ in range(3):
        value = gc.tanh(value * given["t"] + 0.25)
        value = gc.log(1.5 + gc.sin(value) * gc.sigmoid(value))
        value = gc.sqrt(gc.exp(gc.maximum(value, -0.5))) / (1 + value * value)
    return value.sum()


def lenet(given: Inputs) -> gc.Tensor:
    network = layers.Sequential(
        [
            layers.Conv2d(6, 5, padding="same", activation="tanh"),
            layers.AvgPool2d(2),
            layers.Conv2d(16, 5, activation="tanh"),
            layers.AvgPool2d(2),
            layers.Flatten(),
            layers.Dense(60, activation="tanh"),
            layers.Dense(CLASSES),
        ]
    )
    return losses.softmax_cross_entropy(network(given["x"]), given["y"])


def worksheet(given: Inputs) -> gc.Tensor:
    network = layers.Sequential(
        [
            layers.Conv2d(12, 3, activation="relu"),
            layers.Conv2d(20, 3, activation="relu"),
            layers.MaxPool2d(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(CLASSES),
        ]
    )
    return losses.softmax_cross_entropy(network(given["x"]), given["y"])


def residual(given: Inputs) -> gc.Tensor:
    def unit(x: gc.Tensor, filters: int, window: int, strides: int = 1) -> gc.Tensor:
        convolution = layers.Conv2d(filters, window, strides, window // 2, use_bias=False)
        return layers.BatchNorm()(convolution(x))

    value = gc.relu(unit(given["x"], 8, 3))
    for filters, strides in ((8, 1), (16, 2)):
        inner = unit(gc.relu(unit(value, filters, 3, strides)), filters, 3)
        value = gc.relu(inner + (unit(value, filters, 1, strides) if strides > 1 else value))
    return losses.softmax_cross_entropy(dense(gc.global_avg_pool(value), CLASSES), given["y"])


def between(size: int, factor: int) -> gc.Tensor:
    """The matrix that interpolates along one axis: half-pixel centres, edges repeated."""
    centres = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    return gc.constant(np.maximum(0, 1 - abs(centres[:, None] - np.arange(size))).astype(np.float32))


def segmentation(given: Inputs) -> gc.Tensor:
    value = gc.relu(layers.Conv2d(12, 3, 2, 1)(given["x"]))
    value = gc.relu(layers.Conv2d(12, 3, padding=2, dilation=2)(value))
    value = gc.relu(layers.Conv2d(12, 3, padding=4, dilation=4)(value))
    value = layers.Conv2d(CLASSES, 1)(value)
    images, height, width, classes = value.shape
    assert isinstance(height, int)
    assert isinstance(width, int)
    assert isinstance(classes, int)
    taller = (between(height, 2) @ value.reshape((images, height, width * classes))).reshape((-1, width, classes))
    scores = (between(width, 2) @ taller).reshape((images, 2 * height, 2 * width, classes))
    counted: gc.Tensor = given["y"] != CLASSES - 1
    each = losses.softmax_cross_entropy(scores, counted.where(given["y"], 0), reduction="none")
    return counted.where(each, 0.0).sum() / counted.sum()


def transformer(given: Inputs) -> gc.Tensor:
    heads = 2

    def split(value: gc.Tensor) -> gc.Tensor:
        return value.reshape((-1, LENGTH, heads, WIDTH // heads)).transpose((0, 2, 1, 3))

    def gelu(value: gc.Tensor) -> gc.Tensor:
        return value * 0.5 * (gc.tanh((value + value * value * value * 0.044715) * math.sqrt(2 / math.pi)) + 1)

    table = weight(CLASSES, WIDTH)
    past = gc.iota((LENGTH, LENGTH), 0) >= gc.iota((LENGTH, LENGTH), 1)
    value = gc.take(table, given["text"]) + weight(LENGTH, WIDTH)
    for _ in range(2):
        joined = dense(layers.LayerNorm()(value), 3 * WIDTH)
        query, key, content = (split(joined[..., start : start + WIDTH]) for start in range(0, 3 * WIDTH, WIDTH))
        scores = query @ key.transpose((0, 1, 3, 2)) / math.sqrt(WIDTH // heads)
        mixed = gc.softmax(past.where(scores, -math.inf)) @ content
        value = value + dense(mixed.transpose((0, 2, 1, 3)).reshape((-1, LENGTH, WIDTH)), WIDTH)
        value = value + dense(gelu(dense(layers.LayerNorm()(value), 2 * WIDTH)), WIDTH)
    return losses.softmax_cross_entropy(layers.LayerNorm()(value) @ table.transpose((1, 0)), given["y"])


def recurrent(given: Inputs) -> gc.Tensor:
    texts = given["text"].shape[0]
    assert isinstance(texts, int)
    kept = [gc.state(np.zeros((texts, WIDTH), np.float32), name) for name in ("hidden", "cell")]
    hidden: gc.Tensor
    cell: gc.Tensor
    hidden, cell = kept
    entering, again = dense(gc.take(weight(CLASSES, WIDTH), given["text"]), 4 * WIDTH), weight(WIDTH, 4 * WIDTH)
    outputs = []
    for time in range(LENGTH):
        joined = entering[:, time] + hidden @ again
        take, forget, new, leave = (joined[:, start : start + WIDTH] for start in range(0, 4 * WIDTH, WIDTH))
        cell = gc.sigmoid(forget) * cell + gc.sigmoid(take) * gc.tanh(new)
        hidden = gc.sigmoid(leave) * gc.tanh(cell)
        outputs.append(hidden)
    for before, after in zip(kept, (hidden, cell), strict=True):
        before.update_on_step(after)
    return losses.softmax_cross_entropy(dense(gc.stack(outputs, 1), CLASSES), given["y"])


def rows(features: int) -> dict[str, Shape]:
    return {"x": ("batch", features), "y": ("batch",)}


def images(size: int, channels: int) -> dict[str, Shape]:
    return {"x": ("batch", size, size, channels), "y": ("batch",)}


def momentum() -> optimizers.Optimizer:
    return optimizers.Momentum(0.05, 0.9)


def adam() -> optimizers.Optimizer:
    return optimizers.Adam(1e-3)


WORKLOADS = {
    "logreg": Workload(logistic, rows(100), batch=101),
    "mlp": Workload(perceptron, rows(100)),
    "svm": Workload(support_vectors, rows(100), batch=101),
    "lenet": Workload(lenet, images(20, 1), batch=7),
    "worksheet": Workload(worksheet, images(12, 1), batch=7, optimizer=adam),
    "resnet": Workload(residual, images(9, 3), batch=9, optimizer=momentum),
    "vae": Workload(autoencoder, {"x": ("batch", 100), "noise": ("batch", 7)}, optimizer=adam),
    "chain": Workload(chain, {"t": (90, 101)}),
    "transformer": Workload(
        transformer, {"text": ("batch", LENGTH), "y": ("batch", LENGTH)}, batch=5, optimizer=momentum
    ),
    "segmentation": Workload(
        segmentation, {"x": ("batch", 18, 18, 3), "y": ("batch", 18, 18)}, batch=3, optimizer=momentum
    ),
    "lstm": Workload(recurrent, {"text": (6, LENGTH), "y": (6, LENGTH)}, optimizer=adam),
}
"""By name."""
