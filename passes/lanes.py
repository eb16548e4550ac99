"""Scalar operations on several lanes at once, as LLVM vector code: a handler of the protocol of ``graphc.scalar``.

A value is one number or a vector; an operation on both spreads the number over the lanes. Functions such as exp
are written out where they are called. Equal operations within a block, and in blocks inside it, are one value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from graphc.dtypes import BOOL, FLOAT64, INT32, INT64, DType
from graphc.passes.llvm import Assembly, type_of
from graphc.scalar import Scalars, Table

__all__ = ["ALL", "LaneScalars", "Lanes", "memory_type", "number_in_llvm", "overload"]


@dataclass(frozen=True)
class Lanes:
    """A value in LLVM's text: a vector of ``lanes`` numbers, or one number if there are none."""

    text: str
    dtype: DType
    lanes: int = 0

    @property
    def kind(self) -> str:
        """LLVM's type of the value."""
        return type_of(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """The value with its type before it, as an operand."""
        return f"{self.kind} {self.text}"


_FLOAT_OPS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INTEGER_OPS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "logical_and": "and",
    "logical_or": "or",
    "bit_and": "and",
    "bit_or": "or",
    "bit_xor": "xor",
    "shift_left": "shl",
}
_COMPARISONS = {"equal": ("oeq", "eq"), "less": ("olt", "lt"), "less_equal": ("ole", "le")}
_INTRINSICS = {
    "sqrt": "sqrt",
    "floor": "floor",
    "round_even": "roundeven",
    "copysign": "copysign",
    "fma": "fma",
}


def number_in_llvm(value: float, dtype: DType) -> str:
    """A number as LLVM reads it without rounding.

    >>> from graphc.dtypes import FLOAT32, UINT32
    >>> number_in_llvm(1.0, FLOAT32), number_in_llvm(2.0**32 - 1, UINT32)
    ('0x3FF0000000000000', '-1')
    """
    if dtype.is_float:
        with np.errstate(over="ignore"):
            exact = float(dtype.numpy.type(value))
        return f"0x{struct.pack('>d', exact).hex().upper()}"
    if dtype.kind == "b":
        return "true" if value else "false"
    whole = int(value)
    return str(whole - (1 << dtype.bits) if whole >= 1 << (dtype.bits - 1) else whole)


class LaneScalars(Scalars[Lanes]):
    """Writes operations as lines of an assembly."""

    def __init__(self, assembly: Assembly, scales: bool, lanes: int) -> None:
        """scales: whether the processor multiplies vectors by powers of two in one instruction. lanes: of a vector."""
        self.assembly = assembly
        self.lanes = lanes
        self.scales = scales
        self.known: dict[str, str] = {}
        """Values by the text that computes them, of the present block and those around it."""
        self.rows: dict[str, tuple[str, int]] = {}
        """Vectors of positions by their text: where their block of 64 starts, and the row of 16 that they are in it."""
        self.declarations: dict[str, None] = {}
        self.tables: dict[str, str] = {}

    @property
    def bits(self) -> str:
        """The type of a mask."""
        return f"<{self.lanes} x i1>"

    @property
    def pointers(self) -> str:
        """The type of a vector of addresses."""
        return f"<{self.lanes} x ptr>"

    @contextmanager
    def of(self, lanes: int) -> Iterator[None]:
        """What is computed inside has another number of lanes."""
        usual, self.lanes = self.lanes, lanes
        yield
        self.lanes = usual

    @contextmanager
    def block(self) -> Iterator[None]:
        """What is defined inside is forgotten afterwards, since it need not have been computed."""
        known = dict(self.known)
        yield
        self.known = known

    def pure(self, text: str) -> str:
        """A value that depends on nothing but its operands."""
        if text not in self.known:
            self.known[text] = self.assembly.emit(text)
        return self.known[text]

    def intrinsic(self, name: str, result: str, *args: Lanes) -> str:
        """A call of a function that LLVM or the C library defines."""
        self.declarations[f"declare {result} @{name}({', '.join(arg.kind for arg in args)})"] = None
        return self.pure(f"call {result} @{name}({', '.join(arg.typed for arg in args)})")

    # Spreading numbers over lanes.
    def spread(self, x: Lanes) -> Lanes:
        """The value as a vector."""
        if x.lanes:
            return x
        element = type_of(x.dtype)
        if not x.text.startswith("%"):
            return Lanes(f"splat ({element} {x.text})", x.dtype, self.lanes)
        kind = type_of(x.dtype, self.lanes)
        first = self.pure(f"insertelement {kind} poison, {element} {x.text}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return Lanes(self.pure(f"shufflevector {kind} {first}, {kind} poison, {zeros}"), x.dtype, self.lanes)

    def counting(self, first: Lanes, step: Lanes) -> Lanes:
        """The integers first, first + step, first + 2 * step, ... in the lanes."""
        places = ", ".join(f"{type_of(first.dtype)} {lane}" for lane in range(self.lanes))
        lanes = Lanes(f"<{places}>", first.dtype, self.lanes)
        scaled = lanes if step.text == "1" else self.multiply(lanes, step)
        return scaled if first.text == "0" else self.add(scaled, first)

    def in_blocks(self, element: Lanes, size: int) -> tuple[Lanes, Lanes, Lanes]:
        """As for all scalars, but without computing what a loop over whole blocks knows."""
        if element.text not in self.rows:
            return super().in_blocks(element, size)
        start, row = self.rows[element.text]
        block = self.shift_right(Lanes(start, INT64), size.bit_length() - 1)
        if row * 16 >= size:
            block = self.add(block, self.constant(row * 16 // size, INT64))
        places = self.counting(self.constant(0, INT64), self.constant(1, INT64))
        return block, places, self.constant(row % (size // 16), INT32)

    # The protocol.
    def dtype(self, x: Lanes) -> DType:
        """The element type of a value."""
        return x.dtype

    def constant(self, value: float, dtype: DType) -> Lanes:
        """A number."""
        return Lanes(number_in_llvm(value, dtype), dtype)

    def lookup(self, table: Table, index: Lanes) -> Lanes:
        """Values of a table."""
        element = type_of(table.dtype)
        size = len(table.values)
        values = ", ".join(f"{element} {number_in_llvm(value, table.dtype)}" for value in table.values)
        self.tables[table.name] = f"@{table.name} = private constant [{size} x {element}] [{values}]"
        place = self.convert(index, INT64)
        pointer = f"@{table.name}"
        if not index.lanes:
            address = self.pure(f"getelementptr {element}, ptr {pointer}, {place.typed}")
            return Lanes(self.pure(f"load {element}, ptr {address}"), table.dtype)
        return self.gather(pointer, place, table.dtype, ALL)

    # Memory.
    def load(self, pointer: str, dtype: DType) -> Lanes:
        """One element at an address."""
        text = self.assembly.emit(f"load {memory_type(dtype)}, ptr {pointer}")
        return self._from_memory(text, dtype, 0)

    def load_lanes(self, pointer: str, dtype: DType, mask: str | None) -> Lanes:
        """Neighbouring elements from an address on, where the mask holds (None: everywhere)."""
        kind, size = f"<{self.lanes} x {memory_type(dtype)}>", dtype.itemsize
        if mask is None:
            text = self.assembly.emit(f"load {kind}, ptr {pointer}, align {size}")
        else:
            name = f"llvm.masked.load.v{self.lanes}{_suffix(dtype)}.p0"
            self.declarations[f"declare {kind} @{name}(ptr, i32, {self.bits}, {kind})"] = None
            text = self.assembly.emit(
                f"call {kind} @{name}(ptr {pointer}, i32 {size}, {self.bits} {mask}, {kind} zeroinitializer)"
            )
        return self._from_memory(text, dtype, self.lanes)

    def gather(self, pointer: str, offsets: Lanes, dtype: DType, mask: str) -> Lanes:
        """Elements at offsets from an address, where the mask holds."""
        kind, places = f"<{self.lanes} x {memory_type(dtype)}>", self._addresses(pointer, offsets, dtype)
        name = f"llvm.masked.gather.v{self.lanes}{_suffix(dtype)}.v{self.lanes}p0"
        self.declarations[f"declare {kind} @{name}({self.pointers}, i32, {self.bits}, {kind})"] = None
        text = self.assembly.emit(
            f"call {kind} @{name}({places}, i32 {dtype.itemsize}, {self.bits} {mask}, {kind} zeroinitializer)"
        )
        return self._from_memory(text, dtype, self.lanes)

    def store(self, x: Lanes, pointer: str, mask: str | None = None) -> None:
        """Write a number to an address, or a vector to neighbouring elements where the mask holds."""
        content, size = self._to_memory(x), x.dtype.itemsize
        if mask is None:
            self.assembly.do(f"store {content}, ptr {pointer}, align {size}")
            return
        name = f"llvm.masked.store.v{self.lanes}{_suffix(x.dtype)}.p0"
        self.declarations[f"declare void @{name}(<{self.lanes} x {memory_type(x.dtype)}>, ptr, i32, {self.bits})"] = (
            None
        )
        self.assembly.do(f"call void @{name}({content}, ptr {pointer}, i32 {size}, {self.bits} {mask})")

    def scatter(self, x: Lanes, pointer: str, offsets: Lanes, mask: str) -> None:
        """Write a vector to elements at offsets from an address, where the mask holds."""
        content, places = self._to_memory(x), self._addresses(pointer, offsets, x.dtype)
        name = f"llvm.masked.scatter.v{self.lanes}{_suffix(x.dtype)}.v{self.lanes}p0"
        kind = f"<{self.lanes} x {memory_type(x.dtype)}>"
        self.declarations[f"declare void @{name}({kind}, {self.pointers}, i32, {self.bits})"] = None
        self.assembly.do(f"call void @{name}({content}, {places}, i32 {x.dtype.itemsize}, {self.bits} {mask})")

    def _addresses(self, pointer: str, offsets: Lanes, dtype: DType) -> str:
        places = self.assembly.emit(f"getelementptr {memory_type(dtype)}, ptr {pointer}, {offsets.typed}")
        return f"{self.pointers} {places}"

    def _from_memory(self, text: str, dtype: DType, lanes: int) -> Lanes:
        """What was loaded, as a value: truth values lie in bytes."""
        if dtype != BOOL:
            return Lanes(text, dtype, lanes)
        kind = f"<{lanes} x i8>" if lanes else "i8"
        return Lanes(self.pure(f"icmp ne {kind} {text}, {'zeroinitializer' if lanes else '0'}"), BOOL, lanes)

    def _to_memory(self, x: Lanes) -> str:
        """A value with its type as it is stored."""
        if x.dtype != BOOL:
            return x.typed
        kind = f"<{self.lanes} x i8>" if x.lanes else "i8"
        return f"{kind} {self.pure(f'zext {x.typed} to {kind}')}"

    # Arithmetic.
    def primitive(self, name: str, dtype: DType, *args: Lanes) -> Lanes:
        """One primitive, on lanes if any operand has them."""
        lanes = self.lanes if any(arg.lanes for arg in args) else 0
        if lanes and not (name == "select" and not args[0].lanes):
            args = tuple(self.spread(arg) for arg in args)
        elif lanes:
            args = (args[0], *(self.spread(arg) for arg in args[1:]))
        return Lanes(self._text(name, dtype, lanes, args), dtype, lanes)

    def _text(self, name: str, dtype: DType, lanes: int, args: tuple[Lanes, ...]) -> str:
        first = args[0]
        result = type_of(dtype, lanes)
        operands = f"{first.kind} {', '.join(arg.text for arg in args)}"
        if first.dtype.is_float and name in _FLOAT_OPS:
            return self.pure(f"{_FLOAT_OPS[name]} {operands}")
        if name in _INTEGER_OPS:
            return self.pure(f"{_INTEGER_OPS[name]} {operands}")
        if name == "shift_right":
            return self.pure(f"{'lshr' if first.dtype.kind == 'u' else 'ashr'} {operands}")
        if name in _COMPARISONS:
            return self.pure(f"{self._comparison(name, first.dtype)} {operands}")
        if name in _INTRINSICS and first.dtype.is_float:
            return self.intrinsic(f"llvm.{_INTRINSICS[name]}.{overload(first)}", result, *args)
        if name in ("maximum", "minimum"):
            short = name if first.dtype.is_float else f"s{name[:3]}"
            return self.intrinsic(f"llvm.{short}.{overload(first)}", result, *args)
        if name.startswith("libm_"):
            return self._each_lane(name.removeprefix("libm_"), lanes, args)
        if name == "select":
            return self.pure(f"select {', '.join(arg.typed for arg in args)}")
        return _SPECIAL[name](self, dtype, args).text

    def _comparison(self, name: str, dtype: DType) -> str:
        ordered, plain = _COMPARISONS[name]
        if dtype.is_float:
            return f"fcmp {ordered}"
        sign = "" if plain == "eq" else "u" if dtype.kind in "ub" else "s"
        return f"icmp {sign}{plain}"

    def _each_lane(self, name: str, lanes: int, args: tuple[Lanes, ...]) -> str:
        """A function of the C library, lane by lane."""
        if not lanes:
            return self.intrinsic(name, "double", *args)
        kind = type_of(FLOAT64, self.lanes)
        result = "poison"
        for lane in range(self.lanes):
            numbers = [Lanes(self.pure(f"extractelement {arg.typed}, i64 {lane}"), FLOAT64) for arg in args]
            value = self.intrinsic(name, "double", *numbers)
            result = self.pure(f"insertelement {kind} {result}, double {value}, i64 {lane}")
        return result

    # Primitives that take more than one instruction.
    def _fma(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        x, y, z = args
        return self.add(self.multiply(x, y), z)

    def _negate(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        (x,) = args
        if dtype.is_float:
            return Lanes(self.pure(f"fneg {x.typed}"), dtype, x.lanes)
        return self.subtract(self.spread(self.constant(0, dtype)) if x.lanes else self.constant(0, dtype), x)

    def _absolute(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        (x,) = args
        if dtype.is_float:
            return Lanes(self.intrinsic(f"llvm.fabs.{overload(x)}", x.kind, x), dtype, x.lanes)
        return self.select(self.less(x, self.constant(0, dtype)), self.negate(x), x)

    def _logical_not(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        (x,) = args
        return Lanes(
            self.pure(f"xor {x.kind} {x.text}, {(self.spread(_TRUE) if x.lanes else _TRUE).text}"), BOOL, x.lanes
        )

    def _ldexp(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        """The value x * 2**n for x near 1 and n within twice the exponents of the type: by two powers of two, of which
        only the second can round."""
        x, n = args
        if self.scales:
            name = f"llvm.ldexp.{overload(x)}.{overload(n)}"
            return Lanes(self.intrinsic(name, x.kind, x, n), dtype, x.lanes)
        half = self.shift_right(n, 1)
        return self.multiply(
            self.multiply(x, self._power_of_two(half, dtype)), self._power_of_two(self.subtract(n, half), dtype)
        )

    def _power_of_two(self, n: Lanes, dtype: DType) -> Lanes:
        fraction, bias = (23, 127) if dtype.bits == 32 else (52, 1023)
        whole = INT32 if dtype.bits == 32 else INT64
        exponent = self.add(self.convert(n, whole), self.constant(bias, whole))
        return self.bitcast(self.shift_left(exponent, fraction), dtype)

    def _divide_integers(self, dtype: DType, args: tuple[Lanes, ...], quotient: bool) -> Lanes:
        """Division of signed integers that rounds down and never traps: 0 by 0, wrapping around for the lowest by
        -1."""
        x, y = args
        zero, one = self.constant(0, dtype), self.constant(1, dtype)
        minus = self.equal(y, self.constant(-1, dtype))
        special = self.logical_or(minus, self.equal(y, zero))
        divisor = self.select(special, one, y)
        whole = Lanes(self.pure(f"sdiv {x.kind} {x.text}, {divisor.text}"), dtype, x.lanes)
        rest = Lanes(self.pure(f"srem {x.kind} {x.text}, {divisor.text}"), dtype, x.lanes)
        differ = self.less(self.bit_xor(rest, divisor), zero)
        low = self.logical_and(differ, self.logical_not(self.equal(rest, zero)))
        if not quotient:
            return self.select(low, self.add(rest, divisor), rest)
        floored = self.select(low, self.subtract(whole, one), whole)
        return self.select(special, self.select(minus, self.negate(x), zero), floored)

    def _convert(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        (x,) = args
        kind = type_of(dtype, x.lanes)
        source = x.dtype
        if dtype == BOOL:
            zero = "zeroinitializer" if x.lanes else "0" if source.is_integer else "0.0"
            return Lanes(self.pure(f"{'fcmp une' if source.is_float else 'icmp ne'} {x.typed}, {zero}"), dtype, x.lanes)
        if source.is_float and dtype.is_integer:
            name = f"llvm.fptosi.sat.{overload(Lanes('', dtype, x.lanes))}.{overload(x)}"
            return Lanes(self.intrinsic(name, kind, x), dtype, x.lanes)
        unsigned = source.kind in "ub"
        if source.is_float:
            operation = "fpext" if dtype.bits > source.bits else "fptrunc"
        elif dtype.is_float:
            operation = "uitofp" if unsigned else "sitofp"
        elif source != BOOL and dtype.bits == source.bits:
            return Lanes(x.text, dtype, x.lanes)
        elif source != BOOL and dtype.bits < source.bits:
            operation = "trunc"
        else:
            operation = "zext" if unsigned else "sext"
        return Lanes(self.pure(f"{operation} {x.typed} to {kind}"), dtype, x.lanes)

    def _bitcast(self, dtype: DType, args: tuple[Lanes, ...]) -> Lanes:
        (x,) = args
        kind = type_of(dtype, x.lanes)
        return Lanes(x.text if kind == x.kind else self.pure(f"bitcast {x.typed} to {kind}"), dtype, x.lanes)


_TRUE = Lanes("true", BOOL)
ALL = "splat (i1 true)"
"""A mask that lets every lane through."""


def _suffix(dtype: DType) -> str:
    return f"{'f' if dtype.is_float else 'i'}{dtype.itemsize * 8}"


def overload(x: Lanes) -> str:
    """How the names of LLVM's functions end for a type."""
    return f"v{x.lanes}{_suffix(x.dtype)}" if x.lanes else _suffix(x.dtype)


def memory_type(dtype: DType) -> str:
    """What an element in memory is made of."""
    return "i8" if dtype == BOOL else type_of(dtype)


_SPECIAL: dict[str, Callable[[LaneScalars, DType, tuple[Lanes, ...]], Lanes]] = {
    "fma": LaneScalars._fma,
    "negate": LaneScalars._negate,
    "absolute": LaneScalars._absolute,
    "logical_not": LaneScalars._logical_not,
    "ldexp": LaneScalars._ldexp,
    "floor_divide": lambda s, dtype, args: s._divide_integers(dtype, args, quotient=True),
    "remainder": lambda s, dtype, args: s._divide_integers(dtype, args, quotient=False),
    "convert": LaneScalars._convert,
    "bitcast": LaneScalars._bitcast,
}
