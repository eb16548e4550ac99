"""Elementwise ops of one operand: roots, exponentials, logarithms, trigonometry."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf as scalar_erf
from math import pi, sqrt
from typing import ClassVar, TypeVar

import numpy as np

from graphc.op import Elementwise, Reference
from graphc.scalar import Array, Scalars
from graphc.value import V

__all__ = [
    "Cos",
    "Erf",
    "Exp",
    "Expm1",
    "Log",
    "Log1p",
    "Rsqrt",
    "Sigmoid",
    "Sin",
    "Softplus",
    "Sqrt",
    "Tanh",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Exp(Elementwise):
    """The exponential e**x.

    >>> import graphc as gc
    >>> gc.evaluate(gc.exp(gc.constant([0.0, 1.0]))).round(3)
    array([1.   , 2.718], dtype=float32)
    """

    name: ClassVar[str] = "exp"
    latex: ClassVar[str] = r"e^{{{0}}}"
    numpy: ClassVar[Reference | None] = np.exp

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("exp", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * output,)


@dataclass(frozen=True)
class Expm1(Elementwise):
    """The value exp(x) - 1, precise near 0.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.expm1(gc.constant(1e-10, dtype="float64")))) / 1e-10
    1.00000000005
    """

    name: ClassVar[str] = "expm1"
    latex: ClassVar[str] = r"(e^{{{0}}} - 1)"
    numpy: ClassVar[Reference | None] = np.expm1

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("expm1", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * (output + 1),)


@dataclass(frozen=True)
class Log(Elementwise):
    """The natural logarithm; log(0) is -inf, of a negative number NaN.

    >>> import graphc as gc
    >>> gc.evaluate(gc.log(gc.constant([1.0, 10.0]))).round(3)
    array([0.   , 2.303], dtype=float32)
    """

    name: ClassVar[str] = "log"
    latex: ClassVar[str] = r"\log({0})"
    numpy: ClassVar[Reference | None] = np.log
    domain: ClassVar[tuple[float, float]] = (0.1, 3.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("log", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g / inputs[0],)


@dataclass(frozen=True)
class Log1p(Elementwise):
    """The value log(1 + x), precise near 0.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.log1p(gc.constant(1e-10, dtype="float64")))) / 1e-10
    0.99999999995
    """

    name: ClassVar[str] = "log1p"
    latex: ClassVar[str] = r"\log(1 + {0})"
    numpy: ClassVar[Reference | None] = np.log1p
    domain: ClassVar[tuple[float, float]] = (-0.8, 3.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("log1p", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g / (inputs[0] + 1),)


@dataclass(frozen=True)
class Sqrt(Elementwise):
    """The square root; of a negative number NaN; its derivative at 0 is infinite.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sqrt(gc.constant([4.0, 2.25])))
    array([2. , 1.5], dtype=float32)
    """

    name: ClassVar[str] = "sqrt"
    latex: ClassVar[str] = r"\sqrt{{{0}}}"
    numpy: ClassVar[Reference | None] = np.sqrt
    domain: ClassVar[tuple[float, float]] = (0.1, 3.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.sqrt(xs[0])

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * 0.5 / output,)


@dataclass(frozen=True)
class Rsqrt(Elementwise):
    """One over the square root, as 1/sqrt(x) in two roundings.

    >>> import graphc as gc
    >>> gc.evaluate(gc.rsqrt(gc.constant([4.0, 0.25])))
    array([0.5, 2. ], dtype=float32)
    """

    name: ClassVar[str] = "rsqrt"
    latex: ClassVar[str] = r"\frac{{1}}{{\sqrt{{{0}}}}}"
    domain: ClassVar[tuple[float, float]] = (0.1, 3.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.divide(s.like(1, xs[0]), s.sqrt(xs[0]))

    def reference(self, *args: Array) -> Array:
        return np.asarray(1 / np.sqrt(args[0]), args[0].dtype)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * -0.5 * output / inputs[0],)


@dataclass(frozen=True)
class Sin(Elementwise):
    """The sine of x in radians.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sin(gc.constant([0.0, 1.0]))).round(3)
    array([0.   , 0.841], dtype=float32)
    """

    name: ClassVar[str] = "sin"
    latex: ClassVar[str] = r"\sin({0})"
    numpy: ClassVar[Reference | None] = np.sin
    domain: ClassVar[tuple[float, float]] = (-7.0, 7.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("sin", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * inputs[0].cos(),)


@dataclass(frozen=True)
class Cos(Elementwise):
    """The cosine of x in radians.

    >>> import graphc as gc
    >>> gc.evaluate(gc.cos(gc.constant([0.0, 1.0]))).round(3)
    array([1.  , 0.54], dtype=float32)
    """

    name: ClassVar[str] = "cos"
    latex: ClassVar[str] = r"\cos({0})"
    numpy: ClassVar[Reference | None] = np.cos
    domain: ClassVar[tuple[float, float]] = (-7.0, 7.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("cos", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (-(g * inputs[0].sin()),)


@dataclass(frozen=True)
class Tanh(Elementwise):
    """The hyperbolic tangent.

    >>> import graphc as gc
    >>> gc.evaluate(gc.tanh(gc.constant([0.0, 1.0, 100.0]))).round(3)
    array([0.   , 0.762, 1.   ], dtype=float32)
    """

    name: ClassVar[str] = "tanh"
    latex: ClassVar[str] = r"\tanh({0})"
    numpy: ClassVar[Reference | None] = np.tanh

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("tanh", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * (1 - output * output),)


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """The logistic function 1/(1 + exp(-x)), without overflow on either side.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sigmoid(gc.constant([0.0, -100.0, 100.0]))).round(3)
    array([0.5, 0. , 1. ], dtype=float32)
    """

    name: ClassVar[str] = "sigmoid"
    text: ClassVar[str] = "σ({0})"
    latex: ClassVar[str] = r"\sigma({0})"
    domain: ClassVar[tuple[float, float]] = (-4.0, 4.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("sigmoid", *xs)

    def reference(self, *args: Array) -> Array:
        e = np.exp(-np.absolute(args[0]))
        return np.asarray(np.where(args[0] < 0, e, 1) / (1 + e), args[0].dtype)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * (output * (1 - output)),)


@dataclass(frozen=True)
class Softplus(Elementwise):
    """The value log(1 + exp(x)), without overflow: max(x, 0) + log1p(exp(-|x|)). Minus softplus(-x) is log(sigmoid(x)).

    >>> import graphc as gc
    >>> gc.evaluate(gc.softplus(gc.constant([0.0, 100.0, -100.0]))).round(3)
    array([  0.693, 100.   ,   0.   ], dtype=float32)
    """

    name: ClassVar[str] = "softplus"
    latex: ClassVar[str] = r"\operatorname{{softplus}}({0})"

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("softplus", *xs)

    def reference(self, *args: Array) -> Array:
        return np.asarray(np.logaddexp(args[0], np.zeros((), args[0].dtype)))

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * inputs[0].sigmoid(),)


@dataclass(frozen=True)
class Erf(Elementwise):
    """The error function 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x.

    >>> import graphc as gc
    >>> gc.evaluate(gc.erf(gc.constant([0.0, 1.0]))).round(3)
    array([0.   , 0.843], dtype=float32)
    """

    name: ClassVar[str] = "erf"
    latex: ClassVar[str] = r"\operatorname{{erf}}({0})"

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("erf", *xs)

    def reference(self, *args: Array) -> Array:
        return np.asarray(np.vectorize(scalar_erf, otypes=[np.float64])(args[0]), args[0].dtype)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x = inputs[0]
        return (g * (2 / sqrt(pi)) * (-(x * x)).exp(),)
