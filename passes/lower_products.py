"""Lowering of sums of products: matrix products and convolutions, as contractions over rows, columns and depths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graphc.dims import Dim, Shape, Size, multiply, product
from graphc.errors import CompilationError
from graphc.node import Node
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.passes.loops import Axis, Contraction, Store
from graphc.passes.lower import KernelCall, KernelWriter
from graphc.passes.terms import Index, contiguous_strides

__all__ = ["lower_products"]


@dataclass(frozen=True)
class _Range:
    """A range that is counted through, and how far each step moves in the left and right operand and the result."""

    extent: Size
    left: Size = 0
    right: Size = 0
    out: Size = 0

    def merged(self, inner: _Range) -> _Range | None:
        """This range and one inside it as one, if all three tensors allow it."""
        steps = zip((self.left, self.right, self.out), (inner.left, inner.right, inner.out), strict=True)
        if any(mine != multiply(other, inner.extent) for mine, other in steps):
            return None
        return _Range(multiply(self.extent, inner.extent), inner.left, inner.right, inner.out)


def lower_products(writer: KernelWriter, root: Node) -> KernelCall:
    """A kernel for the products of a root."""
    if isinstance(root.op, ConvGeneral):
        return _lower_convolution(writer, root, root.op)
    assert isinstance(root.op, DotGeneral)
    return _lower_dot(writer, root, root.op)


def _lower_dot(writer: KernelWriter, root: Node, op: DotGeneral) -> KernelCall:
    left, right = root.inputs
    lhs_free, rhs_free = op.free_axes(left.type.rank, right.type.rank)
    batch, batch_left = _one_run(left.type.shape, op.lhs_batch, root)
    row, row_left = _one_run(left.type.shape, lhs_free, root)
    depth, depth_left = _one_run(left.type.shape, op.lhs_contract, root)
    _, batch_right = _one_run(right.type.shape, op.rhs_batch, root)
    column, column_right = _one_run(right.type.shape, rhs_free, root)
    _, depth_right = _one_run(right.type.shape, op.rhs_contract, root)
    return _call(
        writer,
        root,
        "matmul",
        _Range(batch, batch_left, batch_right, multiply(row, column)),
        [_Range(row, left=row_left, out=column)],
        _Range(column, right=column_right, out=1),
        [_Range(depth, depth_left, depth_right)],
    )


def _one_run(shape: Shape, axes: Sequence[int], node: Node) -> tuple[Size, Size]:
    """The size and the stride of several axes as one, in the order given."""
    strides = contiguous_strides(shape)
    left = [axis for axis in axes if shape[axis] != 1]
    for outer, inner in pairwise(left):
        if strides[outer] != multiply(strides[inner], shape[inner]):
            raise CompilationError(
                "a contraction over axes that memory does not hold together",
                at=str(node.origin.location),
                expected="the layout pass to transpose the operand first",
            )
    return product(shape[axis] for axis in axes), strides[left[-1]] if left else 1


def _lower_convolution(writer: KernelWriter, root: Node, op: ConvGeneral) -> KernelCall:
    """Rows are positions of the result in the order of its memory, depths those of the kernel in the order of its own;
    the layout pass has put all zeros into memory."""
    left, right = root.inputs
    in_left, in_right, in_out = (contiguous_strides(node.type.shape) for node in (left, right, root))
    shape, kernel = root.type.shape, right.type.shape
    rows = {op.out[0]: _Range(shape[op.out[0]], left=in_left[op.lhs[0]], out=in_out[op.out[0]])}
    depths = {op.rhs[0]: _Range(kernel[op.rhs[0]], in_left[op.lhs[1]], in_right[op.rhs[0]])}
    for axis in range(op.spatial):
        mine, other, result = op.lhs[2 + axis], op.rhs[2 + axis], op.out[2 + axis]
        step, apart = multiply(in_left[mine], op.strides[axis]), multiply(in_left[mine], op.rhs_dilation[axis])
        rows[result] = _Range(shape[result], left=step, out=in_out[result])
        depths[other] = _Range(kernel[other], apart, in_right[other])
    column = _Range(shape[op.out[1]], right=in_right[op.rhs[1]], out=in_out[op.out[1]])
    batch = _Range(1)
    if op.grouped:
        mine, other, result = op.lhs[-1], op.rhs[-1], op.out[-1]
        batch = _Range(shape[result], in_left[mine], in_right[other], in_out[result])
    return _call(
        writer,
        root,
        "convolution",
        batch,
        _merge(rows[axis] for axis in sorted(rows)),
        column,
        _merge(depths[axis] for axis in sorted(depths)),
    )


def _merge(ranges: Iterable[_Range]) -> list[_Range]:
    """Ranges without those of one step, neighbours as one where memory allows it."""
    merged: list[_Range] = []
    for inner in ranges:
        if inner.extent == 1:
            continue
        both = merged[-1].merged(inner) if merged else None
        merged[-1:] = [both] if both is not None else [*merged[-1:], inner]
    return merged or [_Range(1)]


def _call(
    writer: KernelWriter,
    root: Node,
    name: str,
    batch: _Range,
    rows: Sequence[_Range],
    column: _Range,
    depths: Sequence[_Range],
) -> KernelCall:
    """The call of a contraction; its first row and depth range count to passed numbers where they are symbolic."""
    dtype = root.type.dtype
    sizes: dict[str, Size] = {}
    named = [
        *([("g", batch)] if batch.extent != 1 else []),
        *((f"i{number + 1}" if number else "i", row) for number, row in enumerate(rows)),
        *((f"k{number + 1}" if number else "k", depth) for number, depth in enumerate(depths)),
        ("j", column),
    ]
    axes = {label: Axis(label, counted.extent) for label, counted in named}
    for label, symbol in (("i", "$rows"), ("k", "$depth")):
        if isinstance(axes[label].extent, Dim) or (name == "matmul" and label == "i"):
            sizes[symbol], axes[label] = axes[label].extent, Axis(label, Dim(1, (symbol,)))

    def index(steps: Iterable[tuple[str, Size]]) -> Index:
        return Index(tuple((label, step) for label, step in steps if step != 0))

    left, right = (writer.read_whole(source) for source in root.inputs)
    total = writer.builder.variable("total", dtype)
    target = writer.write(writer.storage[root])
    contraction = Contraction(
        axes.get("g", Axis("g", 1)),
        tuple(axis for label, axis in axes.items() if label[0] == "i"),
        axes["j"],
        tuple(axis for label, axis in axes.items() if label[0] == "k"),
        writer.builder.load(left, index((label, counted.left) for label, counted in named), dtype),
        writer.builder.load(right, index((label, counted.right) for label, counted in named), dtype),
        "total",
        (Store(target, index((label, counted.out) for label, counted in named), total),),
    )
    work = multiply(2, product(counted.extent for _, counted in named))
    return writer.call([root], [contraction], sizes, name=name, flops=(work,) if work != 0 else ())
