"""Counter-based random numbers: Philox 4x32-10, keyed by seed and name, counted by element and step.

The specification, frozen (docs/random-numbers.md states it for readers):

    key       = seed XOR the first 8 bytes of SHA-256 of the random node's name, little endian; two 32-bit words
    counter   = (element counter low, element counter high, step low, step high)
    words     = philox4x32_10(counter, key)                 four 32-bit words

    32 bits an element   element i takes word (i // 16) % 4 of counter (i // 64) * 16 + i % 16
    64 bits an element   element i takes words 2k (high) and 2k + 1 (low), k = (i // 16) % 2,
                         of counter (i // 32) * 16 + i % 16

So 16 neighbouring elements take one word each of 16 neighbouring counters, which suits vector units, and no word is
wasted. Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
2011.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from graphc.dtypes import FLOAT32, FLOAT64, INT32, INT64, UINT32, UINT64, DType
from graphc.scalar import Scalars

__all__ = ["RANDOM", "normal32", "normal64", "philox", "stream_key", "uniform32", "uniform64"]

T = TypeVar("T")
Words = tuple[T, T, T, T]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def stream_key(name: str) -> int:
    """The 64 bits that a random node's name contributes to its key."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _low_word(s: Scalars[T], x: T) -> T:
    return s.convert(s.bit_and(x, s.constant(0xFFFFFFFF, UINT64)), UINT32)


def _high_word(s: Scalars[T], x: T) -> T:
    return s.convert(s.shift_right(x, 32), UINT32)


def philox(s: Scalars[T], counter: Words[T], key: tuple[T, T]) -> Words[T]:
    """Ten rounds of Philox on four uint32 counter words and two uint32 key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for round_number in range(_ROUNDS):
        if round_number:
            k0 = s.add(k0, s.constant(_KEY_STEPS[0], UINT32))
            k1 = s.add(k1, s.constant(_KEY_STEPS[1], UINT32))
        left = s.multiply(s.convert(c0, UINT64), s.constant(_MULTIPLIERS[0], UINT64))
        right = s.multiply(s.convert(c2, UINT64), s.constant(_MULTIPLIERS[1], UINT64))
        c0, c1, c2, c3 = (
            s.bit_xor(s.bit_xor(_high_word(s, right), c1), k0),
            _low_word(s, right),
            s.bit_xor(s.bit_xor(_high_word(s, left), c3), k1),
            _low_word(s, left),
        )
    return c0, c1, c2, c3


def _words(s: Scalars[T], element: T, size: int, key: T, seed: T, step: T) -> tuple[Words[T], T]:
    """The four words of the counter that an element's bits come from, and which word, or pair of words, it takes; a
    block of ``size`` elements shares 16 counters."""
    group, lane, slot = s.in_blocks(element, size)
    position = s.bitcast(s.add(s.shift_left(group, 4), lane), UINT64)
    moment = s.bitcast(step, UINT64)
    secret = s.bit_xor(s.bitcast(seed, UINT64), key)
    counter = (_low_word(s, position), _high_word(s, position), _low_word(s, moment), _high_word(s, moment))
    return philox(s, counter, (_low_word(s, secret), _high_word(s, secret))), slot


def _choose(s: Scalars[T], slot: T, options: tuple[T, ...]) -> T:
    value = options[-1]
    for number in range(len(options) - 2, -1, -1):
        value = s.select(s.equal(slot, s.constant(number, INT32)), options[number], value)
    return value


def _unit_float32(s: Scalars[T], word: T) -> T:
    """A float32 in [0, 1) from the upper 24 bits of a word."""
    bits = s.bitcast(s.shift_right(word, 8), INT32)
    return s.multiply(s.convert(bits, FLOAT32), s.constant(2.0**-24, FLOAT32))


def _unit_float64(s: Scalars[T], high: T, low: T) -> T:
    """A float64 in [0, 1) from the upper 53 bits of two words."""
    bits = s.bit_or(s.shift_left(s.convert(high, UINT64), 32), s.convert(low, UINT64))
    whole = s.bitcast(s.shift_right(bits, 11), INT64)
    return s.multiply(s.convert(whole, FLOAT64), s.constant(2.0**-53, FLOAT64))


def uniform32(s: Scalars[T], element: T, key: T, seed: T, step: T) -> T:
    """A float32 in [0, 1), a multiple of 2**-24. element, seed, step: int64; key: uint64."""
    words, slot = _words(s, element, 64, key, seed, step)
    return _unit_float32(s, _choose(s, slot, words))


def uniform64(s: Scalars[T], element: T, key: T, seed: T, step: T) -> T:
    """A float64 in [0, 1), a multiple of 2**-53. element, seed, step: int64; key: uint64."""
    (w0, w1, w2, w3), slot = _words(s, element, 32, key, seed, step)
    return _unit_float64(s, _choose(s, slot, (w0, w2)), _choose(s, slot, (w1, w3)))


def normal32(s: Scalars[T], element: T, key: T, seed: T, step: T) -> T:
    """A standard normal float32: words 0 and 1 of a counter give two numbers, words 2 and 3 two more."""
    (w0, w1, w2, w3), slot = _words(s, element, 64, key, seed, step)
    first = s.less(slot, s.constant(2, INT32))
    u = _unit_float32(s, s.select(first, w0, w2))
    return _box_muller(s, u, _unit_float32(s, s.select(first, w1, w3)), slot)


def normal64(s: Scalars[T], element: T, key: T, seed: T, step: T) -> T:
    """A standard normal float64: the four words of a counter give u and v of two numbers."""
    (w0, w1, w2, w3), slot = _words(s, element, 32, key, seed, step)
    return _box_muller(s, _unit_float64(s, w0, w1), _unit_float64(s, w2, w3), slot)


def _box_muller(s: Scalars[T], u: T, v: T, slot: T) -> T:
    """Box and Muller: sqrt(-2 log(1 - u)) times the cosine (even slots) or the sine of v turns."""
    radius = s.sqrt(s.multiply(s.like(-2.0, u), s.call("log", s.subtract(s.like(1.0, u), u))))
    even = s.equal(s.bit_and(slot, s.constant(1, INT32)), s.constant(0, INT32))
    return s.multiply(radius, s.select(even, s.call("cos_of_turn", v), s.call("sin_of_turn", v)))


RANDOM: dict[str, tuple[Callable[..., object], DType]] = {
    "uniform32": (uniform32, FLOAT32),
    "uniform64": (uniform64, FLOAT64),
    "normal32": (normal32, FLOAT32),
    "normal64": (normal64, FLOAT64),
}
"""The random functions by name, with the element type of their results."""
