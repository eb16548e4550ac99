"""Elementwise ops of two operands: arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.op import Elementwise, Reference, Refusal, Sample, draw
from graphc.scalar import Array, Scalars
from graphc.tensor_type import tensor_type
from graphc.value import V

__all__ = ["Add", "Divide", "FloorDivide", "Maximum", "Minimum", "Multiply", "Power", "Remainder", "Subtract"]

T = TypeVar("T")


@dataclass(frozen=True)
class Add(Elementwise):
    """The sum x + y; integers wrap around. A gradient passes to both operands unchanged.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1.0, 2.0]) + 0.5)
    array([1.5, 2.5], dtype=float32)
    """

    name: ClassVar[str] = "add"
    text: ClassVar[str] = "{0} + {1}"
    latex: ClassVar[str] = "{0} + {1}"
    binding: ClassVar[int] = 1
    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.add

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.add(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return g, g

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Different types, different shapes, truth values."""
        f32 = tensor_type("f32", 2, 3)
        return [
            Refusal(cls(), (f32, tensor_type("f64", 2, 3)), DTypeError, "add of float32 and float64"),
            Refusal(cls(), (f32, tensor_type("f32", 3, 2)), ShapeError, "add: the shapes of the operands differ"),
            Refusal(cls(), (tensor_type("bool"),) * 2, DTypeError, "add does not take bool"),
        ]


@dataclass(frozen=True)
class Subtract(Elementwise):
    """The difference x - y; integers wrap around.

    >>> import graphc as gc
    >>> gc.evaluate(1 - gc.constant([1.0, 2.0]))
    array([ 0., -1.], dtype=float32)
    """

    name: ClassVar[str] = "subtract"
    text: ClassVar[str] = "{0} - {1}"
    latex: ClassVar[str] = "{0} - {1}"
    binding: ClassVar[int] = 1
    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    numpy: ClassVar[Reference | None] = np.subtract

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.subtract(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return g, -g


@dataclass(frozen=True)
class Multiply(Elementwise):
    """The product x * y; integers wrap around.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1.0, 2.0]) * gc.constant([3.0, 4.0]))
    array([3., 8.], dtype=float32)
    """

    name: ClassVar[str] = "multiply"
    text: ClassVar[str] = "{0} * {1}"
    latex: ClassVar[str] = r"{0} \cdot {1}"
    binding: ClassVar[int] = 2
    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.multiply

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.multiply(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x, y = inputs
        return g * y, g * x


@dataclass(frozen=True)
class Divide(Elementwise):
    """The quotient x / y of floats; division by zero gives an infinity or NaN.

    >>> import graphc as gc
    >>> gc.evaluate(1 / gc.constant([4.0, 0.0]))
    array([0.25,  inf], dtype=float32)
    """

    name: ClassVar[str] = "divide"
    text: ClassVar[str] = "{0} / {1}"
    latex: ClassVar[str] = r"\frac{{{0}}}{{{1}}}"
    binding: ClassVar[int] = 2
    operands: ClassVar[int] = 2
    numpy: ClassVar[Reference | None] = np.divide
    domain: ClassVar[tuple[float, float]] = (0.5, 2.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.divide(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        y = inputs[1]
        return g / y, -(g * output / y)


def _safe(operation: str) -> Reference:
    """An integer operation of numpy with 0 for a divisor of 0, without warnings."""

    def reference(x: Array, y: Array) -> Array:
        with np.errstate(all="ignore"):
            result: Array = getattr(np, operation)(x, y)
        return result

    return reference


@dataclass(frozen=True)
class FloorDivide(Elementwise):
    """The quotient of integers rounded down; 0 where the divisor is 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([7, -7]) // 2)
    array([ 3, -4])
    """

    name: ClassVar[str] = "floor_divide"
    text: ClassVar[str] = "{0} // {1}"
    latex: ClassVar[str] = r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor"
    accepts: ClassVar[str] = "i"
    operands: ClassVar[int] = 2
    numpy: ClassVar[Reference | None] = _safe("floor_divide")
    domain: ClassVar[tuple[float, float]] = (-5, 5)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.floor_divide(*xs)


@dataclass(frozen=True)
class Remainder(Elementwise):
    """The remainder of integers, with the sign of the divisor; 0 where the divisor is 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([7, -7]) % 4)
    array([3, 1])
    """

    name: ClassVar[str] = "remainder"
    text: ClassVar[str] = "{0} % {1}"
    latex: ClassVar[str] = r"{0} \bmod {1}"
    binding: ClassVar[int] = 2
    accepts: ClassVar[str] = "i"
    operands: ClassVar[int] = 2
    numpy: ClassVar[Reference | None] = _safe("remainder")
    domain: ClassVar[tuple[float, float]] = (-5, 5)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.remainder(*xs)


@dataclass(frozen=True)
class Power(Elementwise):
    """The power x**y of floats, as C's pow: x**0 is 1, a negative x needs a whole y, else NaN.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([2.0, -2.0]) ** 3)
    array([ 8., -8.], dtype=float32)
    """

    name: ClassVar[str] = "power"
    text: ClassVar[str] = "{0}**{1}"
    latex: ClassVar[str] = "{0}^{{{1}}}"
    binding: ClassVar[int] = 4
    operands: ClassVar[int] = 2
    numpy: ClassVar[Reference | None] = np.power
    domain: ClassVar[tuple[float, float]] = (0.3, 2.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.call("power", *xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        # x**0 is 1 for every x, so its derivative by x is 0; 0**y is flat in y, where log would be infinite.
        x, y = inputs
        by_x = y.equals(0.0).where(0.0, y * x ** (y - 1))
        by_y = x.equals(0.0).where(0.0, output * x.equals(0.0).where(1.0, x).log())
        return g * by_x, g * by_y


@dataclass(frozen=True)
class Maximum(Elementwise):
    """The larger of x and y; NaN if either is NaN. Where they are equal, each gets half of the gradient.

    >>> import graphc as gc
    >>> gc.evaluate(gc.maximum(gc.constant([1.0, -2.0]), 0))
    array([1., 0.], dtype=float32)
    """

    name: ClassVar[str] = "maximum"
    text: ClassVar[str] = "max({0}, {1})"
    latex: ClassVar[str] = r"\max({0}, {1})"
    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.maximum

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.maximum(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x, y = inputs
        return g * _share(x > y, x, y), g * _share(y > x, x, y)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Distinct operands: at equal ones the finite difference does not exist."""
        return [
            Sample(sample.op, (sample.args[0], draw(sample.args[0].type.dtype, *sample.args[0].type.shape)))
            for sample in super().samples()
        ]


@dataclass(frozen=True)
class Minimum(Elementwise):
    """The smaller of x and y; NaN if either is NaN. Where they are equal, each gets half of the gradient.

    >>> import graphc as gc
    >>> gc.evaluate(gc.minimum(gc.constant([1.0, -2.0]), 0))
    array([ 0., -2.], dtype=float32)
    """

    name: ClassVar[str] = "minimum"
    text: ClassVar[str] = "min({0}, {1})"
    latex: ClassVar[str] = r"\min({0}, {1})"
    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.minimum

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.minimum(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        x, y = inputs
        return g * _share(x < y, x, y), g * _share(y < x, x, y)


def _share(wins: V, x: V, y: V) -> V:
    """1 where an operand wins, 1/2 where both are equal, 0 where it loses."""
    return wins.where(1.0, x.equals(y).where(0.5, x.zeros_like()))
