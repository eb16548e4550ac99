"""Lowering of sums of products: matrix products and convolutions, as contractions over rows, columns and depths, with
what is computed from each element before it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Dim, Size, multiply, product
from graphc.dtypes import INT64
from graphc.errors import CompilationError
from graphc.node import Node
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.ops.winograd import WinogradConvolution
from graphc.passes.axes import plan_axes, substitute
from graphc.passes.loops import Axis, Contraction, Store
from graphc.passes.lower import KernelCall, KernelWriter, count_flops
from graphc.passes.lower_channels import lower_channels
from graphc.passes.lower_winograd import lower_winograd
from graphc.passes.spaces import PRODUCTS, by_channels, cone
from graphc.passes.terms import Index, Term, TermBuilder, contiguous_strides, walk_terms
from graphc.passes.views import linear

__all__ = ["lower_products"]


_WIDE = 256
"""Columns from which threads may share them,"""
_LARGE = 1 << 20
"""bytes of a right operand from which they do,"""
_FEW = 256
"""and the most rows, if their number is known."""
_KINDS = ("batch", "row", "column", "depth")


@dataclass(frozen=True)
class _Range:
    """A range that is counted through. kind: batch, row, column or depth. left, right: how far a step moves in the
    operands. axis: of the result. spatial: which axis of a window or an image it is, -1 for none."""

    kind: str
    extent: Size
    left: Size = 0
    right: Size = 0
    axis: int = -1
    spatial: int = -1


def lower_products(writer: KernelWriter, roots: Sequence[Node]) -> KernelCall:
    """A kernel for the products among what some roots need, and for the roots."""
    node = next(node for node in cone(roots, writer.stored) if isinstance(node.op, PRODUCTS))
    if isinstance(node.op, ConvGeneral) and by_channels(node):
        return lower_channels(writer, node, node.op, roots)
    if isinstance(node.op, WinogradConvolution):
        return lower_winograd(writer, node, roots)
    named = {f"{item.kind}{number}": item for number, item in enumerate(_ranges(node))}
    axes = [Axis(name, item.extent) for name, item in named.items()]
    indices = {item.axis: Index.axis(name) for name, item in named.items()}
    place = tuple(indices[axis] for axis in range(node.type.rank))

    builder, resolver, dtype = writer.builder, writer.resolver, node.type.dtype
    resolver.inside = set(roots)
    resolver.given[node] = builder.variable("total", dtype)
    results = [resolver.term(root, place) for root in roots]
    sources = [writer.read_whole(source) for source in node.inputs]
    steps = (
        tuple((name, item.left) for name, item in named.items() if item.left != 0),
        tuple((name, item.right) for name, item in named.items() if item.right != 0),
    )
    operands = [builder.load(source, Index(step), dtype) for source, step in zip(sources, steps, strict=True)]
    if isinstance(node.op, ConvGeneral) and (any(node.op.low) or any(node.op.high)):
        operands += _in_image(builder, node, node.op, named, operands)

    spot = linear(place, node.type.shape)
    known = [term.index for term in walk_terms([*operands, *results]) if term.index is not None]
    plan = plan_axes(axes, [*known, spot], lambda outer, inner: named[outer.name].kind == named[inner.name].kind)
    moved = substitute(builder, [*operands, *results], plan)
    (left, right, *inside), values = moved[: len(operands)], moved[len(operands) :]
    kinds = {new: named[old].kind for old, new in plan.new_name.items()}
    groups = {kind: [axis for axis in plan.axes if kinds[axis.name] == kind] for kind in _KINDS}
    if len(groups["batch"]) > 1 or len(groups["column"]) > 1:
        raise CompilationError(
            "a contraction over axes that memory does not hold together",
            at=str(node.origin.location),
            expected="the layout pass to transpose the operand first",
        )
    target = plan.index(spot)
    if not groups["column"]:
        groups["column"] = [Axis("n", 1)]
        target = target.plus(Index.axis("n"))
        assert right.index is not None
        right = builder.load(right.name, right.index.plus(Index.axis("n")), dtype)
    by_columns = _reads_much(node, groups)
    sizes = _pass_sizes(node, groups)
    contraction = Contraction(
        groups["batch"][0] if groups["batch"] else Axis("g", 1),
        tuple(groups["row"]),
        groups["column"][0],
        tuple(groups["depth"]),
        left,
        right,
        "total",
        tuple(
            Store(writer.write(writer.storage[root]), target, value) for root, value in zip(roots, values, strict=True)
        ),
        by_columns,
        inside[0] if inside else None,
    )
    work = multiply(2, product(item.extent for item in named.values()))
    flops = (*((work,) if work != 0 else ()), *count_flops(roots, writer.stored))
    return writer.call(roots, [contraction], sizes, flops=flops)


def _in_image(
    builder: TermBuilder, node: Node, op: ConvGeneral, named: Mapping[str, _Range], operands: list[Term]
) -> list[Term]:
    """Let the left operand be read where the image begins so many elements later as zeros lie before it; the condition
    for a place that is in the image."""
    left, shape = operands[0], node.inputs[0].type.shape
    strides = contiguous_strides(shape)
    inside: Term | None = None
    for axis in range(op.spatial):
        if not op.low[axis] and not op.high[axis]:
            continue
        steps = {"row": op.strides[axis], "depth": op.rhs_dilation[axis]}
        along = tuple((name, steps[item.kind]) for name, item in named.items() if item.spatial == axis)
        place = builder.position(Index(along).plus(Index.constant(-op.low[axis])))
        zero, size = builder.constant(0, INT64), builder.position(Index.constant(shape[op.lhs[2 + axis]]))
        here = builder.logical_and(builder.less_equal(zero, place), builder.less(place, size))
        inside = here if inside is None else builder.logical_and(inside, here)
        assert left.index is not None
        before = multiply(strides[op.lhs[2 + axis]], op.low[axis])
        assert isinstance(before, int)
        left = builder.load(left.name, left.index.plus(Index.constant(-before)), left.dtype)
    operands[0] = left
    return [inside] if inside is not None else []


def _pass_sizes(node: Node, groups: dict[str, list[Axis]]) -> dict[str, Size]:
    """Let the first row and depth axes count to passed numbers, which products of other sizes can share."""
    sizes: dict[str, Size] = {}
    for kind, symbol, spare in (("row", "$rows", "m"), ("depth", "$depth", "z")):
        first, *others = groups[kind] or [Axis(spare, 1)]
        if isinstance(first.extent, Dim) or (kind == "row" and isinstance(node.op, DotGeneral)):
            sizes[symbol], first = first.extent, Axis(first.name, Dim(1, (symbol,)))
        groups[kind] = [first, *others]
    return sizes


def _reads_much(node: Node, groups: Mapping[str, Sequence[Axis]]) -> bool:
    """True if the right operand is more than a cache holds, as a large weight is, and the rows are those of a batch."""
    right = node.inputs[1].type
    if groups["batch"] or len(groups["row"]) != 1:
        return False
    rows = groups["row"][0].extent
    if isinstance(rows, int) and rows > _FEW:
        return False
    columns = groups["column"][0].extent
    wide = isinstance(columns, int) and columns >= _WIDE
    return wide and isinstance(right.elements, int) and right.elements * right.dtype.itemsize >= _LARGE


def _ranges(node: Node) -> Iterator[_Range]:
    """What a product counts through; depths are ordered as the right operand lies in memory."""
    op, (left, right) = node.op, node.inputs
    in_left, in_right = contiguous_strides(left.type.shape), contiguous_strides(right.type.shape)
    if isinstance(op, ConvGeneral):
        yield from _ranges_of_convolution(op, node, in_left, in_right)
        return
    assert isinstance(op, DotGeneral)
    lhs_free, rhs_free = op.free_axes(left.type.rank, right.type.rank)
    for number, (mine, other) in enumerate(zip(op.lhs_batch, op.rhs_batch, strict=True)):
        yield _Range("batch", left.type.shape[mine], in_left[mine], in_right[other], number)
    for number, axis in enumerate(lhs_free, len(op.lhs_batch)):
        yield _Range("row", left.type.shape[axis], left=in_left[axis], axis=number)
    for number, axis in enumerate(rhs_free, len(op.lhs_batch) + len(lhs_free)):
        yield _Range("column", right.type.shape[axis], right=in_right[axis], axis=number)
    for mine, other in zip(op.lhs_contract, op.rhs_contract, strict=True):
        yield _Range("depth", left.type.shape[mine], in_left[mine], in_right[other])


def _ranges_of_convolution(
    op: ConvGeneral, node: Node, in_left: Sequence[Size], in_right: Sequence[Size]
) -> Iterator[_Range]:
    """What a convolution counts through; the layout pass has put zeros between elements into memory."""
    shape, kernel = node.type.shape, node.inputs[1].type.shape
    rows = {op.out[0]: in_left[op.lhs[0]]}
    depths = {op.rhs[0]: in_left[op.lhs[1]]}
    for axis in range(op.spatial):
        mine = in_left[op.lhs[2 + axis]]
        rows[op.out[2 + axis]] = multiply(mine, op.strides[axis])
        depths[op.rhs[2 + axis]] = multiply(mine, op.rhs_dilation[axis])
    if op.grouped:
        group = op.out[-1]
        yield _Range("batch", shape[group], in_left[op.lhs[-1]], in_right[op.rhs[-1]], group)
    for axis in sorted(rows):
        yield _Range("row", shape[axis], left=rows[axis], axis=axis, spatial=_spatial(op.out, axis))
    yield _Range("column", shape[op.out[1]], right=in_right[op.rhs[1]], axis=op.out[1])
    for axis in sorted(depths):
        yield _Range("depth", kernel[axis], depths[axis], in_right[axis], spatial=_spatial(op.rhs, axis))


def _spatial(roles: Sequence[int], axis: int) -> int:
    """Which spatial axis an axis is, by the roles of all; -1 if it is none."""
    return roles.index(axis) - 2 if axis in roles[2:] else -1
