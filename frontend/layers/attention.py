"""Layers of attention: several heads, and the block of a transformer."""

from __future__ import annotations

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.activations import ActivationLike
from graphc.frontend.attention import attention
from graphc.frontend.layers.basic import Dense, channels_of, float_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.noise import Dropout
from graphc.frontend.layers.normalization import LayerNorm
from graphc.frontend.shaping import expand_dims
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["MultiHeadAttention", "TransformerBlock"]


class _Masked(Layer):
    """A layer that takes a mask beside its inputs."""

    def __call__(self, *inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Declare the output for inputs.

        mask: truth values [batch, keys] or [batch, queries, keys], True where there is a key to be seen.
        """
        if mask is not None and (not isinstance(mask, Tensor) or mask.dtype.name != "bool" or mask.ndim not in (2, 3)):
            known = isinstance(mask, Tensor)
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: the mask does not fit",
                at=str(user_location()),
                facts=[("mask", describe(mask.node))] if known else [],
                expected="bool[batch, keys] or bool[batch, queries, keys]",
                got=str(mask.type) if known else type(mask).__name__,
            )
        return super().__call__(*inputs, *([] if mask is None else [mask]))

    def parted(self, inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """The inputs, and the mask if the last of them is one."""
        masked = len(inputs) > 1 and inputs[-1].dtype.name == "bool"
        return (inputs[:-1], inputs[-1]) if masked else (inputs, None)


class MultiHeadAttention(_Masked):
    """Attention of several heads side by side, each on its own projections; see ``gc.attention``.

    Inputs: ``layer(x)`` attends from x to itself, ``layer(x, memory)`` from x to another sequence, ``layer(query, key,
    value)`` is the general case; float [batch, time, features]. Output: [batch, time of the query, units]. units: of
    the result and of all heads together, by default the features of the query; a multiple of heads. ``mask=``: truth
    values [batch, keys] (True for keys that are no padding) or [batch, queries, keys]; a query that sees no key gets 0
    from the heads. causal: query i sees keys 0 to i only. dropout: the rate at which weights are dropped in training.

    Parameters: of the Dense layers query, key, value and output, each [features, units] and [units], Glorot uniform
    and zeros as in Keras (PyTorch draws query, key and value as one matrix).

    Source: A. Vaswani and others, "Attention is all you need", NeurIPS 2017.

    >>> import graphc as gc
    >>> x, present = gc.input("x", shape=("batch", "time", 32)), gc.input("present", ("batch", "time"), "bool")
    >>> gc.layers.MultiHeadAttention(4, causal=True)(x, mask=present)
    <Tensor f32[batch, time, 32]>
    """

    def __init__(
        self,
        heads: int,
        units: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(heads, int) or heads < 1:
            raise DeclarationError("heads is a positive integer", at=str(user_location()), got=repr(heads))
        self.heads, self.units, self.causal, self.use_bias = heads, units, causal, use_bias
        self.dropout = Dropout(dropout)

    def build(self, *inputs: Tensor) -> None:
        """Make the projections; ShapeError, DTypeError for inputs that are no sequences of floats."""
        sequences, _ = self.parted(inputs)
        if not 1 <= len(sequences) <= 3:
            raise DeclarationError(
                f"MultiHeadAttention {self.name!r} takes one to three sequences",
                at=str(user_location()),
                expected="layer(x), layer(x, memory) or layer(query, key, value)",
                got=f"{len(sequences)} tensors",
            )
        for x in sequences:
            float_input(self, [x], "[batch, time, features] with an integer", rank=3)
        units = channels_of(sequences[0]) if self.units is None else self.units
        if units % self.heads:
            raise ShapeError(
                f"MultiHeadAttention {self.name!r}: the units do not fall into heads",
                at=str(user_location()),
                facts=[("query", describe(sequences[0].node))],
                expected=f"a multiple of {self.heads}",
                got=f"{units} units",
                way_out="give MultiHeadAttention its units",
            )
        self.query, self.key, self.value, self.output = (Dense(units, use_bias=self.use_bias) for _ in range(4))

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare projections, attention and the last projection."""
        sequences, mask = self.parted(inputs)
        query, key, value = sequences if len(sequences) == 3 else (sequences[0], sequences[-1], sequences[-1])
        if mask is not None:
            mask = expand_dims(mask, (1, 2) if mask.ndim == 2 else 1)
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        found = attention(q, k, v, mask, self.causal, self.dropout).transpose((0, 2, 1, 3))
        return self.output(found.reshape((*query.shape[:2], -1)))

    def _split(self, x: Tensor) -> Tensor:
        """[batch, time, units] as [batch, heads, time, units / heads]."""
        return x.reshape((*x.shape[:2], self.heads, -1)).transpose((0, 2, 1, 3))


class TransformerBlock(_Masked):
    """Attention of a sequence to itself, then two Dense layers, each around which its input runs.

    Input and output: float [batch, time, features]. pre_norm: x + f(norm(x)), which needs no warm-up; False for
    norm(x + f(x)), as in the paper. hidden: units of the first Dense layer, by default four times the features.
    ``mask=``, causal: as for MultiHeadAttention. dropout: the rate of the weights, and after both parts.

    Source: A. Vaswani and others, "Attention is all you need", NeurIPS 2017; R. Xiong and others, "On layer
    normalization in the transformer architecture", ICML 2020.

    >>> import graphc as gc
    >>> gc.layers.TransformerBlock(4, causal=True)(gc.input("x", shape=("batch", "time", 32)))
    <Tensor f32[batch, time, 32]>
    """

    def __init__(
        self,
        heads: int,
        hidden: int | None = None,
        activation: ActivationLike = "gelu",
        pre_norm: bool = True,
        causal: bool = False,
        dropout: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.hidden_units, self.activation_like, self.pre_norm = hidden, activation, pre_norm
        self.attention = MultiHeadAttention(heads, causal=causal, dropout=dropout)
        self.attention_norm, self.dense_norm = LayerNorm(), LayerNorm()
        self.attention_dropout, self.dense_dropout = Dropout(dropout), Dropout(dropout)

    def build(self, *inputs: Tensor) -> None:
        """Make the Dense layers; ShapeError, DTypeError for inputs that are no sequences of floats."""
        (x, *_), _ = self.parted(inputs)
        features = channels_of(float_input(self, [x], "[batch, time, features] with an integer", rank=3))
        self.hidden = Dense(4 * features if self.hidden_units is None else self.hidden_units, self.activation_like)
        self.dense = Dense(features)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare both parts."""
        (x, *_), mask = self.parted(inputs)
        if self.pre_norm:
            x = x + self._attended(self.attention_norm(x), mask)
            return x + self._mapped(self.dense_norm(x))
        x = self.attention_norm(x + self._attended(x, mask))
        return self.dense_norm(x + self._mapped(x))

    def _attended(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.attention_dropout(self.attention(x, mask=mask))

    def _mapped(self, x: Tensor) -> Tensor:
        return self.dense_dropout(self.dense(self.hidden(x)))
