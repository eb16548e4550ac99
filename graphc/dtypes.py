"""Element types: what one number in a tensor is.

Five are the user's (float32, float64, int32, int64, bool); uint32 and uint64 exist inside kernels only, for random
bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from graphc.errors import DTypeError
from graphc.origin import user_location

__all__ = [
    "BOOL",
    "DTYPES",
    "DType",
    "FLOAT32",
    "FLOAT64",
    "INT32",
    "INT64",
    "UINT32",
    "UINT64",
    "as_dtype",
    "promote",
]


@dataclass(frozen=True)
class DType:
    """An element type. name: numpy's name; short: the name in the text form; kind: 'f', 'i', 'u' or 'b'; bits: size."""

    name: str
    short: str
    kind: str
    bits: int

    @property
    def is_float(self) -> bool:
        """True for float32 and float64."""
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers."""
        return self.kind in "iu"

    @property
    def itemsize(self) -> int:
        """Bytes of one element in memory."""
        return self.bits // 8

    @cached_property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype."""
        return np.dtype(self.name)

    def __str__(self) -> str:
        return self.short


FLOAT32 = DType("float32", "f32", "f", 32)
FLOAT64 = DType("float64", "f64", "f", 64)
INT32 = DType("int32", "i32", "i", 32)
INT64 = DType("int64", "i64", "i", 64)
BOOL = DType("bool", "bool", "b", 8)
UINT32 = DType("uint32", "u32", "u", 32)
UINT64 = DType("uint64", "u64", "u", 64)

DTYPES: tuple[DType, ...] = (FLOAT32, FLOAT64, INT32, INT64, BOOL)
_BY_NAME = {name: dtype for dtype in DTYPES for name in (dtype.name, dtype.short)}


def as_dtype(dtype: object) -> DType:
    """The element type that a name, a numpy dtype or a DType stands for.

    >>> as_dtype("float32") is FLOAT32 and as_dtype(np.int64) is INT64
    True

    Raises DTypeError for anything else, float16 and unsigned integers included.
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str) and dtype in _BY_NAME:
        return _BY_NAME[dtype]
    try:
        name = np.dtype(cast("np.dtype[np.generic]", dtype)).name
    except TypeError:
        name = str(dtype)
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise DTypeError(
        f"{name!r} is not an element type of graphc",
        expected="one of " + ", ".join(known.name for known in DTYPES),
        got=name,
        at=str(user_location()),
        way_out="name one of these, or convert the data with numpy's astype first",
    )


def promote(left: DType, right: DType) -> DType:
    """The common type of two operands, as in PyTorch: bool gives way to integers, integers to floats, 32 bits to 64.

    >>> promote(INT64, FLOAT32).name, promote(BOOL, INT32).name, promote(FLOAT32, FLOAT64).name
    ('float32', 'int32', 'float64')

    (NumPy would make float64 of int64 with float32; no training code wants that.)
    """
    rank = {"b": 0, "i": 1, "u": 1, "f": 2}
    if rank[left.kind] != rank[right.kind]:
        return left if rank[left.kind] > rank[right.kind] else right
    return left if left.bits >= right.bits else right
