"""Choices between computations: ``gc.cond``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.scan import Tree, parameter_of, taken_apart
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.graph import toposort
from graphc.node import Node, apply, describe
from graphc.ops.cond import Cond
from graphc.ops.indexing import CheckRange
from graphc.ops.leaves import Leaf
from graphc.ops.scan import Body
from graphc.origin import derived_from, scope, user_location

__all__ = ["cond"]

_numbers = count()


def cond(condition: TensorLike, on_true: Callable[[], Tree], on_false: Callable[[], Tree]) -> Tree:
    """The results of one of two functions; the other one is not computed.

    condition: a truth value, bool[]. on_true, on_false: functions of no arguments, called once each to declare what
    they compute; what they declare runs only if it is chosen, what they take from outside is computed in any case. Both
    return a tensor, or tuples, lists or dictionaries of tensors of one form, of the same types. Where both sides are
    cheap, or the condition differs from element to element, ``gc.where`` is the better choice.

    Raises DTypeError for a condition that is no truth value, ShapeError for sides of different types.

    >>> import graphc as gc
    >>> x = gc.input("x", ())
    >>> y = gc.cond(x > 0, lambda: gc.sqrt(x), lambda: x * 0.0)
    >>> float(gc.evaluate(y, {"x": 9.0})), float(gc.evaluate(gc.grad(y, x), {"x": 4.0}))
    (3.0, 0.25)
    """
    at = str(user_location())
    chosen = as_tensor(condition)
    if chosen.shape or chosen.dtype.kind != "b":
        raise DTypeError(
            "the condition of a choice is no truth value",
            at=at,
            facts=[("condition", describe(chosen.node))],
            expected="bool[]",
            got=str(chosen.node.type),
            way_out="compare numbers, or reduce a tensor with gc.any or gc.all; gc.where chooses element by element",
        )
    sides, forms = [], []
    for side in (on_true, on_false):
        mark = f"side{next(_numbers)}"
        with scope(mark):
            tensors, form = taken_apart(side())
        forms.append(form)
        sides.append(_closed([tensor.node for tensor in tensors], mark, at))
    if forms[0] != forms[1]:
        raise DeclarationError(
            "the sides of a choice return tensors of different forms",
            at=at,
            expected=f"{len(sides[0][0].results)} tensors, nested alike",
            got=f"{len(sides[1][0].results)} tensors",
        )
    (first, mine), (second, other) = sides
    for left, right in zip(first.results, second.results, strict=True):
        if left.type != right.type:
            raise ShapeError(
                "the sides of a choice return tensors of different types",
                at=at,
                facts=[("on_true", describe(left)), ("on_false", describe(right))],
                expected=str(left.type),
                got=str(right.type),
                way_out="convert or reshape one of them",
            )
    parts = (
        Tensor(apply(Cond(first, second, len(mine), number), chosen.node, *mine, *other))
        for number in range(len(first.results))
    )
    return forms[0].build(parts)


def _closed(results: Sequence[Node], mark: str, at: str) -> tuple[Body, list[Node]]:
    """The body of what was declared under a mark, and what it takes from outside."""
    inside = {node for node in toposort(results) if mark in node.origin.scope and not isinstance(node.op, Leaf)}
    new: dict[Node, Node] = {}
    outside: dict[Node, Node] = {}
    for node in toposort(results):
        if node not in inside:
            continue
        if isinstance(node.op, CheckRange):
            raise DeclarationError(
                "a side of a choice checks a range",
                at=at,
                facts=[("node", describe(node))],
                way_out="look the elements up outside, and choose between the results",
            )
        with derived_from(node.origin):
            new[node] = apply(node.op, *(_value(source, new, outside) for source in node.inputs))
    ends = tuple(_value(node, new, outside) for node in results)
    return Body(tuple(outside.values()), ends), list(outside)


def _value(node: Node, new: dict[Node, Node], outside: dict[Node, Node]) -> Node:
    """A node of the body for one of the graph: itself, or a parameter."""
    if node in new:
        return new[node]
    if node not in outside:
        outside[node] = parameter_of(node.type, f"p{len(outside)}")
    return outside[node]
