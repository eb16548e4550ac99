"""Printing kernels as Python source that numba compiles and a person reads: the CPU's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar

from graphc.dtypes import INT64, UINT64, DType
from graphc.functions import FUNCTIONS
from graphc.passes.expressions import Expressions, count_uses, function_label, number_source, size_expression, size_name
from graphc.passes.loops import (
    BLOCK,
    LANES,
    TILE,
    Axis,
    Buffer,
    ColumnFold,
    Contraction,
    Fold,
    FoldItem,
    Kernel,
    Loop,
    Search,
    Statement,
    Store,
    Winograd,
    terms_of,
)
from graphc.passes.terms import Term, TermBuilder, walk_terms
from graphc.passes.winograd_source import winograd_arrays, write_winograd
from graphc.philox import RANDOM

__all__ = ["KernelPrinter", "Source", "buffer_labels", "print_function", "print_kernel"]

_WIDEST = 72
_ARITHMETIC = {
    "add": "{0} + {1}",
    "multiply": "{0} * {1}",
    "maximum": "maximum({0}, {1})",
    "minimum": "minimum({0}, {1})",
}


@dataclass(frozen=True)
class Source:
    """The source of a kernel.

    code: the function. functions: names and element types of the functions that it calls. tables: the constant tables
    that it reads. language: "python" for numba, "llvm" for LLVM's own.
    """

    name: str
    code: str
    functions: tuple[tuple[str, DType], ...] = ()
    tables: tuple[str, ...] = ()
    language: str = "python"


def print_kernel(kernel: Kernel) -> Source:
    """The source of a kernel for the CPU; equal kernels have equal source."""
    return KernelPrinter(kernel).source()


def print_function(name: str, dtype: DType) -> Source:
    """The source of a named function of ``graphc.functions``, for the element type of its result."""
    builder = TermBuilder()
    arguments = {"x": dtype, "y": dtype} if name == "power" else {"x": dtype}
    if name in RANDOM:
        arguments = {"element": INT64, "key": UINT64, "seed": INT64, "step": INT64}
    result = FUNCTIONS[name](builder, *(builder.variable(argument, kind) for argument, kind in arguments.items()))
    assert isinstance(result, Term)
    label = function_label(name, dtype)
    printer = _Lines({})
    with printer.block(f"def {label}({', '.join(arguments)}):"):
        printer.define([result], set(arguments), set())
        printer.line(f"return {printer.expressions.text(result)}")
    return printer.finish(label)


def buffer_labels(buffers: Sequence[Buffer], read: set[str]) -> dict[str, str]:
    """How the source calls the buffers: a, b, ... those read, out those written, state those updated in place."""
    labels: dict[str, str] = {}
    letters = iter("abcdefgh")
    counts = {"out": 0, "state": 0}
    for number, buffer in enumerate(buffers):
        if not buffer.written:
            labels[buffer.name] = next(letters, f"a{number}")
            continue
        kind = "state" if buffer.name in read else "out"
        counts[kind] += 1
        labels[buffer.name] = kind if counts[kind] == 1 else f"{kind}{counts[kind]}"
    return labels


class _Lines:
    """Lines of source at an indentation, and the variables they have defined."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.expressions = Expressions(labels)
        self.lines: list[str] = []
        self.depth = 0
        self.count = 0
        self.uses = count_uses(())

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        self.line(header)
        self.depth += 1
        names = dict(self.expressions.names)
        try:
            yield
        finally:
            self.depth -= 1
            self.expressions.names = names

    def define(self, roots: Sequence[Term], bound: set[str], wanted: set[int]) -> None:
        """Define variables for terms that are used more than once, are wanted, or would make a line too long."""
        if not self.uses:
            self.uses = count_uses(roots)
        for term in walk_terms(roots):
            if id(term) in self.expressions.names or not term.depends <= bound or term.kind in ("number", "variable"):
                continue
            shared = self.uses[id(term)] > 1 and not (term.kind == "position" and len(self.expressions.text(term)) < 8)
            if shared or id(term) in wanted or len(self.expressions.text(term)) > _WIDEST:
                self.name(term)

    def name(self, term: Term) -> None:
        """Define a variable for a term, unless it has one."""
        if id(term) in self.expressions.names or term.kind in ("number", "variable"):
            return
        self.line(f"t{self.count} = {self.expressions.text(term)}")
        self.expressions.names[id(term)] = f"t{self.count}"
        self.count += 1

    def finish(self, name: str) -> Source:
        return Source(
            name, "\n".join(self.lines) + "\n", tuple(self.expressions.functions), tuple(self.expressions.tables)
        )


class KernelPrinter(_Lines):
    """Writes the statements of one kernel.

    parameters: the first ones of its function. local_array: an array of a size and element type that belongs to one
    thread.
    """

    parameters: ClassVar[tuple[str, ...]] = ("part", "parts")
    local_array: ClassVar[str] = "local_array({0}, {1})"

    def __init__(self, kernel: Kernel) -> None:
        terms = [term for statement in kernel.body for term in terms_of(statement)]
        read = {term.name for term in walk_terms(terms) if term.kind == "load"}
        super().__init__(buffer_labels(kernel.buffers, read))
        self.kernel = kernel
        self.dtypes = {buffer.name: buffer.dtype for buffer in kernel.buffers}
        self.uses = count_uses(terms)
        self.bound: set[str] = set()

    def source(self) -> Source:
        """The function: the arrays it needs, then its statements."""
        with self.block(f"def {self.kernel.name}({', '.join(self.names())}):"):
            self.declare_arrays(self.kernel.body)
            self.statements(self.kernel.body, top=True)
        return self.finish(self.kernel.name)

    def names(self) -> tuple[str, ...]:
        """What the parameters are called: the target's own, then sizes, then buffers."""
        labels = [self.expressions.labels[buffer.name] for buffer in self.kernel.buffers]
        return (*self.parameters, *map(size_name, self.kernel.sizes), *labels)

    def declare_arrays(self, body: Iterable[Statement]) -> None:
        """The arrays that statements need, each on a line of its own."""
        for array, size, dtype in self._local_arrays(body):
            self.line(f"{array} = {self.local_array.format(size, dtype.name)}")

    def counted(self, extent: str, granule: int, top: bool) -> str:
        """What a loop counts through; threads share the outermost ones."""
        if not top or not self.kernel.split:
            return f"range({extent})"
        if granule == 1:
            return f"range({extent} * part // parts, {extent} * (part + 1) // parts)"
        return f"range(first_of({extent}, part, parts), first_of({extent}, part + 1, parts))"

    def _local_arrays(self, body: Iterable[Statement]) -> Iterator[tuple[str, int, DType]]:
        for statement in body:
            if isinstance(statement, (Fold, ColumnFold)):
                size = LANES if isinstance(statement, Fold) else TILE
                for item in statement.items:
                    yield f"{item.result}s", size, item.value.dtype
                    if _blocked(statement.axes):
                        yield f"{item.result}_parts", size, item.value.dtype
            if isinstance(statement, Winograd):
                yield from winograd_arrays(statement)
            if isinstance(statement, Loop):
                yield from self._local_arrays(statement.body)

    # Statements.
    def statements(self, body: Sequence[Statement], top: bool = False) -> None:
        stores = [statement for statement in body if isinstance(statement, Store)]
        for statement in body:
            if isinstance(statement, Loop):
                self.loop(statement, top)
            elif isinstance(statement, Fold):
                self.fold(statement)
            elif isinstance(statement, ColumnFold):
                self.column_fold(statement, top)
            elif isinstance(statement, Search):
                self.search(statement)
            elif isinstance(statement, Contraction):
                self.contraction(statement)
            elif isinstance(statement, Winograd):
                write_winograd(self, statement)
        self.stores(stores)

    def stores(self, stores: Sequence[Store]) -> None:
        """Values first, then writes: a kernel may read what it overwrites."""
        roots = [term for store in stores for term in terms_of(store)]
        self.define(roots, self.bound, {id(store.value) for store in stores} if len(stores) > 1 else set())
        for store in stores:
            target = f"{self.expressions.labels[store.buffer]}[{self.expressions.index(store.index)}]"
            value = self.expressions.text(store.value)
            if store.value.dtype.kind == "b":
                value = f"uint8({value})"
            text = f"{target} = {target} + {value}" if store.add else f"{target} = {value}"
            if store.when is not None:
                with self.block(f"if {self.expressions.text(store.when)}:"):
                    self.line(text)
            else:
                self.line(text)

    @contextmanager
    def loop_over(self, axis: Axis, counted: str | None = None) -> Iterator[None]:
        """A loop whose variable terms may depend on."""
        with self.block(f"for {axis.name} in {counted or f'range({size_expression(axis.extent)})'}:"):
            self.bound.add(axis.name)
            yield
            self.bound.discard(axis.name)

    def hoist(self, terms: Iterable[Term], inner: set[str]) -> None:
        """Define, before a loop, what does not change in it: terms without inner axes that others with them use."""
        roots = list(terms)
        changing = [term for term in walk_terms(roots) if term.depends & inner]
        fixed = [source for term in changing for source in term.inputs if not source.depends & inner]
        fixed += [root for root in roots if not root.depends & inner]
        ready = [term for term in fixed if term.depends <= self.bound and term.kind not in ("number", "variable")]
        self.define(ready, self.bound, {id(term) for term in ready if term.kind != "position"})

    def loop(self, loop: Loop, top: bool) -> None:
        terms = list(terms_of(loop))
        self.hoist(terms, {loop.axis.name, *_axes_inside(loop.body)})
        counted = self.counted(size_expression(loop.axis.extent), loop.axis.granule, top)
        with self.loop_over(loop.axis, counted):
            self.statements(loop.body)

    def combine(self, item: FoldItem, left: str, right: str) -> str:
        text = _ARITHMETIC[item.combine].format(left, right)
        wrap = item.value.dtype.name == "int32" and item.combine in ("add", "multiply")
        return f"int32({text})" if wrap else text

    def fill(self, items: Sequence[FoldItem], arrays: str, count: str) -> None:
        if not items:
            return
        with self.block(f"for l in range({count}):"):
            for item in items:
                self.line(f"{item.result}{arrays}[l] = {number_source(item.start, item.value.dtype)}")

    def add_arrays(self, items: Sequence[FoldItem], count: str) -> None:
        if not items:
            return
        with self.block(f"for l in range({count}):"):
            for item in items:
                total, part = f"{item.result}s[l]", f"{item.result}_parts[l]"
                self.line(f"{total} = {self.combine(item, total, part)}")

    # Reductions.
    def fold(self, fold: Fold) -> None:
        self.hoist(_fold_terms(fold), {axis.name for axis in fold.axes})
        self.fill(fold.items, "s", str(LANES))
        self.nest(fold.axes, fold.items, str(LANES), lambda arrays: self.fold_element(fold, arrays))
        self.line(f"half = {LANES // 2}")
        with self.block("while half > 0:"):
            with self.block("for l in range(half):"):
                for item in fold.items:
                    lanes = f"{item.result}s"
                    self.line(f"{lanes}[l] = {self.combine(item, f'{lanes}[l]', f'{lanes}[l + half]')}")
            self.line("half = half // 2")
        for item in fold.items:
            self.line(f"{item.result} = {item.result}s[0]")
            self.bound.add(item.result)

    def nest(self, axes: Sequence[Axis], items: Sequence[FoldItem], count: str, element: Callable[[str], None]) -> None:
        """The loops over the reduced axes; a long innermost one in blocks whose sums are added up apart."""
        if len(axes) > 1:
            with self.loop_over(axes[0]):
                self.nest(axes[1:], items, count, element)
            return
        (axis,) = axes
        if not _blocked(axes):
            with self.loop_over(axis):
                element("s")
            return
        extent = size_expression(axis.extent)
        with self.block(f"for block in range(0, {extent}, {BLOCK}):"):
            self.fill(items, "_parts", count)
            with self.loop_over(axis, f"range(block, min(block + {BLOCK}, {extent}))"):
                element("_parts")
            self.add_arrays(items, count)

    def fold_element(self, fold: Fold, arrays: str) -> None:
        self.element(fold.items, fold.stores, arrays, f"{fold.axes[-1].name} & {LANES - 1}")

    def element(self, items: Sequence[FoldItem], stores: Sequence[Store], arrays: str, slot: str) -> None:
        """What happens for one element: values, stores on the way, accumulation."""
        roots = [*(item.value for item in items), *(term for store in stores for term in terms_of(store))]
        self.define(roots, self.bound, {id(store.value) for store in stores})
        self.stores(stores)
        for item in items:
            place = f"{item.result}{arrays}[{slot}]"
            self.line(f"{place} = {self.combine(item, place, self.expressions.text(item.value, 5))}")

    def column_fold(self, fold: ColumnFold, top: bool) -> None:
        name, extent = fold.column.name, size_expression(fold.column.extent)
        inner = {name, *(axis.name for axis in fold.axes), *(item.result for item in fold.items)}
        self.hoist(_fold_terms(fold), inner)
        tiles = f"({extent} + {TILE - 1}) // {TILE}"
        if isinstance(fold.column.extent, int):
            tiles = str(-(-fold.column.extent // TILE))
        with self.block(f"for tile in {self.counted(tiles, 1, top)}:"):
            self.line(f"width = min({TILE}, {extent} - tile * {TILE})")
            self.fill(fold.items, "s", "width")

            def element(arrays: str) -> None:
                self.hoist(_fold_terms(fold), {name})
                with self.columns(name):
                    self.element(fold.items, fold.stores, arrays, "l")

            self.nest(fold.axes, fold.items, "width", element)
            if not fold.body:
                return
            with self.columns(name):
                for item in fold.items:
                    self.line(f"{item.result} = {item.result}s[l]")
                    self.bound.add(item.result)
                self.statements(fold.body)

    @contextmanager
    def columns(self, name: str) -> Iterator[None]:
        """A loop over the columns of a tile."""
        with self.block("for l in range(width):"):
            self.line(f"{name} = tile * {TILE} + l")
            self.bound.add(name)
            yield
            self.bound.discard(name)

    def search(self, search: Search) -> None:
        self.hoist([search.value], {search.axis.name})
        dtype = search.value.dtype
        start = float("-inf") if dtype.is_float else -(2 ** (dtype.bits - 1))
        self.line(f"best = {number_source(start, dtype)}")
        self.line(f"{search.result} = 0")
        with self.loop_over(search.axis):
            self.define([search.value], self.bound, {id(search.value)})
            value = self.expressions.text(search.value)
            nan = f" or ({value} != {value} and best == best)" if dtype.is_float else ""
            with self.block(f"if {value} > best{nan}:"):
                self.line(f"best = {value}")
                self.line(f"{search.result} = {search.axis.name}")
        self.bound.add(search.result)

    def contraction(self, c: Contraction) -> None:
        batch = [c.batch] if c.batch.extent != 1 else []
        with ExitStack() as loops:
            for axis in (*batch, *c.rows, c.column):
                counted = self.counted(size_expression(axis.extent), 1, axis is c.shared)
                loops.enter_context(self.loop_over(axis, counted))
            self.line(f"{c.result} = {number_source(0, c.left.dtype)}")
            with ExitStack() as inner:
                for axis in c.depths:
                    inner.enter_context(self.loop_over(axis))
                left, right = self.expressions.text(c.left), self.expressions.text(c.right)
                if c.inside is not None:
                    self.line(f"left = {number_source(0, c.left.dtype)}")
                    with self.block(f"if {self.expressions.text(c.inside)}:"):
                        self.line(f"left = {left}")
                    left = "left"
                self.line(f"{c.result} = fma({left}, {right}, {c.result})")
            self.bound.add(c.result)
            self.stores(c.stores)
            self.bound.discard(c.result)


def _blocked(axes: Sequence[Axis]) -> bool:
    extent = axes[-1].extent
    return not isinstance(extent, int) or extent > BLOCK


def _fold_terms(fold: Fold | ColumnFold) -> list[Term]:
    return [*(item.value for item in fold.items), *(term for store in fold.stores for term in terms_of(store))]


def _axes_inside(body: Iterable[Statement]) -> Iterator[str]:
    """The variables that statements define: loop axes and results."""
    for statement in body:
        if isinstance(statement, Loop):
            yield statement.axis.name
            yield from _axes_inside(statement.body)
        elif isinstance(statement, (Fold, ColumnFold)):
            yield from (axis.name for axis in statement.axes)
            yield from (item.result for item in statement.items)
            if isinstance(statement, ColumnFold):
                yield statement.column.name
                yield from _axes_inside(statement.body)
        elif isinstance(statement, Search):
            yield from (statement.axis.name, statement.result)
