"""Elementwise ops that yield or consume truth values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from graphc.dtypes import BOOL, DTYPES, DType
from graphc.errors import DTypeError
from graphc.op import Elementwise, Reference, Refusal, Sample, check_alike, check_kind, draw
from graphc.scalar import Scalars
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = [
    "Equal",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalOr",
    "LogicalXor",
    "NotEqual",
    "Select",
    "TrainingSwitch",
]

T = TypeVar("T")


@dataclass(frozen=True)
class _Comparison(Elementwise):
    """Two operands of one type; the result is bool."""

    accepts: ClassVar[str] = "fi"
    operands: ClassVar[int] = 2
    binding: ClassVar[int] = 0

    def result(self, dtype: DType) -> DType:
        return BOOL


@dataclass(frozen=True)
class Equal(_Comparison):
    """True where x equals y; NaN equals nothing.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2]) == gc.constant([1, 3]))
    array([ True, False])
    """

    name: ClassVar[str] = "equal"
    text: ClassVar[str] = "{0} == {1}"
    latex: ClassVar[str] = "{0} = {1}"
    accepts: ClassVar[str] = "fib"
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.equal

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.equal(*xs)


@dataclass(frozen=True)
class NotEqual(_Comparison):
    """True where x differs from y; NaN differs from everything.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2]) != gc.constant([1, 3]))
    array([False,  True])
    """

    name: ClassVar[str] = "not_equal"
    text: ClassVar[str] = "{0} != {1}"
    latex: ClassVar[str] = r"{0} \ne {1}"
    accepts: ClassVar[str] = "fib"
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.not_equal

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.logical_not(s.equal(*xs))


@dataclass(frozen=True)
class Less(_Comparison):
    """True where x < y; false for NaN.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 2]) < 2)
    array([ True, False])
    """

    name: ClassVar[str] = "less"
    text: ClassVar[str] = "{0} < {1}"
    latex: ClassVar[str] = "{0} < {1}"
    numpy: ClassVar[Reference | None] = np.less

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.less(*xs)


@dataclass(frozen=True)
class LessEqual(_Comparison):
    """True where x <= y; false for NaN.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1, 3]) <= 2)
    array([ True, False])
    """

    name: ClassVar[str] = "less_equal"
    text: ClassVar[str] = "{0} <= {1}"
    latex: ClassVar[str] = r"{0} \le {1}"
    numpy: ClassVar[Reference | None] = np.less_equal

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.less_equal(*xs)


@dataclass(frozen=True)
class LogicalAnd(Elementwise):
    """True where both operands are.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([True, False]) & gc.constant([True, True]))
    array([ True, False])
    """

    name: ClassVar[str] = "logical_and"
    text: ClassVar[str] = "{0} and {1}"
    latex: ClassVar[str] = r"{0} \land {1}"
    binding: ClassVar[int] = 0
    accepts: ClassVar[str] = "b"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.logical_and

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.logical_and(*xs)


@dataclass(frozen=True)
class LogicalOr(Elementwise):
    """True where either operand is.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([True, False]) | gc.constant([False, False]))
    array([ True, False])
    """

    name: ClassVar[str] = "logical_or"
    text: ClassVar[str] = "{0} or {1}"
    latex: ClassVar[str] = r"{0} \lor {1}"
    binding: ClassVar[int] = 0
    accepts: ClassVar[str] = "b"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.logical_or

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.logical_or(*xs)


@dataclass(frozen=True)
class LogicalXor(Elementwise):
    """True where exactly one operand is.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([True, False]) ^ gc.constant([True, True]))
    array([False,  True])
    """

    name: ClassVar[str] = "logical_xor"
    text: ClassVar[str] = "{0} xor {1}"
    latex: ClassVar[str] = r"{0} \oplus {1}"
    binding: ClassVar[int] = 0
    accepts: ClassVar[str] = "b"
    operands: ClassVar[int] = 2
    commutes: ClassVar[bool] = True
    numpy: ClassVar[Reference | None] = np.logical_xor

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.logical_not(s.equal(*xs))


@dataclass(frozen=True)
class Select(Elementwise):
    """The value of x where the condition holds, else of y. The gradient goes where the value came from.

    >>> import graphc as gc
    >>> gc.evaluate(gc.where(gc.constant([True, False]), 1.0, 2.0))
    array([1., 2.], dtype=float32)
    """

    name: ClassVar[str] = "select"
    text: ClassVar[str] = "where({0}, {1}, {2})"
    latex: ClassVar[str] = r"\operatorname{{where}}({0}, {1}, {2})"
    accepts: ClassVar[str] = "fib"
    operands: ClassVar[int] = 3
    numpy: ClassVar[Reference | None] = np.where

    def infer(self, *types: TensorType) -> TensorType:
        condition, x, y = types
        check_kind("select", condition, "b")
        check_alike("select", (x, y))
        check_alike("select", (x, condition.with_dtype(x.dtype)))
        return x

    def body(self, s: Scalars[T], *xs: T) -> T:
        return s.select(*xs)

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        condition = inputs[0]
        return None, condition.where(g, g.zeros_like()), condition.where(g.zeros_like(), g)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Every element type, odd shapes."""
        shapes: tuple[tuple[object, ...], ...] = ((3, 5), (1,), (0, 4), (), ("batch", 3))
        drawn = [draw("f64", *shape) for shape in shapes] + [draw(dtype, 4, 33) for dtype in DTYPES]
        return [Sample(cls(), (draw("bool", *operand.type.shape), operand, operand)) for operand in drawn]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """A condition that is no truth value."""
        f32 = tensor_type("f32", 2)
        return [Refusal(cls(), (f32, f32, f32), DTypeError, "select does not take float32")]


@dataclass(frozen=True)
class TrainingSwitch(Elementwise):
    """The first operand while training, the second in inference; a pass resolves it before anything is compiled.

    The reference interpreter takes the training side.

    >>> import graphc as gc
    >>> gc.evaluate(gc.training_switch(gc.constant(1.0), gc.constant(2.0)))
    array(1., dtype=float32)
    """

    name: ClassVar[str] = "training_switch"
    accepts: ClassVar[str] = "fib"
    operands: ClassVar[int] = 2

    def body(self, s: Scalars[T], *xs: T) -> T:
        return xs[0]

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        zero = g.zeros_like()
        return g.training_switch(zero), zero.training_switch(g)
