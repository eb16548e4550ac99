"""Lowering: what every kind of kernel shares in being made from a group of stored values, and maps and folds
themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Dim, Shape, Size, multiply, product, symbols_of
from graphc.node import Node
from graphc.ops.movement import Transpose
from graphc.ops.reduction import Reduce
from graphc.passes.axes import AxisPlan, plan_axes, substitute
from graphc.passes.loops import (
    LANES,
    Axis,
    Buffer,
    ColumnFold,
    Fold,
    FoldItem,
    Kernel,
    Loop,
    Statement,
    Store,
    axes_of,
    indices_of,
)
from graphc.passes.spaces import cone, index_space, is_fold, operation_count
from graphc.passes.storage import Rounds, Side, Storage, leaf_storage
from graphc.passes.terms import Index, Term, TermBuilder, walk_terms
from graphc.passes.views import Place, Resolver, base_of, linear

__all__ = ["KernelCall", "KernelWriter", "full_place", "loops_around", "lower_fold", "lower_map", "sizes_in"]

GRANULE = 64
"""Threads take multiples of this many elements of a flat loop: they do not share cache lines, nor blocks of random
numbers."""

_CALLED = {"dot_general": "matmul", "conv_general": "convolution", "winograd_convolution": "winograd"}
_SILENT = {"broadcast_in_dim", "reshape", "transpose", "slice", "reverse", "cast", "iota", "check_range", "dim_size"}


@dataclass(frozen=True)
class KernelCall:
    """One call of a kernel.

    sizes: what is passed for the kernel's sizes. arguments: what is passed for its buffers. nodes: what it computes,
    for comments and pictures. flops: floating-point operations, as sizes to be added up. loops: loops and
    sides of choices around it, the outermost first; neighbours in a loop follow one another in each of its rounds.
    """

    kernel: Kernel
    sizes: tuple[Size, ...]
    arguments: tuple[Storage, ...]
    nodes: tuple[Node, ...]
    flops: tuple[Size, ...]
    loops: tuple[Rounds | Side, ...] = ()

    @property
    def rounds(self) -> Size:
        """How often it is made in one run of the program."""
        return product(loop.length for loop in self.loops if isinstance(loop, Rounds))

    def in_program(self, size: Size) -> Size:
        """A size of the kernel in terms of the program's."""
        if isinstance(size, int):
            return size
        passed = dict(zip(self.kernel.sizes, self.sizes, strict=True))
        return product([size.factor, *(passed[name] for name in size.symbols)])


def full_place(shape: Shape) -> tuple[tuple[Axis, ...], Place]:
    """One axis for each dimension of a shape, and the place that they name."""
    axes = tuple(Axis(f"a{number}", size) for number, size in enumerate(shape))
    return axes, tuple(Index.axis(axis.name) for axis in axes)


class KernelWriter:
    """Collects what one kernel needs: buffers, terms, statements."""

    def __init__(self, stored: Collection[Node], storage: Mapping[Node, Storage]) -> None:
        self.builder = TermBuilder()
        self.stored = stored
        self.storage = storage
        self.buffers: dict[Storage, Buffer] = {}
        self.resolver = Resolver(self.builder, stored, self.read)

    def read(self, node: Node) -> str:
        """The name of the buffer that a stored node or leaf lies in."""
        return self.read_from(self.storage[node] if node in self.storage else leaf_storage(node))

    def read_from(self, storage: Storage) -> str:
        """The name of a buffer that the kernel reads."""
        return self._buffer(storage, written=False)

    def write(self, storage: Storage) -> str:
        """The name of a buffer that the kernel writes."""
        return self._buffer(storage, written=True)

    def _buffer(self, storage: Storage, written: bool) -> str:
        known = self.buffers.get(storage)
        name = known.name if known is not None else f"x{len(self.buffers)}"
        self.buffers[storage] = Buffer(name, storage.type.dtype, written or (known is not None and known.written))
        return name

    def read_whole(self, node: Node) -> str:
        """The buffer of an operand that lies in memory as a whole; a uniform constant is put there."""
        base = base_of(node, self.stored)
        while base is None and node.inputs:
            (node,) = node.inputs
            base = base_of(node, self.stored)
        return self.read(base or node)

    def call(
        self,
        roots: Sequence[Node],
        body: Sequence[Statement],
        sizes: Mapping[str, Size],
        name: str = "",
        split: bool = True,
        flops: Sequence[Size] | None = None,
    ) -> KernelCall:
        """The call of a kernel made of statements. sizes: the kernel's own names for sizes; others are found in the
        body.
        """
        used = {symbol: Dim(1, (symbol,)) for symbol in sorted(sizes_in(body)) if symbol not in sizes}
        values = {**sizes, **used}
        order = sorted(self.buffers.items(), key=lambda item: item[1].written)
        kernel = Kernel(
            f"{name}_kernel" if name else kernel_name(roots, self.stored),
            tuple(values),
            tuple(buffer for _, buffer in order),
            tuple(body),
            split,
        )
        counted = tuple(flops) if flops is not None else count_flops(roots, self.stored)
        return KernelCall(kernel, tuple(values.values()), tuple(storage for storage, _ in order), tuple(roots), counted)


def kernel_name(roots: Sequence[Node], stored: Collection[Node]) -> str:
    """The names of the last few ops that a kernel computes."""
    inside = set(cone(roots, stored))
    order = [node for root in roots for node in _within(root, inside)]
    names = [_CALLED.get(node.op.name, node.op.name.removeprefix("reduce_")) for node in dict.fromkeys(order)]
    telling = [name for name in names if name not in _SILENT] or names
    short = [name for number, name in enumerate(telling) if number == 0 or name != telling[number - 1]]
    product = [name for name in short[:-4] if name in _CALLED.values()]
    return "_".join([*product, *short[-4:], "kernel"])


def _within(root: Node, inside: set[Node]) -> Iterator[Node]:
    """The nodes of a kernel that a root needs, each after its inputs."""
    done: set[Node] = set()
    stack = [(root, 0)]
    while stack:
        node, position = stack.pop()
        if node in done or node not in inside:
            continue
        if position < len(node.inputs):
            stack += [(node, position + 1), (node.inputs[position], 0)]
            continue
        done.add(node)
        yield node


def count_flops(roots: Sequence[Node], stored: Collection[Node]) -> tuple[Size, ...]:
    """Floating-point operations of a kernel, as sizes to be added up."""
    counts: list[Size] = []
    for node in cone(roots, stored):
        if is_fold(node) and node.type.dtype.is_float:
            counts.append(node.inputs[0].type.elements)
        elif operation_count(node):
            counts.append(multiply(operation_count(node), node.type.elements))
    return tuple(size for size in counts if size != 0)


def sizes_in(body: Iterable[Statement]) -> set[str]:
    """The named sizes that the statements of a kernel mention."""
    found: set[str] = set()
    for statement in body:
        for index in indices_of(statement):
            found.update(symbols_of((*(stride for _, stride in index.axes), *index.offsets)))
            found.update(symbols_of(stride for _, stride in index.places))
        found.update(symbols_of(axis.extent for axis in axes_of(statement)))
    return found


def loops_around(axes: Sequence[Axis], body: Sequence[Statement]) -> tuple[tuple[Statement, ...], dict[str, Size]]:
    """The statements inside loops along axes, and the kernel's sizes: the outermost loop counts to a passed number."""
    if not axes:
        return tuple(body), {}
    outer = axes[0]
    name = "$n" if len(axes) == 1 else "$rows"
    granule = GRANULE if len(axes) == 1 and all(isinstance(part, Store) for part in body) else 1
    nested = tuple(body)
    for axis in reversed(axes[1:]):
        nested = (Loop(axis, nested),)
    return (Loop(Axis(outer.name, Dim(1, (name,)), granule), nested),), {name: outer.extent}


def lower_map(writer: KernelWriter, roots: Sequence[Node]) -> KernelCall:
    """A kernel that computes each element of its roots, all of one shape, by itself."""
    axes, place = _walk_of(roots[0])
    writer.resolver.inside = set(roots)
    values = [writer.resolver.term(root, place) for root in roots]
    targets = [writer.write(writer.storage[root]) for root in roots]
    spot = linear(place, roots[0].type.shape)
    indices = [term.index for term in walk_terms(values) if term.index is not None]
    plan = plan_axes(axes, [*indices, spot], lambda outer, inner: True)
    stores = [
        Store(target, plan.index(spot), value)
        for target, value in zip(targets, substitute(writer.builder, values, plan), strict=True)
    ]
    body, sizes = loops_around(plan.axes, stores)
    return writer.call(roots, body, sizes, split=bool(plan.axes))


def _walk_of(root: Node) -> tuple[tuple[Axis, ...], Place]:
    """The axes of a root in the order of the loops, and the place that they name.

    A transposition walks down blocks of as many columns as a vector has lanes: the lines of the operand that one row
    of a block takes a number from are those of the next row too.
    """
    axes, place = full_place(root.type.shape)
    if not axes or not isinstance(root.op, Transpose) or root.op.axes[-1] == len(axes) - 1:
        return axes, place
    *outer, last = axes
    if not isinstance(last.extent, int) or last.extent % LANES or last.extent == LANES:
        return axes, place
    still = next(number for number, axis in enumerate(root.op.axes) if axis != number)
    block, lane = Axis("block", last.extent // LANES), Axis(last.name, LANES)
    column = Index.axis(block.name).times(LANES).plus(Index.axis(lane.name))
    return (*outer[:still], block, *outer[still:], lane), (*place[:-1], column)


def lower_fold(writer: KernelWriter, roots: Sequence[Node]) -> KernelCall:
    """A kernel that reduces values over some axes of one index space, and may store values on the way."""
    space = next(known for known in (index_space(root, writer.stored) for root in roots) if known and known[1])
    shape, reduced = space
    axes, place = full_place(shape)
    kept = tuple(number for number in range(len(shape)) if number not in reduced)
    folds = [node for node in cone(roots, writer.stored) if is_fold(node)]
    folds.sort(key=lambda node: kernel_name([node], writer.stored))
    mapped = [root for root in roots if index_space(root, writer.stored) == (shape, ())]
    ends = [root for root in roots if root not in mapped]

    resolver = writer.resolver
    resolver.inside = set(roots)
    on_the_way = [resolver.term(root, place) for root in mapped]
    summed = [resolver.term(fold.inputs[0], place) for fold in folds]
    results = [f"total{number}" if len(folds) > 1 else "total" for number in range(len(folds))]
    for fold, result in zip(folds, results, strict=True):
        resolver.given[fold] = writer.builder.variable(result, fold.type.dtype)
    outside = tuple(place[number] for number in kept)
    finals = [resolver.term(root, outside) for root in ends]

    terms = [*on_the_way, *summed, *finals]
    spot, end_spot = linear(place, shape), linear(outside, tuple(shape[number] for number in kept))
    is_kept = {axis.name: number in kept for number, axis in enumerate(axes)}
    plan = _fold_plan(axes, terms, [spot, end_spot], is_kept)
    new = iter(substitute(writer.builder, terms, plan))
    stores = tuple(Store(writer.write(writer.storage[root]), plan.index(spot), next(new)) for root in mapped)
    items = tuple(
        FoldItem(result, fold.op.combine, fold.op.neutral(fold.type.dtype.numpy), next(new))
        for fold, result in zip(folds, results, strict=True)
        if isinstance(fold.op, Reduce)
    )
    after = tuple(Store(writer.write(writer.storage[root]), plan.index(end_spot), next(new)) for root in ends)
    return _assemble_fold(writer, roots, plan, is_kept, stores, items, after)


def _fold_plan(
    axes: Sequence[Axis], terms: Sequence[Term], spots: Sequence[Index], is_kept: Mapping[str, bool]
) -> AxisPlan:
    """Merge neighbouring axes that are kept; the axes that are reduced stay apart, since the order of the sum is
    theirs.
    """
    indices = [*(term.index for term in walk_terms(terms) if term.index is not None), *spots]
    if all(axis.extent == 1 or is_kept[axis.name] for axis in axes):  # only sizes of 1 are reduced: keep one
        last = next(axis for axis in reversed(axes) if not is_kept[axis.name])
        rest = [axis for axis in axes if is_kept[axis.name]]
        plan = plan_axes(rest, indices, lambda outer, inner: False)
        return AxisPlan((*plan.axes, Axis("z", 1)), {**plan.new_name, last.name: "z"})
    return plan_axes(axes, indices, lambda outer, inner: is_kept[outer.name] and is_kept[inner.name])


def _assemble_fold(
    writer: KernelWriter,
    roots: Sequence[Node],
    plan: AxisPlan,
    is_kept: Mapping[str, bool],
    stores: tuple[Store, ...],
    items: tuple[FoldItem, ...],
    after: tuple[Store, ...],
) -> KernelCall:
    old_name = {new: old for old, new in plan.new_name.items()}
    kept = [axis for axis in plan.axes if is_kept[old_name[axis.name]]]
    reduced = tuple(axis for axis in plan.axes if not is_kept[old_name[axis.name]])
    last = plan.axes[-1]
    if not is_kept[old_name[last.name]]:
        body, sizes = loops_around(kept, [Fold(reduced, items, stores), *after])
        return writer.call(roots, body, sizes, split=bool(kept))
    column = ColumnFold(last, reduced, items, stores, after)
    body, sizes = loops_around(kept[:-1], [column])
    return writer.call(roots, body, sizes)
