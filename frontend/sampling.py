"""Random tensors: new numbers at every step, the same for the same seed, step and name (docs/random-numbers.md)."""

from __future__ import annotations

from graphc.dtypes import FLOAT32, as_dtype
from graphc.errors import DeclarationError
from graphc.frontend.state import SEED, STEP, fresh_serial
from graphc.frontend.tensor import Tensor
from graphc.node import apply
from graphc.ops.sampling import Random, RandomNormal, RandomUniform
from graphc.origin import current_scope, user_location
from graphc.tensor_type import TensorType, as_shape

__all__ = ["bernoulli", "normal", "uniform"]


def _random(op: type[Random], shape: object, dtype: object, name: str) -> Tensor:
    label = "/".join((*current_scope(), name))
    known = TensorType(as_dtype(dtype), as_shape(shape))
    return Tensor(apply(op(label, known, fresh_serial(label)), SEED, STEP))


def uniform(
    shape: object, low: float = 0.0, high: float = 1.0, dtype: object = FLOAT32, name: str = "uniform"
) -> Tensor:
    """Numbers drawn uniformly from [low, high).

    shape: may hold named sizes. name: keys the stream together with the enclosing scopes; two calls of one name differ.

    >>> import graphc as gc
    >>> gc.random.uniform((2, 3))
    <Tensor f32[2, 3]>
    """
    unit = _random(RandomUniform, shape, dtype, name)
    return unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low


def normal(
    shape: object, mean: float = 0.0, standard_deviation: float = 1.0, dtype: object = FLOAT32, name: str = "normal"
) -> Tensor:
    """Numbers of the normal distribution.

    >>> import graphc as gc
    >>> gc.random.normal((2, 3))
    <Tensor f32[2, 3]>
    """
    unit = _random(RandomNormal, shape, dtype, name)
    return unit if (mean, standard_deviation) == (0.0, 1.0) else unit * standard_deviation + mean


def bernoulli(shape: object, probability: float, name: str = "bernoulli") -> Tensor:
    """Truth values that are true with a probability.

    >>> import graphc as gc
    >>> gc.random.bernoulli((2, 3), 0.5)
    <Tensor bool[2, 3]>
    """
    if not 0 <= probability <= 1:
        raise DeclarationError(
            "a probability lies between 0 and 1", at=str(user_location()), expected="0 to 1", got=str(probability)
        )
    return _random(RandomUniform, shape, FLOAT32, name) < probability
