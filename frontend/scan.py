"""Loops with state: ``gc.scan``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.dims import Size
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.state import fresh_serial
from graphc.frontend.tensor import Tensor, as_tensor
from graphc.graph import toposort
from graphc.node import Node, apply, describe
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from graphc.ops.indexing import CheckRange
from graphc.ops.leaves import Constant, DimSize, Input, Iota
from graphc.ops.sampling import Random
from graphc.ops.scan import Body, Scan
from graphc.origin import derived_from, scope, user_location
from graphc.tensor_type import TensorType

__all__ = ["Form", "Tree", "close_body", "parameter_of", "scan", "taken_apart"]

_SCOPE = "round"
"""The scope of what a step declares."""
Tree = object
"""A tensor, None, or a tuple, list or dictionary of such."""


@dataclass(frozen=True)
class Form:
    """How tensors were nested: what a tree was, without them."""

    kind: str
    keys: tuple[object, ...] = ()
    parts: tuple[Form, ...] = ()

    def build(self, tensors: Iterator[Tensor]) -> Tree:
        """The tree of this form with tensors in their order."""
        if self.kind == "tensor":
            return next(tensors)
        parts = [part.build(tensors) for part in self.parts]
        if self.kind == "dict":
            return dict(zip(self.keys, parts, strict=True))
        return None if self.kind == "none" else parts if self.kind == "list" else tuple(parts)


def taken_apart(tree: Tree) -> tuple[list[Tensor], Form]:
    """The tensors of a tree, and its form."""
    if tree is None:
        return [], Form("none")
    if isinstance(tree, (tuple, list, dict)):
        items = tree.values() if isinstance(tree, Mapping) else tree
        pairs = [taken_apart(item) for item in items]
        kind = "dict" if isinstance(tree, Mapping) else "list" if isinstance(tree, list) else "tuple"
        keys = tuple(tree) if isinstance(tree, Mapping) else ()
        return [tensor for tensors, _ in pairs for tensor in tensors], Form(
            kind, keys, tuple(form for _, form in pairs)
        )
    return [as_tensor(tree)], Form("tensor")


def scan(
    step: Callable[..., Tree],
    initial: Tree,
    sequences: Tree = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    checkpoint: int | None = None,
) -> tuple[Tree, Tree]:
    """Run a step for each element of sequences, handing a state on: a loop in the compiled program.

        state, values[t] = step(state, sequences[t])         t = 0, ..., length - 1

    step: a function of the state and of one element of the sequences; it returns the next state, of the same form and
    types, and the values of this round (None for none). It is called once, to declare the body. initial: the first
    state. sequences: tensors whose first axis is time, all of one length, or None together with ``length``. State,
    sequences and values are tensors or tuples, lists or dictionaries of them. reverse: from the last element to the
    first; values still stand where their elements are. checkpoint: keep the state of every so many rounds only for the
    derivative, and compute the rounds between once more (A. Griewank, "Achieving logarithmic growth of temporal and
    spatial complexity in reverse automatic differentiation", 1992); it divides the length.

    Returns the last state, and the values of all rounds along a new first axis. Compile time does not depend on the
    length; time and memory are proportional to it. Tensors from outside that the step uses are constants of the loop.

    Raises ShapeError for sequences of different lengths and for a state that changes its type, DeclarationError for
    random numbers drawn inside (draw them outside, as a sequence) and for a loop of no known length.

    >>> import graphc as gc
    >>> x = gc.input("x", ("time", 2))
    >>> last, sums = gc.scan(lambda total, now: (total + now, total + now), gc.constant([0.0, 0.0]), x)
    >>> gc.evaluate(sums, {"x": [[1, 2], [3, 4], [5, 6]]})
    array([[ 1.,  2.],
           [ 4.,  6.],
           [ 9., 12.]], dtype=float32)
    """
    at = str(user_location())
    begin, state_form = taken_apart(initial)
    moving, sequence_form = taken_apart(sequences)
    size = _length(moving, length, at)
    if checkpoint is not None:
        return _in_pieces(step, initial, (moving, sequence_form), size, reverse, checkpoint, at)
    states = [parameter_of(tensor.node.type, f"state{number}") for number, tensor in enumerate(begin)]
    elements = [
        parameter_of(tensor.node.type.with_shape(tensor.shape[1:]), f"element{number}")
        for number, tensor in enumerate(moving)
    ]
    with scope(_SCOPE):
        returned = step(state_form.build(map(Tensor, states)), sequence_form.build(map(Tensor, elements)))
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DeclarationError(
            "the step of a loop returns something else than two things",
            at=at,
            expected="(next state, values of this round), with None for no values",
            got=type(returned).__name__,
        )
    after, after_form = taken_apart(returned[0])
    values, value_form = taken_apart(returned[1])
    if after_form != state_form:
        raise DeclarationError(
            "the step of a loop returns a state of another form than the first one",
            at=at,
            expected=f"{len(begin)} tensors, nested as in initial",
            got=f"{len(after)} tensors",
        )
    for old, new in zip(begin, after, strict=True):
        if old.node.type != new.node.type:
            raise ShapeError(
                "the state of a loop changes its type from round to round",
                at=at,
                facts=[("first", describe(old.node)), ("next", describe(new.node))],
                expected=str(old.node.type),
                got=str(new.node.type),
                way_out="convert or reshape what the step returns, or the first state",
            )
    results = [tensor.node for tensor in (*after, *values)]
    body, outside = close_body((*states, *elements), results, at)
    operands = [*(tensor.node for tensor in (*begin, *moving)), *outside]

    def part(number: int) -> Tensor:
        return Tensor(apply(Scan(body, size, len(begin), len(moving), number, reverse), *operands))

    parts = [part(number) for number in range(len(results))]
    return state_form.build(iter(parts[: len(begin)])), value_form.build(iter(parts[len(begin) :]))


def _in_pieces(
    step: Callable[..., Tree],
    initial: Tree,
    sequences: tuple[list[Tensor], Form],
    size: Size,
    reverse: bool,
    rounds: int,
    at: str,
) -> tuple[Tree, Tree]:
    """A loop over pieces around a loop over each piece: the derivative keeps what pieces began with."""
    if not isinstance(size, int) or not isinstance(rounds, int) or rounds < 1 or size % rounds:
        raise DeclarationError(
            "a loop does not divide into pieces",
            at=at,
            expected=f"a checkpoint that divides the length {size}, an integer",
            got=f"checkpoint={rounds!r}",
        )
    moving, form = sequences
    pieces = [tensor.reshape((size // rounds, rounds, *tensor.shape[1:])) for tensor in moving]

    def piece(state: Tree, elements: Tree) -> tuple[Tree, Tree]:
        return scan(step, state, elements, length=rounds, reverse=reverse)

    last, values = scan(piece, initial, form.build(iter(pieces)), length=size // rounds, reverse=reverse)
    stacked, value_form = taken_apart(values)
    whole = (tensor.reshape((size, *tensor.shape[2:])) for tensor in stacked)
    return last, value_form.build(iter(whole))


def _length(moving: Sequence[Tensor], length: int | None, at: str) -> Size:
    sizes: list[Size] = [tensor.shape[0] if tensor.shape else 0 for tensor in moving]
    if any(not tensor.shape for tensor in moving):
        raise ShapeError(
            "a sequence of a loop has no axis of time", at=at, expected="at least one axis", got="a scalar"
        )
    if length is not None:
        sizes.append(length)
    if not sizes:
        raise DeclarationError(
            "a loop of unknown length", at=at, expected="sequences, or length", way_out="give length=10, say"
        )
    if any(size != sizes[0] for size in sizes):
        raise ShapeError(
            "the sequences of a loop have different lengths",
            at=at,
            facts=[("sequence", describe(tensor.node)) for tensor in moving],
            expected="one length",
            got=", ".join(map(str, sizes)),
        )
    if isinstance(sizes[0], int) and sizes[0] < 1:
        raise ShapeError("a loop of no rounds", at=at, expected="a length of at least 1", got=str(sizes[0]))
    return sizes[0]


def parameter_of(kind: TensorType, label: str) -> Node:
    """A new parameter of a body."""
    return apply(Input(label, kind, fresh_serial(f"scan/{label}")))


def close_body(parameters: Sequence[Node], results: Sequence[Node], at: str) -> tuple[Body, list[Node]]:
    """A body in which everything from outside is a parameter too, and what these stand for.

    What depends on no parameter is computed outside, once; numbers stay inside.
    """
    inside: set[Node] = set()
    free: set[Node] = set()
    order = toposort(results)
    for node in order:
        if node in parameters or any(source in inside for source in node.inputs):
            inside.add(node)
        elif isinstance(node.op, (Constant, Iota, DimSize)) or (node.inputs and free.issuperset(node.inputs)):
            free.add(node)
    _refuse(order, inside, at)
    new = {node: parameter_of(node.type, f"p{number}") for number, node in enumerate(parameters)}
    outside: dict[Node, Node] = {}

    def value_of(node: Node) -> Node:
        if node not in new:
            if node in free:
                new[node] = node
            else:
                label = f"p{len(parameters) + len(outside)}"
                outside[node] = new[node] = parameter_of(node.type, label)
        return new[node]

    for node in order:
        if node in inside and node not in new:
            inputs = [value_of(source) for source in node.inputs]
            with derived_from(node.origin):
                new[node] = apply(node.op, *inputs)
    ends = tuple(value_of(node) for node in results)
    saved = tuple(node for node in toposort(ends) if isinstance(node.op, (DotGeneral, ConvGeneral)))
    return Body((*(new[node] for node in parameters), *outside.values()), ends, saved), list(outside)


def _refuse(order: Sequence[Node], inside: set[Node], at: str) -> None:
    for node in order:
        drawn = isinstance(node.op, Random) and _SCOPE in node.origin.scope
        if drawn or (isinstance(node.op, CheckRange) and node in inside):
            raise DeclarationError(
                "a loop draws random numbers inside" if drawn else "a loop checks a range inside",
                at=at,
                facts=[("node", describe(node))],
                expected="a step that draws nothing and checks nothing",
                way_out="compute it outside of the loop, for all rounds, and hand it in as a sequence",
            )
