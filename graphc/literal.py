"""Constant tensors as values that compare, hash and print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np

from graphc.dtypes import as_dtype
from graphc.scalar import Array
from graphc.tensor_type import TensorType

__all__ = ["Literal", "number_text"]

_PRINTED = 64


@dataclass(frozen=True)
class Literal:
    """A constant tensor: its type and its bytes in row-major order. Equal bits are equal literals: 0.0 is not -0.0."""

    type: TensorType
    data: bytes

    @staticmethod
    def of(value: object, dtype: object) -> Literal:
        """The literal of anything that numpy can make an array of."""
        known = as_dtype(dtype)
        array = np.ascontiguousarray(np.asarray(value), known.numpy)
        return Literal(TensorType(known, np.asarray(value).shape), array.tobytes())

    @property
    def array(self) -> Array:
        """The constant as a read-only array."""
        shape = tuple(size for size in self.type.shape if isinstance(size, int))
        return np.frombuffer(self.data, self.type.dtype.numpy).reshape(shape)

    @property
    def splat(self) -> float | None:
        """The one value that all elements have, to the bit; None if they differ or there are none."""
        size = self.type.dtype.itemsize
        first = self.data[:size]
        if not first or self.data != first * (len(self.data) // size):
            return None
        value: float = np.frombuffer(first, self.type.dtype.numpy)[0].item()
        return value

    def __str__(self) -> str:
        if len(self.data) > _PRINTED * self.type.dtype.itemsize or _odd_nan(self.array):
            return f'{self.type}{{hex "{self.data.hex()}"}}'
        return f"{self.type}{{{', '.join(number_text(item, self.type.dtype.bits) for item in self.array.ravel())}}}"


def _odd_nan(array: Array) -> bool:
    """True if a NaN has other bits than the usual one, which its printed form would lose."""
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return False
    usual = np.asarray(np.nan, array.dtype).tobytes()
    return any(item.tobytes() != usual for item in array.ravel() if np.isnan(item))


def number_text(value: SupportsFloat, bits: int = 64) -> str:
    """The shortest decimal that reads back to the same bits.

    >>> number_text(np.float32(0.1), 32), number_text(1e300), number_text(True)
    ('0.1', '1e+300', 'true')
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    number = float(value)
    if bits == 32:
        short = str(np.float32(number))
        if np.float32(float(short)).tobytes() == np.float32(number).tobytes():
            return short
    return repr(number)
