"""The workloads in numpy: gradients by hand, large arrays allocated once. Only those where that stays readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from workloads.spec import Array, Workload

LAYOUT, LABEL = "NCHW", "int64"

Step = Callable[[Mapping[str, Array]], float]

_BLOCK = 2**14
"""Numbers that pass the whole chain together: they stay in the nearest cache."""


def version() -> str:
    return np.__version__


def build(workload: Workload) -> Step:
    """The threads of numpy's BLAS are set by the environment, before numpy is loaded."""
    return WORKLOADS[workload.name](workload)


class _Update:
    """Changes parameters in place, in the order of their gradients."""

    def __init__(self, options: Mapping[str, float | str], params: Sequence[Array]) -> None:
        self._options, self._params, self._step = options, params, 0
        self._moments = [np.zeros_like(value) for value in params]
        self._squares = [np.zeros_like(value) for value in params]

    def __call__(self, gradients: Sequence[Array]) -> None:
        """Gradients are overwritten."""
        self._step += 1
        change = getattr(self, f"_{self._options['kind']}")
        for index, gradient in enumerate(gradients):
            change(index, gradient)
            np.subtract(self._params[index], gradient, out=self._params[index])

    def _sgd(self, index: int, gradient: Array) -> None:
        gradient *= self._options["lr"]

    def _momentum(self, index: int, gradient: Array) -> None:
        velocity = self._moments[index]
        velocity *= self._options["mu"]
        velocity += gradient
        np.multiply(velocity, self._options["lr"], out=gradient)

    def _adam(self, index: int, gradient: Array) -> None:
        options, moment, square = self._options, self._moments[index], self._squares[index]
        first, second = options["b1"], options["b2"]
        moment *= first
        moment += (1 - first) * gradient
        gradient *= gradient
        gradient *= 1 - second
        square *= second
        square += gradient
        np.multiply(square, 1 / (1 - second**self._step), out=gradient)
        np.sqrt(gradient, out=gradient)
        gradient += options["eps"]
        np.divide(moment, gradient, out=gradient)
        gradient *= options["lr"] / (1 - first**self._step)


def _perceptron(workload: Workload) -> Step:
    params = [value.copy() for value in workload.params.values()]
    weights, biases = params[::2], params[1::2]
    dtype, samples = weights[0].dtype, workload.samples
    values = [np.empty((samples, len(bias)), dtype) for bias in biases]
    inner = [np.empty_like(value) for value in values]
    gradients = [np.empty_like(value) for value in params]
    update = _Update(workload.opt, params)

    def step(batch: Mapping[str, Array]) -> float:
        inputs = [batch["x"], *values]
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            np.matmul(inputs[layer], weight, out=values[layer])
            values[layer] += bias
            if layer < len(weights) - 1:
                np.maximum(values[layer], 0, out=values[layer])
        slope = values[-1]
        loss = _cross_entropy(slope, batch["y"])
        for layer in range(len(weights) - 1, -1, -1):
            np.matmul(inputs[layer].T, slope, out=gradients[2 * layer])
            np.sum(slope, axis=0, out=gradients[2 * layer + 1])
            if layer:
                np.matmul(slope, weights[layer].T, out=inner[layer - 1])
                slope = inner[layer - 1]
                slope *= inputs[layer] > 0
        update(gradients)
        return loss

    return step


def _cross_entropy(scores: Array, labels: Array) -> float:
    """The mean loss; the scores become its derivative by them."""
    samples = np.arange(len(labels))
    scores -= scores.max(axis=1, keepdims=True)
    right = scores[samples, labels]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    scores /= total * len(labels)
    scores[samples, labels] -= 1 / len(labels)
    return float((np.log(total[:, 0]) - right).mean())


def _support_vectors(workload: Workload) -> Step:
    weight, bias = (workload.params[name].copy() for name in ("w", "b"))
    gradient = np.empty_like(weight)
    update = _Update(workload.opt, [weight, bias])
    samples, decay = np.arange(workload.samples), workload.cfg["reg"]

    def step(batch: Mapping[str, Array]) -> float:
        scores = batch["x"] @ weight
        scores += bias
        scores += 1 - scores[samples, batch["y"]][:, None]
        scores[samples, batch["y"]] = 0
        slope = (scores > 0).astype(scores.dtype)
        loss = float(scores[scores > 0].sum() / len(samples) + decay * np.vdot(weight, weight))
        slope[samples, batch["y"]] = -slope.sum(axis=1)
        slope /= len(samples)
        np.matmul(batch["x"].T, slope, out=gradient)
        np.add(gradient, 2 * decay * weight, out=gradient)
        update([gradient, slope.sum(axis=0)])
        return loss

    return step


def _chain(workload: Workload) -> Step:
    """Every result depends on one number, so that its derivative is carried along and nothing has to be kept."""
    numbers = workload.params["x"].copy()
    chain, rate = workload.cfg["chain"], workload.opt["lr"]

    def step(batch: Mapping[str, Array]) -> float:
        loss = 0.0
        for start in range(0, len(numbers), _BLOCK):
            value, slope = numbers[start : start + _BLOCK], numbers.dtype.type(rate)
            for name, *constants in chain:
                value, factor = OPERATIONS[name](value, *(constants or (batch["t"],)))
                slope = slope if factor is None else slope * factor
            loss += float(value.sum(dtype=np.float64))
            numbers[start : start + _BLOCK] -= slope
        return loss

    return step


def _tanh(x: Array, _: object) -> tuple[Array, Array]:
    y = np.tanh(x)
    return y, 1 - y * y


def _sigmoid(x: Array, _: object) -> tuple[Array, Array]:
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


def _sqrt(x: Array, _: object) -> tuple[Array, Array]:
    y = np.sqrt(x)
    return y, 0.5 / y


def _exp(x: Array, _: object) -> tuple[Array, Array]:
    y = np.exp(x)
    return y, y


def _reciprocal(x: Array, _: object) -> tuple[Array, Array]:
    y = 1 / x
    return y, -y * y


OPERATIONS: dict[str, Callable[..., tuple[Array, object]]] = {
    "mul_t": lambda x, c: (x * c, c),
    "mul": lambda x, c: (x * c, c),
    "add": lambda x, c: (x + c, None),
    "max": lambda x, c: (np.maximum(x, c), x > c),
    "square": lambda x, _: (x * x, 2 * x),
    "log": lambda x, _: (np.log(x), 1 / x),
    "log1p": lambda x, _: (np.log1p(x), 1 / (1 + x)),
    "sin": lambda x, _: (np.sin(x), np.cos(x)),
    "cos": lambda x, _: (np.cos(x), -np.sin(x)),
    "abs": lambda x, _: (np.abs(x), np.sign(x)),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sqrt": _sqrt,
    "exp": _exp,
    "recip": _reciprocal,
}
"""Results and derivatives; None stands for a derivative of one."""

WORKLOADS: dict[str, Callable[[Workload], Step]] = {
    "logreg": _perceptron,
    "mlp-small": _perceptron,
    "mlp-wide": _perceptron,
    "svm-linear": _support_vectors,
    "elementwise-chain": _chain,
}
