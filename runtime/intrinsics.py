"""The scalar operations that generated source calls and numba has no vectorising form of, as LLVM intrinsics.

This module, ``graphc.runtime.compiler`` and ``graphc.runtime.cuda.toolkit`` are the only ones that import numba; they
are loaded when a kernel is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types as typed_types
from numba.extending import intrinsic

__all__ = ["INTRINSICS", "define", "types"]

types: Any = typed_types  # its annotations cover only part of what it takes
Build = Callable[[Any, Any], Any]


def define(signature: Callable[..., Any], build: Build) -> Any:
    """An intrinsic: ``signature`` gives the numba signature of argument types, ``build`` emits IR from a builder."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build(builder, args)

    count = signature.__code__.co_argcount
    if count == 1:
        return intrinsic(lambda typing_context, x: (signature(x), emit))
    if count == 2:
        return intrinsic(lambda typing_context, x, y: (signature(x, y), emit))
    return intrinsic(lambda typing_context, x, y, z: (signature(x, y, z), emit))


def _llvm(name: str) -> Build:
    """A call of an LLVM intrinsic whose operands and result have one type."""

    def build(builder: Any, args: Any) -> Any:
        kind = args[0].type
        function = builder.module.declare_intrinsic(name, [kind], fnty=ir.FunctionType(kind, [kind] * len(args)))
        return builder.call(function, args)

    return build


def _extreme(floats: str, integers: str) -> Build:
    def build(builder: Any, args: Any) -> Any:
        return _llvm(floats if isinstance(args[0].type, (ir.FloatType, ir.DoubleType)) else integers)(builder, args)

    return build


def _fma(builder: Any, args: Any) -> Any:
    if isinstance(args[0].type, ir.IntType):
        return builder.add(builder.mul(args[0], args[1]), args[2])
    return _llvm("llvm.fma")(builder, args)


def _ldexp(builder: Any, args: Any) -> Any:
    kind, exponent = args[0].type, args[1].type
    function_type = ir.FunctionType(kind, [kind, exponent])
    return builder.call(builder.module.declare_intrinsic("llvm.ldexp", [kind, exponent], fnty=function_type), args)


def _saturate(bits: int) -> Build:
    """Float to integer: truncated, limited to the range, 0 for NaN."""

    def build(builder: Any, args: Any) -> Any:
        kind, result = args[0].type, ir.IntType(bits)
        name = f"llvm.fptosi.sat.i{bits}.{'f32' if isinstance(kind, ir.FloatType) else 'f64'}"
        function = _external(builder, name, ir.FunctionType(result, [kind]))
        return builder.call(function, args)

    return build


def _external(builder: Any, name: str, function_type: Any) -> Any:
    """A function that the module only declares."""
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, function_type, name)


def _libm(name: str) -> Build:
    def build(builder: Any, args: Any) -> Any:
        double = ir.DoubleType()
        return builder.call(_external(builder, name, ir.FunctionType(double, [double] * len(args))), args)

    return build


def _bitcast(kind: Any) -> Build:
    return lambda builder, args: builder.bitcast(args[0], kind)


def _divide(quotient: bool) -> Build:
    """Division of signed integers that rounds down and never traps: 0 by 0, and wrapping around for the lowest by
    -1.
    """

    def build(builder: Any, args: Any) -> Any:
        x, y = args
        zero, one = ir.Constant(x.type, 0), ir.Constant(x.type, 1)
        minus = builder.icmp_signed("==", y, ir.Constant(x.type, -1))
        special = builder.or_(minus, builder.icmp_signed("==", y, zero))
        divisor = builder.select(special, one, y)
        whole, rest = builder.sdiv(x, divisor), builder.srem(x, divisor)
        differ = builder.icmp_signed("<", builder.xor(rest, divisor), zero)
        low = builder.and_(differ, builder.icmp_signed("!=", rest, zero))
        if not quotient:
            return builder.select(low, builder.add(rest, divisor), rest)
        floored = builder.select(low, builder.sub(whole, one), whole)
        negated = builder.select(minus, builder.neg(x), zero)
        return builder.select(special, negated, floored)

    return build


def _local_array() -> Any:
    """An array on the stack: ``local_array(16, float32)`` is a pointer to 16 floats that live while the kernel runs."""

    @intrinsic(prefer_literal=True)
    def local_array(typing_context: Any, size: Any, dtype: Any) -> Any:
        count, element = size.literal_value, dtype.dtype

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            with builder.goto_entry_block():
                place = builder.alloca(context.get_data_type(element), count)
                place.align = 64
            return place

        return types.CPointer(element)(types.literal(count), dtype), emit

    return local_array


_SAME_TYPE = (lambda x: x(x), lambda x, y: x(x, x), lambda x, y, z: x(x, x, x))

INTRINSICS: dict[str, Any] = {
    "sqrt": define(_SAME_TYPE[0], _llvm("llvm.sqrt")),
    "floor": define(_SAME_TYPE[0], _llvm("llvm.floor")),
    "round_even": define(_SAME_TYPE[0], _llvm("llvm.roundeven")),
    "copysign": define(_SAME_TYPE[1], _llvm("llvm.copysign")),
    "maximum": define(_SAME_TYPE[1], _extreme("llvm.maximum", "llvm.smax")),
    "minimum": define(_SAME_TYPE[1], _extreme("llvm.minimum", "llvm.smin")),
    "fma": define(_SAME_TYPE[2], _fma),
    "select": define(lambda c, x, y: x(types.boolean, x, x), lambda builder, args: builder.select(*args)),
    "floor_divide": define(_SAME_TYPE[1], _divide(quotient=True)),
    "remainder": define(_SAME_TYPE[1], _divide(quotient=False)),
    "ldexp": define(lambda x, n: x(x, types.int32), _ldexp),
    "libm_sin": define(_SAME_TYPE[0], _libm("sin")),
    "libm_cos": define(_SAME_TYPE[0], _libm("cos")),
    "libm_erf": define(_SAME_TYPE[0], _libm("erf")),
    "libm_pow": define(_SAME_TYPE[1], _libm("pow")),
    "saturate_int32": define(lambda x: types.int32(x), _saturate(32)),
    "saturate_int64": define(lambda x: types.int64(x), _saturate(64)),
    "int32_bits": define(lambda x: types.int32(x), _bitcast(ir.IntType(32))),
    "int64_bits": define(lambda x: types.int64(x), _bitcast(ir.IntType(64))),
    "uint64_bits": define(lambda x: types.uint64(x), _bitcast(ir.IntType(64))),
    "float32_bits": define(lambda x: types.float32(x), _bitcast(ir.FloatType())),
    "float64_bits": define(lambda x: types.float64(x), _bitcast(ir.DoubleType())),
    "local_array": _local_array(),
}
"""What generated source may call, by name."""
