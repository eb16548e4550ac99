"""Which parameters something applies to: a list of them, or a function that says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from graphc.errors import DeclarationError
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor
from graphc.node import Node, describe
from graphc.ops.leaves import State
from graphc.origin import user_location

__all__ = ["ParametersLike", "Selection"]

ParametersLike = Iterable[Tensor] | Callable[[Parameter], bool]
"""Parameters, such as ``network.parameters``, or a function of a parameter, such as ``lambda p: p.ndim > 1``."""


class Selection:
    """Some of the parameters of a program. Raises DeclarationError where something listed is no parameter."""

    def __init__(self, chosen: ParametersLike) -> None:
        self._predicate = chosen if callable(chosen) else None
        self._listed: list[Node] = []
        for value in () if callable(chosen) else chosen:
            if not isinstance(value, Tensor) or not isinstance(value.node.op, State) or not value.node.op.trainable:
                raise DeclarationError(
                    "only trainable parameters can be chosen",
                    at=str(user_location()),
                    facts=[("chosen", describe(value.node) if isinstance(value, Tensor) else repr(value))],
                    expected="parameters, such as layer.parameters, or a function of a parameter",
                )
            self._listed.append(value.node)

    def takes(self, parameter: Parameter, declared: Node) -> bool:
        """True for a chosen parameter. parameter: as the program calls it. declared: as the user declared it."""
        if self._predicate is not None:
            return bool(self._predicate(parameter))
        return declared in self._listed

    def require_among(self, declared: Collection[Node], what: str) -> None:
        """DeclarationError, which says what they are not, for a listed parameter that is none of those."""
        for node in self._listed:
            if node not in declared:
                raise DeclarationError(
                    f"a chosen parameter is {what}",
                    at=str(user_location()),
                    facts=[("parameter", describe(node))],
                    way_out="leave it out of the list",
                )
