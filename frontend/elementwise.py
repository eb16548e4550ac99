"""Functions of one element at a time. Each takes tensors (or data that becomes one) and broadcasts like numpy."""

from __future__ import annotations

from collections.abc import Callable

from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import apply
from graphc.op import Elementwise
from graphc.ops import arithmetic, transcendental, unary
from graphc.ops.indexing import CheckRange

__all__ = [
    "abs",
    "cast",
    "check_range",
    "clip",
    "copy",
    "cos",
    "elu",
    "erf",
    "exp",
    "expm1",
    "floor",
    "isfinite",
    "leaky_relu",
    "log",
    "log1p",
    "log_sigmoid",
    "maximum",
    "minimum",
    "relu",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "sqrt",
    "stop_gradient",
    "tanh",
    "training_switch",
    "where",
]


def _function(op: Elementwise, name: str, summary: str) -> Callable[[TensorLike], Tensor]:
    """A public function of one tensor that applies an op; integers become float32 where the op takes floats only."""
    floats = op.accepts == "f"

    def function(x: TensorLike) -> Tensor:
        return as_tensor(x)._unary(op, floats=floats)

    function.__name__ = function.__qualname__ = name
    example = (type(op).__doc__ or "").partition(">>>")[2]
    function.__doc__ = f"{summary}\n\n    x: any shape; the result has the same.\n\n    >>>{example}"
    return function


exp = _function(transcendental.Exp(), "exp", "The exponential e**x; float32 and float64.")
expm1 = _function(transcendental.Expm1(), "expm1", "The value exp(x) - 1, precise near 0; float32 and float64.")
log = _function(transcendental.Log(), "log", "The natural logarithm; -inf at 0, NaN below; float32 and float64.")
log1p = _function(transcendental.Log1p(), "log1p", "The value log(1 + x), precise near 0; float32 and float64.")
sqrt = _function(transcendental.Sqrt(), "sqrt", "The square root; NaN below 0; float32 and float64.")
rsqrt = _function(transcendental.Rsqrt(), "rsqrt", "One over the square root; float32 and float64.")
sin = _function(transcendental.Sin(), "sin", "The sine of x in radians; float32 and float64.")
cos = _function(transcendental.Cos(), "cos", "The cosine of x in radians; float32 and float64.")
tanh = _function(transcendental.Tanh(), "tanh", "The hyperbolic tangent; float32 and float64.")
sigmoid = _function(transcendental.Sigmoid(), "sigmoid", "The logistic function 1/(1 + exp(-x)); float32 and float64.")
erf = _function(transcendental.Erf(), "erf", "The error function; float32 and float64.")
abs = _function(unary.Abs(), "abs", "The magnitude; floats and integers; derivative 0 at 0.")
sign = _function(unary.Sign(), "sign", "The sign, -1, 0 or 1; floats and integers; derivative 0.")
floor = _function(unary.Floor(), "floor", "The largest whole number not above x; floats; derivative 0.")
isfinite = _function(unary.IsFinite(), "isfinite", "True where x is neither infinite nor NaN.")
copy = _function(unary.Copy(), "copy", "The value itself, in memory of its own.")
stop_gradient = _function(unary.StopGradient(), "stop_gradient", "The value itself, through which no derivative flows.")


def cast(x: TensorLike, dtype: object) -> Tensor:
    """The same values in another element type; floats become integers by dropping the fraction.

    x: any shape. dtype: a name, numpy dtype or DType; DTypeError for others.

    >>> import graphc as gc
    >>> gc.evaluate(gc.cast([1.9, -1.9], "int32"))
    array([ 1, -1], dtype=int32)
    """
    return as_tensor(x).cast(dtype)


def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """Choose x where the condition holds, else y; all three broadcast. The gradient goes where the value came from.

    condition: bool. x, y: one element type after promotion. ShapeError where the shapes do not broadcast.

    >>> import graphc as gc
    >>> gc.evaluate(gc.where([True, False], [1.0, 2.0], 0.0))
    array([1., 0.], dtype=float32)
    """
    return as_tensor(condition).where(x, y)


def _binary(op: Elementwise, x: TensorLike, y: TensorLike) -> Tensor:
    if isinstance(x, Tensor) or not isinstance(y, Tensor):
        return as_tensor(x)._binary(op, y)
    return y._binary(op, x, swapped=not op.commutes)


def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of x and y, element by element; NaN if either is. Equal operands share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.maximum(0.0, gc.constant([1.0, -2.0])))
    array([1., 0.], dtype=float32)
    """
    return _binary(arithmetic.Maximum(), x, y)


def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of x and y, element by element; NaN if either is. Equal operands share the gradient evenly.

    >>> import graphc as gc
    >>> gc.evaluate(gc.minimum(gc.constant([1.0, -2.0]), 0.0))
    array([ 0., -2.], dtype=float32)
    """
    return _binary(arithmetic.Minimum(), x, y)


def clip(x: TensorLike, low: TensorLike, high: TensorLike) -> Tensor:
    """The values limited to [low, high]: min(max(x, low), high). Outside, the gradient is 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.clip([-2.0, 0.5, 2.0], 0.0, 1.0))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return minimum(maximum(x, low), high)


def relu(x: TensorLike) -> Tensor:
    """The rectified linear unit max(x, 0), with derivative 0 at 0; NaN stays NaN.

    Source: V. Nair and G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    >>> import graphc as gc
    >>> gc.evaluate(gc.relu([-1.0, 0.0, 2.0]))
    array([0., 0., 2.], dtype=float32)
    """
    value = as_tensor(x)
    return (value <= 0).where(value.zeros_like(), value)


def leaky_relu(x: TensorLike, slope: float = 0.01) -> Tensor:
    """The value x above 0 and slope * x at or below it.

    Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

    >>> import graphc as gc
    >>> gc.evaluate(gc.leaky_relu([-1.0, 2.0], slope=0.2))
    array([-0.2,  2. ], dtype=float32)
    """
    value = as_tensor(x)
    return (value <= 0).where(value * slope, value)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """The value x above 0 and alpha * (exp(x) - 1) at or below it.

    Source: D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential linear
    units", ICLR 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.elu([-1.0, 2.0])).round(3)
    array([-0.632,  2.   ], dtype=float32)
    """
    value = as_tensor(x)
    below = value <= 0
    return below.where(expm1(below.where(value, 0.0)) * alpha, value)  # no overflow on the side that is not taken


def softplus(x: TensorLike, beta: float = 1.0) -> Tensor:
    """The value log(1 + exp(beta x)) / beta, a smooth max(x, 0) that is the sharper the larger beta is.

    x: any shape; the result has the same. Without overflow; float32 and float64.

    >>> import graphc as gc
    >>> gc.evaluate(gc.softplus([0.0, 100.0])).round(3)
    array([  0.693, 100.   ], dtype=float32)
    """
    value = as_tensor(x)
    if beta != 1:
        return softplus(value * beta) / beta
    return value._unary(transcendental.Softplus(), floats=True)


def log_sigmoid(x: TensorLike) -> Tensor:
    """The logarithm of the logistic function, -softplus(-x), without overflow.

    >>> import graphc as gc
    >>> gc.evaluate(gc.log_sigmoid([0.0, -100.0])).round(3)
    array([  -0.693, -100.   ], dtype=float32)
    """
    return -softplus(-as_tensor(x))


def check_range(x: TensorLike, low: int, high: int) -> Tensor:
    """The integers x, which must lie in [low, high). Of an input the check runs before any kernel, as FeedError.

    >>> import graphc as gc
    >>> gc.evaluate(gc.check_range([0, 9], 0, 10))
    array([0, 9])
    """
    return Tensor(apply(CheckRange(low, high), as_tensor(x).node))


def training_switch(training: TensorLike, inference: TensorLike) -> Tensor:
    """The first tensor in a training graph, the second in an inference graph; dropout and normalisation use it.

    >>> import graphc as gc
    >>> gc.evaluate(gc.training_switch(1.0, 2.0))
    array(1., dtype=float32)
    """
    first = as_tensor(training)
    return first.training_switch(as_tensor(inference, first.dtype))
