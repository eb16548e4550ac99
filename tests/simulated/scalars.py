"""What generated source computes with, on numbers of numpy: element types and operations, exact to the bit."""

from __future__ import annotations

import ctypes
import operator
import os
from collections.abc import Callable
from math import inf, isinf, isnan, nan
from typing import Any

import numpy as np

from graphc.dtypes import INT32, INT64
from graphc.scalar import Array, NumpyScalars
from graphc.trigonometry import TWO_OVER_PI

__all__ = ["CONVERSIONS", "NAMES", "ExactScalars"]

_FLOATS = (np.float32, np.float64)
_LIBRARY = ctypes.CDLL(None if os.name == "posix" else "ucrtbase")


def _c_function(name: str, arguments: int, kind: Any = ctypes.c_double) -> Any:
    function = getattr(_LIBRARY, name)
    function.argtypes, function.restype = [kind] * arguments, kind
    return function


_fmaf, _fma = _c_function("fmaf", 3, ctypes.c_float), _c_function("fma", 3)


def _libm(name: str, arguments: int) -> Callable[..., Any]:
    function = _c_function(name, arguments)
    return lambda *args: np.float64(function(*args))


_LIBM = {f"libm_{name}": _libm(name, count) for name, count in (("sin", 1), ("cos", 1), ("erf", 1), ("pow", 2))}
"""The C library's, as compiled kernels have them; numpy's differ in the last bit."""


def fma(x: Any, y: Any, z: Any) -> Any:
    """The value x * y + z, rounded once."""
    if type(x) is np.float32:
        return np.float32(_fmaf(x, y, z))
    return np.float64(_fma(x, y, z)) if type(x) is np.float64 else x * y + z


def _in_32_bits(operation: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Division as a GPU does it; an assertion holds its operands to what 32 bits can hold."""

    def divide(x: int, y: int) -> int:
        assert 0 <= x < 2**31
        assert 0 < y < 2**31
        return operation(int(x), int(y))

    return divide


def maximum(x: Any, y: Any) -> Any:
    """The larger value; NaN if either is, and 0.0 rather than -0.0."""
    if x == y:
        return y if isinstance(x, _FLOATS) and np.signbit(x) else x
    return x if x > y or x != x else y


def minimum(x: Any, y: Any) -> Any:
    """The smaller value; NaN if either is, and -0.0 rather than 0.0."""
    if x == y:
        return x if isinstance(x, _FLOATS) and np.signbit(x) else y
    return x if x < y or x != x else y


_EXACT: dict[str, Callable[..., Any]] = {"fma": fma, "maximum": maximum, "minimum": minimum, **_LIBM}


class ExactScalars(NumpyScalars):
    """Computes with arrays as compiled kernels do, also where an operation is fused, zeros have signs, or the C library
    is asked."""

    def primitive(self, name: str, dtype: Any, *args: Array) -> Array:
        exact = _EXACT.get(name)
        if exact is None:
            return super().primitive(name, dtype, *args)
        values = zip(*(part.ravel() for part in np.broadcast_arrays(*args)), strict=True)
        shape = np.broadcast_shapes(*(np.shape(arg) for arg in args))
        return np.array([exact(*value) for value in values], dtype.numpy).reshape(shape)


_SCALARS = ExactScalars()


def _whole(x: Any) -> Any:
    """A number of Python's is an int64, as in compiled source."""
    return np.int64(x) if type(x) is int else x


def _saturate(dtype: Any) -> Callable[[Any], Any]:
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)

    def convert(x: Any) -> Any:
        if isnan(x):
            return dtype(0)
        return dtype((high if x > 0 else low) if isinf(x) else min(max(int(x), low), high))

    return convert


def _wrap(dtype: Any) -> Callable[[Any], Any]:
    """Conversion to an integer type; what does not fit wraps around."""
    size, low = 2 ** np.iinfo(dtype).bits, int(np.iinfo(dtype).min)

    def convert(x: Any) -> Any:
        return x if type(x) is dtype else dtype((int(x) - low) % size + low)

    return convert


def _round(dtype: Any) -> Callable[[Any], Any]:
    """Conversion to a float type, rounded once."""
    return lambda x: dtype(_whole(x))


def _bits(dtype: Any) -> Callable[[Any], Any]:
    return lambda x: _whole(x).view(dtype)


def _integers(name: str) -> Callable[[Any, Any], Any]:
    def compute(x: Any, y: Any) -> Any:
        x, y = _whole(x), _whole(y)
        return _SCALARS.primitive(name, INT32 if x.dtype == np.int32 else INT64, x, y)[()]

    return compute


NAMES: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("float32", "float64", "int32", "int64", "uint32", "uint64", "uint8")},
    **{table.name: np.asarray(table.values, table.dtype.numpy) for table in TWO_OVER_PI},
    **_LIBM,
    **{f"{dtype.__name__}_bits": _bits(dtype) for dtype in (np.int32, np.int64, np.uint64, np.float32, np.float64)},
    "inf": inf,
    "nan": nan,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "round_even": np.rint,
    "copysign": np.copysign,
    "ldexp": np.ldexp,
    "fma": fma,
    "maximum": maximum,
    "minimum": minimum,
    "select": lambda condition, x, y: x if condition else y,
    "floor_divide": _integers("floor_divide"),
    "quotient": _in_32_bits(operator.floordiv),
    "rest": _in_32_bits(operator.mod),
    "remainder": _integers("remainder"),
    "saturate_int32": _saturate(np.int32),
    "saturate_int64": _saturate(np.int64),
}
"""What generated source may name besides ``cuda`` and functions."""

CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    **{dtype.__name__: _wrap(dtype) for dtype in (np.int32, np.int64, np.uint32, np.uint64, np.uint8)},
    **{dtype.__name__: _round(dtype) for dtype in _FLOATS},
}
"""What an element type means where it is called."""
