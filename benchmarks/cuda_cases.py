"""Programs for a GPU of one or a few kernels, from a state to another: nothing is copied from or to the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

import graphc as gc

Formula = Callable[[gc.Tensor], gc.Tensor]

TINY = 300
"""Kernels of the program that shows what starting one costs."""


@dataclass(frozen=True)
class Program:
    """A compiled function without arguments. result: what it changes. moved: bytes that it has to read and write."""

    function: gc.Function
    result: gc.Parameter
    moved: int


@dataclass(frozen=True)
class Case:
    """What is computed from one array of a shape."""

    family: str
    shape: tuple[int, ...]
    formula: Formula

    @property
    def title(self) -> str:
        return f"{self.family}, {' x '.join(map(str, self.shape))}"

    def values(self) -> np.ndarray:
        """The array, the same every time."""
        return np.random.default_rng(0).random(self.shape, np.float32)

    def program(self, target: str, fuse: bool = True) -> Program:
        value = self.formula(x := gc.state(self.values(), "x"))
        result = gc.state(np.zeros(value.shape, np.float32), "y")
        function = gc.function([], {}, {result: value}, target=target, fuse=fuse)
        return Program(function, result, 4 * (prod(x.shape) + prod(result.value.shape)))


@dataclass(frozen=True)
class Product:
    """A product of [batch, rows, depth] and [batch, depth, columns]; without a batch of one it has two axes."""

    batch: int
    rows: int
    depth: int
    columns: int

    @property
    def title(self) -> str:
        many = f"{self.batch} of " if self.batch > 1 else ""
        return f"{many}{self.rows} x {self.depth} x {self.columns}"

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.rows * self.depth * self.columns

    def factors(self) -> list[np.ndarray]:
        """The operands, the same every time."""
        rng, batch = np.random.default_rng(0), (self.batch,) if self.batch > 1 else ()
        shapes = (self.rows, self.depth), (self.depth, self.columns)
        return [rng.random((*batch, *shape), np.float32) for shape in shapes]

    def program(self, target: str, precision: str = "float32") -> Program:
        left, right = (gc.state(value, name) for value, name in zip(self.factors(), "xw", strict=True))
        value = left @ right
        result = gc.state(np.zeros(value.shape, np.float32), "y")
        function = gc.function([], {}, {result: value}, target=target, precision=precision)
        return Program(function, result, 4 * sum(prod(one.shape) for one in (left, right, value)))


def copies() -> list[Case]:
    return [Case("copy", (size,), lambda x: x) for size in (2**24, 2**26, 2**27)]


def cases() -> Iterator[Case]:
    """What is bound by memory."""
    rows: list[tuple[str, Formula]] = [
        ("row sums", lambda x: x.sum(1)),
        ("row maxima", lambda x: x.max(1)),
        ("column sums", lambda x: x.sum(0)),
        ("softmax of rows", gc.softmax),
        ("layer norm of rows", normal),
    ]
    yield Case("multiply and add", (2**26,), lambda x: x * 1.5 + 0.5)
    yield Case("GELU", (2**26,), gelu)
    yield Case("odd size, GELU", (8191, 8209), gelu)
    for family, formula in rows:
        yield from (Case(family, shape, formula) for shape in ((2**20, 64), (2**16, 1024), (2**10, 2**16)))
    yield Case("sum of all", (2**26,), lambda x: x.sum())
    yield from (Case("transpose", shape, lambda x: x.transpose((1, 0))) for shape in ((8192, 8192), (2**20, 64)))
    yield Case("transpose of each", (64, 1024, 1024), lambda x: x.transpose((0, 2, 1)))
    yield Case("heads in front", (64, 512, 16, 128), lambda x: x.transpose((0, 2, 1, 3)))


def products() -> list[Product]:
    sizes = [(1, 1024, 1024, 1024), (1, 4096, 4096, 4096), (1, 8192, 8192, 8192), (1, 128, 3072, 1024)]
    return [Product(*size) for size in (*sizes, (1, 2**16, 64, 64), (1, 64, 2**16, 64), (256, 256, 64, 256))]


def tiny() -> Case:
    """As many kernels as TINY says, one after the other; to be compiled without fusion."""

    def formula(x: gc.Tensor) -> gc.Tensor:
        for number in range(TINY):
            x = gc.tanh(x) if number % 2 else gc.sin(x)
        return x

    return Case("tiny kernels", (256,), formula)


def gelu(x: gc.Tensor) -> gc.Tensor:
    return 0.5 * x * (1 + gc.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))


def normal(x: gc.Tensor) -> gc.Tensor:
    return gc.layers.LayerNorm(use_scale=False, use_offset=False)(x)
