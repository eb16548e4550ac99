"""Fusion: which values are stored in memory, and which of them one kernel computes together.

A value is stored if something needs it in memory (outputs, operands and results of contractions, joined tensors, ...)
or if it is read by several kernels and too dear to compute again. Everything else is computed where it is read, a
reduction included if only elementwise work on its result follows. ``graphc.passes.merge`` then lets stored values share
kernels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from graphc.dims import product
from graphc.graph import Graph, users
from graphc.node import Node
from graphc.op import Elementwise
from graphc.ops.assembly import Concatenate, Pad
from graphc.ops.cond import Cond
from graphc.ops.convolution import ConvGeneral
from graphc.ops.indexing import CheckRange, Gather, ScatterAdd
from graphc.ops.leaves import Constant, Input, Leaf, State
from graphc.ops.movement import BroadcastInDim, Reshape, Reverse
from graphc.ops.reduction import ArgMax, Reduce
from graphc.ops.sampling import Random
from graphc.ops.scan import Scan
from graphc.passes.merge import merge_groups
from graphc.passes.spaces import PRODUCTS, Space, by_channels, cone, index_space, is_fold, is_mapped, operation_count
from graphc.passes.terms import Index
from graphc.passes.views import base_of, is_inline_leaf, reshape_place

__all__ = ["Fuse", "Fusion", "Group"]

_READS = 16
"""How often an element is read where looking up whether it is padding is cheaper than memory for the padded operand."""
_RANDOM = 60
"""What a random number costs, in operations: about ten rounds of two wide products each."""


@dataclass(frozen=True)
class Group:
    """What one kernel computes. roots: stored nodes, each after those it needs. kind: map, fold, contraction, search,
    assembly, scatter or check; or scan or cond, whose bodies are sequences of kernels."""

    roots: tuple[Node, ...]
    kind: str


@dataclass(frozen=True)
class Fusion:
    """The groups in an order in which they can run, and all stored nodes."""

    groups: tuple[Group, ...]
    stored: frozenset[Node]


@dataclass(frozen=True)
class Fuse:
    """Decide what is stored and group it.

    enabled: False stores every value but repetitions and gives each a kernel of its own (the bits are the same).
    recompute: the most floating-point operations an element that several kernels may compute anew.
    largest: the most nodes that one kernel computes. widest: the most buffers that one value is
    computed from; with the three operands of an op and the results it stays below what the executor passes.
    """

    enabled: bool = True
    recompute: int = 8
    largest: int = 100
    widest: int = 32

    def __call__(self, graph: Graph) -> Fusion:
        """The fusion of a graph."""
        decision = _StoreDecision(self, graph)
        stored = decision.stored
        groups = [Group(roots, _kind(roots[0], stored)) for roots in _together(graph, stored)]
        if self.enabled:
            merged = merge_groups([group.roots for group in groups], stored, self.largest)
            stored -= _read_inside_only(merged, stored) - decision.must
            merged = [tuple(root for root in roots if root in stored) for roots in merged]
            groups = [Group(roots, _kind(roots[0], stored, roots)) for roots in merged]
        checks = [Group((node,), "check") for node in graph.nodes if isinstance(node.op, CheckRange)]
        return Fusion((*checks, *groups), frozenset(stored))


class _StoreDecision:
    """Walks the graph once and collects the nodes to be stored."""

    def __init__(self, options: Fuse, graph: Graph) -> None:
        self.options = options
        self.readers = users(graph.nodes)
        self.roots = {node for _, node in graph.outputs} | {value for _, value in graph.updates}
        self.must = self.roots | _read_as_a_whole(graph)
        self.stored: set[Node] = set()
        self.cost: dict[Node, int] = {}
        self.weight: dict[Node, int] = {}
        self.reads: dict[Node, frozenset[Node]] = {}
        self.folded: dict[Node, Space] = {}
        """Unstored nodes that hold a reduction's result: the space of the reduction."""
        for node in graph.nodes:
            if not isinstance(node.op, (Input, State, Constant)):
                self.visit(node)

    def visit(self, node: Node) -> None:
        self.store_unfit_folds(node)
        self.store_crowd(node)
        inner = [source for source in node.inputs if source in self.cost and source not in self.stored]
        own = _RANDOM if isinstance(node.op, Random) else operation_count(node)
        self.cost[node] = own + sum(self.cost[source] for source in inner)
        self.weight[node] = 1 + sum(self.weight[source] for source in inner)
        if isinstance(node.op, Reshape) and node not in self.roots and base_of(node, self.stored) is not None:
            return  # the same memory under another shape
        if isinstance(node.op, Leaf):
            if node in self.must or (is_inline_leaf(node) and self.merged(node)):
                self.stored.add(node)
            return
        if is_fold(node) and isinstance(node.op, Reduce) and node not in self.must and self.ends_elementwise(node):
            self.folded[node] = (node.inputs[0].type.shape, node.op.axes)
            return
        if node in self.must or not is_mapped(node) or self.worth_storing(node):
            self.stored.add(node)
        else:
            spaces = [self.folded[source] for source in inner if source in self.folded]
            if spaces:
                self.folded[node] = spaces[0]

    def store_unfit_folds(self, node: Node) -> None:
        """Store reductions below a node that cannot be their epilogue: it moves elements, or two spaces meet in it."""
        folds = [source for source in node.inputs if source in self.folded and source not in self.stored]
        if folds and (not isinstance(node.op, Elementwise) or len({self.folded[source] for source in folds}) > 1):
            self.stored.update(folds)
        if isinstance(node.op, CheckRange):  # the check itself reads what is checked
            self.stored.update(folds)
            self.must.update(folds)

    def store_crowd(self, node: Node) -> None:
        """Store operands of a node, those that read most first, until its kernel would not read too many buffers."""
        if isinstance(node.op, Concatenate):
            return  # each operand has a kernel of its own
        while len(reads := frozenset().union(*map(self.read_for, node.inputs))) > self.options.widest:
            unstored = [source for source in node.inputs if len(self.read_for(source)) > 1]
            if not unstored:
                break
            self.stored.add(max(unstored, key=lambda source: len(self.read_for(source))))
        self.reads[node] = reads

    def read_for(self, source: Node) -> frozenset[Node]:
        """The buffers that a kernel reads for an operand."""
        if source in self.stored or isinstance(source.op, Leaf):
            return frozenset() if is_inline_leaf(source) else frozenset({source})
        return self.reads[source]

    def ends_elementwise(self, node: Node) -> bool:
        """True if a reduction's only reader is elementwise, so that it can share the reduction's kernel."""
        readers = self.readers[node]
        return self.options.enabled and len(readers) == 1 and isinstance(readers[0].op, Elementwise)

    def merged(self, node: Node) -> bool:
        """True if a reader is a reshape that merges axes of the node."""
        return any(_merges_axes(reader, node) for reader in self.readers[node])

    def worth_storing(self, node: Node) -> bool:
        readers = self.readers[node]
        if not self.options.enabled:
            return not isinstance(node.op, BroadcastInDim)
        if self.weight[node] > self.options.largest or self.merged(node):
            return True
        if any(source in self.folded and source not in self.stored for source in node.inputs) and len(readers) != 1:
            return True
        dear = self.cost[node] > self.options.recompute
        return dear and len(readers) > 1


def _together(graph: Graph, stored: Collection[Node]) -> list[tuple[Node, ...]]:
    """The stored nodes, one by one but for the parts of a loop or choice."""
    groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node in stored:
            key = (replace(node.op, part=0), node.inputs) if isinstance(node.op, (Scan, Cond)) else node
            groups.setdefault(key, []).append(node)
    return [tuple(roots) for roots in groups.values()]


def _read_inside_only(groups: Sequence[Sequence[Node]], stored: Collection[Node]) -> set[Node]:
    """Stored nodes that no kernel but their own reads; they need no memory."""
    readers: dict[Node, set[int]] = {}
    for number, roots in enumerate(groups):
        for node in cone(roots, stored):
            for source in node.inputs:
                readers.setdefault(source, set()).add(number)
    return {node for number, roots in enumerate(groups) for node in roots if readers.get(node) == {number}}


def _read_as_a_whole(graph: Graph) -> set[Node]:
    """Nodes that some op needs in memory: operands of contractions, gathered and scattered tensors."""
    must: set[Node] = set()
    for node in graph.nodes:
        whole: Sequence[Node] = ()
        if isinstance(node.op, PRODUCTS):
            whole = _read_by_element(node) if by_channels(node) else node.inputs
        elif isinstance(node.op, (Scan, Cond)):
            whole = node.inputs
        elif isinstance(node.op, Gather):
            whole = node.inputs[:1]
        for source in whole:
            while isinstance(source.op, Reshape):
                (source,) = source.inputs
            must.add(source)
    return must


def _read_by_element(node: Node) -> list[Node]:
    """What lies in memory of the operands of a convolution by channels: reversing needs no memory, nor does padding
    outside of elements that are read a few times only."""
    op, (left, right) = node.op, node.inputs
    assert isinstance(op, ConvGeneral)
    while isinstance(right.op, (Reshape, Reverse)):
        (right,) = right.inputs
    operands = ((node.inputs[1].type.shape, op.rhs), (node.type.shape, op.out))
    reads = [product(shape[axis] for axis in roles[2:-1]) for shape, roles in operands]
    few = any(isinstance(count, int) and count <= _READS for count in reads)
    if few and isinstance(left.op, Pad) and is_mapped(left) and not any(left.op.interior):
        left = left.inputs[0]
    return [left, right]


def _merges_axes(reader: Node, node: Node) -> bool:
    """True if the reader is a reshape that merges axes of the node, which only memory can do."""
    if not isinstance(reader.op, Reshape):
        return False
    place = tuple(Index.axis(f"a{axis}") for axis in range(reader.type.rank))
    return reshape_place(place, reader.type.shape, node.type.shape) is None


def _kind(node: Node, stored: Collection[Node], roots: Sequence[Node] = ()) -> str:
    if any(isinstance(inside.op, PRODUCTS) for inside in cone(roots or (node,), stored)):
        return "contraction"
    if isinstance(node.op, ArgMax):
        return "search"
    if isinstance(node.op, (Pad, Concatenate)):
        return "assembly"
    if isinstance(node.op, ScatterAdd):
        return "scatter"
    if isinstance(node.op, (Scan, Cond)):
        return node.op.name
    spaces = [index_space(root, stored) for root in roots or (node,)]
    return "fold" if any(space is not None and space[1] for space in spaces) else "map"
