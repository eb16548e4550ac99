"""Subscripts: what ``x[...]`` means, on the level of nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import EllipsisType

import numpy as np

from graphc.dims import Shape, Size
from graphc.errors import DeclarationError, ShapeError
from graphc.node import Node, apply, describe
from graphc.ops.movement import Reshape, Reverse, Slice
from graphc.origin import user_location

__all__ = ["Part", "subscript"]

Part = int | slice | EllipsisType | None


@dataclass
class _Plan:
    """What is taken of each axis, and the shape that is left when integer axes are dropped and new ones added."""

    start: list[int] = field(default_factory=list)
    stop: list[Size] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    flipped: list[int] = field(default_factory=list)
    layout: list[int | None] = field(default_factory=list)
    """Axes of the operand that stay, None for a new one."""

    def take(self, axis: int, start: int, stop: Size, step: int) -> None:
        self.start.append(start)
        self.stop.append(stop)
        self.step.append(step)


def subscript(node: Node, key: Part | tuple[Part, ...]) -> Node:
    """``node[key]`` with numpy's meaning of integers, slices, None and ``...``.

    Raises ShapeError for an index out of range, DeclarationError for other keys (use gc.take for integer tensors).
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    consumed = sum(part is not None and part is not Ellipsis for part in parts)
    if consumed > node.type.rank:
        raise _error(node, f"{consumed} subscripts for {node.type.rank} dimensions")
    ellipses = sum(part is Ellipsis for part in parts)
    if ellipses > 1:
        raise _error(node, "a subscript has one ... at most")
    if not ellipses:
        parts.append(Ellipsis)
    plan = _Plan()
    axis = 0
    for part in parts:
        if part is None:
            plan.layout.append(None)
        elif isinstance(part, EllipsisType):
            for _ in range(node.type.rank - consumed):
                plan.layout.append(axis)
                plan.take(axis, 0, node.type.shape[axis], 1)
                axis += 1
        else:
            _one_axis(node, plan, axis, part)
            axis += 1
    return _apply(node, plan)


def _one_axis(node: Node, plan: _Plan, axis: int, part: object) -> None:
    size = node.type.shape[axis]
    if isinstance(part, slice):
        _check_bounds(node, part)
        plan.layout.append(axis)
        if part.start in (None, 0) and part.stop is None and part.step in (None, 1):
            plan.take(axis, 0, size, 1)
        elif part == slice(None, None, -1):
            plan.flipped.append(axis)
            plan.take(axis, 0, size, 1)
        else:
            _slice(plan, axis, part, _known(node, axis, size))
        return
    if not hasattr(part, "__index__") or isinstance(part, bool) or (isinstance(part, np.ndarray) and part.ndim):
        raise DeclarationError(
            f"{part!r} is no subscript of a tensor",
            at=str(user_location()),
            expected="integers, slices, None and ...",
            got=type(part).__name__,
            way_out="take elements at integer positions with gc.take, mask with gc.where",
        )
    index, length = part.__index__(), _known(node, axis, size)
    if not -length <= index < length:
        raise _error(node, f"index {index} is out of range for axis {axis} of size {size}")
    index %= length
    plan.take(axis, index, index + 1, 1)


def _check_bounds(node: Node, part: slice) -> None:
    for what, bound in (("start", part.start), ("stop", part.stop), ("step", part.step)):
        if bound is not None and (not hasattr(bound, "__index__")):
            raise DeclarationError(
                f"{bound!r} is no {what} of a slice",
                at=str(user_location()),
                facts=[("operand", describe(node))],
                expected="integers of Python, known when the graph is declared",
                got=type(bound).__name__,
                way_out="take elements at positions computed at run time with gc.take, or mask with gc.where",
            )


def _known(node: Node, axis: int, size: Size) -> int:
    if isinstance(size, int):
        return size
    raise _error(
        node,
        f"axis {axis} has the size {size}, known only at run time, and is taken whole or reversed",
        way_out="take elements at positions computed at run time with gc.take",
    )


def _slice(plan: _Plan, axis: int, part: slice, size: int) -> None:
    start, stop, step = part.indices(size)
    count = len(range(start, stop, step))
    if step > 0 or count == 0:
        plan.take(axis, min(start, size) if count else 0, max(start, stop) if count else 0, abs(step))
        return
    plan.flipped.append(axis)
    plan.take(axis, start + (count - 1) * step, start + 1, -step)


def _apply(node: Node, plan: _Plan) -> Node:
    whole = all(start == 0 and step == 1 for start, step in zip(plan.start, plan.step, strict=True))
    if not (whole and tuple(plan.stop) == node.type.shape):
        node = apply(Slice(tuple(plan.start), tuple(plan.stop), tuple(plan.step)), node)
    if plan.flipped:
        node = apply(Reverse(tuple(plan.flipped)), node)
    shape: Shape = tuple(1 if axis is None else node.type.shape[axis] for axis in plan.layout)
    return node if shape == node.type.shape else apply(Reshape(shape), node)


def _error(node: Node, what: str, way_out: str | None = None) -> ShapeError:
    facts = [("operand", describe(node))]
    return ShapeError(what, at=str(user_location()), facts=facts, got=str(node.type), way_out=way_out)
