"""Attention: means of values, weighted by how well keys fit queries."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from graphc.errors import DTypeError, ShapeError
from graphc.frontend.broadcasting import broadcast_shapes
from graphc.frontend.reductions import softmax
from graphc.frontend.shaping import iota
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import scope, user_location

__all__ = ["attention"]

_FAR_BELOW = -1e30
"""A score whose exponential is 0 beside any other, and that leaves no NaN where all are masked."""


def attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    mask: TensorLike | None = None,
    causal: bool = False,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Scaled dot-product attention: softmax(query key^T / sqrt(features)) value, over the keys.

    query: float [..., queries, features]. key: [..., keys, features]. value: [..., keys, units]. Result: [..., queries,
    units]. mask: truth values that broadcast to [..., queries, keys], True where a query sees a key; a query that sees
    none gives 0. causal: query i sees keys 0 to i only. dropout: a layer that is applied to the weights.

    Source: A. Vaswani and others, "Attention is all you need", NeurIPS 2017.

    >>> import graphc as gc
    >>> gc.evaluate(gc.attention([[0.0], [5.0]], [[0.0], [9.0]], [[1.0], [3.0]], causal=True))
    array([[1.],
           [3.]], dtype=float32)
    """
    q, k, v = as_tensor(query), as_tensor(key), as_tensor(value)
    if min(q.ndim, k.ndim, v.ndim) < 2 or not isinstance(q.shape[-1], int):
        raise ShapeError(
            "attention takes rows of features",
            at=str(user_location()),
            facts=[(name, describe(x.node)) for name, x in (("query", q), ("key", k), ("value", v))],
            expected="[..., positions, features] with an integer",
            got=", ".join(str(x.type) for x in (q, k, v)),
        )
    with scope("attention"):
        swapped = k.transpose((*range(k.ndim - 2), k.ndim - 1, k.ndim - 2))
        scores = (q * (1 / sqrt(q.shape[-1]))) @ swapped
        seen = _seen(scores, mask, causal)
        weights = softmax(scores) if seen is None else seen.where(softmax(seen.where(scores, _FAR_BELOW)), 0.0)
        return (weights if dropout is None else dropout(weights)) @ v


def _seen(scores: Tensor, mask: TensorLike | None, causal: bool) -> Tensor | None:
    """Which keys each query sees; None for all."""
    seen = None
    if mask is not None:
        seen = as_tensor(mask)
        if seen.dtype.name != "bool":
            raise DTypeError(
                "attention: a mask is of truth values",
                at=str(user_location()),
                facts=[("mask", describe(seen.node))],
                expected="bool, True where a query sees a key",
                got=str(seen.type),
            )
        if broadcast_shapes([scores.shape, seen.shape]) != scores.shape:
            raise ShapeError(
                "attention: the mask does not fit the scores",
                at=str(user_location()),
                facts=[("mask", describe(seen.node))],
                expected=f"a mask that broadcasts to {size_text(scores.shape)}",
                got=str(seen.type),
            )
    if causal:
        square = scores.shape[-2:]
        past = iota(square, 1) <= iota(square, 0)
        seen = past if seen is None else seen & past
    return seen
