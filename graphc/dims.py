"""Dimensions: an integer, or an integer multiple of a product of named sizes that are known only when data arrives.

    size   = int | Dim
    Dim    = factor * name * name * ...        2*batch, 64*batch, batch*time

Sums and differences of sizes stay integers: a tensor whose size is ``batch + 1`` cannot be declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphc.dtypes import DTYPES
from graphc.errors import DeclarationError, ShapeError
from graphc.origin import user_location

__all__ = ["Dim", "Shape", "Size", "as_size", "divide", "evaluate", "multiply", "product", "symbols_of"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = {dtype.short for dtype in DTYPES} | {"graph", "return", "update", "true", "false", "none", "nan", "inf"}


@dataclass(frozen=True)
class Dim:
    """A size known at run time: ``factor`` times the product of the named sizes ``symbols`` (sorted, at least one).

    >>> str(Dim(64, ("batch",)))
    '64*batch'
    """

    factor: int
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        names = "*".join(self.symbols)
        return names if self.factor == 1 else f"{self.factor}*{names}"


Size = int | Dim
Shape = tuple[Size, ...]


def as_size(value: object) -> Size:
    """The size that an integer, a name such as ``"batch"`` or a Dim stands for.

    Raises ShapeError for a negative size or anything that is no size, DeclarationError for a name that is taken.
    """
    if isinstance(value, Dim):
        return value
    if isinstance(value, str):
        if not _NAME.fullmatch(value) or value in _RESERVED:
            raise DeclarationError(
                f"{value!r} cannot name a dimension",
                expected="a name of letters, digits and underscores that the text form does not use itself",
                got=repr(value),
                at=str(user_location()),
                way_out='name it "batch", "time" or the like',
            )
        return Dim(1, (value,))
    if hasattr(value, "__index__"):
        number = value.__index__()
        if isinstance(number, int) and number >= 0:
            return number
    raise ShapeError(
        "a dimension is an integer of at least 0 or a name",
        expected='an integer such as 64 or a name such as "batch"',
        got=repr(value),
        at=str(user_location()),
    )


def multiply(left: Size, right: Size) -> Size:
    """The product of two sizes.

    >>> str(multiply(8, Dim(2, ("batch",))))
    '16*batch'
    """
    if isinstance(left, int) and isinstance(right, int):
        return left * right
    factor = 1
    symbols: list[str] = []
    for size in (left, right):
        if isinstance(size, Dim):
            factor *= size.factor
            symbols += size.symbols
        else:
            factor *= size
    return Dim(factor, tuple(sorted(symbols))) if factor else 0


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes: the number of elements of a shape; 1 for the empty shape."""
    total: Size = 1
    for size in sizes:
        total = multiply(total, size)
    return total


def divide(left: Size, right: Size) -> Size | None:
    """The exact quotient of two sizes, or None where it is no size.

    >>> divide(Dim(64, ("batch",)), 64) == Dim(1, ("batch",)), divide(10, 4)
    (True, None)
    """
    top, bottom = _factors(left), _factors(right)
    if bottom[0] == 0 or top[0] % bottom[0]:
        return None
    names = list(top[1])
    for name in bottom[1]:
        if name not in names:
            return None
        names.remove(name)
    factor = top[0] // bottom[0]
    return Dim(factor, tuple(names)) if names and factor else factor


def _factors(size: Size) -> tuple[int, tuple[str, ...]]:
    return (size.factor, size.symbols) if isinstance(size, Dim) else (size, ())


def evaluate(size: Size, sizes: Mapping[str, int]) -> int:
    """The number that a size is, once the named sizes are known."""
    if isinstance(size, int):
        return size
    number = size.factor
    for name in size.symbols:
        number *= sizes[name]
    return number


def symbols_of(shape: Iterable[Size]) -> tuple[str, ...]:
    """The named sizes that a shape depends on, sorted."""
    return tuple(sorted({name for size in shape if isinstance(size, Dim) for name in size.symbols}))
