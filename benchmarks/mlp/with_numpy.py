"""The network in numpy: gradients by hand, every large array allocated once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.problem import BATCH, CLASSES, HIDDEN, Array, Problem

LABELS = "int64"


def version() -> str:
    return np.__version__


def start(problem: Problem, threads: int) -> Callable[[Array, Array], float]:
    """The threads of numpy's BLAS are set by the environment, before numpy is loaded."""
    w1, b1, w2, b2 = (value.copy() for value in (problem.weight1, problem.bias1, problem.weight2, problem.bias2))
    hidden, d_hidden = np.empty((2, BATCH, HIDDEN), np.float32)
    active = np.empty((BATCH, HIDDEN), bool)
    scores = np.empty((BATCH, CLASSES), np.float32)
    d_w1, d_w2 = np.empty_like(w1), np.empty_like(w2)
    samples = np.arange(BATCH)
    rate = np.float32(problem.rate)

    def step(images: Array, labels: Array) -> float:
        np.matmul(images, w1, out=hidden)
        np.add(hidden, b1, out=hidden)
        np.maximum(hidden, 0, out=hidden)
        np.matmul(hidden, w2, out=scores)
        np.add(scores, b2, out=scores)
        np.subtract(scores, scores.max(axis=1, keepdims=True), out=scores)
        right = scores[samples, labels]
        np.exp(scores, out=scores)
        total = scores.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - right).mean()

        d_scores = np.divide(scores, total * BATCH, out=scores)
        d_scores[samples, labels] -= np.float32(1 / BATCH)
        np.matmul(hidden.T, d_scores, out=d_w2)
        np.matmul(d_scores, w2.T, out=d_hidden)
        np.greater(hidden, 0, out=active)
        np.multiply(d_hidden, active, out=d_hidden)
        np.matmul(images.T, d_hidden, out=d_w1)

        for parameter, gradient in ((w1, d_w1), (b1, d_hidden.sum(axis=0)), (w2, d_w2), (b2, d_scores.sum(axis=0))):
            np.multiply(gradient, rate, out=gradient)
            np.subtract(parameter, gradient, out=parameter)
        return float(loss)

    return step
