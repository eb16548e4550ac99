"""Nodes: immutable, interned applications of ops.

    node = op(node, ...) : type        equal nodes are identical, so common subexpressions exist once by construction

A node also carries its origin (the user's line, the scope, the forward node it differentiates). Origins stay out of
equality: the first one to declare a node names its origin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from weakref import WeakValueDictionary

from graphc.errors import GraphcError
from graphc.op import Op
from graphc.origin import Origin, current_origin
from graphc.tensor_type import TensorType

__all__ = ["Node", "apply", "describe"]

_interned: WeakValueDictionary[tuple[Op, tuple[Node, ...]], Node] = WeakValueDictionary()
_lock = threading.Lock()
_births = count()


class Node:
    """One value of the graph: ``op`` applied to ``inputs``, of type ``type``. Made by ``apply`` only.

    ``born`` counts nodes as they are made: a node depends on none that was born later.
    """

    __slots__ = ("__weakref__", "born", "inputs", "op", "origin", "type")

    op: Op
    inputs: tuple[Node, ...]
    type: TensorType
    origin: Origin
    born: int

    def __init__(self, op: Op, inputs: tuple[Node, ...], result: TensorType, origin: Origin) -> None:
        object.__setattr__(self, "op", op)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "type", result)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "born", next(_births))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"nodes are immutable: cannot set {name!r}")

    def __reduce__(self) -> tuple[Callable[..., Node], tuple[object, ...]]:
        return apply, (self.op, *self.inputs)

    def __repr__(self) -> str:
        return f"<{self.op.name} : {self.type}>"


def apply(op: Op, *inputs: Node) -> Node:
    """The node that applies an op to inputs: a new one, or the one that exists already.

    Raises the op's ShapeError or DTypeError, completed with the user's line and the lines that declared the operands.
    """
    key = (op, inputs)
    known = _interned.get(key)
    if known is not None:
        return known
    origin = current_origin()
    try:
        result = op.infer(*(node.type for node in inputs))
    except GraphcError as error:
        operands = [(f"operand {number}", describe(node)) for number, node in enumerate(inputs, 1)]
        raise error.located(str(origin.location) if origin.location else None, operands) from None
    with _lock:
        return _interned.setdefault(key, Node(op, inputs, result, origin))


def describe(node: Node) -> str:
    """A node in an error message: its type, what it is, and the line that declared it.

    Equal constants are one node, whose first line would mislead, so they come without one.
    """
    label = getattr(node.op, "label", None)
    if not node.inputs and label is None:
        return f"{node.type}  {node.op.name}"
    what = f"{node.op.name} {label!r}" if label else f"result of {node.op.name}"
    where = f", declared at {node.origin.location}" if node.origin.location else ""
    return f"{node.type}  {what}{where}"
