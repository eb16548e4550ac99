"""Layers that turn places into vectors: rows of a table for integers, waves for positions."""

from __future__ import annotations

import numpy as np

from graphc.dtypes import FLOAT32, as_dtype
from graphc.errors import DeclarationError, DTypeError
from graphc.frontend.elementwise import check_range
from graphc.frontend.initializers import Initializer, Normal
from graphc.frontend.layers.basic import channels_of, float_input, only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.shaping import expand_dims, iota, stack
from graphc.frontend.state import Parameter, constant
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["Embedding", "PositionalEncoding"]


class Embedding(Layer):
    """The rows of a learned table at integer indices: [...] to [..., units].

    Input: int32 or int64 in [0, count); an input out of range is a FeedError before any kernel runs. Output: ``dtype``.
    Parameter: table [count, units], from the normal distribution with deviation 1 as in PyTorch (Keras: uniform in
    +-0.05). padding_index: an index whose vector is 0 and is not learned.

    Source: Y. Bengio and others, "A neural probabilistic language model", JMLR 2003.

    >>> import graphc as gc
    >>> gc.layers.Embedding(1000, 16)(gc.input("word", shape=("batch", "time"), dtype="int64"))
    <Tensor f32[batch, time, 16]>
    """

    table: Parameter

    def __init__(
        self,
        count: int,
        units: int,
        padding_index: int | None = None,
        initializer: Initializer | str | None = None,
        dtype: object = FLOAT32,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        for what, number in (("count", count), ("units", units)):
            if not isinstance(number, int) or number < 1:
                raise DeclarationError(f"{what} is a positive integer", at=str(user_location()), got=repr(number))
        if padding_index is not None and not 0 <= padding_index < count:
            raise DeclarationError(
                "the padding index is one of the table's rows",
                at=str(user_location()),
                expected=f"0 <= padding_index < {count}",
                got=repr(padding_index),
            )
        self.count, self.units, self.padding_index = count, units, padding_index
        self.initializer, self.dtype = Normal(1.0) if initializer is None else initializer, as_dtype(dtype)

    def build(self, *inputs: Tensor) -> None:
        """Declare the table; DTypeError for inputs that are no integers."""
        x = only_input(self, inputs)
        if not x.dtype.is_integer:
            raise DTypeError(
                f"Embedding {self.name!r} takes integers",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="int32 or int64",
                got=str(x.type),
                way_out='declare the input with dtype="int64"',
            )
        self.table = self.parameter("table", (self.count, self.units), self.initializer, self.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the rows."""
        indices = only_input(self, inputs)
        rows = self.table.gather(check_range(indices, 0, self.count), 0)
        if self.padding_index is None:
            return rows
        return expand_dims(indices.equals(self.padding_index), -1).where(0.0, rows)


class PositionalEncoding(Layer):
    """The input plus waves of its position: [batch, time, features] to the same.

    Feature 2i of position t gets sin(t / base**(2i / features)), feature 2i + 1 the cosine. Nothing is learned.

    Source: A. Vaswani and others, "Attention is all you need", NeurIPS 2017.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.PositionalEncoding()(gc.constant([[[0.0, 0.0], [0.0, 0.0]]]))).round(3)
    array([[[0.   , 1.   ],
            [0.841, 0.54 ]]], dtype=float32)
    """

    def __init__(self, base: float = 10000.0, name: str | None = None) -> None:
        super().__init__(name)
        if not base > 0:
            raise DeclarationError(
                "the base of the wave lengths is positive", at=str(user_location()), expected="base > 0", got=repr(base)
            )
        self.base = base

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the sum; ShapeError, DTypeError for inputs that are no rows of floats."""
        x = float_input(self, inputs, "[batch, time, features] with an integer", rank=3)
        time, features = x.shape[1], channels_of(x)
        pairs = (features + 1) // 2
        rates = self.base ** (-2.0 * np.arange(pairs) / features)
        if isinstance(time, int):
            angles = np.arange(time)[:, None] * rates
            waves = np.stack([np.sin(angles), np.cos(angles)], -1).reshape(time, 2 * pairs)
            return x + constant(waves[:, :features], x.dtype)
        angle = iota((time, pairs), 0, "int64").cast("float64") * constant(rates, "float64")
        return x + stack([angle.sin(), angle.cos()], -1).reshape((time, 2 * pairs))[:, :features].cast(x.dtype)
