"""Equations between movements of elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.dims import Shape
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.op import draw
from graphc.passes.rules.equation import Sides, equation, field_of
from graphc.rewrite import Rule

__all__ = ["MOVEMENT"]

Axes = tuple[int, ...]


@equation(
    "reshape(reshape(x, a), b) = reshape(x, b)",
    attributes={"a": field_of("shape", 0), "b": field_of("shape")},
    examples={"a": (2, 6), "b": (4, 3)},
)
def reshape_twice(x: Tensor, a: Shape, b: Shape) -> Sides:
    """Only the last shape matters."""
    return x.reshape(a).reshape(b), x.reshape(b)


@equation(
    "transpose(transpose(x, p), q) = transpose(x, p[q])",
    values={"x": draw("f64", 2, 3, 4)},
    attributes={"p": field_of("axes", 0), "q": field_of("axes")},
    examples={"p": (1, 2, 0), "q": (1, 0, 2)},
)
def transpose_twice(x: Tensor, p: Axes, q: Axes) -> Sides:
    """Two orders make one."""
    return x.transpose(p).transpose(q), x.transpose(tuple(p[axis] for axis in q))


@equation(
    "broadcast(broadcast(x, p), q) = broadcast(x, q[p])",
    values={"x": draw("f64", 3)},
    attributes={
        "inner": field_of("shape", 0),
        "p": field_of("dims", 0),
        "outer": field_of("shape"),
        "q": field_of("dims"),
    },
    examples={"inner": (2, 3), "p": (1,), "outer": (2, 4, 3), "q": (0, 2)},
)
def broadcast_twice(x: Tensor, inner: Shape, p: Axes, outer: Shape, q: Axes) -> Sides:
    """Two repetitions make one."""
    twice = x.broadcast_in_dim(inner, p).broadcast_in_dim(outer, q)
    return twice, x.broadcast_in_dim(outer, tuple(q[axis] for axis in p))


@equation(
    "reverse(reverse(x, axes), axes) = x",
    attributes={"p": field_of("axes", 0), "q": field_of("axes")},
    examples={"p": (1,), "q": (1,)},
    guard=lambda bound: bound["p"] == bound["q"],
)
def reverse_twice(x: Tensor, p: Axes, q: Axes) -> Sides:
    """Two reversals cancel."""
    return x.reverse(p).reverse(q), x


@equation(
    "sum(x, no axes) = x",
    attributes={"axes": field_of("axes")},
    examples={"axes": ()},
    guard=lambda bound: bound["axes"] == (),
)
def sum_over_nothing(x: Tensor, axes: Axes) -> Sides:
    """Nothing is summed."""
    return x.sum(axes), x


def _left_order_kept(bound: Mapping[str, object]) -> bool:
    return _order_kept(bound, "lhs_batch", "lhs_contract")


def _right_order_kept(bound: Mapping[str, object]) -> bool:
    return _order_kept(bound, "rhs_batch", "rhs_contract")


def _order_kept(bound: Mapping[str, object], batch: str, contract: str) -> bool:
    """True if the free axes stay in ascending order when the transposition is left out."""
    order, x = bound["order"], bound["x"]
    taken = {*_axes(bound[batch]), *_axes(bound[contract])}
    if not isinstance(x, Node):
        return False
    free = [axis for place, axis in enumerate(_axes(order)) if place not in taken]
    return free == sorted(free)


def _axes(value: object) -> Sequence[int]:
    return value if isinstance(value, tuple) else ()


_DOT = {name: field_of(name) for name in ("lhs_batch", "rhs_batch", "lhs_contract", "rhs_contract")}
_PLAIN: Mapping[str, object] = {"lhs_batch": (), "rhs_batch": (), "lhs_contract": (1,), "rhs_contract": (0,)}


@equation(
    "dot(transpose(x), y) = dot(x, y) over other axes",
    values={"x": draw("f64", 4, 3), "y": draw("f64", 4, 2)},
    attributes={**_DOT, "order": field_of("axes", 0)},
    examples={**_PLAIN, "order": (1, 0)},
    guard=_left_order_kept,
)
def dot_absorbs_left_transpose(
    x: Tensor, y: Tensor, order: Axes, lhs_batch: Axes, rhs_batch: Axes, lhs_contract: Axes, rhs_contract: Axes
) -> Sides:
    """A contraction reads either order."""
    left = x.transpose(order).dot_general(y, (lhs_batch, rhs_batch), (lhs_contract, rhs_contract))
    batch, contract = [order[axis] for axis in lhs_batch], [order[axis] for axis in lhs_contract]
    return left, x.dot_general(y, (batch, rhs_batch), (contract, rhs_contract))


@equation(
    "dot(y, transpose(x)) = dot(y, x) over other axes",
    values={"x": draw("f64", 4, 3), "y": draw("f64", 2, 3)},
    attributes={**_DOT, "order": field_of("axes", 1)},
    examples={**_PLAIN, "order": (1, 0)},
    guard=_right_order_kept,
)
def dot_absorbs_right_transpose(
    x: Tensor, y: Tensor, order: Axes, lhs_batch: Axes, rhs_batch: Axes, lhs_contract: Axes, rhs_contract: Axes
) -> Sides:
    """A contraction reads either order."""
    left = y.dot_general(x.transpose(order), (lhs_batch, rhs_batch), (lhs_contract, rhs_contract))
    batch, contract = [order[axis] for axis in rhs_batch], [order[axis] for axis in rhs_contract]
    return left, y.dot_general(x, (lhs_batch, batch), (lhs_contract, contract))


MOVEMENT: tuple[Rule, ...] = (
    reshape_twice,
    transpose_twice,
    broadcast_twice,
    reverse_twice,
    sum_over_nothing,
    dot_absorbs_left_transpose,
    dot_absorbs_right_transpose,
)
