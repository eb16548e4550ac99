"""Winograd's convolution: convolutions with a window of 3 x 3 are replaced where fewer multiplications save time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.dtypes import FLOAT32
from graphc.graph import Graph, rebuild
from graphc.literal import Literal
from graphc.node import Node, apply
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.ops.leaves import Constant
from graphc.ops.movement import Reshape, Transpose
from graphc.ops.winograd import POINTS, WINDOW_MATRIX, WinogradConvolution
from graphc.passes.loops import LANES

__all__ = ["UseWinograd"]

_LIKELY = 4
"""Images of a batch that is known only at run time."""
_WIDEST = 2048
"""Features in and out up to which a block of tiles fits in a cache and on the stack."""
_LEAST = 1.2
"""The gain from which it is worth the memory for the transformed window."""


@dataclass(frozen=True)
class UseWinograd:
    """Replace float32 convolutions with a window of 3 x 3 and stride 1 by ``WinogradConvolution`` where it pays.

    The choice depends on shapes alone, so the bits do not change from run to run. The layout pass must have been
    before. Gradients by the input are such convolutions too; those by the window are none. enabled: False leaves all
    as they are.
    """

    enabled: bool = True
    description: str = "convolutions of 3 x 3 with fewer multiplications"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with convolutions replaced."""
        return graph.map(rebuild(graph.nodes, _transform)) if self.enabled else graph


def _transform(node: Node) -> Node:
    if not isinstance(node.op, ConvGeneral) or not _applies(node.op) or not _pays(node):
        return node
    op, (left, right) = node.op, node.inputs
    order = (op.rhs[2], op.rhs[3], op.rhs[0], op.rhs[1])
    if order != (0, 1, 2, 3):
        right = apply(Transpose(order), right)
    _, _, channels, features = right.type.shape
    flat = apply(Reshape((9, channels, features)), right)
    matrix = apply(Constant(Literal.of(np.kron(WINDOW_MATRIX, WINDOW_MATRIX), left.type.dtype)))
    transformed = apply(DotGeneral((), (), (1,), (0,)), matrix, flat)
    return apply(WinogradConvolution(), left, transformed)


def _applies(op: ConvGeneral) -> bool:
    """True for two spatial axes, channels last, no zeros to be added, no steps."""
    last = (0, 3, 1, 2)
    return op.lhs == op.out == last and all(
        set(values) == {plain}
        for values, plain in ((op.strides, 1), (op.low, 0), (op.high, 0), (op.lhs_dilation, 1), (op.rhs_dilation, 1))
    )


def _pays(node: Node) -> bool:
    """True for float32 and whole vectors of features where ``_gain`` promises enough."""
    op, (left, right) = node.op, node.inputs
    assert isinstance(op, ConvGeneral)
    sizes = [right.type.shape[axis] for axis in (*op.rhs[2:], *op.rhs[:2])]
    sizes += node.type.shape[1:3]
    if left.type.dtype != FLOAT32 or not all(isinstance(size, int) for size in sizes):
        return False
    high, wide, channels, features, rows, columns = (size for size in sizes if isinstance(size, int))
    images = node.type.shape[0]
    if (high, wide) != (3, 3) or not channels or channels % LANES or not features or features % LANES:
        return False
    if rows < 2 or columns < 2 or channels + features > _WIDEST:
        return False
    count = images if isinstance(images, int) else _LIKELY
    return _gain(count, rows, columns, channels, features) > _LEAST


def _gain(images: int, rows: int, columns: int, channels: int, features: int) -> float:
    """How many times faster it is than the direct sums.

    Costs are products for each pair of features. Those of turning inputs and sums, which are the less the more features
    share them, and of turning the window were fitted to measurements of 20 layers on one core with 16 lanes.
    """
    tiles = images * -(-rows // 2) * -(-columns // 2)
    a_tile = POINTS + 0.5 + 36 * (1 / channels + 1 / features)
    return 9 * images * rows * columns / (a_tile * tiles + 300)
