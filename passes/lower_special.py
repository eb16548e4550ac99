"""Lowering of the kinds that move or search: searches, assemblies, scatters, checks, copies."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import Size
from graphc.dtypes import INT64
from graphc.node import Node
from graphc.ops.assembly import Concatenate, Pad
from graphc.ops.indexing import CheckRange, ScatterAdd
from graphc.ops.reduction import ArgMax
from graphc.passes.axes import plan_axes, substitute
from graphc.passes.loops import Axis, Loop, Search, Statement, Store
from graphc.passes.lower import KernelCall, KernelWriter, full_place, loops_around
from graphc.passes.storage import Storage
from graphc.passes.terms import Index, Term, contiguous_strides, walk_terms
from graphc.passes.views import linear, wrapped_place

__all__ = ["lower_assembly", "lower_check", "lower_copy", "lower_scatter", "lower_search"]


def _map_into(
    writer: KernelWriter,
    roots: Sequence[Node],
    axes: Sequence[Axis],
    target: Storage,
    spot: Index,
    value: Term,
    name: str = "",
) -> KernelCall:
    """A kernel that stores one value for each step of its axes."""
    indices = [term.index for term in walk_terms([value]) if term.index is not None]
    plan = plan_axes(axes, [*indices, spot], lambda outer, inner: True)
    (term,) = substitute(writer.builder, [value], plan)
    body, sizes = loops_around(plan.axes, [Store(writer.write(target), plan.index(spot), term)])
    return writer.call(roots, body, sizes, name, split=bool(plan.axes), flops=() if name else None)


def lower_copy(writer: KernelWriter, source: Storage, target: Storage) -> KernelCall:
    """A kernel that copies one storage to another of the same type."""
    axes, place = full_place(target.type.shape)
    spot = linear(place, target.type.shape)
    value = writer.builder.load(writer.read_from(source), spot, source.type.dtype)
    roots = [source.node] if source.node is not None else []
    return _map_into(writer, roots, axes, target, spot, value, "copy")


def lower_search(writer: KernelWriter, root: Node) -> KernelCall:
    """A kernel for the position of the largest element along an axis."""
    op = root.op
    assert isinstance(op, ArgMax)
    axes, place = full_place(root.inputs[0].type.shape)
    value = writer.resolver.term(root.inputs[0], place)
    others = [axis for number, axis in enumerate(axes) if number != op.axis]
    outside = tuple(index for number, index in enumerate(place) if number != op.axis)
    spot = linear(outside, root.type.shape)
    searched = axes[op.axis]
    indices = [term.index for term in walk_terms([value]) if term.index is not None]
    order = [*others, searched] if searched.extent != 1 else others
    plan = plan_axes(order, [*indices, spot], lambda outer, inner: searched not in (outer, inner))
    (term,) = substitute(writer.builder, [value], plan)
    along = plan.axes[-1] if searched.extent != 1 else Axis("z", 1)
    kept = plan.axes[:-1] if searched.extent != 1 else plan.axes
    found = writer.builder.variable("place", INT64)
    store = Store(writer.write(writer.storage[root]), plan.index(spot), found)
    body, sizes = loops_around(kept, [Search(along, "place", term), store])
    return writer.call([root], body, sizes, split=bool(kept))


def lower_assembly(make: type[KernelWriter], writer: KernelWriter, root: Node) -> list[KernelCall]:
    """Kernels that put parts into a tensor: the padding everywhere and the operand over it, or operand after
    operand.
    """
    target = writer.storage[root]
    if isinstance(root.op, Pad):
        axes, place = full_place(root.type.shape)
        filler = writer.resolver.term(root.inputs[1], ())
        fill = _map_into(writer, [root], axes, target, linear(place, root.type.shape), filler, "pad")
        steps = [interior + 1 for interior in root.op.interior]
        offsets: list[Size] = [*root.op.low]
        second = make(writer.stored, writer.storage)
        return [fill, _part(second, root, root.inputs[0], offsets, steps)]
    assert isinstance(root.op, Concatenate)
    calls: list[KernelCall] = []
    position: tuple[Size, ...] = ()
    for part in root.inputs:
        place_offsets = [position if axis == root.op.axis else () for axis in range(root.type.rank)]
        calls.append(_part_at(make(writer.stored, writer.storage), root, part, place_offsets, [1] * root.type.rank))
        position = (*position, part.type.shape[root.op.axis])
    return calls


def _part(writer: KernelWriter, root: Node, part: Node, offsets: Sequence[Size], steps: Sequence[int]) -> KernelCall:
    return _part_at(writer, root, part, [(offset,) if offset != 0 else () for offset in offsets], steps)


def _part_at(
    writer: KernelWriter, root: Node, part: Node, offsets: Sequence[tuple[Size, ...]], steps: Sequence[int]
) -> KernelCall:
    """A kernel that stores an operand into its place in the result."""
    axes, place = full_place(part.type.shape)
    moved: list[Index] = []
    for index, shifts, step in zip(place, offsets, steps, strict=True):
        moved.append(index.times(step))
        for shift in shifts:
            moved[-1] = moved[-1].plus(Index.constant(shift))
    value = writer.resolver.term(part, place)
    return _map_into(
        writer, [root], axes, writer.storage[root], linear(tuple(moved), root.type.shape), value, root.op.name
    )


def lower_scatter(make: type[KernelWriter], writer: KernelWriter, root: Node) -> list[KernelCall]:
    """Two kernels: a copy of the operand, then the updates added one after the other."""
    op = root.op
    assert isinstance(op, ScatterAdd)
    source, indices, updates = root.inputs
    axes, place = full_place(root.type.shape)
    value = writer.resolver.term(source, place)
    copy = _map_into(writer, [root], axes, writer.storage[root], linear(place, root.type.shape), value, "copy")

    second = make(writer.stored, writer.storage)
    axes, place = full_place(updates.type.shape)
    place = tuple(Index() if axis.extent == 1 else index for axis, index in zip(axes, place, strict=True))
    rank = indices.type.rank
    index = second.resolver.term(indices, place[op.axis : op.axis + rank])
    where, inside = wrapped_place(second.builder, index, root.type.shape[op.axis])
    strides = contiguous_strides(root.type.shape)
    around = (*place[: op.axis], Index(), *place[op.axis + rank :])
    spot = linear(around, root.type.shape).plus(Index(places=((where, strides[op.axis]),)))
    value = second.resolver.term(updates, place)
    among = root.type.shape[op.axis]
    store = Store(second.write(second.storage[root]), spot, value, add=True, when=inside, among=among)
    left = [axis for axis in axes if axis.extent != 1]
    body: tuple[Statement, ...] = (store,)
    for axis in reversed(left):
        body = (Loop(axis, body),)
    split = bool(left) and bool(op.axis) and left[0] in axes[: op.axis]
    return [copy, second.call([root], body, {}, split=split)]


def lower_check(writer: KernelWriter, root: Node, status: Storage, code: int) -> KernelCall:
    """A kernel that writes a code to the program's status if any integer is out of range."""
    op = root.op
    assert isinstance(op, CheckRange)
    axes, place = full_place(root.type.shape)
    s = writer.builder
    value = writer.resolver.term(root.inputs[0], place)
    low, high = s.like(op.low, value), s.like(op.high, value)
    wrong = s.logical_not(s.logical_and(s.less_equal(low, value), s.less(value, high)))
    indices = [term.index for term in walk_terms([wrong]) if term.index is not None]
    plan = plan_axes(axes, indices, lambda outer, inner: True)
    (term,) = substitute(s, [wrong], plan)
    store = Store(writer.write(status), Index(), s.constant(code, INT64), when=term)
    body, sizes = loops_around(plan.axes, [store])
    return writer.call([root], body, sizes, name="check_range", split=False)
