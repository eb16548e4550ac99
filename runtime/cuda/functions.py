"""The scalar operations that a GPU needs a form of its own for, as LLVM code; the others are
``graphc.runtime.intrinsics``'.

NVVM speaks LLVM 7, which lacks some intrinsics of today's, and calls what a GPU has besides by names of libdevice. Each
operation gives the bits that the CPU's gives, but for float64's sin, cos, erf and pow, which are libdevice's, and for
the bits of a NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

from llvmlite import ir

__all__ = ["EXCHANGED", "exchange_source", "operations"]

Build = Callable[[Any, Any], Any]
"""Emits code: an LLVM builder and operands to the result."""

EXCHANGED = ("float32", "float64", "int32", "int64")
"""Element types of what threads exchange."""

_EXPONENTS = {
    32: (ir.IntType(32), 23, -126, 127, -126 + 24),
    64: (ir.IntType(64), 52, -1022, 1023, -1022 + 53),
}
"""Of floats: the integer of as many bits, bits of the mantissa, smallest and largest exponent of a normal number, and
the smallest exponent to multiply by before another multiplication without rounding twice."""


def exchange_source(dtype: str, shuffles: bool) -> str:
    """The function that gives the value of the thread whose number differs in the bit ``half``: by a shuffle within a
    warp, or through memory that the block shares, which numba's simulator knows as well.
    """
    if shuffles:
        return f"def exchange_{dtype}(x, half):\n    return cuda.shfl_xor_sync(0xFFFFFFFF, x, half)\n"
    return (
        f"def exchange_{dtype}(x, half):\n"
        f"    places = cuda.shared.array(256, {dtype})\n"
        "    places[cuda.threadIdx.x] = x\n"
        "    cuda.syncthreads()\n"
        "    y = places[cuda.threadIdx.x ^ half]\n"
        "    cuda.syncthreads()\n"
        "    return y\n"
    )


def _bits(kind: Any) -> int:
    return 32 if isinstance(kind, ir.FloatType) else 64


def _is_float(kind: Any) -> bool:
    return isinstance(kind, (ir.FloatType, ir.DoubleType))


def _call(builder: Any, name: str, result: Any, args: Any) -> Any:
    """Call a function that the module only declares."""
    known = builder.module.globals.get(name)
    if known is None:
        known = ir.Function(builder.module, ir.FunctionType(result, [arg.type for arg in args]), name)
    return builder.call(known, args)


def _libdevice(name: str) -> Build:
    """A function of libdevice, whose names end in f for float32; operands and result have one type."""

    def build(builder: Any, args: Any) -> Any:
        kind = args[0].type
        return _call(builder, f"__nv_{name}{'f' if _bits(kind) == 32 else ''}", kind, args)

    return build


def _extreme(name: str, sign: str) -> Build:
    """The larger or smaller value; a GPU's own operation orders the zeros but drops a NaN."""

    def build(builder: Any, args: Any) -> Any:
        x, y = args
        if not _is_float(x.type):
            return builder.select(builder.icmp_signed(sign, x, y), x, y)
        found = _libdevice(f"f{name}")(builder, args)
        return builder.select(builder.fcmp_unordered("uno", x, y), ir.Constant(x.type, nan), found)

    return build


def _ldexp(builder: Any, args: Any) -> Any:
    """The value x * 2**n by three multiplications with powers of two, of which only the last can round."""
    x, n = args
    integer, mantissa, low, high, safe = _EXPONENTS[_bits(x.type)]

    def constant(value: int) -> Any:
        return ir.Constant(n.type, value)

    def part(rest: Any) -> Any:
        down = builder.select(builder.icmp_signed("<", rest, constant(low)), constant(safe), constant(0))
        return builder.select(builder.icmp_signed(">", rest, constant(high)), constant(high), down)

    def power(exponent: Any) -> Any:
        biased = builder.add(exponent, constant(high))
        wide = biased if biased.type == integer else builder.zext(biased, integer)
        return builder.bitcast(builder.shl(wide, ir.Constant(integer, mantissa)), x.type)

    limit = 4 * high
    n = builder.select(builder.icmp_signed(">", n, constant(limit)), constant(limit), n)
    n = builder.select(builder.icmp_signed("<", n, constant(-limit)), constant(-limit), n)
    for _ in range(2):
        step = part(n)
        x, n = builder.fmul(x, power(step)), builder.sub(n, step)
    n = builder.select(builder.icmp_signed(">", n, constant(high)), constant(high), n)
    n = builder.select(builder.icmp_signed("<", n, constant(low)), constant(low), n)
    return builder.fmul(x, power(n))


def _saturate(bits: int) -> Build:
    """Float to integer: truncated, limited to the range by the GPU, 0 for NaN."""

    def build(builder: Any, args: Any) -> Any:
        (x,) = args
        result = ir.IntType(bits)
        source = "float" if _bits(x.type) == 32 else "double"
        target = "int" if bits == 32 else "ll"
        whole = _call(builder, f"__nv_{source}2{target}_rz", result, [x])
        return builder.select(builder.fcmp_unordered("uno", x, x), ir.Constant(result, 0), whole)

    return build


def _unsigned(divide: str) -> Build:
    """Division of numbers from 0 to 2**31 - 1, in 32 bits, which a GPU does several times as fast as in 64."""

    def build(builder: Any, args: Any) -> Any:
        short = [builder.trunc(arg, ir.IntType(32)) for arg in args]
        return builder.zext(getattr(builder, divide)(*short), args[0].type)

    return build


def operations() -> dict[str, Any]:
    """What generated source may call, by name, as numba intrinsics."""
    from graphc.runtime.intrinsics import INTRINSICS, define, types

    forms = {
        "quotient": define(lambda x, y: types.int64(types.int64, types.int64), _unsigned("udiv")),
        "rest": define(lambda x, y: types.int64(types.int64, types.int64), _unsigned("urem")),
        "round_even": define(lambda x: x(x), _libdevice("rint")),
        "maximum": define(lambda x, y: x(x, x), _extreme("max", ">")),
        "minimum": define(lambda x, y: x(x, x), _extreme("min", "<")),
        "ldexp": define(lambda x, n: x(x, types.int32), _ldexp),
        "saturate_int32": define(lambda x: types.int32(x), _saturate(32)),
        "saturate_int64": define(lambda x: types.int64(x), _saturate(64)),
        "libm_sin": define(lambda x: x(x), _libdevice("sin")),
        "libm_cos": define(lambda x: x(x), _libdevice("cos")),
        "libm_erf": define(lambda x: x(x), _libdevice("erf")),
        "libm_pow": define(lambda x, y: x(x, x), _libdevice("pow")),
    }
    return INTRINSICS | forms
