"""Lowering of convolutions that keep channels apart (depthwise ones): lanes run over the channels.

A sum of few products, as the result and the gradient by the input are, is written out as one chain of fused
multiply-adds; the innermost loop runs over positions, so that a vector of the kernel is read once for many. A longer
sum is a reduction; the gradient by the kernel walks over the batch and all positions once, with a total for each of
many places of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product as every

from graphc.dims import Shape, multiply, product
from graphc.node import Node
from graphc.ops.convolution import ConvGeneral
from graphc.passes.axes import plan_axes, substitute
from graphc.passes.loops import LANES, Axis, ColumnFold, FoldItem, Store
from graphc.passes.lower import KernelCall, KernelWriter, count_flops, full_place, loops_around
from graphc.passes.terms import Index, Term, walk_terms
from graphc.passes.views import Place, linear, reshape_place

__all__ = ["lower_channels"]

_CHAIN = 64
"""The most products of a sum that is written out."""
_TOTALS = 25
"""The most sums of one walk over the operands: they stay in registers."""


def lower_channels(writer: KernelWriter, node: Node, op: ConvGeneral, roots: Sequence[Node]) -> KernelCall:
    """A kernel for a convolution that is ``by_channels``, and for what some roots compute from it."""
    writer.resolver.inside = set(roots)
    kernel = node.inputs[1].type.shape
    depths = {axis: Axis(f"d{axis}", kernel[axis]) for axis in sorted((op.rhs[0], *op.rhs[2:-1]))}
    count = product(axis.extent for axis in depths.values())
    work = multiply(2, multiply(count, node.type.elements))
    flops = (*((work,) if work != 0 else ()), *count_flops(roots, writer.stored))
    if isinstance(count, int) and count <= _CHAIN:
        return _lower_chain(writer, node, op, roots, depths, flops)
    return _lower_totals(writer, node, op, roots, depths, flops)


def _lower_chain(
    writer: KernelWriter,
    node: Node,
    op: ConvGeneral,
    roots: Sequence[Node],
    depths: Mapping[int, Axis],
    flops: Shape,
) -> KernelCall:
    axes, place = full_place(node.type.shape)
    total = writer.builder.constant(0.0, node.type.dtype)
    for numbers in every(*(range(axis.extent) for axis in depths.values() if isinstance(axis.extent, int))):
        depth = {axis: Index.constant(number) for axis, number in zip(depths, numbers, strict=True)}
        total = writer.builder.fma(*_factors(writer, node, op, place, depth), total)
    stores = _stores(writer, node, roots, place, total)
    *others, inner = (axes[number] for number in sorted((op.out[0], *op.out[2:-1])))
    column = axes[op.out[-1]]
    values = [store.value for store in stores]
    indices = [term.index for term in walk_terms(values) if term.index is not None]
    order = [*others, inner, column]
    plan = plan_axes(order, [*indices, stores[0].index], lambda outer, inner: inner is not column)
    new = substitute(writer.builder, values, plan)
    stores = [Store(store.buffer, plan.index(store.index), value) for store, value in zip(stores, new, strict=True)]
    if len(plan.axes) < 3:  # threads share the positions
        body, sizes = loops_around(plan.axes, stores)
    else:
        *rest, inner, column = plan.axes
        body, sizes = loops_around(rest, [ColumnFold(column, (inner,), (), tuple(stores), ())])
    return writer.call(roots, body, sizes, flops=flops)


def _lower_totals(
    writer: KernelWriter,
    node: Node,
    op: ConvGeneral,
    roots: Sequence[Node],
    depths: Mapping[int, Axis],
    flops: Shape,
) -> KernelCall:
    axes, place = _axes_in_blocks(node, op)
    *outer, column = axes
    unrolled = _written_out(node, op)
    kept = [axis for axis in outer if axis.name not in unrolled]
    depth = {number: Index.axis(axis.name) for number, axis in depths.items()}
    items: list[FoldItem] = []
    stores: list[Store] = []
    for number, spot in enumerate(every(*unrolled.values())):
        fixed = dict(zip(unrolled, spot, strict=True))
        here = tuple(_at(index, fixed) for index in place)
        result = f"total{number}" if unrolled else "total"
        value = writer.builder.multiply(*_factors(writer, node, op, here, depth))
        items.append(FoldItem(result, "add", 0.0, value))
        total = writer.builder.variable(result, node.type.dtype)
        stores += _stores(writer, node, roots, here, total)
    terms = [*(item.value for item in items), *(store.value for store in stores)]
    indices = [*(term.index for term in walk_terms(terms) if term.index is not None), *(s.index for s in stores)]
    apart = {column.name, *(axis.name for axis in depths.values())}
    plan = plan_axes(
        [*kept, *depths.values(), column], indices, lambda outer, inner: not {outer.name, inner.name} & apart
    )
    new = iter(substitute(writer.builder, terms, plan))
    items = [FoldItem(item.result, item.combine, item.start, next(new)) for item in items]
    stores = [Store(store.buffer, plan.index(store.index), next(new)) for store in stores]
    folded = {plan.new_name[axis.name] for axis in depths.values() if axis.name in plan.new_name}
    *rest, last = plan.axes
    fold = ColumnFold(last, tuple(a for a in rest if a.name in folded), tuple(items), (), tuple(stores))
    body, sizes = loops_around([axis for axis in rest if axis.name not in folded], [fold])
    return writer.call(roots, body, sizes, flops=flops)


def _axes_in_blocks(node: Node, op: ConvGeneral) -> tuple[list[Axis], Place]:
    """The axes of the result, that of the channels last, and its place. The gradient by the kernel has blocks of
    channels outermost, which threads share."""
    axes, place = full_place(node.type.shape)
    channels = axes[op.out[-1]]
    others = [axis for axis in axes if axis is not channels]
    if not _by_kernel(node, op) or not isinstance(channels.extent, int) or channels.extent % LANES:
        return [*others, channels], place
    block = Axis("block", channels.extent // LANES)
    index = Index.axis(block.name).times(LANES).plus(Index.axis(channels.name))
    blocked = tuple(index if number == op.out[-1] else part for number, part in enumerate(place))
    return [block, *others, Axis(channels.name, LANES)], blocked


def _by_kernel(node: Node, op: ConvGeneral) -> bool:
    """True where positions are those of a kernel: nothing but they and the channels are left of the operands."""
    return node.type.shape[op.out[0]] == 1


def _written_out(node: Node, op: ConvGeneral) -> dict[str, range]:
    """The inner axes of the result, by name, along which each position has a total of its own."""
    found: dict[str, range] = {}
    count = 1
    for number in sorted(op.out[2:-1], reverse=True) if _by_kernel(node, op) else ():
        size = node.type.shape[number]
        if not isinstance(size, int) or size < 1 or count * size > _TOTALS:
            break
        count *= size
        found[f"a{number}"] = range(size)
    return found


def _at(index: Index, fixed: Mapping[str, int]) -> Index:
    """An index with some of its axes at numbers."""
    for name in index.names & fixed.keys():
        return Index.constant(fixed[name])
    return index


def _factors(
    writer: KernelWriter, node: Node, op: ConvGeneral, place: Place, depth: Mapping[int, Index]
) -> tuple[Term, Term]:
    """Two numbers that are multiplied. place: of the result. depth: the position along axes of the right operand.

    The layout pass has put all zeros around the left operand.
    """
    left, right = node.inputs
    group = place[op.out[-1]]
    mine = {op.lhs[0]: place[op.out[0]], op.lhs[1]: depth[op.rhs[0]], op.lhs[-1]: group}
    other = {**depth, op.rhs[1]: place[op.out[1]], op.rhs[-1]: group}
    for axis in range(op.spatial):
        moved = depth[op.rhs[2 + axis]].times(op.rhs_dilation[axis])
        mine[op.lhs[2 + axis]] = place[op.out[2 + axis]].times(op.strides[axis]).plus(moved)
    read = writer.resolver.term
    return (
        read(left, tuple(mine[axis] for axis in range(left.type.rank))),
        read(right, tuple(other[axis] for axis in range(right.type.rank))),
    )


def _stores(writer: KernelWriter, node: Node, roots: Sequence[Node], place: Place, total: Term) -> list[Store]:
    """What is written for one sum. Roots have the shape of the convolution, up to sizes of 1."""
    writer.resolver.given[node] = total
    spot = linear(place, node.type.shape)
    stores = []
    for root in roots:
        at = reshape_place(place, node.type.shape, root.type.shape)
        assert at is not None
        value = total if root is node else writer.resolver.term(root, at)
        stores.append(Store(writer.write(writer.storage[root]), spot, value))
    return stores
