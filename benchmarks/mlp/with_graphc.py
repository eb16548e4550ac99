"""The network in graphc."""

from __future__ import annotations

from collections.abc import Callable

import graphc as gc
from mlp.problem import CLASSES, HIDDEN, INPUTS, Array, Problem

LABELS = "int64"


def version() -> str:
    return gc.__version__


def start(problem: Problem, threads: int) -> Callable[[Array, Array], float]:
    image, label = gc.input("image", ("batch", INPUTS)), gc.input("label", ("batch",), "int64")
    hidden = gc.layers.Dense(HIDDEN, "relu", kernel_initializer=problem.weight1)
    logits = gc.layers.Dense(CLASSES, kernel_initializer=problem.weight2)(hidden(image))
    loss = gc.losses.softmax_cross_entropy(logits, label)
    model = gc.compile(loss, gc.optimizers.SGD(problem.rate), threads=threads)

    def step(images: Array, labels: Array) -> float:
        return model.step({"image": images, "label": labels})["loss"]

    return step
