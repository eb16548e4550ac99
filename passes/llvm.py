"""Text in LLVM's language: lines of a function, the values they define, loops with values that they carry along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from graphc.dims import Dim, Size
from graphc.dtypes import DType
from graphc.passes.expressions import size_name
from graphc.passes.loops import Kernel

__all__ = ["Assembly", "Carried", "argument_list", "kernel_header", "size_argument", "type_of"]

_TYPES = {"float32": "float", "float64": "double", "bool": "i1"}


def type_of(dtype: DType, lanes: int = 0) -> str:
    """LLVM's name of an element type, or of a vector of it.

    >>> from graphc.dtypes import FLOAT32
    >>> type_of(FLOAT32), type_of(FLOAT32, 16)
    ('float', '<16 x float>')
    """
    name = _TYPES.get(dtype.name, f"i{dtype.bits}")
    return f"<{lanes} x {name}>" if lanes else name


def size_argument(symbol: str) -> str:
    """The parameter that brings a size."""
    return f"%size.{size_name(symbol)}"


def argument_list(kernel: Kernel) -> str:
    """The sizes of a kernel as leading parameters of a function."""
    return "".join(f"i64 {size_argument(name)}, " for name in kernel.sizes)


def kernel_header(kernel: Kernel) -> str:
    """The line that begins a kernel's function; ``@KERNEL`` stands for the symbol."""
    buffers = ", ".join(f"ptr noalias %{buffer.name}" for buffer in kernel.buffers)
    return (
        f"define i32 @KERNEL(ptr %result, ptr %exception, i64 %part, i64 %parts, {argument_list(kernel)}{buffers}) {{"
    )


@dataclass
class Carried:
    """A value that a loop hands from one round to the next. kind: its type. value: at this point of the text."""

    kind: str
    value: str


class Assembly:
    """Collects lines. Values have one definition each; sizes of kernels are arguments of the function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def new(self) -> str:
        """A name that no value has yet."""
        self.count += 1
        return f"%v{self.count}"

    def emit(self, text: str) -> str:
        """A line that defines a value; returns the value."""
        name = self.new()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """A line that defines nothing."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """The start of a block."""
        self.lines.append(f"{name}:")

    def size(self, size: Size) -> str:
        """A size as an operand: a number, or a product of the kernel's integer arguments."""
        if not isinstance(size, Dim):
            return str(size)
        value = str(size.factor)
        for symbol in size.symbols:
            value = self.times(value, size_argument(symbol))
        return value

    def times(self, left: str, right: str) -> str:
        """The product of two integers."""
        if _is_number(left) and _is_number(right):
            return str(int(left) * int(right))
        if "0" in (left, right):
            return "0"
        return right if left == "1" else left if right == "1" else self.emit(f"mul i64 {left}, {right}")

    def plus(self, left: str, right: str) -> str:
        """The sum of two integers."""
        if _is_number(left) and _is_number(right):
            return str(int(left) + int(right))
        return right if left == "0" else left if right == "0" else self.emit(f"add i64 {left}, {right}")

    def at(self, kind: str, base: str, offset: str) -> str:
        """The address of an element of a type at an offset from a base."""
        return base if offset == "0" else self.emit(f"getelementptr {kind}, ptr {base}, i64 {offset}")

    def smaller(self, left: str, right: str) -> str:
        """The smaller of two integers."""
        if _is_number(left) and _is_number(right):
            return str(min(int(left), int(right)))
        less = self.emit(f"icmp slt i64 {left}, {right}")
        return self.emit(f"select i1 {less}, i64 {left}, i64 {right}")

    @contextmanager
    def loop(self, start: str, stop: str, step: int = 1, carried: Sequence[Carried] = ()) -> Iterator[str]:
        """A loop over a counter, which is yielded; what is emitted inside is the body.

        carried: their values enter the loop, change with each round, and leave it.
        """
        number = self.new()[2:]
        before, head, body, latch, after = (f"{part}.{number}" for part in ("before", "head", "body", "latch", "after"))
        counter, following = self.new(), self.new()
        self.do(f"br label %{before}")
        self.label(before)
        self.do(f"br label %{head}")
        self.label(head)
        self.do(f"{counter} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]")
        rounds = []
        for value in carried:
            rounds.append((self.new(), value.value, len(self.lines)))
            self.lines.append("")
        inside = self.emit(f"icmp slt i64 {counter}, {stop}")
        self.do(f"br i1 {inside}, label %{body}, label %{after}")
        self.label(body)
        for value, (name, _, _) in zip(carried, rounds, strict=True):
            value.value = name
        yield counter
        self.do(f"br label %{latch}")
        self.label(latch)
        for value, (name, entering, line) in zip(carried, rounds, strict=True):
            incoming = f"[ {entering}, %{before} ], [ {value.value}, %{latch} ]"
            self.lines[line] = f"  {name} = phi {value.kind} {incoming}"
            value.value = name
        self.do(f"{following} = add i64 {counter}, {step}")
        self.do(f"br label %{head}")
        self.label(after)

    def share(self, extent: str, granule: int = 1) -> tuple[str, str]:
        """The part of a range that this thread runs: from its first number to the one after its last.

        granule: threads take multiples of this many, the last one what is left.
        """
        if granule > 1:
            rounded = self.emit(f"add i64 {extent}, {granule - 1}")
            pieces = self.emit(f"sdiv i64 {rounded}, {granule}")
            first, last = self.share(pieces)
            return self.smaller(extent, self.times(first, str(granule))), self.smaller(
                extent, self.times(last, str(granule))
            )
        low = self.emit(f"sdiv i64 {self.times(extent, '%part')}, %parts")
        following = self.emit("add i64 %part, 1")
        return low, self.emit(f"sdiv i64 {self.times(extent, following)}, %parts")


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()
