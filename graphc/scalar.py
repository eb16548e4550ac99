"""The protocol of scalar operations in which every scalar body is written, once.

A handler gives the operations a meaning: ``NumpyScalars`` (here) computes, ``CountedScalars`` (here) counts
floating-point operations, the handler of ``graphc.passes.terms`` records the expression that the CPU and CUDA printers
write as source. Functions such as ``exp`` are bodies themselves, in ``graphc.functions``; a handler may expand them or
call them by name.

    value      = constant(number, dtype) | primitive(value, ...) | call(function, value, ...)
    primitive  = add subtract multiply divide negate absolute fma sqrt floor round_even maximum minimum copysign ldexp
               | floor_divide remainder | equal less less_equal | select | logical_and logical_or logical_not
               | bit_and bit_or bit_xor shift_left shift_right | convert bitcast | lookup | libm
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from graphc.dtypes import BOOL, DTYPES, FLOAT64, INT32, INT64, UINT32, UINT64, DType

__all__ = ["CountedScalars", "NumpyScalars", "Scalars", "Table", "fma_in_double", "register_function"]

T = TypeVar("T")


_BODIES: dict[str, Callable[..., Any]] = {}
"""Bodies of the named functions; ``graphc.functions`` and ``graphc.philox`` register them."""


def register_function(name: str, body: Callable[..., Any]) -> None:
    """Make a function known by name to ``Scalars.call``."""
    _BODIES[name] = body


@dataclass(frozen=True)
class Table:
    """A constant table that a scalar body looks values up in."""

    name: str
    dtype: DType
    values: tuple[float, ...]


class Scalars(ABC, Generic[T]):
    """Operations on values of type T; handlers implement ``dtype``, ``constant`` and ``primitive``."""

    @abstractmethod
    def dtype(self, x: T) -> DType:
        """The element type of a value."""

    @abstractmethod
    def constant(self, value: float, dtype: DType) -> T:
        """A number of an element type."""

    @abstractmethod
    def primitive(self, name: str, dtype: DType, *args: T) -> T:
        """Apply a primitive; dtype is the element type of the result."""

    @abstractmethod
    def lookup(self, table: Table, index: T) -> T:
        """The table's value at an int32 index that is known to be in range."""

    def call(self, name: str, *args: T) -> T:
        """Apply a named function; expands its body unless a handler knows better."""
        result: T = _BODIES[name](self, *args)
        return result

    def in_blocks(self, element: T, size: int) -> tuple[T, T, T]:
        """Where an int64 element lies among blocks of ``size`` elements in rows of 16: the block and the place in its
        row, int64, and the row, int32."""
        rows = self.constant(size // 16 - 1, INT64)
        block, lane = self.shift_right(element, size.bit_length() - 1), self.bit_and(element, self.constant(15, INT64))
        return block, lane, self.convert(self.bit_and(self.shift_right(element, 4), rows), INT32)

    def like(self, value: float, x: T) -> T:
        """A number of the same element type as x."""
        return self.constant(value, self.dtype(x))

    # Arithmetic. Operands have one element type; integers wrap around.
    def add(self, x: T, y: T) -> T:
        """The sum x + y."""
        return self.primitive("add", self.dtype(x), x, y)

    def subtract(self, x: T, y: T) -> T:
        """The difference x - y."""
        return self.primitive("subtract", self.dtype(x), x, y)

    def multiply(self, x: T, y: T) -> T:
        """The product x * y."""
        return self.primitive("multiply", self.dtype(x), x, y)

    def divide(self, x: T, y: T) -> T:
        """The quotient x / y of floats; division by zero gives an infinity or NaN."""
        return self.primitive("divide", self.dtype(x), x, y)

    def floor_divide(self, x: T, y: T) -> T:
        """The quotient of integers rounded down; 0 where y is 0."""
        return self.primitive("floor_divide", self.dtype(x), x, y)

    def remainder(self, x: T, y: T) -> T:
        """The remainder of integers with the sign of y; 0 where y is 0."""
        return self.primitive("remainder", self.dtype(x), x, y)

    def negate(self, x: T) -> T:
        """The negation -x."""
        return self.primitive("negate", self.dtype(x), x)

    def absolute(self, x: T) -> T:
        """The magnitude of x."""
        return self.primitive("absolute", self.dtype(x), x)

    def fma(self, x: T, y: T, z: T) -> T:
        """The value x * y + z of floats, rounded once."""
        return self.primitive("fma", self.dtype(x), x, y, z)

    def sqrt(self, x: T) -> T:
        """The square root, correctly rounded."""
        return self.primitive("sqrt", self.dtype(x), x)

    def floor(self, x: T) -> T:
        """The largest whole number not above x."""
        return self.primitive("floor", self.dtype(x), x)

    def round_even(self, x: T) -> T:
        """The nearest whole number, ties to even."""
        return self.primitive("round_even", self.dtype(x), x)

    def maximum(self, x: T, y: T) -> T:
        """The larger value; NaN if either is NaN."""
        return self.primitive("maximum", self.dtype(x), x, y)

    def minimum(self, x: T, y: T) -> T:
        """The smaller value; NaN if either is NaN."""
        return self.primitive("minimum", self.dtype(x), x, y)

    def copysign(self, x: T, sign: T) -> T:
        """The magnitude of x with the sign of the second value."""
        return self.primitive("copysign", self.dtype(x), x, sign)

    def ldexp(self, x: T, n: T) -> T:
        """The value x * 2**n for an int32 n, rounded once."""
        return self.primitive("ldexp", self.dtype(x), x, n)

    def libm(self, name: str, *args: T) -> T:
        """A float64 function of the C library: sin, cos, pow or erf."""
        return self.primitive(f"libm_{name}", FLOAT64, *args)

    # Comparisons and logic.
    def equal(self, x: T, y: T) -> T:
        """True where x == y; false for NaN."""
        return self.primitive("equal", BOOL, x, y)

    def less(self, x: T, y: T) -> T:
        """True where x < y; false for NaN."""
        return self.primitive("less", BOOL, x, y)

    def less_equal(self, x: T, y: T) -> T:
        """True where x <= y; false for NaN."""
        return self.primitive("less_equal", BOOL, x, y)

    def logical_and(self, x: T, y: T) -> T:
        """True where both are."""
        return self.primitive("logical_and", BOOL, x, y)

    def logical_or(self, x: T, y: T) -> T:
        """True where either is."""
        return self.primitive("logical_or", BOOL, x, y)

    def logical_not(self, x: T) -> T:
        """True where x is not."""
        return self.primitive("logical_not", BOOL, x)

    def select(self, condition: T, x: T, y: T) -> T:
        """Choose x where the condition holds, else y; both are computed."""
        return self.primitive("select", self.dtype(x), condition, x, y)

    # Bits.
    def bit_and(self, x: T, y: T) -> T:
        """Bitwise and of integers."""
        return self.primitive("bit_and", self.dtype(x), x, y)

    def bit_or(self, x: T, y: T) -> T:
        """Bitwise or of integers."""
        return self.primitive("bit_or", self.dtype(x), x, y)

    def bit_xor(self, x: T, y: T) -> T:
        """Bitwise exclusive or of integers."""
        return self.primitive("bit_xor", self.dtype(x), x, y)

    def shift_left(self, x: T, n: int) -> T:
        """Integer x * 2**n, wrapping around."""
        return self.primitive("shift_left", self.dtype(x), x, self.like(n, x))

    def shift_right(self, x: T, n: int) -> T:
        """Integer x / 2**n rounded down; of signed integers the sign stays."""
        return self.primitive("shift_right", self.dtype(x), x, self.like(n, x))

    def convert(self, x: T, dtype: DType) -> T:
        """The value in another element type; floats to integers truncate, saturate, and take NaN to 0."""
        return x if self.dtype(x) == dtype else self.primitive("convert", dtype, x)

    def bitcast(self, x: T, dtype: DType) -> T:
        """The same bits read as another element type of the same size."""
        return self.primitive("bitcast", dtype, x)


Array = NDArray[Any]


def fma_in_double(x: Array, y: Array, z: Array) -> Array:
    """``x * y + z`` through the next wider float: for float32 right but for rare double roundings."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    result: Array = (x.astype(wide) * y.astype(wide) + z.astype(wide)).astype(x.dtype)
    return result


def _float_to_int(x: Array, dtype: np.dtype[np.generic]) -> Array:
    limits = np.iinfo(dtype.name)
    wide = np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=float(limits.max), neginf=float(limits.min))
    inside = (wide >= float(limits.min)) & (wide < float(limits.max))
    clipped: Array = np.where(wide < 0, limits.min, limits.max).astype(dtype)
    clipped[inside] = wide[inside].astype(dtype)
    return clipped


_NUMPY: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "negate": np.negative,
    "absolute": np.absolute,
    "fma": fma_in_double,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "round_even": np.rint,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "copysign": np.copysign,
    "ldexp": np.ldexp,
    "equal": np.equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "select": np.where,
    "bit_and": np.bitwise_and,
    "bit_or": np.bitwise_or,
    "bit_xor": np.bitwise_xor,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,
    "libm_sin": np.sin,
    "libm_cos": np.cos,
    "libm_pow": np.power,
}


@cache
def _element_type(dtype: np.dtype[np.generic]) -> DType:
    """The element type of numpy's; kept, since drawing random numbers asks for it hundreds of times."""
    return next(known for known in (*DTYPES, UINT32, UINT64) if known.name == dtype.name)


class NumpyScalars(Scalars[Array]):
    """Computes with numpy arrays, operation by operation as a compiled kernel does."""

    def dtype(self, x: Array) -> DType:
        """The element type of an array."""
        return _element_type(x.dtype)

    def constant(self, value: float, dtype: DType) -> Array:
        """A 0-d array."""
        return np.asarray(value, dtype.numpy)

    def lookup(self, table: Table, index: Array) -> Array:
        """Values of a table."""
        values: Array = np.asarray(table.values, table.dtype.numpy)[index]
        return values

    def primitive(self, name: str, dtype: DType, *args: Array) -> Array:
        """One primitive on arrays, without warnings."""
        with np.errstate(all="ignore"):
            if name == "convert":
                if args[0].dtype.kind == "f" and dtype.kind in "iu":
                    return _float_to_int(np.atleast_1d(args[0]), dtype.numpy).reshape(args[0].shape)
                return np.asarray(args[0]).astype(dtype.numpy)
            if name == "bitcast":
                return np.ascontiguousarray(args[0]).view(dtype.numpy).reshape(np.shape(args[0]))
            if name == "libm_erf":
                from math import erf

                return np.asarray(np.vectorize(erf, otypes=[np.float64])(args[0]), np.float64)
            return np.asarray(_NUMPY[name](*args)).astype(dtype.numpy, copy=False)


_FREE = {"convert", "bitcast", "select", "copysign", "logical_and", "logical_or", "logical_not"}
_DEAR = {"divide": 4, "sqrt": 4, "fma": 2, "libm_sin": 30, "libm_cos": 30, "libm_pow": 60, "libm_erf": 40}


class CountedScalars(Scalars[DType]):
    """Counts floating-point operations: one for add, multiply and compare, two for fma, four for divide and sqrt."""

    def __init__(self) -> None:
        self.flops = 0

    def dtype(self, x: DType) -> DType:
        """A value is its own element type."""
        return x

    def constant(self, value: float, dtype: DType) -> DType:
        """Constants cost nothing."""
        return dtype

    def lookup(self, table: Table, index: DType) -> DType:
        """A look-up costs nothing."""
        return table.dtype

    def primitive(self, name: str, dtype: DType, *args: DType) -> DType:
        """Count one primitive where floats take part."""
        if name not in _FREE and any(arg.is_float for arg in args) and args[0] != INT32:
            self.flops += _DEAR.get(name, 1)
        return dtype
