"""A network of dense layers, its derivatives and three optimizers, written by hand in numpy as a second opinion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.scalar import Array


class Network:
    """Dense layers with relu between them; parameters are weight, bias, weight, bias and so on."""

    def __init__(self, parameters: Sequence[Array]) -> None:
        self.parameters = list(parameters)

    def forward(self, x: Array) -> tuple[Array, list[Array]]:
        """The logarithms of the probabilities, and what goes into each layer."""
        weights, biases = self.parameters[::2], self.parameters[1::2]
        entering = [x]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            entering.append(np.maximum(entering[-1] @ weight + bias, 0.0))
        logits = entering[-1] @ weights[-1] + biases[-1]
        shifted = logits - logits.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), entering

    def loss(self, x: Array, label: Array) -> float:
        """The mean cross-entropy."""
        return -float(self.forward(x)[0][np.arange(len(label)), label].mean())

    def gradients(self, x: Array, label: Array) -> list[Array]:
        """The derivative of the loss by each parameter."""
        log_probability, entering = self.forward(x)
        slope = (np.exp(log_probability) - np.eye(log_probability.shape[1])[label]) / len(label)
        found: list[Array] = []
        for signal, weight in zip(reversed(entering), reversed(self.parameters[::2]), strict=True):
            found = [signal.T @ slope, slope.sum(axis=0), *found]
            slope = (slope @ weight.T) * (signal > 0)
        return found


class HandSGD:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def step(self, network: Network, gradients: Sequence[Array]) -> None:
        network.parameters = [p - self.rate * g for p, g in zip(network.parameters, gradients, strict=True)]


class HandMomentum:
    def __init__(self, rate: float, momentum: float) -> None:
        self.rate, self.momentum = rate, momentum
        self.velocity: list[Array] = []

    def step(self, network: Network, gradients: Sequence[Array]) -> None:
        old = self.velocity or [np.zeros_like(g) for g in gradients]
        self.velocity = [self.momentum * v + g for v, g in zip(old, gradients, strict=True)]
        network.parameters = [p - self.rate * v for p, v in zip(network.parameters, self.velocity, strict=True)]


class HandAdam:
    def __init__(self, rate: float) -> None:
        self.rate, self.t = rate, 0
        self.first: list[Array] = []
        self.second: list[Array] = []

    def step(self, network: Network, gradients: Sequence[Array]) -> None:
        self.t += 1
        first = self.first or [np.zeros_like(g) for g in gradients]
        second = self.second or [np.zeros_like(g) for g in gradients]
        self.first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        self.second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, gradients, strict=True)]
        changes = [
            m / (1 - 0.9**self.t) / (np.sqrt(v / (1 - 0.999**self.t)) + 1e-8)
            for m, v in zip(self.first, self.second, strict=True)
        ]
        network.parameters = [p - self.rate * c for p, c in zip(network.parameters, changes, strict=True)]
