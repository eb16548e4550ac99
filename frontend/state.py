"""What a graph takes from outside: inputs, constants, parameters and other state, and the cells that hold state's
values.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np

from graphc.dtypes import FLOAT32, INT64, as_dtype
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.broadcasting import array_of, natural_dtype
from graphc.frontend.initializers import Initializer, Stream, Zeros, as_initializer
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.graph import Graph, rebuild, toposort
from graphc.literal import Literal
from graphc.node import Node, apply, describe
from graphc.op import size_text
from graphc.ops.leaves import Constant, Input, State
from graphc.origin import Origin, current_scope, derived_from, user_location
from graphc.scalar import Array
from graphc.tensor_type import TensorType, as_shape

__all__ = [
    "SEED",
    "STEP",
    "Cell",
    "Copy",
    "Parameter",
    "cell_of",
    "constant",
    "fresh_serial",
    "input",
    "keeping",
    "new_state",
    "parameter",
    "state",
    "updates_on_step",
]

with derived_from(Origin()):
    SEED = apply(State("seed", TensorType(INT64, ()), trainable=False))
    """The state that seeds all random numbers of a program."""
    STEP = apply(State("step", TensorType(INT64, ()), trainable=False))
    """The state that counts the training steps of a program."""


class Copy(Protocol):
    """A copy of a cell's value elsewhere, as in the memory of a GPU."""

    def fetch(self, target: Array) -> None:
        """Write the copy's value into an array."""

    def store(self, source: Array) -> None:
        """Take the value of an array."""


class Cell:
    """The value of one state between steps: an array that compiled programs update in place, aligned to 64 bytes.

    It is made from the initializer when it is first needed, from a seed and the state's name in the program. A program
    that runs elsewhere works on a copy; then the newest value is in the array, in the copy, or in both.
    """

    ever_lent: ClassVar[bool] = False
    """Whether any cell has ever had a copy, so that programs on the CPU need not ask each of theirs."""

    def __init__(self, type: TensorType, initializer: Initializer) -> None:
        self.type = type
        self.initializer = initializer
        self._array: Array | None = None
        self._copy: Copy | None = None
        self._here = True
        self._there = False

    @property
    def ready(self) -> bool:
        """True once the value exists."""
        return self._array is not None

    @property
    def nbytes(self) -> int:
        """The bytes of the value."""
        return int(np.prod(self._shape, dtype=np.int64)) * self.type.dtype.itemsize

    def initialize(self, seed: int, name: str, again: bool = False) -> None:
        """Make the value from the initializer, unless it exists already (``again``: also then)."""
        if self._array is None or again:
            self.set(self.initializer(self._shape, Stream(seed, name)))

    @property
    def array(self) -> Array:
        """The value itself, which programs on the CPU change in place. Whoever asks may write into it until the next
        program runs; a copy elsewhere is out of date from now on."""
        array = self._host()
        self._there = False
        return array

    def read(self) -> Array:
        """The present value in an array of the caller's own; a copy elsewhere stays up to date."""
        return self._host().copy()

    def set(self, value: object) -> None:
        """Copy a new value in; ShapeError if its shape differs."""
        array = np.asarray(value)
        if array.shape != self._shape:
            raise ShapeError(
                "the value has another shape than the state",
                at=str(user_location()),
                expected=size_text(self._shape),
                got=size_text(array.shape),
            )
        if self._array is None:
            self._array = aligned_empty(self._shape, self.type.dtype.numpy)
        self._array[...] = array
        self._here, self._there = True, False

    @property
    def copy(self) -> Copy | None:
        """The copy elsewhere, up to date or not."""
        return self._copy

    def lend(self, copy: Copy, changes: bool) -> None:
        """Bring a copy elsewhere up to date, and keep it. changes: it is about to get a newer value than is here."""
        if self._copy is not copy:
            self._host()
            self._copy, self._there, Cell.ever_lent = copy, False, True
        if not self._there:
            copy.store(self._host())
            self._there = True
        if changes:
            self._here = False

    def _host(self) -> Array:
        """The array here, up to date."""
        if self._array is None:
            self.initialize(0, "state")
        assert self._array is not None
        if not self._here and self._copy is not None:
            self._copy.fetch(self._array)
            self._here = True
        return self._array

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(size for size in self.type.shape if isinstance(size, int))


@contextmanager
def keeping(cells: Iterable[Cell]) -> Iterator[None]:
    """What runs inside may change the values of cells; they are put back afterwards."""
    kept = [(cell, cell.read()) for cell in cells]
    try:
        yield
    finally:
        for cell, value in kept:
            cell.set(value)


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[np.generic], alignment: int = 64) -> Array:
    """An uninitialised array whose data starts at a multiple of the alignment, which vector loads like."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(dtype).reshape(shape)


_cells: WeakKeyDictionary[Node, Cell] = WeakKeyDictionary()
_updates: WeakKeyDictionary[Node, dict[Node, ref[Node] | None]] = WeakKeyDictionary()
_serials: Counter[str] = Counter()
_lock = threading.Lock()


def cell_of(node: Node) -> Cell:
    """The cell of a state node; made with zeros for a state that has none, as one from a parsed text."""
    return _cells.setdefault(node, Cell(node.type, Zeros()))


def fresh_serial(label: str) -> int:
    """A number that no other state or random node of this label has."""
    with _lock:
        _serials[label] += 1
        return _serials[label] - 1


class Parameter(Tensor):
    """A tensor that is state: it keeps its value from step to step, and optimizers change it if it is trainable.

    >>> import graphc as gc
    >>> w = gc.parameter((2, 3), initializer="zeros", name="w")
    >>> w.value
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """The label, with the scopes it was declared in."""
        return self.node.op.label if isinstance(self.node.op, State) else ""

    @property
    def value(self) -> Array:
        """A copy of the present value. Before the first program that uses it, the value that seed 0 gives."""
        cell = cell_of(self.node)
        cell.initialize(0, self.name)
        return cell.read()

    @value.setter
    def value(self, value: object) -> None:
        cell_of(self.node).set(value)

    def update_on_step(self, value: TensorLike, within: Tensor | None = None) -> None:
        """Let this state take a value after each training step of the models that contain it: a running mean, a count.

        value: of the state's shape and element type, computed as the loss is, from the states before the step.
        Several updates of one state follow each other as they were declared, each from the value that the one before
        gave. within: count the update only in models that contain this tensor as well. ``evaluate``, ``predict`` and
        ``gc.function`` leave the state as it is; checkpoints hold it.

        Raises DeclarationError for a trainable parameter, ShapeError and DTypeError for a value of another type.

        >>> import graphc as gc
        >>> x, w = gc.input("x", shape=("batch",)), gc.parameter((), 1.0, name="w")
        >>> average = gc.state(0.0, name="average")
        >>> average.update_on_step(0.5 * average + 0.5 * x.mean())
        >>> model = gc.compile((w * x).mean(), gc.optimizers.SGD(0.1), metrics={"average": average})
        >>> [model.step({"x": [8.0]})["average"] for _ in range(3)], float(average.value)
        ([0.0, 4.0, 6.0], 7.0)
        """
        new = as_tensor(value, self.dtype)
        if isinstance(self.node.op, State) and self.node.op.trainable:
            raise DeclarationError(
                "a trainable parameter is updated by the optimizer alone",
                at=str(user_location()),
                facts=[("parameter", describe(self.node))],
                way_out="declare it with gc.state, or with trainable=False",
            )
        if new.type != self.type:
            raise (ShapeError if new.shape != self.shape else DTypeError)(
                "the new value of a state has another type",
                at=str(user_location()),
                facts=[("state", describe(self.node)), ("value", describe(new.node))],
                expected=str(self.type),
                got=str(new.type),
            )
        before = _before(self.node)
        known = _updates.setdefault(self.node, {})
        known[_replaced(new.node, self.node, before)] = ref(within.node) if within is not None else None


def _before(state: Node) -> Node:
    """What stands for a state in its update; with the state itself in it, the table would keep both for ever."""
    assert isinstance(state.op, State)
    return apply(State(f"before {state.op.label}", state.type, trainable=False, serial=state.op.serial))


def _replaced(value: Node, old: Node, new: Node) -> Node:
    """A value with one node for another; nodes older than that one are not walked, since they cannot contain it."""
    order = toposort([value], since=old.born)
    older = {source: source for node in order for source in node.inputs if source.born < old.born}
    return rebuild(order, lambda node: node, {**older, old: new}).get(value, value)


def updates_on_step(outputs: Sequence[tuple[str, Node]]) -> tuple[tuple[Node, Node], ...]:
    """The states that outputs, or these updates themselves, contain, with the values they take after a step."""
    updates: dict[Node, Node] = {}
    known: set[Node] = set()
    while True:
        graph = Graph(tuple(outputs), tuple(updates.items()))
        known.update(graph.nodes)
        found = {state: _successor(state, known) for state in graph.states}
        found = {state: value for state, value in found.items() if value is not state}
        if found == updates:
            return tuple(updates.items())
        updates = found


def _successor(state: Node, known: Collection[Node]) -> Node:
    """What a state becomes in a graph of known nodes: one update after the other, each reading the one before."""
    result = state
    for value, within in _updates.get(state, {}).items():
        if within is None or within() in known:
            result = _replaced(value, _before(state), result)
    return result


def input(name: str, shape: object, dtype: object = FLOAT32) -> Tensor:
    """A tensor that is fed at each call, under its name, which no other input of the graph may have.

    shape: integers and names of sizes, such as ("batch", 64). Raises ShapeError, DTypeError, DeclarationError.

    >>> import graphc as gc
    >>> gc.input("image", shape=("batch", 8, 8))
    <Tensor f32[batch, 8, 8]>
    """
    if not isinstance(name, str) or not name.replace("_", "a").replace("/", "a").isalnum():
        raise DeclarationError(
            "an input needs a name",
            at=str(user_location()),
            expected="letters, digits, underscores and slashes",
            got=repr(name),
        )
    known = TensorType(as_dtype(dtype), as_shape(shape))
    return Tensor(apply(Input(name, known, fresh_serial(name))))


def constant(value: object, dtype: object | None = None) -> Tensor:
    """A constant tensor of numbers, lists or arrays; float32 and int64 unless numpy or ``dtype`` say otherwise.

    >>> import graphc as gc
    >>> gc.constant([[1.0, 2.0]])
    <Tensor f32[1, 2]>
    """
    chosen = natural_dtype(value) if dtype is None else as_dtype(dtype)
    return Tensor(apply(Constant(Literal.of(array_of(value), chosen))))


def parameter(
    shape: object,
    initializer: Initializer | str | Array | float = "glorot_uniform",
    name: str = "parameter",
    dtype: object = FLOAT32,
    trainable: bool = True,
) -> Parameter:
    """State that training changes.

    shape: integers. initializer: a name from ``graphc.initializers``, an initializer, an array or a number. name: gets
    the enclosing scopes as a prefix. trainable: False keeps optimizers away. An array is copied; ShapeError if it has
    another shape.

    >>> import graphc as gc
    >>> gc.parameter((784, 10), name="weight")
    <Parameter f32[784, 10]>
    """
    if isinstance(shape, str):
        raise DeclarationError(
            "a parameter's shape comes first",
            at=str(user_location()),
            expected="integers",
            got=repr(shape),
            way_out=f"write gc.parameter((3, 4), name={shape!r})",
        )
    label = "/".join((*current_scope(), name))
    known = TensorType(as_dtype(dtype), as_shape(shape))
    return new_state(label, known, as_initializer(initializer), trainable)


def new_state(label: str, known: TensorType, initializer: Initializer, trainable: bool) -> Parameter:
    """A state under its full label."""
    node = apply(State(label, known, trainable, fresh_serial(label)))
    if initializer.only_shape not in (None, known.shape):
        raise ShapeError(
            "the initial value has another shape than the parameter",
            at=str(user_location()),
            expected=size_text(known.shape),
            got=size_text(initializer.only_shape or ()),
        )
    _cells[node] = Cell(known, initializer)
    return Parameter(node)


def state(initial: object, name: str = "state", dtype: object | None = None) -> Parameter:
    """State that no optimizer changes: a counter, a running mean; updates of a graph may replace it.

    >>> import graphc as gc
    >>> gc.state(0, name="counter").value
    array(0)
    """
    chosen = natural_dtype(initial) if dtype is None else as_dtype(dtype)
    array = array_of(initial).astype(chosen.numpy)
    return parameter(array.shape, array, name, chosen, trainable=False)


_cells[SEED] = Cell(SEED.type, Zeros())
_cells[STEP] = Cell(STEP.type, Zeros())
