"""Update rules in numpy, written from the published formulas and not from the compiler's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.scalar import Array
from tests.frontend.optimizers.descent import START, Rule, gradient

Formula = Callable[["Memory", Array, Array, int], Array]


class Memory(dict[str, Array]):
    """Arrays that are zero until they are set."""

    def __missing__(self, name: str) -> Array:
        return np.zeros_like(START)


def remembering(formula: Formula) -> Rule:
    """A rule with a memory, which the first step empties."""
    memory = Memory()

    def rule(w: Array, g: Array, t: int) -> Array:
        if t == 1:
            memory.clear()
        return formula(memory, w, g, t)

    return rule


def sgd(rate: float) -> Rule:
    return lambda w, g, t: w - rate * g


def heavy_ball(rate: float, mu: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["v"] = mu * memory["v"] + g
        return w - rate * memory["v"]

    return remembering(formula)


def damped(rate: float, mu: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["v"] = mu * memory["v"] + (1 - mu) * g
        return w - rate * memory["v"]

    return remembering(formula)


def previous_gradient(rate: float, mu: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        before, memory["g"] = memory["g"], g
        return w - rate * (mu * before + g)

    return remembering(formula)


def nesterov(rate: float, mu: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["v"] = mu * memory["v"] + g
        return w - rate * (g + mu * memory["v"])

    return remembering(formula)


def look_ahead(rate: float, mu: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["v"] = mu * memory["v"] - rate * gradient(w + mu * memory["v"])
        return w + memory["v"]

    return remembering(formula)


def adagrad(rate: float, epsilon: float, initial: float = 0.0) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["s"] = memory["s"] + g**2
        return np.asarray(w - rate * g / (np.sqrt(initial + memory["s"]) + epsilon))

    return remembering(formula)


def adadelta(rate: float, rho: float, epsilon: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["s"] = rho * memory["s"] + (1 - rho) * g**2
        change = np.sqrt((memory["u"] + epsilon) / (memory["s"] + epsilon)) * g
        memory["u"] = rho * memory["u"] + (1 - rho) * change**2
        return np.asarray(w - rate * change)

    return remembering(formula)


def rmsprop(
    rate: float, rho: float, epsilon: float, mu: float = 0.0, centred: bool = False, inside: bool = False
) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        memory["s"] = rho * memory["s"] + (1 - rho) * g**2
        memory["a"] = rho * memory["a"] + (1 - rho) * g
        size = memory["s"] - memory["a"] ** 2 if centred else memory["s"]
        memory["v"] = mu * memory["v"] + g / (np.sqrt(size + epsilon) if inside else np.sqrt(size) + epsilon)
        return w - rate * memory["v"]

    return remembering(formula)


def moments(memory: Memory, g: Array, beta1: float, beta2: float) -> tuple[Array, Array]:
    memory["m"] = beta1 * memory["m"] + (1 - beta1) * g
    memory["v"] = beta2 * memory["v"] + (1 - beta2) * g**2
    return memory["m"], memory["v"]


def adam(rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, decay: float = 0.0) -> Rule:
    """With decoupled decay, taken off before the step as in the paper on AdamW."""

    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, beta1, beta2)
        root = np.sqrt(second / (1 - beta2**t)) + epsilon
        return np.asarray(w * (1 - rate * decay) - rate * (first / (1 - beta1**t)) / root)

    return remembering(formula)


def adam_uncorrected(rate: float, epsilon: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, 0.9, 0.999)
        return np.asarray(w - rate * first / (np.sqrt(second) + epsilon))

    return remembering(formula)


def adam_of_keras(rate: float, epsilon: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, 0.9, 0.999)
        factor = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return np.asarray(w - factor * first / (np.sqrt(second) + epsilon))

    return remembering(formula)


def amsgrad(rate: float, beta2: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, 0.9, beta2)
        memory["largest"] = np.maximum(memory["largest"], second)
        root = np.sqrt(memory["largest"]) / np.sqrt(1 - beta2**t) + 1e-8
        return np.asarray(w - rate / (1 - 0.9**t) * first / root)

    return remembering(formula)


def adamax(rate: float, beta2: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, _ = moments(memory, g, 0.9, beta2)
        memory["u"] = np.maximum(beta2 * memory["u"], np.abs(g) + 1e-8)
        return np.asarray(w - rate / (1 - 0.9**t) * first / memory["u"])

    return remembering(formula)


def nadam(rate: float, decay: float) -> Rule:
    def beta(t: int) -> float:
        return float(0.9 * (1 - 0.5 * 0.96 ** (t * decay)))

    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, 0.9, 0.999)
        so_far = float(np.prod([beta(number) for number in range(1, t + 1)]))
        ahead = (1 - beta(t)) * g / (1 - so_far) + beta(t + 1) * first / (1 - so_far * beta(t + 1))
        return np.asarray(w - rate * ahead / (np.sqrt(second / (1 - 0.999**t)) + 1e-8))

    return remembering(formula)


def lion(rate: float, decay: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        direction = np.sign(0.9 * memory["m"] + 0.1 * g)
        memory["m"] = 0.99 * memory["m"] + 0.01 * g
        return np.asarray(w - rate * (direction + decay * w))

    return remembering(formula)


def lamb(rate: float, decay: float) -> Rule:
    def formula(memory: Memory, w: Array, g: Array, t: int) -> Array:
        first, second = moments(memory, g, 0.9, 0.999)
        move = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-6) + decay * w
        return np.asarray(w - rate * np.linalg.norm(w) / np.linalg.norm(move) * move)

    return remembering(formula)


def decayed(rule: Rule, decay: float) -> Rule:
    """With decay * w added to the gradient."""
    return lambda w, g, t: rule(w, g + decay * w, t)
