"""The derivative of a choice: a choice between the derivatives of its sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from graphc.frontend.broadcasting import broadcast_to, constant_node
from graphc.frontend.scan import parameter_of
from graphc.frontend.tensor import Tensor
from graphc.graph import rebuild, toposort
from graphc.node import Node, apply
from graphc.ops.cond import Cond
from graphc.ops.scan import Body

__all__ = ["differentiate_cond"]

Differentiate = Callable[[Mapping[Node, Node], Sequence[Node]], dict[Node, Node]]


def differentiate_cond(
    op: Cond,
    inputs: Sequence[Node],
    upstream: Mapping[int, Node],
    wanted: Collection[Node],
    differentiate: Differentiate,
) -> list[Node | None]:
    """The derivative by each operand of a choice, None where there is none or it is not wanted.

    upstream: the derivative of the loss by the parts that it depends on. wanted: the operands that derivatives are
    wanted of. differentiate: reverse-mode differentiation, which the bodies need.
    """
    condition, *operands = inputs
    mine, other = operands[: op.operands], operands[op.operands :]
    asked = [node for node in dict.fromkeys(operands) if node in wanted and node.type.dtype.is_float]
    sides = [
        _side(body, given, upstream, asked, differentiate) for body, given in ((op.on_true, mine), (op.on_false, other))
    ]
    losses = list(upstream.values())
    taken = [condition, *mine, *losses, *other, *losses]
    answers = {
        node: apply(Cond(sides[0], sides[1], len(mine) + len(losses), number), *taken)
        for number, node in enumerate(asked)
    }
    seen: set[Node] = set()
    found: list[Node | None] = [None]
    for node in operands:  # what both sides take gets its derivative once
        found.append(None if node in seen else answers.get(node))
        seen.add(node)
    return found


def _side(
    body: Body,
    given: Sequence[Node],
    upstream: Mapping[int, Node],
    asked: Sequence[Node],
    differentiate: Differentiate,
) -> Body:
    """The derivatives of one side by everything that either side takes; zero for what this one does not."""
    fresh = {node: parameter_of(node.type, f"p{number}") for number, node in enumerate(body.parameters)}
    results = rebuild(toposort(body.results), lambda node: node, dict(fresh))
    losses = [
        parameter_of(node.type, f"p{number}") for number, node in enumerate(upstream.values(), len(body.parameters))
    ]
    seeds: dict[Node, Node] = {}
    for number, loss in zip(upstream, losses, strict=True):
        end = results[body.results[number]]
        seeds[end] = (Tensor(seeds[end]) + Tensor(loss)).node if end in seeds else loss
    places = {node: fresh[parameter] for node, parameter in zip(given, body.parameters, strict=True)}
    found = differentiate(seeds, [places[node] for node in asked if node in places])
    ends = [found[places[node]] if node in places and places[node] in found else _zeros(node) for node in asked]
    return Body((*fresh.values(), *losses), tuple(ends))


def _zeros(node: Node) -> Node:
    return broadcast_to(constant_node(0.0, node.type.dtype), node.type.shape)
