"""Activation functions: every one of them under one name, composed of the language's own operations.

Each takes a tensor of any shape and gives one of the same, but for ``maxout``. Layers take them by name:
``gc.layers.Dense(10, activation="gelu")``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.elementwise import abs as magnitude
from graphc.frontend.elementwise import (
    clip,
    elu,
    erf,
    expm1,
    leaky_relu,
    log_sigmoid,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from graphc.frontend.reductions import log_softmax, softmax
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = [
    "as_activation",
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "maxout",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


def prelu(x: TensorLike, slope: TensorLike) -> Tensor:
    """The value x above 0 and slope * x at or below it, where the slope is learned; ``gc.layers.PReLU`` owns one.

    slope: a tensor that broadcasts to x, such as one number for each channel.

    Source: K. He and others, "Delving deep into rectifiers", ICCV 2015.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.prelu([[-1.0, -1.0], [2.0, 2.0]], [0.5, 0.25]))
    array([[-0.5 , -0.25],
           [ 2.  ,  2.  ]], dtype=float32)
    """
    value = as_tensor(x)
    return (value <= 0).where(value * slope, value)


def selu(x: TensorLike) -> Tensor:
    """The value 1.0507 elu(x, 1.6733), which keeps mean 0 and variance 1 from layer to layer.

    Source: G. Klambauer and others, "Self-normalizing neural networks", NeurIPS 2017.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.selu([-1.0, 1.0])).round(4)
    array([-1.1113,  1.0507], dtype=float32)
    """
    return elu(x, 1.6732632423543772) * 1.0507009873554805


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """The value x above 0 and alpha * (exp(x / alpha) - 1) at or below it: an elu whose slope at 0 is always 1.

    Source: J. Barron, "Continuously differentiable exponential linear units", arXiv 1704.07483, 2017.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.celu([-1.0, 1.0], alpha=2.0)).round(4)
    array([-0.7869,  1.    ], dtype=float32)
    """
    value, below = as_tensor(x), as_tensor(x) <= 0
    return below.where(expm1(below.where(value, 0.0) / alpha) * alpha, value)  # no overflow on the other side


def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """The value x times the normal distribution's share below it, x (1 + erf(x / sqrt 2)) / 2.

    approximate: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))) / 2 in its place.

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv 1606.08415, 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.gelu([-1.0, 1.0])).round(4)
    array([-0.1587,  0.8413], dtype=float32)
    """
    value = as_tensor(x)
    if not approximate:
        return 0.5 * value * (1 + erf(value * sqrt(0.5)))
    near = clip(value, -30.0, 30.0)  # there the tangent is 1 to the last bit, and cubes do not overflow
    return 0.5 * value * (1 + tanh(sqrt(2 / pi) * (near + 0.044715 * near * near * near)))


def silu(x: TensorLike) -> Tensor:
    """The value x times its logistic function, x / (1 + exp(-x)), also known as swish.

    Source: P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", arXiv 1710.05941, 2017.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.silu([-1.0, 1.0])).round(4)
    array([-0.2689,  0.7311], dtype=float32)
    """
    value = as_tensor(x)
    return value * sigmoid(value)


def mish(x: TensorLike) -> Tensor:
    """The value x tanh(log(1 + exp(x))).

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.mish([-1.0, 1.0])).round(4)
    array([-0.3034,  0.8651], dtype=float32)
    """
    value = as_tensor(x)
    return value * tanh(softplus(value))


def softsign(x: TensorLike) -> Tensor:
    """The value x / (1 + |x|), between -1 and 1.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.softsign([-1.0, 3.0]))
    array([-0.5 ,  0.75], dtype=float32)
    """
    value = as_tensor(x)
    return value / (1 + magnitude(value))


def _limited(x: Tensor, low: float, high: float) -> Tensor:
    """The value limited to [low, high], with derivative 0 at both ends, as relu has it."""
    return (x <= low).where(low, (x >= high).where(high, x))


def hard_sigmoid(x: TensorLike) -> Tensor:
    """A line between 0 and 1 in place of the logistic function: min(max(x / 6 + 1/2, 0), 1), as in PyTorch.

    Source: A. Howard and others, "Searching for MobileNetV3", ICCV 2019.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.hard_sigmoid([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75], dtype=float32)
    """
    return _limited(as_tensor(x) / 6.0 + 0.5, 0.0, 1.0)


def hard_swish(x: TensorLike) -> Tensor:
    """The value x times its hard sigmoid, x min(max(x + 3, 0), 6) / 6.

    Source: A. Howard and others, "Searching for MobileNetV3", ICCV 2019.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.hard_swish([-4.0, 0.0, 3.0]))
    array([-0.,  0.,  3.], dtype=float32)
    """
    value = as_tensor(x)
    return value * hard_sigmoid(value)


def hard_tanh(x: TensorLike, low: float = -1.0, high: float = 1.0) -> Tensor:
    """The value limited to [low, high]; at the ends and outside, the derivative is 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.hard_tanh([-4.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return _limited(as_tensor(x), low, high)


def relu6(x: TensorLike) -> Tensor:
    """The rectified linear unit that ends at 6: min(max(x, 0), 6).

    Source: A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.relu6([-1.0, 2.0, 8.0]))
    array([0., 2., 6.], dtype=float32)
    """
    return _limited(as_tensor(x), 0.0, 6.0)


def maxout(x: TensorLike, pieces: int = 2) -> Tensor:
    """The largest of each group of neighbouring channels: [..., channels] to [..., channels / pieces].

    x: the last axis is a multiple of pieces, ShapeError if it is not. Equal elements share the gradient evenly.

    Source: I. Goodfellow and others, "Maxout networks", ICML 2013.

    >>> import graphc as gc
    >>> gc.evaluate(gc.activations.maxout([[1.0, 3.0, -2.0, -5.0]]))
    array([[ 3., -2.]], dtype=float32)
    """
    value = as_tensor(x)
    channels = value.shape[-1] if value.ndim else 0
    if not isinstance(pieces, int) or pieces < 1:
        raise DeclarationError(
            "maxout takes the largest of a number of pieces",
            at=str(user_location()),
            expected="an integer of at least 1",
            got=repr(pieces),
        )
    if not value.ndim or not isinstance(channels, int) or channels % pieces:
        raise ShapeError(
            "maxout: the channels do not fall into groups",
            at=str(user_location()),
            facts=[("input", describe(value.node))],
            expected=f"[..., channels] with a multiple of {pieces} channels",
            got=str(value.type),
        )
    return value.reshape((*value.shape[:-1], channels // pieces, pieces)).max(axis=-1)


ActivationLike = str | Callable[[Tensor], Tensor] | None

_BY_NAME: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "celu": celu,
    "elu": elu,
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate=True),
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "maxout": maxout,
    "mish": mish,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "swish": silu,
    "tanh": tanh,
}


def as_activation(value: ActivationLike) -> Callable[[Tensor], Tensor]:
    """The function behind a name, or the function itself; DeclarationError for unknown names.

    >>> import graphc as gc
    >>> gc.activations.as_activation("swish").__name__
    'silu'
    """
    if value is None:
        return _BY_NAME["linear"]
    if callable(value):
        return value
    if value in _BY_NAME:
        return _BY_NAME[value]
    raise DeclarationError(
        f"there is no activation {value!r}",
        at=str(user_location()),
        expected="a function of a tensor, or one of " + ", ".join(_BY_NAME),
        got=repr(value),
    )
