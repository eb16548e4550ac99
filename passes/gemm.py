"""Matrix products: which contractions a library's GEMM computes, and how others are taken apart so that one can.

Matrices are row-major here. What a library cannot do to a product before it stores it becomes a kernel of its own,
which reads the product from memory: the same values, one more pass over them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

from graphc.dims import Size, divide, evaluate, multiply, product, symbols_of
from graphc.dtypes import DType
from graphc.node import Node
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.passes.axes import plan_axes, substitute
from graphc.passes.loops import Axis, Buffer, Contraction, Kernel, Store
from graphc.passes.lower import KernelCall, KernelWriter, loops_around
from graphc.passes.spaces import cone
from graphc.passes.storage import Rounds, Side, Storage, memory_of
from graphc.passes.terms import Index, Term, walk_terms

__all__ = ["Gemm", "Matrix", "as_gemm", "library_product", "split_products"]

_WORTH = 1 << 18
"""Multiplications from which a product of its own pays: smaller ones are faster with all that follows in one kernel."""
_LIKELY = 64
"""What a size known only at run time is taken for."""

_Strides = tuple[Size, ...]


@dataclass(frozen=True)
class Matrix:
    """Matrices in a buffer: where their elements lie, counted in elements.

    buffer: the kernel's name for it. leading: from one line of memory to the next. step: from one matrix of the batch
    to the next, 0 if all are the same. transposed: a line of memory holds a column and not a row.
    """

    buffer: str
    leading: Size
    step: Size = 0
    transposed: bool = False


@dataclass(frozen=True)
class Gemm:
    """For each of a batch: out = left @ right, of rows x depth by depth x columns, with what follows it.

    All sizes are in terms of the kernel's. epilogue: "none", or "bias" (add a vector of one number a column), "relu",
    "relu_bias" (the bias first). bias: the buffer of the vector, "" without one. accumulate: add the product to what
    is in out.
    """

    batch: Size
    rows: Size
    columns: Size
    depth: Size
    left: Matrix
    right: Matrix
    out: Matrix
    dtype: DType
    epilogue: str = "none"
    bias: str = ""
    accumulate: bool = False


def as_gemm(kernel: Kernel, relu: bool = False) -> Gemm | None:
    """The product that a kernel computes, or None if it computes anything else or more.

    relu: whether a ReLU may be part of it. Libraries say max(x, 0) and do not say what that is for a NaN, which the
    kernel itself lets through.
    """
    contraction = _sole(kernel)
    if contraction is None or len(contraction.stores) != 1:
        return None
    (store,) = contraction.stores
    types = {buffer.name: buffer.dtype for buffer in kernel.buffers}
    found = _product(contraction, store.buffer, store.index)
    if found is None or types[store.buffer] != found.dtype:
        return None
    return _with_epilogue(found, contraction, store, relu)


def library_product(call: KernelCall) -> Gemm | None:
    """The product of a call that a library should compute: one that ``as_gemm`` knows, large enough to pay, and not on
    a side of a choice, since a library cannot look at a condition."""
    return as_gemm(call.kernel) if _suits(call, _WORTH) else None


def _suits(call: KernelCall, worth: int) -> bool:
    """Whether a library might compute the product of a call with profit."""
    return _multiplications(call) >= worth and not any(isinstance(place, Side) for place in call.loops)


def _sole(kernel: Kernel) -> Contraction | None:
    (first, *others) = kernel.body
    return first if isinstance(first, Contraction) and first.inside is None and not others else None


def _product(c: Contraction, out: str, target: Index) -> Gemm | None:
    """The plain product of a contraction, stored in a buffer at an index."""
    left, right, dtype = c.left.index, c.right.index, c.left.dtype
    if left is None or right is None or not dtype.is_float or c.right.dtype != dtype:
        return None
    if c.left.kind != "load" or c.right.kind != "load" or out in (c.left.name, c.right.name):
        return None
    near, far = (c.batch, *c.rows), (c.batch, c.column)
    allowed = ((left, (*near, *c.depths)), (right, (*far, *c.depths)), (target, (*near, c.column)))
    if not all(_moves_along(index, axes) for index, axes in allowed):
        return None
    batches = _as_one((c.batch,), left, right, target)
    rows = _as_one(c.rows, left, target)
    columns = _as_one((c.column,), right, target)
    depths = _as_one(c.depths, left, right)
    if batches is None or rows is None or columns is None or depths is None or depths[0] == 0:
        return None
    (many, steps), (height, down), (width, across) = map(_once_if_idle, (batches, rows, columns))
    depth, along = depths
    moving = all(extent == 1 or 0 not in each for extent, each in ((height, down), (width, across), (depth, along)))
    if not moving or (steps[2] == 0 and many != 1):
        return None
    a = _matrix(c.left.name, steps[0], (height, down[0]), (depth, along[0]))
    b = _matrix(c.right.name, steps[1], (depth, along[1]), (width, across[0]))
    d = _matrix(out, steps[2], (height, down[1]), (width, across[1]))
    if a is None or b is None or d is None or d.transposed:
        return None
    return Gemm(many, height, width, depth, a, b, d, dtype)


def _moves_along(index: Index, axes: Sequence[Axis]) -> bool:
    """True if an index is a sum of steps along some axes, one along each, and of nothing else."""
    plain = not index.offsets and not index.places and len(index.names) == len(index.axes)
    return plain and index.names <= {axis.name for axis in axes}


def _as_one(axes: Sequence[Axis], *indices: Index) -> tuple[Size, _Strides] | None:
    """Axes as a single one: how far it counts, and the stride of each index. None if an index does not see them so."""
    left = [axis for axis in axes if axis.extent != 1]
    for outer, inner in pairwise(left):
        if any(i.stride(outer.name) != multiply(i.stride(inner.name), inner.extent) for i in indices):
            return None
    last = left[-1].name if left else ""
    return product(axis.extent for axis in left), tuple(index.stride(last) for index in indices)


def _once_if_idle(axis: tuple[Size, _Strides]) -> tuple[Size, _Strides]:
    """An axis of the result that moves nothing does the same again and again: once will do."""
    extent, strides = axis
    return (extent, strides) if any(stride != 0 for stride in strides) else (1, strides)


def _matrix(buffer: str, step: Size, outer: tuple[Size, Size], inner: tuple[Size, Size]) -> Matrix | None:
    """The matrix whose rows and columns are given as (extent, stride), if it is made of lines of memory."""
    (rows, down), (columns, across) = outer, inner
    if columns == 1 or across == 1:
        leading = columns if rows == 1 else down
        return Matrix(buffer, leading, step) if _holds(leading, columns) else None
    if rows == 1 or down == 1:
        return Matrix(buffer, across, step, True) if _holds(across, rows) else None
    return None


def _holds(leading: Size, width: Size) -> bool:
    """True if lines so far apart do not overlap, as far as the sizes tell."""
    if isinstance(leading, int) and isinstance(width, int):
        return leading >= width
    quotient = divide(width, leading)
    return quotient is None or quotient == 1


def _with_epilogue(gemm: Gemm, c: Contraction, store: Store, relu: bool) -> Gemm | None:
    """The product with what happens to each element before it is stored; None if that is too much."""
    if store.when is not None:
        return None
    value = store.value
    if _is_total(value, c):
        return replace(gemm, accumulate=store.add)
    if store.add:
        return None
    if any(_is_total(one, c) and _reads(other, store.buffer, store.index) for one, other in _summands(value)):
        return replace(gemm, accumulate=True)
    inner = _under_relu(value) if relu else None
    found = _plain_or_bias(gemm, value if inner is None else inner, c)
    if found is None or found.bias == store.buffer:
        return None
    if inner is None:
        return found
    return replace(found, epilogue="relu" if found.epilogue == "none" else "relu_bias")


def _plain_or_bias(gemm: Gemm, value: Term, c: Contraction) -> Gemm | None:
    if _is_total(value, c):
        return gemm
    places = [Index.axis(c.column.name), *([Index()] if gemm.columns == 1 else [])]
    for one, other in _summands(value):
        if _is_total(one, c) and any(_reads(other, other.name, place) for place in places):
            return replace(gemm, epilogue="bias", bias=other.name)
    return None


def _summands(value: Term) -> Iterator[tuple[Term, Term]]:
    """The operands of a sum, in both orders."""
    if value.kind == "primitive" and value.name == "add":
        one, other = value.args
        yield from ((one, other), (other, one))


def _is_total(value: Term, c: Contraction) -> bool:
    return value.kind == "variable" and value.name == c.result


def _reads(value: Term, buffer: str, index: Index) -> bool:
    """True if a term is the element of a buffer at an index."""
    return value.kind == "load" and value.name == buffer and value.index == index


def _under_relu(value: Term) -> Term | None:
    """x, if a term is max(x, 0) written as the choice of 0 where x <= 0."""
    if value.kind != "primitive" or value.name != "select":
        return None
    test, zero, x = value.args
    negative = test.kind == "primitive" and test.name == "less_equal" and test.args[0] is x
    return x if negative and _is_zero(test.args[1]) and _is_zero(zero) else None


def _is_zero(value: Term) -> bool:
    return value.kind == "number" and str(float(value.value)) == "0.0"


def split_products(calls: Sequence[KernelCall], worth: int = _WORTH, relu: bool = False) -> list[KernelCall]:
    """The calls with each large product that ``as_gemm`` would know but for its stores as a call of its own, and the
    stores as another that reads it.

    worth: multiplications from which a product is large, with 64 for each size that is known only at run time. relu:
    as for ``as_gemm``. Products that no GEMM computes, and those on a side of a choice, stay as they are. Every value
    keeps its bits.
    """
    stored = {node for call in calls for node in call.nodes}
    taken = {place.name for call in calls for argument in call.arguments for place in memory_of(argument)}
    free = (name for name in map("product{}".format, count()) if name not in taken)
    local: dict[Rounds | Side, set[Storage]] = {}
    result: list[KernelCall] = []
    for call in calls:
        whole = _suits(call, worth) and as_gemm(call.kernel, relu) is None
        parts = _Parts.of(call, stored) if whole else None
        if parts is None:
            result.append(call)
            continue
        result += parts.calls(next(free) if parts.kept is None else "", stored)
        for loop in call.loops:
            local.setdefault(loop, set()).update(result[-2].arguments[-1:] if parts.kept is None else ())
    return [
        replace(call, loops=tuple(replace(loop, local=loop.local | local.get(loop, set())) for loop in call.loops))
        for call in result
    ]


def _multiplications(call: KernelCall) -> int:
    """About how many multiplications a call of a contraction makes; 0 for other kernels."""
    contraction = _sole(call.kernel)
    if contraction is None:
        return 0
    number = product(axis.extent for axis in _axes_of(contraction, call))
    return evaluate(number, dict.fromkeys(symbols_of([number]), _LIKELY))


def _axes_of(c: Contraction, call: KernelCall) -> list[Axis]:
    """The axes of a contraction, counting to sizes of the program and not to those that its kernel is passed."""
    return [replace(axis, extent=call.in_program(axis.extent)) for axis in (c.batch, *c.rows, c.column, *c.depths)]


@dataclass(frozen=True)
class _Parts:
    """A call taken apart: its contraction, the node of the product, and the store that keeps the product itself in a
    temporary, if there is one."""

    call: KernelCall
    contraction: Contraction
    node: Node
    kept: int | None

    @staticmethod
    def of(call: KernelCall, stored: Collection[Node]) -> _Parts | None:
        """The parts, or None for a kernel that computes no product or stores it where no GEMM would."""
        c = _sole(call.kernel)
        node = next((n for n in cone(call.nodes, stored) if isinstance(n.op, (DotGeneral, ConvGeneral))), None)
        if c is None or node is None:
            return None
        target = c.stores[0].index
        if any(store.index != target for store in c.stores) or _product(c, "", target) is None:
            return None
        read = {term.name for term in walk_terms(_terms(c.stores)) if term.kind == "load"}
        kinds = {buffer.name: place.kind for buffer, place in zip(call.kernel.buffers, call.arguments, strict=True)}
        plain = (
            number
            for number, store in enumerate(c.stores)
            if _is_total(store.value, c) and store.when is None and not store.add
            if kinds[store.buffer] == "temporary" and store.buffer not in read
        )
        return _Parts(call, c, node, next(plain, None))

    def calls(self, name: str, stored: Collection[Node]) -> list[KernelCall]:
        """The two calls. name: of the temporary between them, if the program has none for it."""
        c, call = self.contraction, self.call
        known = {
            buffer.name: (buffer, place) for buffer, place in zip(call.kernel.buffers, call.arguments, strict=True)
        }
        if self.kept is None:
            place = Storage("temporary", name, self.node.type, self.node)
            fresh = next(label for label in map("x{}".format, count()) if label not in known)
            between, root = Buffer(fresh, self.node.type.dtype), self.node
        else:
            between, place = known[c.stores[self.kept].buffer]
            root = call.nodes[self.kept]
        known[between.name] = (between, place)

        writer = KernelWriter(stored, {})
        total = writer.builder.variable(c.result, self.node.type.dtype)
        alone = replace(c, stores=(Store(between.name, c.stores[0].index, total),))
        passed = {n: s for n, s in zip(call.kernel.sizes, call.sizes, strict=True) if n.startswith("$")}
        work = multiply(2, product(axis.extent for axis in _axes_of(c, call)))
        first = writer.call([root], [alone], passed, flops=(work,))
        out = (replace(between, written=True), place)
        operands = dict.fromkeys((c.left.name, c.right.name))
        return [
            _with_buffers(first, call, [*(known[operand] for operand in operands), out]),
            self._map(between, known, {*stored, self.node}),
        ]

    def _map(self, between: Buffer, known: dict[str, tuple[Buffer, Storage]], stored: Collection[Node]) -> KernelCall:
        """The stores, as a walk over the product in memory."""
        c, call = self.contraction, self.call
        stores = [store for number, store in enumerate(c.stores) if number != self.kept]
        roots = [node for number, node in enumerate(call.nodes) if number != self.kept]
        writer = KernelWriter(stored, {})
        terms, target = _terms(stores), c.stores[0].index
        axes = _axes_of(c, call)[: -len(c.depths)]
        indices = [target, *(term.index for term in walk_terms(terms) if term.index is not None)]
        plan = plan_axes(axes, indices, lambda outer, inner: True)
        spot = plan.index(target)
        total = writer.builder.load(between.name, spot, between.dtype)
        new = iter(substitute(writer.builder, terms, plan, {c.result: total}))
        stores = [
            replace(store, index=spot, value=next(new), when=next(new) if store.when is not None else None)
            for store in stores
        ]
        body, sizes = loops_around(plan.axes, stores)
        written = {store.buffer for store in stores}
        used = written | {term.name for term in walk_terms(_terms(stores)) if term.kind == "load"}
        pairs = [(replace(buffer, written=buffer.name in written), place) for buffer, place in known.values()]
        pairs = [pair for pair in pairs if pair[0].name in used]
        second = writer.call(roots, body, sizes, split=bool(plan.axes))
        return _with_buffers(second, call, sorted(pairs, key=lambda pair: pair[0].written))


def _terms(stores: Sequence[Store]) -> list[Term]:
    return [term for store in stores for term in (store.value, store.when) if term is not None]


def _with_buffers(part: KernelCall, call: KernelCall, pairs: Sequence[tuple[Buffer, Storage]]) -> KernelCall:
    """A part of a call with its buffers and what is passed for them, inside the loops of the call."""
    kernel = replace(part.kernel, buffers=tuple(buffer for buffer, _ in pairs))
    return replace(part, kernel=kernel, arguments=tuple(place for _, place in pairs), loops=call.loops)
