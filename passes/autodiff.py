"""Reverse-mode differentiation: the multivariate chain rule, applied to the graph.

Walking backwards from the loss, each node's gradient rule names what the node passes on to its inputs; what reaches a
node over several paths is summed. The result is an ordinary graph, so derivatives of derivatives need nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from graphc.errors import DTypeError, GradientError, ShapeError
from graphc.frontend.broadcasting import broadcast_to, constant_node
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.graph import toposort
from graphc.node import Node, describe
from graphc.ops.cond import Cond
from graphc.ops.scan import Scan
from graphc.origin import Origin, derived_from, user_location
from graphc.passes.cond_gradient import differentiate_cond
from graphc.passes.scan_gradient import differentiate_scan
from graphc.passes.stabilise import stabilise_for_gradient

__all__ = ["check_request", "differentiate", "grad", "start_of"]


_SHARED = (Scan, Cond)
"""Ops of several parts, whose derivatives are made together."""
Watch = Callable[[Node, Node, Node], None]


def differentiate(seeds: Mapping[Node, Node], wrt: Sequence[Node], watch: Watch | None = None) -> dict[Node, Node]:
    """The derivative by each node of ``wrt`` that the seeds depend on.

    seeds: nodes and the derivative of the loss by each. watch: called with a node, one of its inputs, and what the node
    passes on to it. Every node made remembers the forward node it differentiates.
    """
    order = toposort(seeds)
    wanted = set(wrt)
    leads: set[Node] = set()
    for node in order:
        if node in wanted or any(source in leads for source in node.inputs):
            leads.add(node)
    paths: dict[Node, list[Node]] = {node: [seed] for node, seed in seeds.items() if node in leads}
    found: dict[Node, Node] = {}
    loops = _Loops(order)
    for node in reversed(order):
        if node not in paths and not loops.waiting(node):
            continue
        with derived_from(Origin(node.origin.location, node.origin.scope, node)):
            total = _sum(paths.pop(node)) if node in paths else None
            if node in wanted and total is not None:
                found[node] = total
            if not any(source in leads for source in node.inputs):
                continue
            parts = loops.parts(node, total, leads) if isinstance(node.op, _SHARED) else _parts(node, total)
            for source, part in zip(node.inputs, parts, strict=False):  # a loop may have nothing to pass on yet
                if part is not None and source in leads:
                    paths.setdefault(source, []).append(_checked(node, source, part))
                    if watch is not None:
                        watch(node, source, part.node)
    return found


def _parts(node: Node, total: Node | None) -> Sequence[Tensor | None]:
    """What a node passes on to its inputs."""
    assert total is not None
    return node.op.grad(tuple(map(Tensor, node.inputs)), Tensor(node), Tensor(total))


class _Loops:
    """Derivatives by the parts of loops and choices, until all of one are known."""

    def __init__(self, order: Sequence[Node]) -> None:
        self._first: dict[tuple[Scan | Cond, tuple[Node, ...]], Node] = {}
        self._upstream: dict[tuple[Scan | Cond, tuple[Node, ...]], dict[int, Node]] = {}
        for node in order:
            if isinstance(node.op, _SHARED):
                self._first.setdefault(self._key(node, node.op), node)

    @staticmethod
    def _key(node: Node, op: Scan | Cond) -> tuple[Scan | Cond, tuple[Node, ...]]:
        return replace(op, part=0), node.inputs

    def waiting(self, node: Node) -> bool:
        """True for the last part to be met of a loop of which another part has a derivative."""
        if not isinstance(node.op, _SHARED):
            return False
        key = self._key(node, node.op)
        return self._first[key] is node and key in self._upstream

    def parts(self, node: Node, total: Node | None, leads: Collection[Node]) -> Sequence[Tensor | None]:
        """What a loop passes on to its operands once the derivatives by all its parts are known; nothing before."""
        assert isinstance(node.op, _SHARED)
        key = self._key(node, node.op)
        if total is not None:
            self._upstream.setdefault(key, {})[node.op.part] = total
        if self._first[key] is not node:
            return ()
        upstream = self._upstream.pop(key)
        if isinstance(node.op, Scan):
            answers = differentiate_scan(node.op, node.inputs, upstream, leads, differentiate)
        else:
            answers = differentiate_cond(node.op, node.inputs, upstream, leads, differentiate)
        return [Tensor(answer) if answer is not None else None for answer in answers]


def _sum(parts: Sequence[Node]) -> Node:
    total = Tensor(parts[0])
    for part in parts[1:]:
        total = total + Tensor(part)
    return total.node


def _checked(node: Node, source: Node, part: Tensor) -> Node:
    if part.node.type != source.type:
        raise GradientError(
            f"the gradient rule of {node.op.name} gives a derivative of the wrong type",
            expected=str(source.type),
            got=str(part.node.type),
        )
    return part.node


def start_of(loss: Node) -> Node:
    """The derivative of a loss by itself, 1, where every backward sweep starts."""
    with derived_from(Origin(loss.origin.location, loss.origin.scope, loss)):
        return broadcast_to(constant_node(1.0, loss.type.dtype), loss.type.shape)


def grad(
    loss: Tensor,
    wrt: Tensor | Sequence[Tensor],
    upstream: TensorLike | None = None,
    unused: str = "error",
    stabilise: bool = True,
) -> Tensor | list[Tensor]:
    """The derivative of a loss by one tensor or several, as new values of the graph.

    loss: a float scalar; of another shape with ``upstream``, the derivative of the final scalar by it. wrt: float
    tensors that the loss depends on; with one tensor the result is one tensor, else a list. Each derivative has the
    shape of its tensor. unused: "error" (GradientError) or "zeros" for a tensor that the loss does not depend on.
    stabilise: rewrite formulas that overflow, such as log(softmax(x)), before differentiating; inner nodes asked for
    stay as they are.

    Source: the chain rule over all paths, L. B. Rall, "Automatic differentiation", 1981.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=())
    >>> slope = gc.grad(x ** 3, x)
    >>> float(gc.evaluate(slope, {"x": 2.0})), float(gc.evaluate(gc.grad(slope, x), {"x": 2.0}))
    (12.0, 12.0)
    """
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    check_request(loss, targets, upstream, unused)
    start, nodes = loss.node, [target.node for target in targets]
    if stabilise:
        start, nodes = stabilise_for_gradient(start, nodes)
    seed = start_of(start)
    if upstream is not None:
        seed = broadcast_to(as_tensor(upstream, loss.dtype).cast(loss.dtype).node, loss.shape)
    found = differentiate({start: seed}, nodes)
    results: list[Tensor] = []
    for target, node in zip(targets, nodes, strict=True):
        if node not in found and unused == "error":
            raise GradientError(
                "the loss does not depend on this tensor",
                at=str(user_location()),
                facts=[("loss", describe(loss.node)), ("wrt", describe(target.node))],
                expected="a tensor on a differentiable path to the loss",
                way_out='ask for zeros instead with unused="zeros"',
            )
        results.append(Tensor(found[node]) if node in found else target.zeros_like())
    return results[0] if isinstance(wrt, Tensor) else results


def check_request(
    loss: Tensor, targets: Sequence[Tensor], upstream: TensorLike | None = None, unused: str = "error"
) -> None:
    """Refuse a loss or tensors that have no derivatives, and options that ``grad`` does not know."""
    at = str(user_location())
    if not loss.dtype.is_float:
        raise DTypeError(
            "only floats have derivatives", at=at, facts=[("loss", describe(loss.node))], expected="a float loss"
        )
    if loss.shape and upstream is None:
        raise GradientError(
            "the loss is no scalar",
            at=at,
            facts=[("loss", describe(loss.node))],
            expected="a scalar, f32[] or f64[]",
            got=str(loss.type),
            way_out="take its sum or mean, or give upstream, the derivative of the final scalar by it",
        )
    if upstream is not None and as_tensor(upstream, loss.dtype).shape not in ((), loss.shape):
        raise ShapeError(
            "upstream does not fit the loss", at=at, expected=str(loss.type), got=str(as_tensor(upstream).type)
        )
    for target in targets:
        if not target.dtype.is_float:
            raise DTypeError(
                "only floats have derivatives",
                at=at,
                facts=[("wrt", describe(target.node))],
                expected="float tensors in wrt",
                got=str(target.type),
            )
    if unused not in ("error", "zeros"):
        raise GradientError(f"unused={unused!r}", at=at, expected='"error" or "zeros"')
