"""How a rule file writes an equation: a decorated function that returns both sides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.op import Draw, draw
from graphc.rewrite import Attribute, Rule

__all__ = ["Sides", "equation", "field_of"]

Sides = tuple[Tensor, Tensor]

_PLAIN = draw("f64", 3, 4)


def field_of(name: str, *path: int) -> Attribute:
    """A variable that stands for a field of the op at a path of input numbers from the root of the left side."""
    return Attribute(path, name)


def equation(
    name: str,
    *,
    values: Mapping[str, Draw] | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    examples: Mapping[str, object] | None = None,
    guard: Callable[[Mapping[str, object]], bool] | None = None,
) -> Callable[[Callable[..., Sides]], Rule]:
    """Make a rule of a function of tensors (and attributes) that returns the left and the right side.

    values: example operands that are not a 3 x 4 matrix of numbers between -2 and 2. attributes, examples: where the
    variables that are no tensors come from, and their values in the example.
    """

    def decorate(function: Callable[..., Sides]) -> Rule:
        variables = [
            parameter for parameter in inspect.signature(function).parameters if parameter not in (attributes or {})
        ]

        def build(bindings: Mapping[str, object]) -> tuple[Node, Node]:
            arguments = {key: Tensor(value) if isinstance(value, Node) else value for key, value in bindings.items()}
            left, right = function(**arguments)
            return left.node, right.node

        drawn = {variable: (values or {}).get(variable, _PLAIN) for variable in variables}
        return Rule(name, build, drawn, attributes or {}, examples or {}, guard or (lambda _: True))

    return decorate
