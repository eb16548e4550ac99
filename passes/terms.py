"""Scalar expressions of kernels: what the protocol of scalar operations records, for printers to write as source.

    term  = number | load(buffer, index) | position(index) | variable | primitive(term, ...) | call(function, term, ...)
          | lookup(table, term)
    index = offset + stride * axis + ... + stride * term + ...      affine in the loop axes; terms only in gathers

Terms are shared: a builder gives equal expressions one object, so common subexpressions exist once in a kernel too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphc.dims import Size, multiply
from graphc.dtypes import INT64, DType
from graphc.literal import number_text
from graphc.philox import RANDOM
from graphc.scalar import Scalars, Table

__all__ = ["Index", "Term", "TermBuilder", "contiguous_strides", "walk_terms"]


@dataclass(frozen=True)
class Index:
    """A place in a buffer, in elements. axes: pairs (axis, stride). offsets: sizes to add. places: computed parts."""

    axes: tuple[tuple[str, Size], ...] = ()
    offsets: tuple[Size, ...] = ()
    places: tuple[tuple[Term, Size], ...] = ()

    @staticmethod
    def axis(name: str) -> Index:
        """The position along a loop axis."""
        return Index(((name, 1),))

    @staticmethod
    def constant(offset: Size) -> Index:
        """A fixed position."""
        return Index((), (offset,) if offset != 0 else ())

    def plus(self, other: Index) -> Index:
        """The sum of two indices."""
        strides = dict(self.axes)
        rest: list[tuple[str, Size]] = []
        for name, stride in other.axes:
            mine = strides.get(name)
            if isinstance(mine, int) and isinstance(stride, int):
                strides[name] = mine + stride
            else:
                rest.append((name, stride))
        numbers = [size for size in (*self.offsets, *other.offsets) if isinstance(size, int)]
        symbolic = [size for size in (*self.offsets, *other.offsets) if not isinstance(size, int)]
        total = (sum(numbers),) if sum(numbers) else ()
        axes = (*((name, stride) for name, stride in strides.items() if stride != 0), *rest)
        return Index(axes, (*total, *symbolic), (*self.places, *other.places))

    def times(self, factor: Size) -> Index:
        """The index multiplied by a size."""
        if factor == 0:
            return Index()
        return Index(
            tuple((name, multiply(stride, factor)) for name, stride in self.axes),
            tuple(multiply(offset, factor) for offset in self.offsets),
            tuple((place, multiply(stride, factor)) for place, stride in self.places),
        )

    def stride(self, name: str) -> Size:
        """How far one step along an axis moves."""
        strides = [stride for axis, stride in self.axes if axis == name]
        return strides[0] if strides else 0

    @property
    def names(self) -> frozenset[str]:
        """The axes that the index depends on directly."""
        return frozenset(name for name, _ in self.axes)


def contiguous_strides(shape: Iterable[Size]) -> tuple[Size, ...]:
    """The strides of a row-major array, in elements."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(tuple(shape)):
        strides.append(step)
        step = multiply(step, size)
    return tuple(reversed(strides))


class Term:
    """One scalar value in a kernel. kind: number, load, position, variable, primitive, call or lookup."""

    __slots__ = ("args", "depends", "dtype", "index", "inputs", "kind", "name", "table", "value")

    def __init__(
        self,
        kind: str,
        dtype: DType,
        name: str = "",
        args: tuple[Term, ...] = (),
        index: Index | None = None,
        value: float = 0,
        table: Table | None = None,
    ) -> None:
        self.kind = kind
        self.dtype = dtype
        self.name = name
        self.args = args
        self.index = index
        self.value = value
        self.table = table
        self.inputs = (*args, *(place for place, _ in index.places)) if index is not None else args
        """The terms that this one is computed from, those inside its index included."""
        depends: set[str] = {name} if kind == "variable" else set()
        for term in self.inputs:
            depends |= term.depends
        if index is not None:
            depends |= index.names
        self.depends: frozenset[str] = frozenset(depends)
        """The loop axes and variables that the value changes with."""


def walk_terms(roots: Iterable[Term]) -> Iterator[Term]:
    """All terms that the roots need, each once, after its inputs."""
    done: set[int] = set()
    for root in roots:
        stack: list[tuple[Term, int]] = [(root, 0)]
        while stack:
            term, position = stack.pop()
            if id(term) in done:
                continue
            inputs = term.inputs
            if position < len(inputs):
                stack.append((term, position + 1))
                if id(inputs[position]) not in done:
                    stack.append((inputs[position], 0))
                continue
            done.add(id(term))
            yield term


class TermBuilder(Scalars[Term]):
    """The handler that records terms; one builder a kernel."""

    def __init__(self) -> None:
        self._known: dict[object, Term] = {}

    def _make(self, key: object, term: Term) -> Term:
        return self._known.setdefault(key, term)

    def dtype(self, x: Term) -> DType:
        """The element type of a term."""
        return x.dtype

    def constant(self, value: float, dtype: DType) -> Term:
        """A number."""
        return self._make(("number", number_text(value, dtype.bits), dtype), Term("number", dtype, value=value))

    def load(self, buffer: str, index: Index, dtype: DType) -> Term:
        """The element of a buffer at an index."""
        key = ("load", buffer, index.axes, index.offsets, tuple((id(place), stride) for place, stride in index.places))
        return self._make(key, Term("load", dtype, buffer, index=index))

    def position(self, index: Index) -> Term:
        """An index itself, as an int64 value."""
        return self._make(("position", index), Term("position", INT64, index=index))

    def variable(self, name: str, dtype: DType) -> Term:
        """A named value that a statement of the kernel defines: the result of a fold."""
        return self._make(("variable", name), Term("variable", dtype, name))

    def primitive(self, name: str, dtype: DType, *args: Term) -> Term:
        """A primitive of the protocol."""
        return self._make(("primitive", name, dtype, *map(id, args)), Term("primitive", dtype, name, args))

    def lookup(self, table: Table, index: Term) -> Term:
        """A value of a constant table."""
        return self._make(
            ("lookup", table.name, id(index)), Term("lookup", table.dtype, table.name, (index,), table=table)
        )

    def call(self, name: str, *args: Term) -> Term:
        """A named function, left for the printer to write once and call."""
        dtype = RANDOM[name][1] if name in RANDOM else args[0].dtype
        return self._make(("call", name, *map(id, args)), Term("call", dtype, name, args))

    def copied(self, term: Term, args: tuple[Term, ...], index: Index | None = None, name: str | None = None) -> Term:
        """A term like another one, perhaps of another builder, of other inputs. name: of another buffer or variable."""
        name = term.name if name is None else name
        if term.kind == "number":
            return self.constant(term.value, term.dtype)
        if term.kind == "variable":
            return self.variable(name, term.dtype)
        if term.kind == "primitive":
            return self.primitive(name, term.dtype, *args)
        if term.kind == "call":
            return self.call(name, *args)
        if term.kind == "lookup":
            assert term.table is not None
            return self.lookup(term.table, *args)
        assert index is not None
        return self.load(name, index, term.dtype) if term.kind == "load" else self.position(index)
