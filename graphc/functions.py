"""Functions that no processor computes in one operation, each defined once in the protocol of scalar operations.

Every target, the CPU kernels, the CUDA kernels and the tests, uses these definitions, so they agree to the bit. Errors
are in units in the last place (ulp) against the exact value, measured over all of float32's range by ``tests/graphc``.
The polynomials are minimax fits made for this module with the Remez algorithm; ranges and methods follow J.-M. Muller,
"Elementary Functions", 3rd edition, 2016. Float64 has its own coefficients; its sin, cos, pow and erf call the C
library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from graphc.dtypes import FLOAT32, FLOAT64, INT32, INT64, DType
from graphc.philox import RANDOM
from graphc.scalar import Scalars, register_function
from graphc.trigonometry import TWO_OVER_PI

__all__ = ["FUNCTIONS", "cos", "erf", "exp", "expm1", "log", "log1p", "power", "sigmoid", "sin", "softplus", "tanh"]

T = TypeVar("T")

_LOG2_E = 1.4426950408889634
_LN2 = {FLOAT32: (0.693145751953125, 1.428606765330187e-06), FLOAT64: (0.6931471804855391, 7.440617110012397e-11)}
_EXP = {
    FLOAT32: (0.5, 0.16666667, 0.041666463, 0.008333286, 0.0013933732, 0.00019907708),
    FLOAT64: (
        0.5,
        0.1666666666666667,
        0.041666666666666685,
        0.008333333333326082,
        0.0013888888888874305,
        0.00019841269875002846,
        2.480158734756744e-05,
        2.755725516938446e-06,
        2.755725268738763e-07,
        2.510531296749289e-08,
        2.092166704494432e-09,
    ),
}
_LOG_FLOAT32 = (
    0.33333334,
    -0.2499999,
    0.19999973,
    -0.16667995,
    0.14288467,
    -0.12452435,
    0.11004416,
    -0.10600097,
    0.10713048,
    -0.06526933,
)
_LOG_FLOAT64 = (
    0.6666666666666666,
    0.40000000000000885,
    0.2857142857079864,
    0.22222222392728375,
    0.18181795541619739,
    0.15386244613155706,
    0.13268651782377155,
    0.1308780436007637,
)
_TANH = {
    FLOAT32: (-0.33333334, 0.13333306, -0.05395955, 0.021770995, -0.008350007, 0.0022989407),
    FLOAT64: (
        -0.3333333333333333,
        0.13333333333333058,
        -0.053968253967914374,
        0.021869488519700976,
        -0.00886323511740042,
        0.0035921219200498074,
        -0.0014557766681749782,
        0.0005896666581815831,
        -0.0002376090643687064,
        9.260625564926836e-05,
        -3.123890003900882e-05,
        6.502744859456598e-06,
    ),
}
_SIN = (
    -0.16666666666663862,
    0.0083333333310633,
    -0.0001984126690116774,
    2.755598607307974e-06,
    -2.4805181635368686e-08,
)
_COS = (
    0.04166666666666466,
    -0.0013888888887265765,
    2.4801585199523617e-05,
    -2.7556366182428715e-07,
    2.0700272130480236e-09,
)
_ERF = (0.12837917, -0.37612638, 0.11283783, -0.026865445, 0.005221075, -0.000848471, 0.000112705362, -9.68011318e-06)
_LOG_ERFC = (
    0.000188034785,
    -1.1295783519744873,
    -0.6332199573516846,
    -0.1084185317158699,
    0.025208229199051857,
    -0.004204551689326763,
    0.00044133441406302154,
    -2.1686691979994066e-05,
)


def _horner(s: Scalars[T], x: T, coefficients: Sequence[float]) -> T:
    """The polynomial c0 + c1*x + c2*x**2 + ..., by fused multiply-adds from the highest power down."""
    value = s.like(coefficients[-1], x)
    for coefficient in reversed(coefficients[:-1]):
        value = s.fma(value, x, s.like(coefficient, x))
    return value


def _reduce_by_ln2(s: Scalars[T], x: T) -> tuple[T, T]:
    """The whole number n nearest to x / ln 2, and x - n * ln 2 by a two-part ln 2."""
    high, low = _LN2[s.dtype(x)]
    n = s.round_even(s.multiply(x, s.like(_LOG2_E, x)))
    r = s.fma(n, s.like(-high, x), x)
    return n, s.fma(n, s.like(-low, x), r)


def exp(s: Scalars[T], x: T) -> T:
    """Exponential: 2**n * exp(r) with |r| <= ln(2)/2 and a polynomial; 1 ulp. Overflows to inf, underflows
    gradually.
    """
    low, high = (-104.0, 89.0) if s.dtype(x) == FLOAT32 else (-746.0, 710.0)
    inside = s.minimum(s.maximum(x, s.like(low, x)), s.like(high, x))
    n, r = _reduce_by_ln2(s, inside)
    q = _horner(s, r, _EXP[s.dtype(x)])
    y = s.add(s.fma(s.multiply(r, r), q, r), s.like(1.0, x))
    return s.ldexp(y, s.convert(n, INT32))


def expm1(s: Scalars[T], x: T) -> T:
    """The value exp(x) - 1 without cancellation near 0; 2 ulp."""
    low, high = (-20.0, 89.0) if s.dtype(x) == FLOAT32 else (-40.0, 710.0)
    inside = s.minimum(s.maximum(x, s.like(low, x)), s.like(high, x))
    n, r = _reduce_by_ln2(s, inside)
    q = _horner(s, r, _EXP[s.dtype(x)])
    p = s.fma(s.multiply(r, r), q, r)
    power_of_two = s.convert(n, INT32)
    rest = s.subtract(s.like(1.0, x), s.ldexp(s.like(1.0, x), s.convert(s.negate(n), INT32)))
    y = s.ldexp(s.add(p, rest), power_of_two)
    return s.select(s.equal(x, s.like(0.0, x)), x, y)


def _split_exponent(s: Scalars[T], x: T) -> tuple[T, T]:
    """The parts (e, m) with x = m * 2**e and sqrt(1/2) <= m < sqrt(2), for positive finite x; e is a float."""
    wide = s.dtype(x) == FLOAT64
    integers, mantissa_bits, bias = (INT64, 52, 1023) if wide else (INT32, 23, 127)
    tiny = s.less(x, s.like(2.0 ** (1 - bias), x))
    scaled = s.select(tiny, s.multiply(x, s.like(2.0**54, x)), x)
    bits = s.bitcast(scaled, integers)
    half = 0x3FE6A09E00000000 if wide else 0x3F3504F3  # the bits of sqrt(1/2)
    shifted = s.subtract(bits, s.constant(half, integers))
    exponent = s.shift_right(shifted, mantissa_bits)
    mantissa = s.bitcast(s.subtract(bits, s.shift_left(exponent, mantissa_bits)), s.dtype(x))
    e = s.convert(exponent, s.dtype(x))
    return s.select(tiny, s.subtract(e, s.like(54.0, x)), e), mantissa


def _log_of_parts(s: Scalars[T], e: T, f: T) -> T:
    """The value e * ln 2 + log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2)."""
    high, low = _LN2[s.dtype(f)]
    half_square = s.multiply(s.multiply(f, f), s.like(0.5, f))
    if s.dtype(f) == FLOAT64:
        ratio = s.divide(f, s.add(f, s.like(2.0, f)))
        square = s.multiply(ratio, ratio)
        series = s.multiply(square, _horner(s, square, _LOG_FLOAT64))
        small = s.fma(ratio, s.add(half_square, series), s.multiply(e, s.like(low, f)))
    else:
        cube = s.multiply(s.multiply(f, f), f)
        small = s.fma(cube, _horner(s, f, _LOG_FLOAT32), s.multiply(e, s.like(low, f)))
    return s.fma(e, s.like(high, f), s.subtract(f, s.subtract(half_square, small)))


def _log_limits(s: Scalars[T], x: T, y: T) -> T:
    """The value of log at 0 (-inf), below 0 (NaN), at inf and NaN; y elsewhere."""
    infinity = s.like(float("inf"), x)
    y = s.select(s.less(x, infinity), y, x)
    y = s.select(s.equal(x, s.like(0.0, x)), s.negate(infinity), y)
    return s.select(s.less(x, s.like(0.0, x)), s.like(float("nan"), x), y)


def log(s: Scalars[T], x: T) -> T:
    """Natural logarithm: e*ln 2 + log m with a polynomial in m - 1; 1 ulp. log(0) = -inf, log of a negative is NaN."""
    e, m = _split_exponent(s, x)
    return _log_limits(s, x, _log_of_parts(s, e, s.subtract(m, s.like(1.0, x))))


def log1p(s: Scalars[T], x: T) -> T:
    """The value log(1 + x) without losing a small x: log(u) plus the rounding error of u = 1 + x, divided by u; 2
    ulp.
    """
    one = s.like(1.0, x)
    u = s.add(x, one)
    lost = s.subtract(x, s.subtract(u, one))
    e, m = _split_exponent(s, u)
    y = s.add(_log_of_parts(s, e, s.subtract(m, one)), s.divide(lost, u))
    y = s.select(s.equal(u, one), x, y)
    return _log_limits(s, u, y)


def sigmoid(s: Scalars[T], x: T) -> T:
    """The logistic function 1 / (1 + exp(-x)), from exp of -|x| so that neither side overflows; 2 ulp."""
    e = s.call("exp", s.negate(s.absolute(x)))
    negative = s.less(x, s.like(0.0, x))
    quotient = s.divide(s.select(negative, e, s.like(1.0, x)), s.add(e, s.like(1.0, x)))
    return s.select(negative, s.fma(s.negate(e), quotient, e), quotient)


def softplus(s: Scalars[T], x: T) -> T:
    """The value log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)); 2 ulp."""
    rest = s.call("log1p", s.call("exp", s.negate(s.absolute(x))))
    return s.add(s.maximum(x, s.like(0.0, x)), rest)


def tanh(s: Scalars[T], x: T) -> T:
    """Hyperbolic tangent: an odd polynomial below 0.625, 1 - 2 / (exp(2|x|) + 1) above; 2 ulp; tanh(-0) = -0."""
    size = s.absolute(x)
    square = s.multiply(x, x)
    near = s.fma(s.multiply(size, square), _horner(s, square, _TANH[s.dtype(x)]), size)
    e = s.call("exp", s.add(size, size))
    far = s.subtract(s.like(1.0, x), s.divide(s.like(2.0, x), s.add(e, s.like(1.0, x))))
    return s.copysign(s.select(s.less(size, s.like(0.625, x)), near, far), x)


def erf(s: Scalars[T], x: T) -> T:
    """Error function: x + x * P(x**2) below 1, 1 - exp(polynomial) above; 2 ulp in float32."""
    if s.dtype(x) == FLOAT64:
        return s.libm("erf", x)
    size = s.minimum(s.absolute(x), s.like(4.0, x))
    near = s.fma(size, _horner(s, s.multiply(x, x), _ERF), size)
    far = s.subtract(s.like(1.0, x), s.call("exp", _horner(s, size, _LOG_ERFC)))
    return s.copysign(s.select(s.less(size, s.like(1.0, x)), near, far), x)


def _quarter_turns(s: Scalars[T], x: T) -> tuple[T, T]:
    """The number of quarter turns in float32 x modulo 4 (int32), and the rest in radians (float64), for every finite x.

    Payne and Hanek's reduction: x = m * 2**k with a whole number m of 24 bits; a table holds 2**k * 2/pi modulo 4 in
    three parts, the first two of 29 bits, so that their products with m are exact in float64.
    """
    bits = s.bitcast(x, INT32)
    exponent = s.bit_and(s.shift_right(bits, 23), s.constant(255, INT32))
    hidden = s.bit_or(s.bit_and(bits, s.constant(0x7FFFFF, INT32)), s.constant(0x800000, INT32))
    m = s.convert(hidden, FLOAT64)
    first, second, third = (s.multiply(m, s.lookup(table, exponent)) for table in TWO_OVER_PI)
    turns = s.round_even(first)
    rest = s.add(s.add(s.subtract(first, turns), second), third)
    quarters = s.bit_and(s.convert(s.convert(turns, INT64), INT32), s.constant(3, INT32))
    return quarters, s.multiply(rest, s.constant(1.5707963267948966, FLOAT64))


def _sine_or_cosine(s: Scalars[T], quarters: T, r: T) -> T:
    """The sine of (quarters * pi/2 + r) for float64 |r| <= pi/4 and a bit more."""
    square = s.multiply(r, r)
    sine = s.fma(s.multiply(r, square), _horner(s, square, _SIN), r)
    near_one = s.fma(square, s.constant(-0.5, FLOAT64), s.constant(1.0, FLOAT64))
    cosine = s.fma(s.multiply(square, square), _horner(s, square, _COS), near_one)
    odd = s.equal(s.bit_and(quarters, s.constant(1, INT32)), s.constant(1, INT32))
    value = s.select(odd, cosine, sine)
    return s.select(s.less(quarters, s.constant(2, INT32)), value, s.negate(value))


def _finite_or_nan(s: Scalars[T], x: T, y: T) -> T:
    return s.select(s.less(s.absolute(x), s.like(float("inf"), x)), y, s.like(float("nan"), x))


def sin(s: Scalars[T], x: T) -> T:
    """Sine of x in radians, for every float32, however large; 1 ulp. Float64: the C library's."""
    if s.dtype(x) == FLOAT64:
        return s.libm("sin", x)
    quarters, r = _quarter_turns(s, s.absolute(x))
    y = s.convert(_sine_or_cosine(s, quarters, r), FLOAT32)
    y = s.select(s.less(x, s.like(0.0, x)), s.negate(y), y)
    y = s.select(s.less(s.absolute(x), s.like(2.0**-13, x)), x, y)
    return _finite_or_nan(s, x, y)


def cos(s: Scalars[T], x: T) -> T:
    """Cosine of x in radians, for every float32, however large; 1 ulp. Float64: the C library's."""
    if s.dtype(x) == FLOAT64:
        return s.libm("cos", x)
    quarters, r = _quarter_turns(s, s.absolute(x))
    turned = s.bit_and(s.add(quarters, s.constant(1, INT32)), s.constant(3, INT32))
    y = s.convert(_sine_or_cosine(s, turned, r), FLOAT32)
    y = s.select(s.less(s.absolute(x), s.like(2.0**-13, x)), s.like(1.0, x), y)
    return _finite_or_nan(s, x, y)


def power(s: Scalars[T], x: T, y: T) -> T:
    """The value x**y as in C's pow: float32 through exp(y * log|x|) in float64, 1 ulp; float64 the C library's."""
    if s.dtype(x) == FLOAT64:
        return s.libm("pow", x, y)
    zero, one = s.like(0.0, x), s.like(1.0, x)
    wide, exponent = s.convert(s.absolute(x), FLOAT64), s.convert(y, FLOAT64)
    size = s.convert(s.call("exp", s.multiply(exponent, s.call("log", wide))), FLOAT32)
    whole = s.equal(s.floor(y), y)
    half = s.multiply(y, s.like(0.5, y))
    odd = s.logical_and(whole, s.logical_not(s.equal(s.floor(half), half)))
    signed = s.select(s.logical_and(odd, _is_negative(s, x)), s.negate(size), size)
    finite_root = s.logical_and(s.less(x, zero), s.less(s.like(float("-inf"), x), x))
    value = s.select(s.logical_and(finite_root, s.logical_not(whole)), s.like(float("nan"), x), signed)
    unit = s.logical_or(s.equal(y, zero), s.equal(x, one))
    infinite = s.equal(s.absolute(y), s.like(float("inf"), y))
    unit = s.logical_or(unit, s.logical_and(infinite, s.equal(s.absolute(x), one)))
    return s.select(unit, one, value)


def _is_negative(s: Scalars[T], x: T) -> T:
    return s.less(s.copysign(s.like(1.0, x), x), s.like(0.0, x))


def cos_of_turn(s: Scalars[T], u: T) -> T:
    """The cosine of u full turns, 0 <= u < 1: exact reduction, for random normal numbers."""
    return _turned(s, u, 1)


def sin_of_turn(s: Scalars[T], u: T) -> T:
    """The sine of u full turns, 0 <= u < 1."""
    return _turned(s, u, 0)


def _turned(s: Scalars[T], u: T, extra: int) -> T:
    dtype: DType = s.dtype(u)
    quarters = s.multiply(s.convert(u, FLOAT64), s.constant(4.0, FLOAT64))
    whole = s.round_even(quarters)
    r = s.multiply(s.subtract(quarters, whole), s.constant(1.5707963267948966, FLOAT64))
    turned = s.bit_and(s.add(s.convert(whole, INT32), s.constant(extra, INT32)), s.constant(3, INT32))
    return s.convert(_sine_or_cosine(s, turned, r), dtype)


_OF_FLOATS = (exp, expm1, log, log1p, sigmoid, softplus, tanh, erf, sin, cos, power, cos_of_turn, sin_of_turn)

FUNCTIONS: dict[str, Callable[..., object]] = {
    **{function.__name__: function for function in _OF_FLOATS},
    **{name: function for name, (function, _) in RANDOM.items()},
}
"""All named functions: those above take and give one float type, the random ones take integers."""

for _name, _body in FUNCTIONS.items():
    register_function(_name, _body)
