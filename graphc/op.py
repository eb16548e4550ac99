"""What an operation is: a frozen dataclass that holds all there is to know about it, in one place.

    op = type rule (infer) + derivative (grad) + meaning (reference) + scalar body or kernel family + notation + samples

The fields of the dataclass are the op's attributes; equality, hashing, printing and parsing derive from them.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import numpy as np

from graphc.dims import Dim, Size, evaluate
from graphc.dtypes import DTYPES, DType, as_dtype
from graphc.errors import DTypeError, GraphcError, ShapeError
from graphc.scalar import Array, NumpyScalars, Scalars
from graphc.tensor_type import TensorType, tensor_type
from graphc.value import V

__all__ = ["OPS", "Draw", "Elementwise", "Op", "Reference", "Refusal", "Sample", "draw"]

T = TypeVar("T")
Reference = Callable[..., Array]
OPS: dict[str, type[Op]] = {}


@dataclass(frozen=True)
class Draw:
    """A random operand for a sample: its type and the range its values come from (floats uniform, integers whole)."""

    type: TensorType
    low: float = -2.0
    high: float = 2.0

    def numpy(self, rng: np.random.Generator, sizes: Mapping[str, int] | None = None) -> Array:
        """One random array; named sizes come from the mapping."""
        shape = tuple(evaluate(size, sizes or {}) for size in self.type.shape)
        if self.type.dtype.kind == "b":
            return np.asarray(rng.integers(0, 2, shape), np.bool_)
        if self.type.dtype.is_integer:
            return np.asarray(rng.integers(int(self.low), int(self.high) + 1, shape), self.type.dtype.numpy)
        return np.asarray(rng.uniform(self.low, self.high, shape), self.type.dtype.numpy)


def draw(dtype: object, *shape: object, low: float = -2.0, high: float = 2.0) -> Draw:
    """A random operand from short names: ``draw("f64", 3, 4, low=0.1)``."""
    return Draw(tensor_type(as_dtype(dtype), *shape), low, high)


@dataclass(frozen=True)
class Sample:
    """An example application of an op: the harness runs it on every target and checks its derivatives."""

    op: Op
    args: tuple[Draw, ...]


@dataclass(frozen=True)
class Refusal:
    """Operand types that an op must refuse, and what the first line of the error says."""

    op: Op
    types: tuple[TensorType, ...]
    error: type[GraphcError]
    message: str


@dataclass(frozen=True)
class Op:
    """Base of all operations; subclasses are frozen dataclasses and register themselves by name."""

    name: ClassVar[str] = ""
    text: ClassVar[str] = ""
    """How a formula writes the op, with {0}, {1} for operands; empty for ``name(x, y)``."""
    latex: ClassVar[str] = ""
    """The same in LaTeX."""
    binding: ClassVar[int] = 9
    """How tightly the notation binds: 1 sums, 2 products, 3 signs, 4 powers, 9 functions."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        name = cls.__dict__.get("name", "")
        if not name:
            return
        if name in OPS and OPS[name].__qualname__ != cls.__qualname__:
            raise TypeError(f"two ops are called {name!r}")
        OPS[name] = cls

    @abstractmethod
    def infer(self, *types: TensorType) -> TensorType:
        """The type of the result; raises ShapeError or DTypeError where the operands do not fit."""

    @abstractmethod
    def reference(self, *args: Array) -> Array:
        """The value, computed with numpy: this defines what the op means. Named sizes are numbers by now."""

    def grad(self, inputs: tuple[V, ...], output: V, g: V) -> tuple[V | None, ...]:
        """The chain rule's contribution to each input, given g, the derivative of the loss by the output.

        None means that the derivative is zero or does not exist, as for comparisons and integer results.
        """
        return (None,) * len(inputs)

    def notation(self, latex: bool = False) -> tuple[str, int]:
        """How a formula writes the op: a template with {0}, {1} for the operands, and how tightly it binds."""
        return (self.latex, self.binding) if latex else (self.text, self.binding)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Examples for the test harness."""
        return ()

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Misuses for the test harness."""
        return ()

    def with_sizes(self, sizes: Mapping[str, int]) -> Self:
        """The same op with numbers for named sizes."""
        changes = {
            field.name: _with_sizes(getattr(self, field.name), sizes)
            for field in dataclasses.fields(self)
            if _mentions_sizes(getattr(self, field.name))
        }
        return dataclasses.replace(self, **changes) if changes else self


def _mentions_sizes(value: object) -> bool:
    if isinstance(value, TensorType):
        return _mentions_sizes(value.shape)
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(map(_mentions_sizes, value)))


def _with_sizes(value: object, sizes: Mapping[str, int]) -> object:
    if isinstance(value, TensorType):
        return TensorType(value.dtype, tuple(evaluate(size, sizes) for size in value.shape))
    if isinstance(value, tuple):
        return tuple(_with_sizes(item, sizes) for item in value)
    return evaluate(value, sizes) if isinstance(value, Dim) else value


@dataclass(frozen=True)
class Elementwise(Op):
    """An op that computes each element of its result from the operands' elements at the same place.

    Type rule: all operands have one shape and one element type of an accepted kind ('f' floats, 'i' integers, 'b'
    bool). ``body`` says what happens to one element, in the protocol of scalar operations; ``numpy`` is the reference.
    """

    accepts: ClassVar[str] = "f"
    operands: ClassVar[int] = 1
    commutes: ClassVar[bool] = False
    numpy: ClassVar[Reference | None] = None
    domain: ClassVar[tuple[float, float]] = (-2.0, 2.0)
    """The range that samples are drawn from: where the op and its derivatives exist."""

    def result(self, dtype: DType) -> DType:
        """The element type of the result, given that of the operands."""
        return dtype

    def infer(self, *types: TensorType) -> TensorType:
        check_kind(self.name, types[0], self.accepts)
        check_alike(self.name, types)
        return types[0].with_dtype(self.result(types[0].dtype))

    @abstractmethod
    def body(self, s: Scalars[T], *xs: T) -> T:
        """The value of one element."""

    def reference(self, *args: Array) -> Array:
        function = type(self).numpy
        if function is None:
            return self.body(NumpyScalars(), *args)
        return np.asarray(function(*args))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """A matrix, one element, no element, a scalar, a symbolic size; then every accepted element type."""
        low, high = cls.domain
        first = {"f": "f64", "i": "i64", "b": "bool"}[cls.accepts[0]]
        shapes: tuple[tuple[object, ...], ...] = ((3, 5), (1,), (0, 4), (), ("batch", 3))
        drawn = [draw(first, *shape, low=low, high=high) for shape in shapes]
        drawn += [draw(dtype, 4, 33, low=low, high=high) for dtype in DTYPES if dtype.kind in cls.accepts]
        return [Sample(cls(), (operand,) * cls.operands) for operand in drawn]


_KINDS = {"f": "float32 or float64", "i": "int32 or int64", "b": "bool"}
_FIRST = {"f": "float32", "i": "int64", "b": "bool"}


def check_kind(name: str, operand: TensorType, kinds: str) -> None:
    """Refuse an operand whose element type is of no accepted kind."""
    if operand.dtype.kind not in kinds:
        raise DTypeError(
            f"{name} does not take {operand.dtype.name}",
            expected=" or ".join(_KINDS[kind] for kind in kinds),
            got=str(operand),
            way_out=f'convert the operand with gc.cast(x, "{_FIRST[kinds[0]]}")',
        )


def check_alike(name: str, types: Sequence[TensorType]) -> None:
    """Refuse operands of different element types or shapes."""
    for other in types[1:]:
        if other.dtype != types[0].dtype:
            raise DTypeError(
                f"{name} of {types[0].dtype.name} and {other.dtype.name}",
                expected=f"operands of one element type, {types[0]}",
                got=str(other),
                way_out="convert one of them with gc.cast",
            )
        if other.shape != types[0].shape:
            raise ShapeError(
                f"{name}: the shapes of the operands differ",
                expected=f"operands of one shape, {types[0]}",
                got=str(other),
                way_out="broadcast or reshape one of them",
            )


def check_axes(name: str, axes: Sequence[int], rank: int) -> None:
    """Refuse axes that a tensor of this rank does not have, or that are named twice."""
    if any(not 0 <= axis < rank for axis in axes) or len(set(axes)) != len(axes):
        raise ShapeError(
            f"{name}: the axes {tuple(axes)} do not fit {rank} dimensions",
            expected=f"different numbers from 0 to {rank - 1}" if rank else "no axes, the operand is a scalar",
            got=str(tuple(axes)),
        )


def size_text(sizes: Sequence[Size]) -> str:
    """Sizes as a shape in brackets."""
    return f"[{', '.join(map(str, sizes))}]"
