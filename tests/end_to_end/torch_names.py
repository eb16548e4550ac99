"""Programs of steps with torch's names for operations, built in graphc's language."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import graphc as gc
from graphc import losses

Build = Callable[..., gc.Tensor]
Step = Sequence[object]
"""The name of the result, torch's name of the operation, operands (``$x`` is an earlier result), options."""


def _vector_norm(x: gc.Tensor, order: float = 2) -> gc.Tensor:
    return gc.norm(x, order)


def _cross_entropy(scores: gc.Tensor, labels: gc.Tensor, reduction: str = "mean") -> gc.Tensor:
    return losses.softmax_cross_entropy(scores, labels, reduction)


def _cross_entropy_of_probabilities(p: gc.Tensor, y: gc.Tensor, reduction: str = "mean") -> gc.Tensor:
    each = -(y * gc.log(p) + (1 - y) * gc.log(1 - p))
    return each if reduction == "none" else gc.mean(each)


def _total(x: gc.Tensor, dim: int | None = None, keepdim: bool = False) -> gc.Tensor:
    return gc.sum(x, axis=dim, keepdims=keepdim)


def _channels_last(x: gc.Tensor) -> gc.Tensor:
    return x.transpose((0, *range(2, x.ndim), 1))


def _channels_first(x: gc.Tensor) -> gc.Tensor:
    return x.transpose((0, x.ndim - 1, *range(1, x.ndim - 1)))


def _convolution(x: gc.Tensor, kernel: gc.Tensor, padding: int = 0, dilation: int = 1) -> gc.Tensor:
    turned = kernel.transpose((*range(2, kernel.ndim), 1, 0))
    return _channels_first(gc.convolution(_channels_last(x), turned, padding=padding, dilation=dilation))


def _pooled(pool: Build) -> Build:
    return lambda x, window: _channels_first(pool(_channels_last(x), window))


def _batch_norm(
    x: gc.Tensor, mean: None, variance: None, gamma: gc.Tensor, beta: gc.Tensor, training: bool
) -> gc.Tensor:
    assert (mean, variance, training) == (None, None, True)
    return gamma * (x - x.mean(axis=0)) * gc.rsqrt(x.var(axis=0) + 1e-5) + beta


OPERATIONS: dict[str, Build] = {
    "abs": gc.abs,
    "add": lambda x, y: x + y,
    "clamp_min": gc.maximum,
    "deg2rad": lambda x: x * (math.pi / 180),
    "div": lambda x, y: x / y,
    "dot": lambda x, y: x @ y,
    "exp": gc.exp,
    "linalg.vector_norm": _vector_norm,
    "log": gc.log,
    "log_softmax": lambda x, dim: gc.log_softmax(x, axis=dim),
    "maximum": gc.maximum,
    "mean": gc.mean,
    "mm": gc.matmul,
    "mul": lambda x, y: x * y,
    "mv": gc.matmul,
    "ne": lambda x, y: x != y,
    "neg": lambda x: -x,
    "nn.functional.avg_pool2d": _pooled(gc.avg_pool),
    "nn.functional.batch_norm": _batch_norm,
    "nn.functional.binary_cross_entropy": _cross_entropy_of_probabilities,
    "nn.functional.conv1d": _convolution,
    "nn.functional.conv2d": _convolution,
    "nn.functional.cross_entropy": _cross_entropy,
    "nn.functional.elu": gc.elu,
    "nn.functional.l1_loss": lambda x, y: gc.mean(abs(x - y)),
    "nn.functional.leaky_relu": gc.leaky_relu,
    "nn.functional.max_pool2d": _pooled(gc.max_pool),
    "nn.functional.mse_loss": losses.mean_squared_error,
    "nn.functional.relu": gc.relu,
    "reciprocal": lambda x: 1 / x,
    "rsub": lambda x, y: y - x,
    "select": lambda x, dim, index: x[(slice(None),) * dim + (index,)],
    "sigmoid": gc.sigmoid,
    "sin": gc.sin,
    "sqrt": gc.sqrt,
    "sub": lambda x, y: x - y,
    "sum": _total,
    "tanh": gc.tanh,
}


def build(program: Sequence[Step], inputs: Mapping[str, gc.Tensor]) -> dict[str, gc.Tensor]:
    """The inputs and every result of a program, by name."""
    values = dict(inputs)
    for result, operation, *rest in program:
        options: dict[str, object] = {}
        operands: list[object] = []
        for part in rest:
            if isinstance(part, dict):
                options |= part
            else:
                operands.append(values[part[1:]] if isinstance(part, str) and part.startswith("$") else part)
        values[str(result)] = OPERATIONS[str(operation)](*operands, **options)
    return values
