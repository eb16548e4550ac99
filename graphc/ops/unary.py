"""Elementwise ops of one operand: signs, rounding, conversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from graphc.dtypes import BOOL, DTYPES, DType
from graphc.errors import DTypeError
from graphc.op import Elementwise, Reference, Refusal, Sample, draw
from graphc.scalar import Array, Scalars
from graphc.tensor_type import tensor_type
from graphc.value import V

__all__ = [
    "Abs",
    "Cast",
    "Copy",
    "Floor",
    "IsFinite",
    "LogicalNot",
    "Negate",
    "Sign",
    "StopGradient",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Negate(Elementwise):
    """The negation -x.

    >>> import graphc as gc
    >>> gc.evaluate(-gc.constant([1.0, -2.0]))
    array([-1.,  2.], dtype=float32)
    """

    name: ClassVar[str] = "negate"
    text: ClassVar[str] = "-{0}"
    latex: ClassVar[str] = "-{0}"
    binding: ClassVar[int] = 3
    accepts: ClassVar[str] = "fi"
    numpy: ClassVar[Reference | None] = np.negative

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.negate(xs[0])

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (-g,)

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Truth values have no sign."""
        return [Refusal(cls(), (tensor_type("bool", 3),), DTypeError, "negate does not take bool")]


@dataclass(frozen=True)
class Abs(Elementwise):
    """The magnitude |x|; its derivative at 0 is taken as 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.abs(gc.constant([1.0, -2.0])))
    array([1., 2.], dtype=float32)
    """

    name: ClassVar[str] = "abs"
    text: ClassVar[str] = "|{0}|"
    latex: ClassVar[str] = r"\left|{0}\right|"
    accepts: ClassVar[str] = "fi"
    numpy: ClassVar[Reference | None] = np.absolute

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.absolute(xs[0])

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g * inputs[0].sign(),)


@dataclass(frozen=True)
class Sign(Elementwise):
    """The sign: -1, 0 or 1; NaN stays NaN; its derivative is 0 everywhere.

    >>> import graphc as gc
    >>> gc.evaluate(gc.sign(gc.constant([3.0, 0.0, -2.0])))
    array([ 1.,  0., -1.], dtype=float32)
    """

    name: ClassVar[str] = "sign"
    latex: ClassVar[str] = r"\operatorname{{sign}}({0})"
    accepts: ClassVar[str] = "fi"
    numpy: ClassVar[Reference | None] = np.sign

    def body(self, s: Scalars[T], *xs: T) -> T:
        (x,) = xs
        zero = s.like(0, x)
        below = s.select(s.less(x, zero), s.like(-1, x), x)
        return s.select(s.less(zero, x), s.like(1, x), below)


@dataclass(frozen=True)
class Floor(Elementwise):
    """The largest whole number not above x; its derivative is 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.floor(gc.constant([1.5, -1.5])))
    array([ 1., -2.], dtype=float32)
    """

    name: ClassVar[str] = "floor"
    text: ClassVar[str] = "⌊{0}⌋"
    latex: ClassVar[str] = r"\left\lfloor {0} \right\rfloor"
    numpy: ClassVar[Reference | None] = np.floor
    domain: ClassVar[tuple[float, float]] = (-3.0, 3.0)

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.floor(xs[0])


@dataclass(frozen=True)
class IsFinite(Elementwise):
    """True where x is neither infinite nor NaN.

    >>> import graphc as gc
    >>> gc.evaluate(gc.isfinite(gc.constant([1.0, float("inf"), float("nan")])))
    array([ True, False, False])
    """

    name: ClassVar[str] = "isfinite"
    numpy: ClassVar[Reference | None] = np.isfinite

    def result(self, dtype: DType) -> DType:
        return BOOL

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.less(s.absolute(xs[0]), s.like(float("inf"), xs[0]))


@dataclass(frozen=True)
class LogicalNot(Elementwise):
    """True where x is false.

    >>> import graphc as gc
    >>> gc.evaluate(~gc.constant([True, False]))
    array([False,  True])
    """

    name: ClassVar[str] = "logical_not"
    text: ClassVar[str] = "not {0}"
    latex: ClassVar[str] = r"\lnot {0}"
    binding: ClassVar[int] = 3
    accepts: ClassVar[str] = "b"
    numpy: ClassVar[Reference | None] = np.logical_not

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.logical_not(xs[0])


@dataclass(frozen=True)
class Cast(Elementwise):
    """The same values in another element type.

    Floats become integers by dropping the fraction; values outside the range saturate and NaN becomes 0. Anything but 0
    becomes True.

    >>> import graphc as gc
    >>> gc.evaluate(gc.cast(gc.constant([1.9, -1.9]), "int32"))
    array([ 1, -1], dtype=int32)
    """

    dtype: DType
    name: ClassVar[str] = "cast"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"
    accepts: ClassVar[str] = "fib"

    def result(self, dtype: DType) -> DType:
        return self.dtype

    def body(self, s: Scalars[T], *xs: T) -> T:
        (x,) = xs
        if self.dtype == BOOL and s.dtype(x) != BOOL:
            return s.logical_not(s.equal(x, s.like(0, x)))
        return s.convert(x, self.dtype)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        if not (inputs[0].dtype.is_float and self.dtype.is_float):
            return (None,)
        return (g.cast(inputs[0].dtype),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Between all kinds."""
        sources = (draw("f64", 3, 4), draw("f32", 5), draw("i32", 4), draw("i64", 4), draw("bool", 6))
        return [Sample(cls(dtype), (source,)) for dtype in DTYPES for source in sources]


@dataclass(frozen=True)
class Copy(Elementwise):
    """The value itself, in memory of its own; passes put it where two results would share memory.

    >>> import graphc as gc
    >>> gc.evaluate(gc.copy([1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """

    name: ClassVar[str] = "copy"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"
    accepts: ClassVar[str] = "fib"

    def body(self, s: Scalars[T], *xs: T) -> T:
        return xs[0]

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        return (g,)


@dataclass(frozen=True)
class StopGradient(Elementwise):
    """The value itself, through which no derivative flows.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=())
    >>> float(gc.evaluate(gc.grad(x * gc.stop_gradient(x), x), {"x": 3.0}))
    3.0
    """

    name: ClassVar[str] = "stop_gradient"
    text: ClassVar[str] = "{0}"
    latex: ClassVar[str] = "{0}"
    accepts: ClassVar[str] = "fib"

    def body(self, s: Scalars[T], *xs: T) -> T:
        return xs[0]

    def reference(self, *args: Array) -> Array:
        return args[0]
