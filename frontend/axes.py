"""Numbers of axes as users write them: one or several, negative ones from the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.errors import DeclarationError, ShapeError
from graphc.node import Node, describe
from graphc.origin import user_location

__all__ = ["axes_of", "axis_of"]


def axes_of(node: Node, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """The axes of a node that a number or several stand for (all if None), counted from 0; ShapeError for others."""
    rank = node.type.rank
    axes = range(rank) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    wrong = [number for number in axes if not -rank <= number < rank]
    chosen = tuple(int(number) % rank for number in axes) if not wrong else ()
    if wrong or len(set(chosen)) < len(chosen):
        raise ShapeError(
            f"axis {wrong[0] if wrong else tuple(axes)} does not fit {rank} dimensions",
            at=str(user_location()),
            facts=[("operand", describe(node))],
            expected=f"different numbers from {-rank} to {rank - 1}" if rank else "no axis",
            got=str(tuple(axes)),
        )
    return chosen


def axis_of(node: Node, operation: str, axis: object) -> int:
    """The one axis, counted from 0, that an operation goes along; DeclarationError for what is no integer."""
    if not isinstance(axis, (int, np.integer)):
        raise DeclarationError(
            f"{operation} goes along one axis",
            at=str(user_location()),
            facts=[("operand", describe(node))],
            expected="an integer",
            got=repr(axis),
            way_out="reshape the tensor so that these axes are one",
        )
    return axes_of(node, int(axis))[0]
