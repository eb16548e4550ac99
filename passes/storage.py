"""Where values live: inputs, states, constants, outputs, temporaries."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.node import Node
from graphc.ops.leaves import Constant, Input, State
from graphc.tensor_type import TensorType

__all__ = ["Storage", "leaf_storage"]


@dataclass(frozen=True)
class Storage:
    """A piece of memory that kernels read or write.

    kind: "input", "state", "constant", "output", "temporary" or "status". name: unique within the kind. type: what lies
    there. node: the input, state, constant, or the value that is stored.
    """

    kind: str
    name: str
    type: TensorType
    node: Node | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def leaf_storage(node: Node) -> Storage:
    """The storage of an input, a state or a constant."""
    if isinstance(node.op, Input):
        return Storage("input", node.op.label, node.type, node)
    if isinstance(node.op, State):
        return Storage("state", node.op.label, node.type, node)
    assert isinstance(node.op, Constant), f"{node.op.name} has no memory of its own"
    text = str(node.op.value)
    return Storage("constant", text if len(text) < 40 else f"{text[:36]}...", node.type, node)
