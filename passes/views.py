"""From nodes to terms: the value of a node at an index, with all movement between it and memory turned into indices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from graphc.dims import Shape, Size, multiply
from graphc.dtypes import INT64
from graphc.node import Node
from graphc.op import Elementwise
from graphc.ops.assembly import Pad
from graphc.ops.indexing import Gather
from graphc.ops.leaves import Constant, DimSize, Input, Iota, State
from graphc.ops.movement import BroadcastInDim, Reshape, Reverse, Slice, Transpose
from graphc.ops.reduction import Reduce
from graphc.ops.sampling import Random
from graphc.passes.terms import Index, Term, TermBuilder, contiguous_strides
from graphc.rewrite import splat_value

__all__ = ["Place", "Resolver", "base_of", "is_inline_leaf", "linear", "reshape_place"]

Place = tuple[Index, ...]
"""An index for each axis of a node."""


def is_inline_leaf(node: Node) -> bool:
    """True for leaves that are computed where they are used: uniform constants, positions, sizes."""
    return isinstance(node.op, (Iota, DimSize)) or (isinstance(node.op, Constant) and splat_value(node) is not None)


def base_of(node: Node, stored: Collection[Node]) -> Node | None:
    """The stored node or leaf buffer whose memory a node's elements are, in the same order; None if there is none."""
    while True:
        if node in stored or isinstance(node.op, (Input, State)):
            return node
        if isinstance(node.op, Constant):
            return None if is_inline_leaf(node) else node
        if not isinstance(node.op, Reshape):
            return None
        (node,) = node.inputs


def linear(place: Place, shape: Shape) -> Index:
    """The row-major position of a place in a tensor of a shape."""
    total = Index()
    for index, stride in zip(place, contiguous_strides(shape), strict=True):
        total = total.plus(index.times(stride))
    return total


def reshape_place(place: Place, shape: Shape, source: Shape) -> Place | None:
    """The place in the operand of a reshape, or None where it is not affine: where axes of the operand are merged."""
    result: list[Index] = []
    out = [(size, index) for size, index in zip(shape, place, strict=True) if size != 1]
    position = 0
    for size in source:
        if size == 1:
            result.append(Index())
            continue
        covered: Size = 1
        block: list[tuple[Size, Index]] = []
        while covered != size and position < len(out):
            block.append(out[position])
            covered = multiply(covered, out[position][0])
            position += 1
        if covered != size:
            return None
        result.append(linear(tuple(index for _, index in block), tuple(extent for extent, _ in block)))
    return tuple(result) if position == len(out) else None


class Resolver:
    """Builds terms for the nodes of one kernel.

    stored: nodes that lie in memory. name_buffer: the kernel's name for the buffer of a stored node or leaf. given:
    values that the kernel computes itself, by node, wherever they are asked for.
    """

    def __init__(
        self,
        builder: TermBuilder,
        stored: Collection[Node],
        name_buffer: Callable[[Node], str],
        given: Mapping[Node, Term] | None = None,
    ) -> None:
        self.builder = builder
        self.stored = stored
        self.name_buffer = name_buffer
        self.given: dict[Node, Term] = dict(given or {})
        self.inside: set[Node] = set()
        """Stored nodes that this kernel computes, to be taken from their terms and not from memory."""
        self._known: dict[tuple[Node, Place], Term] = {}

    def term(self, node: Node, place: Place) -> Term:
        """The value of a node at a place."""
        stack: list[tuple[Node, Place]] = [(node, place)]
        while stack:
            key = stack[-1]
            if key in self._known:
                stack.pop()
                continue
            needed = [need for need in self._needs(*key) if need not in self._known]
            if needed:
                stack.extend(needed)
                continue
            self._known[key] = self._value(*key)
            stack.pop()
        return self._known[node, place]

    def _needs(self, node: Node, place: Place) -> Sequence[tuple[Node, Place]]:
        if node in self.given or is_inline_leaf(node) or self._memory(node) is not None:
            return ()
        op = node.op
        if isinstance(op, (Elementwise, Reduce)):  # a reduction left here is one over no axes
            return [(source, place) for source in node.inputs]
        if isinstance(op, Random):
            return [(source, ()) for source in node.inputs]
        if isinstance(op, Pad):
            return [(node.inputs[0], self._padded(node, place)[0]), (node.inputs[1], ())]
        if isinstance(op, Gather):
            return [(node.inputs[1], place[op.axis : op.axis + node.inputs[1].type.rank])]
        return [(node.inputs[0], self._moved(node, place))]

    def _memory(self, node: Node) -> Node | None:
        """The stored node or leaf that a node is read from; None if this kernel computes it."""
        if node in self.inside:
            if not isinstance(node.op, Reshape):
                return None
            (node,) = node.inputs
        base = base_of(node, self.stored)
        return None if base in self.inside else base

    def _moved(self, node: Node, place: Place) -> Place:
        op, source = node.op, node.inputs[0].type
        if isinstance(op, BroadcastInDim):
            return tuple(
                Index() if size == 1 and op.shape[dim] != 1 else place[dim]
                for size, dim in zip(source.shape, op.dims, strict=True)
            )
        if isinstance(op, Transpose):
            return tuple(place[op.axes.index(axis)] for axis in range(len(op.axes)))
        if isinstance(op, Slice):
            return tuple(
                index.times(step).plus(Index.constant(start))
                for index, start, step in zip(place, op.start, op.step, strict=True)
            )
        if isinstance(op, Reverse):
            return tuple(
                index.times(-1).plus(Index.constant(size)).plus(Index.constant(-1)) if axis in op.axes else index
                for axis, (index, size) in enumerate(zip(place, source.shape, strict=True))
            )
        assert isinstance(op, Reshape), f"{op.name} is no movement"
        moved = reshape_place(place, node.type.shape, source.shape)
        assert moved is not None, "fusion left a merging reshape inside a kernel"
        return moved

    def _value(self, node: Node, place: Place) -> Term:
        s, op = self.builder, node.op
        if node in self.given:
            return self.given[node]
        number = splat_value(node) if isinstance(op, Constant) else None
        if number is not None:
            return s.constant(number, node.type.dtype)
        if isinstance(op, Iota):
            return s.convert(s.position(place[op.axis]), node.type.dtype)
        if isinstance(op, DimSize):
            return s.position(Index.constant(op.size))
        base = self._memory(node)
        if base is not None:
            return s.load(self.name_buffer(base), linear(place, node.type.shape), node.type.dtype)
        known = [self._known[need] for need in self._needs(node, place)]
        if isinstance(op, Elementwise):
            return op.body(s, *known)
        if isinstance(op, Random):
            return op.element(s, s.position(linear(place, node.type.shape)), *known)
        if isinstance(op, Gather):
            return self._gathered(node, place, known[0])
        if isinstance(op, Pad):
            inside = self._padded(node, place)[1]
            return known[0] if inside is None else s.select(inside, *known)
        return known[0]

    def _padded(self, node: Node, place: Place) -> tuple[Place, Term | None]:
        """The place in the operand of a padding, or its first element, and whether there is an element."""
        s, op, inside = self.builder, node.op, None
        assert isinstance(op, Pad)
        moved: list[Index] = []
        for axis, (index, size) in enumerate(zip(place, node.inputs[0].type.shape, strict=True)):
            low, step = op.low[axis], op.interior[axis] + 1
            if low == op.high[axis] == 0 and step == 1:
                moved.append(index)
                continue
            zero, count = s.constant(0, INT64), s.constant(step, INT64)
            offset = s.position(index.plus(Index.constant(-low)))
            number = offset if step == 1 else s.floor_divide(offset, count)
            here = s.logical_and(s.less_equal(zero, number), s.less(number, s.position(Index.constant(size))))
            if step != 1:
                here = s.logical_and(here, s.equal(s.multiply(number, count), offset))
            inside = here if inside is None else s.logical_and(inside, here)
            moved.append(Index(places=((s.select(here, number, zero), 1),)))
        return tuple(moved), inside

    def _gathered(self, node: Node, place: Place, index: Term) -> Term:
        s, op, source = self.builder, node.op, node.inputs[0]
        assert isinstance(op, Gather)
        size, rank = source.type.shape[op.axis], node.inputs[1].type.rank
        where, inside = wrapped_place(s, index, size)
        strides = contiguous_strides(source.type.shape)
        around = (*place[: op.axis], Index(), *place[op.axis + rank :])
        flat = linear(around, source.type.shape).plus(Index(places=((where, strides[op.axis]),)))
        base = base_of(source, self.stored)
        assert base is not None, "fusion left a gathered operand without memory"
        value = s.load(self.name_buffer(base), flat, node.type.dtype)
        filler = s.constant(float("nan") if node.type.dtype.is_float else 0, node.type.dtype)
        return s.select(inside, value, filler)


def wrapped_place(s: TermBuilder, index: Term, size: Size) -> tuple[Term, Term]:
    """A place in [0, size) for an integer index, negative ones counted from the end, and whether the index is in
    range.
    """
    number = s.convert(index, INT64)
    zero, extent = s.constant(0, INT64), s.position(Index.constant(size))
    wrapped = s.select(s.less(number, zero), s.add(number, extent), number)
    inside = s.logical_and(s.less_equal(zero, wrapped), s.less(wrapped, extent))
    return s.select(inside, wrapped, zero), inside
