"""Loop programs: kernels as small trees of loops over scalar terms, which the printers write as source.

    kernel    = name, sizes, buffers, statements
    statement = loop(axis, statements)                 the outermost one is split among threads
              | store(buffer, index, term)             optionally adding, optionally under a condition
              | fold(axes, items, stores)              reduction over the innermost axes, in lanes
              | column_fold(column, axes, items, stores, statements)
                                                       reduction over outer axes, a tile of columns at once
              | search(axis, term)                     position of the largest element
              | contraction(batch, rows, column, depths, left, right, stores)
                                                       sums of products
              | winograd(image, row, column, channel, feature, point, left, right, stores)
                                                       convolution with a window of 3 x 3, by tiles of 2 x 2

The order of every reduction is part of the language and depends on the shape of what is reduced alone:

    fold          the element at position r of the innermost axis is added to lane r % 16; an axis longer than
                  4096, or of a size known only at run time, is folded in blocks of 4096 whose lanes are then added
                  to the lanes of the total; at the end the lanes are combined by halves (16, 8, 4, 2, 1)
    column fold   each column adds its elements in order, in blocks of 4096 along the innermost folded axis as above
    contraction   each element is one chain of fused multiply-adds in the order of the contracted position
    winograd      tiles are transformed down the columns, then along the rows, with a + b + c as (a + b) + c and
                  a - b - c as (a - b) - c; each of the 16 sums of products between is one chain of fused
                  multiply-adds in the order of the channels
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphc.dims import Size
from graphc.dtypes import DType
from graphc.passes.terms import Index, Term, walk_terms

__all__ = [
    "BLOCK",
    "LANES",
    "TILE",
    "Axis",
    "Buffer",
    "ColumnFold",
    "Contraction",
    "Fold",
    "FoldItem",
    "Kernel",
    "Loop",
    "Search",
    "Statement",
    "Store",
    "Winograd",
    "axes_of",
    "indices_of",
    "peeled",
    "stores_of",
    "terms_of",
]

LANES = 16
BLOCK = 4096
TILE = 64
_LONG = 12
"""Steps of a row axis from which it can be shared fairly."""


@dataclass(frozen=True)
class Axis:
    """A loop variable and how far it counts. granule: threads take multiples of this many steps."""

    name: str
    extent: Size
    granule: int = 1


@dataclass(frozen=True)
class Buffer:
    """A buffer argument of a kernel."""

    name: str
    dtype: DType
    written: bool = False


@dataclass(frozen=True, eq=False)
class Store:
    """Write a term to a place of a buffer.

    add: add it to what is there. when: only where this holds. among: how many places the computed part of the index may
    name, 0 if that is not said.
    """

    buffer: str
    index: Index
    value: Term
    add: bool = False
    when: Term | None = None
    among: Size = 0


@dataclass(frozen=True)
class FoldItem:
    """One reduction: the variable that gets the result, how elements combine, where it starts, what is combined."""

    result: str
    combine: str
    start: float
    value: Term


@dataclass(frozen=True, eq=False)
class Fold:
    """Reduce items over axes, the innermost last; stores happen for every element on the way."""

    axes: tuple[Axis, ...]
    items: tuple[FoldItem, ...]
    stores: tuple[Store, ...] = ()


@dataclass(frozen=True, eq=False)
class ColumnFold:
    """For every column: reduce items over axes, with stores on the way; then the statements, once a column. Without
    items it is a walk down the columns.

    Tiles of columns are split among threads where no loop encloses the fold.
    """

    column: Axis
    axes: tuple[Axis, ...]
    items: tuple[FoldItem, ...]
    stores: tuple[Store, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """Find the first position of the largest value along an axis (the first NaN counts as largest)."""

    axis: Axis
    result: str
    value: Term


@dataclass(frozen=True, eq=False)
class Contraction:
    """Sums of products: for each batch index, row and column the sum over the depths of left * right, then the stores.

    rows, depths: axes, the innermost last. left: a load that does not depend on the column; right: one that does not
    depend on rows. result: the variable of the sum, which the stores use. by_columns: whether threads share the
    columns, each taking its part of a large right operand. inside: where there is a left operand to load; elsewhere it
    is 0, as around an image. Only programs for GPUs ask for it.
    """

    batch: Axis
    rows: tuple[Axis, ...]
    column: Axis
    depths: tuple[Axis, ...]
    left: Term
    right: Term
    result: str
    stores: tuple[Store, ...]
    by_columns: bool = False
    inside: Term | None = None

    @property
    def operands(self) -> tuple[Term, ...]:
        """What is multiplied, and the condition."""
        return (self.left, self.right, *([self.inside] if self.inside is not None else []))

    @property
    def shared(self) -> Axis:
        """The axis that threads share: the columns, the batch, or a row axis that is long enough."""
        if self.by_columns:
            return self.column
        if self.batch.extent != 1:
            return self.batch
        long = (axis for axis in self.rows if not isinstance(axis.extent, int) or axis.extent >= _LONG)
        return next(long, self.rows[0])


@dataclass(frozen=True, eq=False)
class Winograd:
    """A convolution as ``graphc.ops.winograd`` defines it: 2 x 2 elements of the result at once.

    image, row, column, feature: axes of the result. channel: of the features that are summed. point: of the 16 products
    for a tile. left: a load, at the first of the nine places that an element of the result is computed from; it depends
    on image, row, column and channel. right: a load that depends on point, channel and feature. result: the variable of
    an element, which the stores use. Where rows or columns are odd in number, the last tiles lie one nearer and store
    only what is new. Threads share the rows of tiles of all images.
    """

    image: Axis
    row: Axis
    column: Axis
    channel: Axis
    feature: Axis
    point: Axis
    left: Term
    right: Term
    result: str
    stores: tuple[Store, ...]

    @property
    def operands(self) -> tuple[Term, ...]:
        """What is multiplied."""
        return self.left, self.right

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles of one image: how many rows of them, and how many in a row."""
        rows, columns = self.row.extent, self.column.extent
        assert isinstance(rows, int)
        assert isinstance(columns, int)
        return -(-rows // 2), -(-columns // 2)


@dataclass(frozen=True, eq=False)
class Loop:
    """Repeat statements along an axis."""

    axis: Axis
    body: tuple[Statement, ...]


Statement = Loop | Store | Fold | ColumnFold | Search | Contraction | Winograd


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel: what the printers write and the program calls.

    name: made of the names of its ops. sizes: names of integers that are passed. buffers: passed as pointers, those
    only read first. body: the statements. split: whether threads share the outermost loops; if not, one thread runs it.
    """

    name: str
    sizes: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    split: bool = True


def peeled(body: Sequence[Statement], until: str = "") -> tuple[tuple[Axis, ...], Sequence[Statement]]:
    """The axes of the loops that enclose everything, and what is in them. until: the name of an axis to stop at."""
    axes: tuple[Axis, ...] = ()
    while len(body) == 1 and isinstance(body[0], Loop) and body[0].axis.name != until:
        axes, body = (*axes, body[0].axis), body[0].body
    return axes, body


def terms_of(statement: Statement) -> Iterator[Term]:
    """The terms that a statement needs, those of inner statements included."""
    if isinstance(statement, Store):
        yield statement.value
        if statement.when is not None:
            yield statement.when
        yield from (place for place, _ in statement.index.places)
    elif isinstance(statement, (Fold, ColumnFold)):
        yield from (item.value for item in statement.items)
        for store in statement.stores:
            yield from terms_of(store)
        if isinstance(statement, ColumnFold):
            for inner in statement.body:
                yield from terms_of(inner)
    elif isinstance(statement, Search):
        yield statement.value
    elif isinstance(statement, (Contraction, Winograd)):
        yield from statement.operands
        for store in statement.stores:
            yield from terms_of(store)
    elif isinstance(statement, Loop):
        for inner in statement.body:
            yield from terms_of(inner)


def stores_of(statement: Statement) -> Iterator[Store]:
    """The stores of a statement and those inside it."""
    if isinstance(statement, Store):
        yield statement
    elif isinstance(statement, (Fold, ColumnFold, Contraction, Winograd)):
        yield from statement.stores
    for inner in statement.body if isinstance(statement, (Loop, ColumnFold)) else ():
        yield from stores_of(inner)


def indices_of(statement: Statement) -> Iterator[Index]:
    """All indices that a statement uses, in its terms and its stores."""
    yield from (term.index for term in walk_terms(terms_of(statement)) if term.index is not None)
    yield from (store.index for store in stores_of(statement))


def axes_of(statement: Statement) -> Iterator[Axis]:
    """The loop axes of a statement and those inside it."""
    if isinstance(statement, Loop):
        yield statement.axis
        for inner in statement.body:
            yield from axes_of(inner)
    elif isinstance(statement, Fold):
        yield from statement.axes
    elif isinstance(statement, ColumnFold):
        yield statement.column
        yield from statement.axes
    elif isinstance(statement, Search):
        yield statement.axis
    elif isinstance(statement, Contraction):
        yield from (statement.batch, *statement.rows, statement.column, *statement.depths)
    elif isinstance(statement, Winograd):
        yield from (statement.image, statement.row, statement.column)
        yield from (statement.channel, statement.feature, statement.point)
