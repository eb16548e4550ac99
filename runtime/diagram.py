"""From graphs and programs to pictures: which nodes become boxes, in which clusters, with which arrows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import numpy as np

from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import Constant, DimSize, Input, Iota, Leaf, State
from graphc.ops.movement import BroadcastInDim
from graphc.ops.unary import Cast
from graphc.passes.build import Program
from graphc.passes.formula import Formulas
from graphc.passes.lower import KernelCall
from graphc.passes.spaces import cone
from graphc.rewrite import splat_value
from graphc.runtime.picture import Arrow, Box, Picture
from graphc.scalar import Array

__all__ = ["picture_of_graph", "picture_of_program", "summary"]


def summary(value: Array) -> str:
    """A few characters for an array: the number, a few numbers, or mean and standard deviation.

    >>> summary(np.asarray(2.5)), summary(np.arange(3.0)), summary(np.arange(100.0))
    ('2.5', '[0, 1, 2]', '49.5 ± 28.9')
    """
    numbers = np.asarray(value)
    if numbers.dtype.kind == "b":
        numbers = numbers.astype(np.float64)
    if numbers.ndim == 0:
        return f"{numbers.item():.4g}"
    if numbers.size <= 4:
        return f"[{', '.join(f'{item:.3g}' for item in numbers.ravel().tolist())}]"
    return f"{numbers.mean():.3g} ± {numbers.std():.3g}"


def _kind(node: Node) -> str:
    """The part of the program that a node belongs to."""
    if isinstance(node.op, Input):
        return "input"
    if isinstance(node.op, State):
        return "state"
    if node.origin.forward is not None:
        return "backward"
    if node.origin.scope[:1] == ("update",):
        return "update"
    return "constant" if isinstance(node.op, Leaf) else "forward"


def _cluster(node: Node) -> tuple[str, ...]:
    """The clusters around a node: its scopes, those of the backward graph in a cluster of their own."""
    if isinstance(node.op, Input):
        return ()
    if isinstance(node.op, State):
        return tuple(node.op.label.split("/")[:-1])
    if node.origin.forward is not None:
        return ("backward", *node.origin.scope)
    return node.origin.scope


def _shown(node: Node) -> bool:
    """False for what is said inside the box that uses it: numbers, sizes, positions, repetitions."""
    if isinstance(node.op, (BroadcastInDim, DimSize, Iota)) or splat_value(node) is not None:
        return False
    return not (isinstance(node.op, Cast) and not _shown(node.inputs[0]))


def _behind(node: Node) -> Node | None:
    """The shown node that a node stands for when repetitions are left out; None for numbers, sizes and positions."""
    while not _shown(node):
        if not node.inputs:
            return None
        (node,) = node.inputs
    return node


def _box(key: Hashable, node: Node, cluster: tuple[str, ...] | None = None) -> Box:
    around = _cluster(node) if cluster is None else cluster
    title = node.op.name
    if isinstance(node.op, (Input, State)):
        title = node.op.label.rpartition("/")[2] if around else node.op.label  # the clusters say the rest
    lines: list[str] = []
    if isinstance(node.op, (Input, State, Constant)):
        lines.append(str(node.type))
    elif any(_behind(source) is None for source in node.inputs) or node.op.notation()[0].count("axis"):
        names = {behind: "·" for source in node.inputs if (behind := _behind(source)) is not None}
        text = Formulas(names).define(node)
        lines.append(text if len(text) <= 40 else text[:37] + "...")
    note = f"{node.type}" + (f"\n{node.origin.location}" if node.origin.location else "")
    return Box(key, title, tuple(lines), _kind(node), around, note)


def picture_of_graph(
    graph: Graph, values: Mapping[Node, Array] | None = None, gradients: Mapping[Node, Array] | None = None
) -> Picture:
    """The picture of a graph; values and gradients, where known, stand on the arrows."""
    picture = Picture(graph.name)
    for node in graph.nodes:
        if _shown(node):
            picture.boxes.append(_box(node, node))
            picture.arrows += _arrows(node, values or {}, gradients or {})
    ends = {node: [name for name, other in graph.outputs if other is node] for _, node in graph.outputs}
    for node, names in ends.items():
        behind = _behind(node)
        if behind is not None:
            key = ("output", *names)
            picture.boxes.append(Box(key, ", ".join(names), (), "input", ()))
            value = summary(values[node]) if values and node in values else ""
            slope = summary(gradients[node]) if gradients and node in gradients else ""
            picture.arrows.append(Arrow(behind, key, str(node.type), value, slope))
    for state, value_node in graph.updates:
        behind = _behind(value_node)
        if behind is not None:
            picture.arrows.append(Arrow(behind, state, "update", dashed=True))
    return picture


def _arrows(node: Node, values: Mapping[Node, Array], gradients: Mapping[Node, Array]) -> Iterator[Arrow]:
    for source in dict.fromkeys(node.inputs):
        behind = _behind(source)
        if behind is not None:
            value = summary(values[behind]) if behind in values else ""
            slope = summary(gradients[behind]) if behind in gradients else ""
            yield Arrow(behind, node, str(behind.type), value, slope)


def picture_of_program(program: Program, title: str) -> Picture:
    """The picture of a program: each kernel call is a cluster around the values that it computes."""
    return _ProgramPicture(program, title).picture


class _ProgramPicture:
    """Draws call after call; home says in which call's cluster a stored value stands."""

    def __init__(self, program: Program, title: str) -> None:
        self.picture = Picture(title, kernels=True)
        self.stored = {node for call in program.calls for node in call.nodes}
        self.home: dict[Node, Hashable] = {}
        self.leaves: dict[Node, None] = {}
        for number, call in enumerate(program.calls):
            self.call(number, call)
        self.picture.boxes += [_box(leaf, leaf, ()) for leaf in self.leaves]
        for name, node in program.graph.outputs:
            if node in self.home:
                self.picture.boxes.append(Box(("output", name), name, (), "input"))
                self.picture.arrows.append(Arrow(self.home[node], ("output", name), str(node.type)))
        for state, value in program.graph.updates:
            if value in self.home and state in self.leaves:
                self.picture.arrows.append(Arrow(self.home[value], state, "update", dashed=True))

    def call(self, number: int, call: KernelCall) -> None:
        cluster = (f"{number + 1}  {call.kernel.name.removesuffix('_kernel')}",)
        inside = [node for node in reversed(cone(call.nodes, self.stored)) if _shown(node)]
        for node in inside:
            self.picture.boxes.append(_box((number, node), node, cluster))
            for source in dict.fromkeys(node.inputs):
                behind = _behind(source)
                start = self.start(number, behind, inside) if behind is not None else None
                if start is not None and behind is not None:
                    self.picture.arrows.append(Arrow(start, (number, node), str(behind.type)))
        self.home |= {node: (number, node) for node in call.nodes}

    def start(self, number: int, source: Node, inside: list[Node]) -> Hashable | None:
        """The box that a value comes from: a leaf, another call's, or this call's own."""
        if isinstance(source.op, Leaf):
            self.leaves.setdefault(source)
            return source
        if source in inside:
            return (number, source)
        return self.home.get(source)
