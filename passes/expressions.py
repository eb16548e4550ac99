"""Writing scalar terms as Python expressions that numba compiles, for the CPU and for CUDA alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from graphc.dims import Dim, Size
from graphc.dtypes import DType
from graphc.literal import number_text
from graphc.passes.terms import Index, Term
from graphc.philox import RANDOM

__all__ = ["Expressions", "count_uses", "function_label", "number_source", "size_expression", "size_name"]

_INFIX = {
    "add": ("+", 4),
    "subtract": ("-", 4),
    "multiply": ("*", 5),
    "divide": ("/", 5),
    "equal": ("==", 1),
    "less": ("<", 1),
    "less_equal": ("<=", 1),
    "logical_and": ("&", 3),
    "logical_or": ("|", 2),
    "bit_and": ("&", 3),
    "bit_or": ("|", 2),
    "bit_xor": ("^", 2),
    "shift_left": ("<<", 3),
    "shift_right": (">>", 3),
}
_SPELLED = {"absolute": "abs"}
_ATOM = 9
_WRAPPING = {"int32", "uint32"}
"""Integer types that numba widens in arithmetic, so that results are cut back to them."""


def size_expression(size: Size) -> str:
    """A size as source: a number, or a product of the kernel's sizes."""
    if isinstance(size, Dim):
        factor = [str(size.factor)] if size.factor != 1 else []
        return " * ".join([*factor, *map(size_name, size.symbols)])
    return str(size)


def size_name(symbol: str) -> str:
    """How the source calls a size: the kernel's own ($n, $rows) by that word, the user's with a prefix."""
    return symbol[1:] if symbol.startswith("$") else f"size_{symbol}"


def count_uses(roots: Iterable[Term]) -> Counter[int]:
    """How often each term is used: by terms below the roots, and once by each root."""
    uses: Counter[int] = Counter()
    seen: set[int] = set()
    stack = []
    for root in roots:
        uses[id(root)] += 1
        stack.append(root)
    while stack:
        term = stack.pop()
        if id(term) in seen:
            continue
        seen.add(id(term))
        for source in term.inputs:
            uses[id(source)] += 1
            stack.append(source)
    return uses


def function_label(name: str, dtype: DType) -> str:
    """How the source calls a named function for an element type."""
    return name if name in RANDOM else f"{name}_{dtype.short}"


class Expressions:
    """Expressions for terms. names: terms that are variables of the source already. labels: how buffers are called."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.names: dict[int, str] = {}
        self.functions: dict[tuple[str, DType], None] = {}
        """Functions that the expressions call, by name and element type, in order of first use."""
        self.tables: dict[str, Term] = {}
        self.flat: tuple[frozenset[tuple[str, Size]], str] | None = None
        """Steps along axes that together are a variable of the source already."""

    def text(self, term: Term, binding: int = 0) -> str:
        """The source of a term, in parentheses where its surroundings bind tighter."""
        text, strength = self._parts(term)
        return f"({text})" if strength < binding else text

    def _parts(self, term: Term) -> tuple[str, int]:
        if id(term) in self.names:
            return self.names[id(term)], _ATOM
        if term.kind == "number":
            return number_source(term.value, term.dtype), _ATOM
        if term.kind == "variable":
            return term.name, _ATOM
        if term.kind == "load":
            assert term.index is not None
            text = f"{self.labels[term.name]}[{self.index(term.index)}]"
            return (f"{text} != 0", 1) if term.dtype.kind == "b" else (text, _ATOM)  # truth values lie in bytes
        if term.kind == "position":
            assert term.index is not None
            text = self.index(term.index)
            return text, _ATOM if text.isidentifier() or text.isdigit() else 4
        if term.kind == "lookup":
            self.tables[term.name] = term
            return f"{term.name}[{self.text(term.args[0])}]", _ATOM
        if term.kind == "call":
            self.functions.setdefault((term.name, term.dtype))
            return f"{function_label(term.name, term.dtype)}({', '.join(map(self.text, term.args))})", _ATOM
        return self._primitive(term)

    def _primitive(self, term: Term) -> tuple[str, int]:
        args, name = term.args, term.name
        if name in _INFIX:
            sign, strength = _INFIX[name]
            left = strength + 1 if sign in ("==", "<", "<=") else strength  # Python would chain comparisons
            text = f"{self.text(args[0], left)} {sign} {self.text(args[1], strength + 1)}"
            return (f"{term.dtype.name}({text})", _ATOM) if term.dtype.name in _WRAPPING else (text, strength)
        if name == "negate":
            text = f"-{self.text(args[0], 7)}"
            return (f"{term.dtype.name}({text})", _ATOM) if term.dtype.name in _WRAPPING else (text, 6)
        if name == "logical_not":
            return f"not {self.text(args[0], _ATOM)}", 0
        if name == "convert":
            source = args[0].dtype
            prefix = "saturate_" if source.is_float and term.dtype.is_integer else ""
            return f"{prefix}{term.dtype.name}({self.text(args[0])})", _ATOM
        if name == "bitcast":
            return f"{term.dtype.name}_bits({self.text(args[0])})", _ATOM
        text = f"{_SPELLED.get(name, name)}({', '.join(map(self.text, args))})"
        return (f"{term.dtype.name}({text})" if term.dtype.name in _WRAPPING and name == "absolute" else text), _ATOM

    def index(self, index: Index) -> str:
        """A place in a buffer as source."""
        if self.flat is not None and frozenset(index.axes) == self.flat[0]:
            parts = [self.flat[1]]
        else:
            parts = [_scaled(name, stride) for name, stride in index.axes]
        parts += [_scaled(self.text(place, 5), stride) for place, stride in index.places]
        parts += [size_expression(offset) for offset in index.offsets]
        return " + ".join(parts).replace("+ -", "- ") or "0"


def _scaled(text: str, stride: Size) -> str:
    if stride == 1:
        return text
    factor = size_expression(stride)
    return f"{text} * {factor}"


def number_source(value: float, dtype: DType) -> str:
    """A number as source of its element type."""
    if dtype.kind == "b":
        return "True" if value else "False"
    return f"{dtype.name}({number_text(value if dtype.is_float else int(value), dtype.bits)})"
