"""Ops without operands: what comes from outside the graph, constants, counters of positions and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from graphc.dims import Size
from graphc.dtypes import INT64
from graphc.errors import DeclarationError, ShapeError
from graphc.literal import Literal
from graphc.op import Op, Sample, check_axes, check_kind
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type

__all__ = ["Constant", "DimSize", "Input", "Iota", "Leaf", "State"]


@dataclass(frozen=True)
class Leaf(Op):
    """An op without operands."""

    def reference(self, *args: Array) -> Array:
        raise DeclarationError(
            f"{self.name} {getattr(self, 'label', '')!r} has no value of its own",
            expected="a value for it in the feed or among the states",
        )


@dataclass(frozen=True)
class Input(Leaf):
    """A tensor that the user feeds at each call. serial: tells declarations under one name apart; it is not printed.

    >>> import graphc as gc
    >>> print(gc.input("image", shape=("batch", 64)).type)
    f32[batch, 64]
    """

    label: str
    type: TensorType
    serial: int = field(default=0, repr=False)
    name: ClassVar[str] = "input"

    def infer(self, *types: TensorType) -> TensorType:
        return self.type


@dataclass(frozen=True)
class State(Leaf):
    """A tensor that lives from step to step and that an update may replace: a parameter, an optimizer's slot, a
    counter.

    trainable: True for parameters. serial: tells states apart that were declared under one name, in one program or in
    several; it is not printed.

    >>> import graphc as gc
    >>> print(gc.parameter((64, 10), name="weight").type)
    f32[64, 10]
    """

    label: str
    type: TensorType
    trainable: bool = True
    serial: int = field(default=0, repr=False)
    name: ClassVar[str] = "state"

    def infer(self, *types: TensorType) -> TensorType:
        if any(not isinstance(size, int) for size in self.type.shape):
            raise ShapeError(
                f"state {self.label!r} has a size that is known only at run time",
                expected="integers, since the state is stored between steps",
                got=str(self.type),
            )
        return self.type


@dataclass(frozen=True)
class Constant(Leaf):
    """A constant tensor.

    >>> import graphc as gc
    >>> gc.evaluate(gc.constant([1.5, 2.0]))
    array([1.5, 2. ], dtype=float32)
    """

    value: Literal
    name: ClassVar[str] = "constant"

    def infer(self, *types: TensorType) -> TensorType:
        return self.value.type

    def reference(self, *args: Array) -> Array:
        return self.value.array

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Every element type, special values, no element."""
        values: list[tuple[object, str]] = [
            ([1.5, -0.0, float("nan"), float("inf")], "float32"),
            ([[0.1, 1e-310], [1e308, -1.0]], "float64"),
            ([1, -(2**31)], "int32"),
            ([2**62, -1], "int64"),
            ([True, False], "bool"),
            (np.zeros((0, 3)), "float32"),
            (0.25, "float32"),
            (np.arange(100.0), "float32"),
        ]
        return [Sample(cls(Literal.of(value, dtype)), ()) for value, dtype in values]


@dataclass(frozen=True)
class Iota(Leaf):
    """The position along one axis: element [i, j, ...] is the index at ``axis``.

    >>> import graphc as gc
    >>> gc.evaluate(gc.iota((2, 3), axis=1))
    array([[0, 1, 2],
           [0, 1, 2]])
    """

    type: TensorType
    axis: int
    name: ClassVar[str] = "iota"
    text: ClassVar[str] = "position"
    latex: ClassVar[str] = r"\mathrm{{position}}"

    def infer(self, *types: TensorType) -> TensorType:
        check_kind("iota", self.type, "if")
        check_axes("iota", (self.axis,), self.type.rank)
        return self.type

    def reference(self, *args: Array) -> Array:
        shape = tuple(size for size in self.type.shape if isinstance(size, int))
        line = np.arange(shape[self.axis]).astype(self.type.dtype.numpy)
        return np.broadcast_to(line.reshape([-1 if axis == self.axis else 1 for axis in range(len(shape))]), shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Either axis, integers and floats, a symbolic size."""
        return [
            Sample(cls(tensor_type("i64", 3, 5), 1), ()),
            Sample(cls(tensor_type("f32", 3, 5), 0), ()),
            Sample(cls(tensor_type("i32", "batch", 2), 0), ()),
            Sample(cls(tensor_type("i64", 0), 0), ()),
        ]


@dataclass(frozen=True)
class DimSize(Leaf):
    """A size that is known at run time, as an int64 scalar: the batch size in a mean, for example.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 2))
    >>> gc.evaluate(x.sum() / gc.dim_size(x, 0), {"x": [[1, 2], [3, 4], [5, 6]]})
    array(7., dtype=float32)
    """

    size: Size
    name: ClassVar[str] = "dim_size"

    def notation(self, latex: bool = False) -> tuple[str, int]:
        return (rf"\mathrm{{{{{self.size}}}}}" if latex else str(self.size)), 9

    def infer(self, *types: TensorType) -> TensorType:
        return TensorType(INT64, ())

    def reference(self, *args: Array) -> Array:
        return np.asarray(self.size, np.int64)
