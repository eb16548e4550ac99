"""Lowering of Winograd's convolution, with what is computed from each element before it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import multiply, product
from graphc.node import Node
from graphc.ops.winograd import POINTS, WinogradConvolution
from graphc.passes.loops import Axis, Store, Winograd
from graphc.passes.lower import KernelCall, KernelWriter, count_flops
from graphc.passes.terms import Index
from graphc.passes.views import linear

__all__ = ["lower_winograd"]

_INPUT_SUMS, _OUTPUT_SUMS = 32, 24
"""Additions that turn a tile's input, and its 16 sums of products."""


def lower_winograd(writer: KernelWriter, node: Node, roots: Sequence[Node]) -> KernelCall:
    """A kernel for a convolution and for what some roots compute from it.

    Its floating-point operations are those that it does, not the 2.25 times as many of the sums that it stands for.
    """
    assert isinstance(node.op, WinogradConvolution)
    left, right = node.inputs
    images, rows, columns, features = node.type.shape
    channels = left.type.shape[3]
    sizes = {"i": images, "j": rows, "k": columns, "p": features, "q": channels, "z": POINTS}
    axes = {name: Axis(name, size) for name, size in sizes.items()}
    i, j, k, p, q, z = (Index.axis(name) for name in axes)

    builder, resolver, dtype = writer.builder, writer.resolver, node.type.dtype
    resolver.inside = set(roots)
    resolver.given[node] = builder.variable("total", dtype)
    values = [resolver.term(root, (i, j, k, p)) for root in roots]
    sources = [writer.read_whole(source) for source in node.inputs]
    places = (linear((i, j, k, q), left.type.shape), linear((z, q, p), right.type.shape))
    operands = [builder.load(source, place, dtype) for source, place in zip(sources, places, strict=True)]
    spot = linear((i, j, k, p), node.type.shape)
    statement = Winograd(
        axes["i"],
        axes["j"],
        axes["k"],
        axes["q"],
        axes["p"],
        axes["z"],
        operands[0],
        operands[1],
        "total",
        tuple(
            Store(writer.write(writer.storage[root]), spot, value) for root, value in zip(roots, values, strict=True)
        ),
    )
    tiles = multiply(images, product(statement.tiles))
    work = [multiply(tiles, multiply(_INPUT_SUMS, channels)), multiply(tiles, multiply(_OUTPUT_SUMS, features))]
    work += [multiply(tiles, multiply(2 * POINTS, multiply(channels, features)))]
    flops = (*(size for size in work if size != 0), *count_flops(roots, writer.stored))
    return writer.call(roots, [statement], {}, flops=flops)
