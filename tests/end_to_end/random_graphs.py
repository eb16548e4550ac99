"""Random graphs of the whole frontend, built from small numbers so that hypothesis can make them smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

import graphc as gc
from graphc.dims import Dim
from graphc.frontend.tensor import Tensor
from graphc.scalar import Array

Recipe = list[tuple[str, int, int]]


@dataclass
class Pool:
    """The values that a graph has so far; numbers choose among them."""

    dtype: str
    values: list[Tensor] = field(default_factory=list)
    draws: int = 0

    def __post_init__(self) -> None:
        self.x = gc.input("x", shape=("batch", 4), dtype=self.dtype)
        self.y = gc.input("y", shape=("batch", 1), dtype=self.dtype)
        self.weight = gc.input("weight", shape=(4, 3), dtype=self.dtype)
        self.bias = gc.input("bias", shape=(4,), dtype=self.dtype)
        self.label = gc.input("label", shape=("batch",), dtype="int64")
        self.values += [self.x, self.y, self.weight, self.bias, self.x * self.bias]

    @property
    def inputs(self) -> list[Tensor]:
        return [self.x, self.y, self.weight, self.bias, self.label]

    def pick(self, number: int) -> Tensor:
        """A value, the later ones more likely."""
        return self.values[-1 - number % len(self.values)]

    def matrix(self, number: int) -> Tensor:
        """A value with two axes."""
        chosen = self.pick(number)
        return chosen if chosen.ndim == 2 else self.x + chosen.sum()

    def beside(self, value: Tensor, number: int) -> Tensor:
        """A value that broadcasts with another to the other's shape."""
        fitting = [other for other in self.values if _fits(other, value)]
        return fitting[-1 - number % len(fitting)] if fitting else value.sum()

    def data(self, rows: int, seed: int = 0) -> dict[str, Array]:
        """Values of the inputs."""
        rng = np.random.default_rng(seed)
        known = {"batch": rows}
        feed = {}
        for name, tensor in zip(("x", "y", "weight", "bias"), self.inputs, strict=False):
            shape = [known[str(size)] if isinstance(size, Dim) else size for size in tensor.shape]
            feed[name] = rng.normal(size=shape).astype(self.dtype)
        return feed | {"label": rng.integers(0, 3, rows)}


def _fits(value: Tensor, other: Tensor) -> bool:
    pairs = zip(reversed(value.shape), reversed(other.shape), strict=False)
    return value.ndim <= other.ndim and all(size in (1, full) for size, full in pairs)


Step = Callable[[Pool, int, int], Tensor]


def _unary(function: Callable[[Tensor], Tensor]) -> Step:
    return lambda pool, a, _: function(pool.pick(a))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Step:
    def step(pool: Pool, a: int, b: int) -> Tensor:
        value = pool.pick(a)
        other = pool.beside(value, b)
        return function(value, other) if (a + b) % 2 else function(other, value)

    return step


def _over_axis(function: Callable[..., Tensor]) -> Step:
    def step(pool: Pool, a: int, b: int) -> Tensor:
        value = pool.pick(a)
        axis = b % value.ndim if value.ndim else None
        return function(value, axis=axis, keepdims=b % 3 == 0)

    return step


def _rows(tensor: Tensor) -> Tensor:
    return tensor.sum(axis=tuple(range(1, tensor.ndim))) if tensor.ndim > 1 else tensor


def _masked(pool: Pool, a: int, b: int) -> Tensor:
    pool.draws += 1
    value = pool.pick(a)
    return value * gc.random.uniform(value.shape, dtype=pool.dtype, name=f"draw{pool.draws}")


def _joined(pool: Pool, a: int, b: int) -> Tensor:
    value = pool.matrix(a)
    return gc.concatenate([value, -value] if b % 2 else [value * 2.0, value, value], axis=1)


def _sliced(pool: Pool, a: int, b: int) -> Tensor:
    value = pool.matrix(a)
    ways = [
        lambda: value[::-1],
        lambda: value[:, ::-1],
        lambda: value[:, ::2],
        lambda: value[:, 1:],
        lambda: value[:, -1],
    ]
    return ways[b % (5 if isinstance(value.shape[1], int) else 2)]()


def _padded(pool: Pool, a: int, b: int) -> Tensor:
    value = pool.matrix(a)
    return gc.pad(value, [(b % 3, b % 2) if isinstance(size, int) else (0, 0) for size in value.shape])


def _multiplied(pool: Pool, a: int, b: int) -> Tensor:
    value = pool.matrix(a)
    other = pool.matrix(b)
    if value.shape[1] == other.shape[0]:
        return value @ other
    return value.T @ (value * 0.5)


def _picked(pool: Pool, a: int, b: int) -> Tensor:
    value = pool.matrix(a)
    return gc.take(value, pool.label % 2) if b % 2 else gc.one_hot(pool.label, 3, pool.dtype) @ pool.weight.T


STEPS: dict[str, Step] = {
    "negate": _unary(lambda x: -x),
    "abs": _unary(abs),
    "square": _unary(lambda x: x * x),
    "sign": _unary(gc.sign),
    "floor": _unary(gc.floor),
    "relu": _unary(gc.relu),
    "exp": _unary(lambda x: gc.exp(gc.clip(x, -3.0, 3.0))),
    "expm1": _unary(lambda x: gc.expm1(gc.tanh(x))),
    "log": _unary(lambda x: gc.log(abs(x) + 0.5)),
    "log1p": _unary(lambda x: gc.log1p(x * x)),
    "sqrt": _unary(lambda x: gc.sqrt(abs(x) + 0.1)),
    "rsqrt": _unary(lambda x: gc.rsqrt(x * x + 0.3)),
    "sin": _unary(gc.sin),
    "cos": _unary(gc.cos),
    "tanh": _unary(gc.tanh),
    "sigmoid": _unary(gc.sigmoid),
    "softplus": _unary(gc.softplus),
    "erf": _unary(gc.erf),
    "stop_gradient": _unary(lambda x: x - gc.stop_gradient(x) * 0.5),
    "add": _binary(lambda x, y: x + y),
    "subtract": _binary(lambda x, y: x - y),
    "multiply": _binary(lambda x, y: x * y),
    "divide": _binary(lambda x, y: x / (abs(y) + 0.5)),
    "maximum": _binary(gc.maximum),
    "minimum": _binary(gc.minimum),
    "power": _binary(lambda x, y: (abs(x) + 0.2) ** gc.tanh(y)),
    "where": _binary(lambda x, y: gc.where(x < y, gc.sin(x), y * 0.5)),
    "sum": _over_axis(gc.sum),
    "mean": _over_axis(gc.mean),
    "max": _over_axis(gc.max),
    "min": _over_axis(gc.min),
    "var": _over_axis(gc.var),
    "logsumexp": _over_axis(gc.logsumexp),
    "softmax": lambda pool, a, b: gc.softmax(pool.matrix(a), axis=b % 2),
    "log_softmax": lambda pool, a, b: gc.log_softmax(pool.matrix(a), axis=b % 2),
    "transpose": lambda pool, a, b: pool.matrix(a).T,
    "reshape": lambda pool, a, b: pool.pick(a).reshape(-1) if b % 2 else gc.expand_dims(pool.pick(a), 0),
    "concatenate": _joined,
    "pad": _padded,
    "slice": _sliced,
    "matmul": _multiplied,
    "take": _picked,
    "random": _masked,
}


def recipes(longest: int = 6) -> st.SearchStrategy[Recipe]:
    """Lists of steps with the numbers that choose their operands."""
    step = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5), st.integers(0, 5))
    return st.lists(step, min_size=1, max_size=longest)


def build(recipe: Recipe, dtype: str) -> tuple[Pool, list[Tensor]]:
    """The graph of a recipe: its inputs, its last values, and the gradients of a loss over them."""
    pool = Pool(dtype)
    for name, a, b in recipe:
        made = STEPS[name](pool, a, b)
        pool.values.append(made if made.ndim <= 3 else made.reshape(-1))
    last = pool.values[-2:]
    loss = sum((gc.mean(gc.tanh(value * 0.3)) for value in last), (pool.x * pool.y * pool.label[:, None]).mean())
    return pool, [*last, loss, *gc.grad(loss, wrt=[pool.x, pool.weight, pool.bias], unused="zeros")]
