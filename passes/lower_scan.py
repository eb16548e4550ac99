"""Loops and choices: the kernels of a body, and memory that moves on from round to round.

The kernels are compiled once. The table of commands holds every round, with the addresses of that round: an element of
a sequence, a state that is handed on through two places in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from graphc.graph import Graph
from graphc.node import Node, apply
from graphc.ops.cond import Cond
from graphc.ops.movement import Reshape
from graphc.ops.scan import Scan
from graphc.ops.unary import Copy
from graphc.passes.isolate import IsolateRoots
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Along, Handed, Rounds, Side, Storage, leaf_storage

__all__ = ["lower_cond", "lower_scan"]


def lower_scan(
    roots: Sequence[Node],
    stored: Collection[Node],
    storage: Mapping[Node, Storage],
    label: str,
    calls_of: Callable[[Graph], Sequence[KernelCall]],
) -> list[KernelCall]:
    """The calls of one round of a loop. roots: the parts that are needed. label: tells loops of a program apart.
    calls_of: the calls that compute a graph."""
    op, operands = roots[0].op, roots[0].inputs
    assert isinstance(op, Scan)
    parts = {root.op.part: storage[root] for root in roots if isinstance(root.op, Scan)}
    graph = IsolateRoots()(_round(op, parts))
    calls = calls_of(graph)
    local = _local(calls, label)
    rounds = Rounds(label, op.length, frozenset(local.values()))
    around = partial(_around, stored=stored, storage=storage)

    def handed(number: int, written: bool) -> Storage:
        kind = op.body.parameters[number].type
        between = tuple(Storage("temporary", f"{label}/state{number}/{turn}", kind) for turn in ("even", "odd"))
        place = Handed(rounds, around(operands[number]), (between[0], between[1]), parts.get(number), written)
        return Storage("round", f"{label}/{'next' if written else 'state'}{number}", kind, moves=place)

    new: dict[Storage, Storage] = dict(local)
    for number, parameter in enumerate(op.body.parameters):
        if number < op.carries:
            new[leaf_storage(parameter)] = handed(number, False)
        elif number < op.carries + op.sequences:
            moves = Along(rounds, around(operands[number]), op.reverse)
            new[leaf_storage(parameter)] = Storage("round", f"{label}/element{number}", parameter.type, moves=moves)
        else:
            new[leaf_storage(parameter)] = around(operands[number])
    for name, node in graph.outputs:
        number = int(name[1:])
        mine = Storage("output", name, node.type, node)
        if number < op.carries:
            new[mine] = handed(number, True)
        else:
            moves = Along(rounds, parts[number], op.reverse)
            new[mine] = Storage("round", f"{label}/value{number}", node.type, moves=moves)
    return _within(rounds, calls, new)


def lower_cond(
    roots: Sequence[Node],
    stored: Collection[Node],
    storage: Mapping[Node, Storage],
    label: str,
    calls_of: Callable[[Graph], Sequence[KernelCall]],
) -> list[KernelCall]:
    """The calls of both sides of a choice, of which the condition skips one. The arguments are those of
    ``lower_scan``."""
    op, (condition, *operands) = roots[0].op, roots[0].inputs
    assert isinstance(op, Cond)
    parts = {root.op.part: storage[root] for root in roots if isinstance(root.op, Cond)}
    around = partial(_around, stored=stored, storage=storage)
    result: list[KernelCall] = []
    for chosen, body, given in (
        (True, op.on_true, operands[: op.operands]),
        (False, op.on_false, operands[op.operands :]),
    ):
        name = f"{label}/{str(chosen).lower()}"
        outputs = {f"r{number}": _own(body.results[number], body.parameters) for number in parts}
        graph = IsolateRoots()(Graph(tuple(outputs.items()), name="side", arguments=body.parameters))
        calls = calls_of(graph)
        local = _local(calls, name)
        new = dict(local)
        new |= {leaf_storage(node): around(operand) for node, operand in zip(body.parameters, given, strict=True)}
        new |= {Storage("output", label, node.type, node): parts[int(label[1:])] for label, node in graph.outputs}
        result += _within(Side(name, around(condition), chosen, frozenset(local.values())), calls, new)
    return result


def _local(calls: Sequence[KernelCall], label: str) -> dict[Storage, Storage]:
    """The temporaries of a body, with names of the program."""
    inside = {one.name: one for call in calls for one in call.arguments if one.kind == "temporary"}
    return {one: replace(one, name=f"{label}/{name}") for name, one in inside.items()}


def _around(node: Node, stored: Collection[Node], storage: Mapping[Node, Storage]) -> Storage:
    """Where an operand lies."""
    while node not in stored and isinstance(node.op, Reshape):
        (node,) = node.inputs
    return storage[node] if node in storage else leaf_storage(node)


def _own(node: Node, parameters: Collection[Node]) -> Node:
    return apply(Copy(), node) if node in parameters else node


def _within(place: Rounds | Side, calls: Sequence[KernelCall], new: Mapping[Storage, Storage]) -> list[KernelCall]:
    """The calls of a body as calls of the program, inside a loop or a side of a choice."""
    return [
        replace(
            call,
            arguments=tuple(_mapped(argument, new) for argument in call.arguments),
            loops=(place, *(_inner(loop, new) for loop in call.loops)),
        )
        for call in calls
    ]


def _round(op: Scan, parts: Collection[int]) -> Graph:
    """What one round computes: the next state, and the needed values."""
    outputs = {
        f"r{number}": _own(node, op.body.parameters)
        for number, node in enumerate(op.parts)
        if number < op.carries or number in parts
    }
    return Graph(tuple(outputs.items()), name="round", arguments=op.body.parameters)


def _mapped(storage: Storage, new: Mapping[Storage, Storage]) -> Storage:
    """A storage of the body as one of the program."""
    if storage in new:
        return new[storage]
    moves = storage.moves
    if isinstance(moves, Along):
        moves = Along(_loop(moves.loop, new), _mapped(moves.whole, new), moves.reverse)
    elif isinstance(moves, Handed):
        between = (_mapped(moves.between[0], new), _mapped(moves.between[1], new))
        last = _mapped(moves.last, new) if moves.last is not None else None
        moves = Handed(_loop(moves.loop, new), _mapped(moves.first, new), between, last, moves.written)
    return replace(storage, moves=moves)


def _inner(place: Rounds | Side, new: Mapping[Storage, Storage]) -> Rounds | Side:
    if isinstance(place, Rounds):
        return _loop(place, new)
    local = frozenset(_mapped(storage, new) for storage in place.local)
    return replace(place, condition=_mapped(place.condition, new), local=local)


def _loop(loop: Rounds, new: Mapping[Storage, Storage]) -> Rounds:
    return replace(loop, local=frozenset(_mapped(storage, new) for storage in loop.local))
