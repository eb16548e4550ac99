"""Equations of arithmetic that hold for every float, NaN and infinities included (but for the sign of a zero)."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.dtypes import DType
from graphc.frontend.elementwise import stop_gradient
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.op import draw
from graphc.passes.rules.equation import Sides, equation, field_of
from graphc.rewrite import Rule

__all__ = ["ALGEBRA", "MARKERS"]


@equation("x + 0 = x")
def add_zero(x: Tensor) -> Sides:
    """Adding nothing."""
    return x + 0.0, x


@equation("x - 0 = x")
def subtract_zero(x: Tensor) -> Sides:
    """Subtracting nothing."""
    return x - 0.0, x


@equation("x * 1 = x")
def multiply_by_one(x: Tensor) -> Sides:
    """The seed of every gradient is 1."""
    return x * 1.0, x


@equation("x / 1 = x")
def divide_by_one(x: Tensor) -> Sides:
    """Means over one element."""
    return x / 1.0, x


@equation("x * -1 = -x")
def multiply_by_minus_one(x: Tensor) -> Sides:
    """A sign, exactly."""
    return x * -1.0, -x


@equation("-(-x) = x")
def negate_twice(x: Tensor) -> Sides:
    """Two signs cancel exactly."""
    negative = -x
    return -negative, x


@equation("x + (-y) = x - y")
def add_negative(x: Tensor, y: Tensor) -> Sides:
    """One operation instead of two, with the same bits."""
    return x + (-y), x - y


@equation("x - (-y) = x + y")
def subtract_negative(x: Tensor, y: Tensor) -> Sides:
    """One operation instead of two, with the same bits."""
    return x - (-y), x + y


@equation("x ** 1 = x")
def first_power(x: Tensor) -> Sides:
    """No power at all."""
    return x**1.0, x


@equation("x ** 2 = x * x")
def square(x: Tensor) -> Sides:
    """One multiplication instead of exp and log."""
    return x**2.0, x * x


@equation("x ** 3 = x * x * x")
def cube(x: Tensor) -> Sides:
    """Two multiplications instead of exp and log."""
    return x**3.0, x * x * x


@equation("x ** -1 = 1 / x")
def inverse(x: Tensor) -> Sides:
    """One division instead of exp and log."""
    return x**-1.0, 1.0 / x


@equation("where(c, x, x) = x", values={"c": draw("bool", 3, 4)})
def same_either_way(c: Tensor, x: Tensor) -> Sides:
    """A choice without a difference."""
    return c.where(x, x), x


def _lossless(bound: Mapping[str, object]) -> bool:
    """True if the outer element type is that of x and the inner one holds all its values."""
    x, inner, outer = bound["x"], bound["inner"], bound["outer"]
    if not (isinstance(x, Node) and isinstance(inner, DType) and isinstance(outer, DType)):
        return False
    source = x.type.dtype
    wider = inner.kind == source.kind and inner.bits >= source.bits
    return outer == source and (wider or (source.kind == "i" and source.bits == 32 and inner.name == "float64"))


@equation(
    "cast(cast(x, wider), type of x) = x",
    values={"x": draw("f32", 3, 4)},
    attributes={"inner": field_of("dtype", 0), "outer": field_of("dtype")},
    examples={"inner": draw("f64").type.dtype, "outer": draw("f32").type.dtype},
    guard=_lossless,
)
def cast_there_and_back(x: Tensor, inner: DType, outer: DType) -> Sides:
    """A detour through a wider type loses nothing."""
    return x.cast(inner).cast(outer), x


@equation("stop_gradient(x) = x")
def gradient_already_stopped(x: Tensor) -> Sides:
    """After differentiation the marker has done its work."""
    return stop_gradient(x), x


ALGEBRA: tuple[Rule, ...] = (
    add_zero,
    subtract_zero,
    multiply_by_one,
    divide_by_one,
    multiply_by_minus_one,
    negate_twice,
    add_negative,
    subtract_negative,
    first_power,
    square,
    cube,
    inverse,
    same_either_way,
    cast_there_and_back,
)
MARKERS: tuple[Rule, ...] = (gradient_already_stopped,)
