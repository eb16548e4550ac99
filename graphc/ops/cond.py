"""The choice: one of two bodies runs, the other one does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.op import Op
from graphc.ops.scan import Body
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type

__all__ = ["Cond"]


@dataclass(frozen=True)
class Cond(Op):
    """One of the results of a choice, as in JAX's ``lax.cond``: those of ``on_true`` where the condition holds, else
    those of ``on_false``.

    Operands: the condition, a truth value; ``operands`` parameters of the first body; those of the second. part: which
    of the results this is. Only one of the bodies is computed. The derivative is a choice between derivatives
    (``graphc.passes.cond_gradient``).

    >>> import graphc as gc
    >>> x = gc.constant(3.0)
    >>> float(gc.evaluate(gc.cond(x > 0, lambda: x * 2.0, lambda: -x)))
    6.0
    """

    on_true: Body
    on_false: Body
    operands: int
    part: int
    sizes: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    """The numbers of named sizes, once they are known."""
    name: ClassVar[str] = "cond"

    def infer(self, *types: TensorType) -> TensorType:
        if not types or types[0] != tensor_type("bool"):
            raise DTypeError("a choice needs a condition", expected="bool[]", got=str(types[0]) if types else "nothing")
        wanted = [node.type for body in (self.on_true, self.on_false) for node in body.parameters]
        if list(types[1:]) != wanted:
            raise ShapeError(
                "a choice has other operands than its bodies",
                expected=", ".join(map(str, wanted)),
                got=", ".join(map(str, types[1:])),
            )
        first, second = ([node.type for node in body.results] for body in (self.on_true, self.on_false))
        if first != second:
            raise ShapeError(
                "the sides of a choice have results of different types",
                expected=", ".join(map(str, first)),
                got=", ".join(map(str, second)),
                way_out="convert or reshape one of them",
            )
        return first[self.part]

    def with_sizes(self, sizes: Mapping[str, int]) -> Self:
        return replace(self, sizes=tuple(sizes.items()))

    def reference(self, *args: Array) -> Array:
        from graphc.interpret import interpret  # which is made of ops

        condition, *operands = args
        body = self.on_true if bool(condition) else self.on_false
        given = operands[: self.operands] if bool(condition) else operands[self.operands :]
        values = dict(zip(body.parameters, map(np.asarray, given), strict=True))
        result = body.results[self.part]
        return interpret([result], values, dict(self.sizes))[result]
