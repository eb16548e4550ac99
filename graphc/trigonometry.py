"""The table behind sin and cos of float32: 2/pi scaled by every power of two, modulo 4."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from graphc.dtypes import FLOAT64
from graphc.scalar import Table

__all__ = ["TWO_OVER_PI"]

_PART_BITS = 29


def _two_over_pi(bits: int) -> Fraction:
    """2/pi to the given number of bits, from Machin's formula pi = 16 atan(1/5) - 4 atan(1/239) in whole numbers."""
    one = 1 << (bits + 64)

    def arctan_of_inverse(n: int) -> int:
        term = total = one // n
        divisor, sign = 3, -1
        while term:
            term //= n * n
            total += sign * (term // divisor)
            divisor, sign = divisor + 2, -sign
        return total

    pi = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)
    return Fraction(2 * one, pi)


def _parts(value: Fraction) -> tuple[float, float, float]:
    """A value in [0, 4) as three floats, the first two of at most 29 bits each."""
    parts: list[float] = []
    for _ in range(2):
        if value == 0:
            parts.append(0.0)
            continue
        exponent = value.numerator.bit_length() - value.denominator.bit_length() + 1
        unit = Fraction(2) ** (exponent - _PART_BITS)
        part = floor(value / unit) * unit
        parts.append(float(part))
        value -= part
    return parts[0], parts[1], float(value)


def _build() -> tuple[Table, Table, Table]:
    ratio = _two_over_pi(400)
    rows = [_parts(ratio * Fraction(2) ** (exponent - 150) % 4) for exponent in range(255)] + [(0.0, 0.0, 0.0)]
    first, second, third = (tuple(column) for column in zip(*rows, strict=True))
    return (
        Table("TWO_OVER_PI_FIRST", FLOAT64, first),
        Table("TWO_OVER_PI_SECOND", FLOAT64, second),
        Table("TWO_OVER_PI_THIRD", FLOAT64, third),
    )


TWO_OVER_PI: tuple[Table, Table, Table] = _build()
