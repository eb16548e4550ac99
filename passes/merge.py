"""Merging: stored values that are computed over one index space share a kernel, unless another must run in between."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import networkx as nx

from graphc.dims import Shape
from graphc.node import Node
from graphc.op import Elementwise
from graphc.ops.contraction import DotGeneral
from graphc.ops.indexing import Gather
from graphc.ops.leaves import Leaf
from graphc.ops.movement import BroadcastInDim, Reshape, Transpose
from graphc.ops.sampling import Random
from graphc.passes.spaces import PRODUCTS, by_channels, cone, index_space, is_fold, operation_count

__all__ = ["merge_groups", "reads_in_place"]

_MOST_BUFFERS = 24
_CACHED = 1 << 20
"""The most bytes of a product that is finished at once: tiles walk over larger ones in steps that memory dislikes."""
_LARGE = 1 << 12
"""Elements from which a transposition has a kernel of its own."""
_CHEAP = 28
"""Floating-point operations on each element of a product before it is stored."""

Roots = tuple[Node, ...]


def merge_groups(groups: Sequence[Roots], stored: Collection[Node], largest: int) -> list[Roots]:
    """Groups of roots that share kernels, in an order in which they can run.

    groups: single roots in the order of the graph. largest: the most nodes that one kernel computes.
    """
    merger = _Merger(groups, stored, largest)
    by_shape: dict[Shape, list[int]] = {}
    for number in range(len(groups)):
        shape = merger.shape(number)
        if shape is None:
            continue
        candidates = by_shape.setdefault(_without_ones(shape), [])
        partner = next((earlier for earlier in candidates if merger.fits(earlier, number)), None)
        if partner is None:
            candidates.append(number)
        else:
            merger.join(partner, number)
    return merger.result()


def reads_in_place(root: Node, produced: Collection[Node], stored: Collection[Node]) -> bool:
    """True if a root's kernel reads the given values only where its own loops stand: at the index of the element it
    computes, and none that a reduction yields, which is known only after the loops."""
    stack = [(root, not any(map(is_fold, cone([root], stored))))]
    seen: set[tuple[Node, bool]] = set()
    while stack:
        node, aligned = stack.pop()
        if (node, aligned) in seen:
            continue
        seen.add((node, aligned))
        if node in produced and node is not root:
            if not aligned or any(map(is_fold, cone([node], stored))):
                return False
            continue
        if (node in stored and node is not root) or isinstance(node.op, Leaf):
            continue
        if is_fold(node):
            stack.append((node.inputs[0], True))
        else:
            still = aligned and (isinstance(node.op, Elementwise) or _keeps_places(node))
            stack.extend((source, still) for source in node.inputs)
    return True


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _keeps_places(node: Node) -> bool:
    """True for a reshape that only adds or drops sizes of 1."""
    return isinstance(node.op, Reshape) and _without_ones(node.inputs[0].type.shape) == _without_ones(node.type.shape)


def _takes_epilogue(node: Node) -> bool:
    """True if a product's columns are one axis of its result, so that its kernel knows each element's place."""
    if not isinstance(node.op, DotGeneral):
        return True
    _, columns = node.op.free_axes(node.inputs[0].type.rank, node.inputs[1].type.rank)
    return len(columns) == 1 and len(node.op.lhs_batch) <= 1


def _turns(node: Node) -> bool:
    """True for a large transposition that moves the innermost axis: its kernel walks over memory as no other does."""
    count = node.type.elements
    moves = isinstance(node.op, Transpose) and node.op.axes[-1:] != (node.type.rank - 1,)
    return moves and not (isinstance(count, int) and count < _LARGE)


def _walks_well(inside: Sequence[Node]) -> bool:
    """True if a kernel draws no random numbers, which come in blocks, or walks over memory in one loop as they ask."""
    return not any(isinstance(node.op, Random) for node in inside) or all(
        isinstance(node.op, (Elementwise, Random))
        or (isinstance(node.op, BroadcastInDim) and not node.inputs[0].type.rank)
        for node in inside
    )


class _Merger:
    """The groups, what they read, and the order among them, as a graph whose nodes are group numbers."""

    def __init__(self, groups: Sequence[Roots], stored: Collection[Node], largest: int) -> None:
        self.stored, self.largest = stored, largest
        self.members: dict[int, list[Node]] = {number: list(roots) for number, roots in enumerate(groups)}
        self.rank = {node: number for number, roots in enumerate(groups) for node in roots}
        self.space = {number: index_space(roots[0], stored) for number, roots in enumerate(groups)}
        self.product: dict[int, Node] = {}
        for number, (root, *_) in enumerate(groups):
            if isinstance(root.op, PRODUCTS) and _takes_epilogue(root):
                self.product[number], self.space[number] = root, (root.type.shape, ())
        self.reads: dict[int, set[Node]] = {}
        self.order = nx.DiGraph()
        self.order.add_nodes_from(self.members)
        for number, roots in enumerate(groups):
            inside = cone(roots, stored)
            self.reads[number] = {
                source for node in inside for source in node.inputs if source in stored or isinstance(source.op, Leaf)
            }
            self.order.add_edges_from((self.rank[node], number) for node in self.reads[number] if node in self.rank)

    def shape(self, number: int) -> Shape | None:
        """The shape that a group iterates over, if it can share its loops."""
        space = self.space[number]
        return space[0] if space is not None else None

    def fits(self, first: int, second: int) -> bool:
        """True if two groups over one shape can and should share a kernel."""
        mine, other = self.space[first], self.space[second]
        if mine is None or other is None or (mine[1] and other[1] and mine[1] != other[1]):
            return False
        if mine[0] != other[0] and not self.by_channels(first):
            return False
        produced = (set(self.members[first]), set(self.members[second]))
        roots = [*self.members[first], *self.members[second]]
        if not self.reads[first] & self.reads[second] and not produced[0] & self.reads[second]:
            return False  # nothing is gained
        if any(map(_turns, roots)) or len(self.reads[first] | self.reads[second]) + len(roots) > _MOST_BUFFERS:
            return False
        if (first in self.product or second in self.product) and not self.suits_as_epilogue(first, second):
            return False
        inside = cone(roots, self.stored)
        if len(inside) > self.largest or not _walks_well(inside):
            return False
        return (
            all(reads_in_place(root, produced[0], self.stored) for root in self.members[second])
            and all(reads_in_place(root, produced[1], self.stored) for root in self.members[first])
            and not self.path_through_others(first, second)
        )

    def by_channels(self, number: int) -> bool:
        """True for a convolution whose lanes run over the channels: it walks through memory in order, and sizes of 1
        that its groups leave do not count."""
        return number in self.product and by_channels(self.product[number])

    def suits_as_epilogue(self, first: int, second: int) -> bool:
        """True if a second group may finish a product's elements before they are stored: cheaply, since its code is
        repeated for every element of a register tile."""
        product, space = self.product.get(first), self.space[second]
        if product is None or second in self.product or space is None or space[1]:
            return False
        large = isinstance(product.type.elements, int) and product.type.elements * product.type.dtype.itemsize > _CACHED
        if large and not self.by_channels(first):
            return False
        inside = set(cone([*self.members[first], *self.members[second]], self.stored)) - {product}
        return (
            not self.reads[second].isdisjoint(self.members[first])
            and sum(map(operation_count, inside)) <= _CHEAP
            and not any(isinstance(node.op, (Random, Gather)) for node in inside)
        )

    def path_through_others(self, first: int, second: int) -> bool:
        """True if a third group must run between the two."""
        for start, end in ((first, second), (second, first)):
            for middle in self.order.successors(start):
                if middle != end and nx.has_path(self.order, middle, end):
                    return True
        return False

    def join(self, first: int, second: int) -> None:
        """Make one group of two."""
        self.members[first] += self.members.pop(second)
        self.reads[first] |= self.reads.pop(second)
        mine, other = self.space[first], self.space[second]
        if mine is not None and not mine[1]:
            self.space[first] = other
        edges = [(source, first) for source in self.order.predecessors(second) if source != first]
        edges += [(first, target) for target in self.order.successors(second) if target != first]
        self.order.remove_node(second)
        self.order.add_edges_from(edges)

    def result(self) -> list[Roots]:
        """The groups, each after those it reads, otherwise in the order of the graph."""
        ready = nx.lexicographical_topological_sort(self.order)
        return [tuple(sorted(self.members[number], key=self.rank.__getitem__)) for number in ready]
