"""Where values live: inputs, states, constants, outputs, temporaries, and the moving places of loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphc.dims import Size
from graphc.node import Node
from graphc.ops.leaves import Constant, Input, State
from graphc.tensor_type import TensorType

__all__ = ["Along", "Handed", "Rounds", "Side", "Storage", "leaf_storage", "memory_of"]


@dataclass(frozen=True)
class Rounds:
    """A loop in a program. label: tells loops apart. length: how many rounds there are. local: temporaries of a round,
    which no other round reads."""

    label: str
    length: Size
    local: frozenset[Storage] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Side:
    """One side of a choice in a program. label: tells sides apart. condition: where the truth value lies. chosen: the
    value for which this side runs."""

    label: str
    condition: Storage
    chosen: bool
    local: frozenset[Storage] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Along:
    """A place in a sequence, one element further in each round. reverse: from the last element to the first."""

    loop: Rounds
    whole: Storage
    reverse: bool


@dataclass(frozen=True)
class Handed:
    """The place of a loop's state: what a round reads, or (written) what it leaves to the next.

    The first round reads ``first``; then two places take turns; the last round leaves its state in ``last``, if that is
    needed.
    """

    loop: Rounds
    first: Storage
    between: tuple[Storage, Storage]
    last: Storage | None
    written: bool


@dataclass(frozen=True)
class Storage:
    """A piece of memory that kernels read or write.

    kind: "input", "state", "constant", "output", "temporary", "status" or "round". name: unique within the kind. type:
    what lies there. node: the input, state, constant, or the value that is stored. moves: how a place of the kind
    "round" changes from round to round.
    """

    kind: str
    name: str
    type: TensorType
    node: Node | None = None
    moves: Along | Handed | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def memory_of(storage: Storage) -> Iterator[Storage]:
    """All pieces of memory that a storage is at some time."""
    moves = storage.moves
    if moves is None:
        yield storage
    elif isinstance(moves, Along):
        yield from memory_of(moves.whole)
    else:
        for place in (moves.first, *moves.between, *([moves.last] if moves.last is not None else [])):
            yield from memory_of(place)


def leaf_storage(node: Node) -> Storage:
    """The storage of an input, a state or a constant."""
    if isinstance(node.op, Input):
        return Storage("input", node.op.label, node.type, node)
    if isinstance(node.op, State):
        return Storage("state", node.op.label, node.type, node)
    assert isinstance(node.op, Constant), f"{node.op.name} has no memory of its own"
    text = str(node.op.value)
    return Storage("constant", text if len(text) < 40 else f"{text[:36]}...", node.type, node)
