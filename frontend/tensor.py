"""The tensor value: a handle on a node, with numpy's operators and methods. It declares; nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from graphc.dims import Dim, Shape, Size, as_size, divide, product
from graphc.dtypes import FLOAT32, INT64, DType, as_dtype
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.axes import axes_of, axis_of
from graphc.frontend.broadcasting import broadcast_to, cast_to, constant_node, data_beside, match_operands, select_nodes
from graphc.frontend.linear import matmul_nodes
from graphc.frontend.subscript import Part, subscript
from graphc.node import Node, apply, describe
from graphc.op import Elementwise, Op
from graphc.ops import (
    arithmetic,
    assembly,
    comparison,
    contraction,
    convolution,
    indexing,
    movement,
    reduction,
    transcendental,
    unary,
)
from graphc.ops.leaves import DimSize
from graphc.origin import user_location
from graphc.tensor_type import TensorType
from graphc.value import Ints

__all__ = ["Tensor", "TensorLike", "as_tensor"]


class Tensor:
    """A value of the graph. Operators broadcast and promote as in numpy, Python numbers take the tensor's element type.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 3))
    >>> (x * 2 + 1).sum(axis=1)
    <Tensor f32[batch]>

    A tensor has no value until a graph is evaluated: use ``gc.function``, ``gc.compile`` or ``gc.evaluate``.
    """

    __slots__ = ("node",)
    __array_ufunc__ = None  # numpy arrays leave mixed operators to the methods below

    def __init__(self, node: Node) -> None:
        self.node = node

    # What it is.
    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return self.node.type

    @property
    def shape(self) -> Shape:
        """Sizes of the dimensions: integers and named sizes."""
        return self.node.type.shape

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.node.type.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.node.type.rank

    @property
    def size(self) -> Size:
        """Number of elements."""
        return self.node.type.elements

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.node.type}>"

    def __hash__(self) -> int:
        return hash(self.node)

    def __bool__(self) -> NoReturn:
        raise DeclarationError(
            "a tensor of the graph is neither true nor false: it has no value yet",
            at=str(user_location()),
            facts=[("operand", describe(self.node))],
            way_out="choose between tensors with gc.where; for a Python decision evaluate the graph first",
        )

    def __len__(self) -> int:
        if not self.shape or not isinstance(self.shape[0], int):
            raise DeclarationError(
                "this tensor has no length that is known here",
                at=str(user_location()),
                facts=[("operand", describe(self.node))],
                way_out="work on whole tensors; gc.dim_size(x, axis) is a size as a tensor",
            )
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    # Arithmetic.
    def __add__(self, other: TensorLike, /) -> Tensor:
        """The sum."""
        return self._binary(arithmetic.Add(), other)

    __radd__ = __add__

    def __sub__(self, other: TensorLike, /) -> Tensor:
        """The difference."""
        return self._binary(arithmetic.Subtract(), other)

    def __rsub__(self, other: TensorLike, /) -> Tensor:
        """The difference, operands swapped."""
        return self._binary(arithmetic.Subtract(), other, swapped=True)

    def __mul__(self, other: TensorLike, /) -> Tensor:
        """The product."""
        return self._binary(arithmetic.Multiply(), other)

    __rmul__ = __mul__

    def __truediv__(self, other: TensorLike, /) -> Tensor:
        """The quotient of floats; integers become float32 first."""
        return self._binary(arithmetic.Divide(), other, floats=True)

    def __rtruediv__(self, other: TensorLike, /) -> Tensor:
        """The quotient, operands swapped."""
        return self._binary(arithmetic.Divide(), other, swapped=True, floats=True)

    def __floordiv__(self, other: TensorLike, /) -> Tensor:
        """The quotient rounded down."""
        if self.dtype.is_float or as_tensor(other, self.dtype).dtype.is_float:
            return (self / other).floor()
        return self._binary(arithmetic.FloorDivide(), other)

    def __rfloordiv__(self, other: TensorLike, /) -> Tensor:
        """The quotient rounded down, operands swapped."""
        return as_tensor(other, self.dtype) // self

    def __mod__(self, other: TensorLike, /) -> Tensor:
        """The remainder with the sign of the divisor."""
        if self.dtype.is_float or as_tensor(other, self.dtype).dtype.is_float:
            return self - (self / other).floor() * other
        return self._binary(arithmetic.Remainder(), other)

    def __rmod__(self, other: TensorLike, /) -> Tensor:
        """The remainder, operands swapped."""
        return as_tensor(other, self.dtype) % self

    def __pow__(self, other: TensorLike, /) -> Tensor:
        """The power; of integers by a whole number at least 0 it stays an integer."""
        if not self.dtype.is_float and isinstance(other, int) and not isinstance(other, bool):
            return self._integer_power(other)
        return self._binary(arithmetic.Power(), other, floats=True)

    def __rpow__(self, other: TensorLike, /) -> Tensor:
        """The power, operands swapped."""
        return self._binary(arithmetic.Power(), other, swapped=True, floats=True)

    def __matmul__(self, other: TensorLike, /) -> Tensor:
        """The matrix product, as numpy's matmul."""
        return Tensor(matmul_nodes(self.node, as_tensor(other, self.dtype).node))

    def __rmatmul__(self, other: TensorLike, /) -> Tensor:
        """The matrix product, operands swapped."""
        return Tensor(matmul_nodes(as_tensor(other, self.dtype).node, self.node))

    def __neg__(self) -> Tensor:
        """The negation."""
        return self._unary(unary.Negate())

    def __abs__(self) -> Tensor:
        """The magnitude."""
        return self._unary(unary.Abs())

    # Comparisons and logic.
    def __eq__(self, other: object) -> Any:
        """True where equal, element by element."""
        return self._binary(comparison.Equal(), other)

    def __ne__(self, other: object) -> Any:
        """True where different, element by element."""
        return self._binary(comparison.NotEqual(), other)

    def __lt__(self, other: TensorLike, /) -> Tensor:
        """True where less."""
        return self._binary(comparison.Less(), other)

    def __le__(self, other: TensorLike, /) -> Tensor:
        """True where less or equal."""
        return self._binary(comparison.LessEqual(), other)

    def __gt__(self, other: TensorLike, /) -> Tensor:
        """True where greater."""
        return self._binary(comparison.Less(), other, swapped=True)

    def __ge__(self, other: TensorLike, /) -> Tensor:
        """True where greater or equal."""
        return self._binary(comparison.LessEqual(), other, swapped=True)

    def equals(self, other: TensorLike, /) -> Tensor:
        """True where equal, element by element; the operator == under a name."""
        return self._binary(comparison.Equal(), other)

    def __and__(self, other: TensorLike, /) -> Tensor:
        """Logical and of truth values."""
        return self._binary(comparison.LogicalAnd(), other)

    def __or__(self, other: TensorLike, /) -> Tensor:
        """Logical or of truth values."""
        return self._binary(comparison.LogicalOr(), other)

    def __xor__(self, other: TensorLike, /) -> Tensor:
        """Logical exclusive or of truth values."""
        return self._binary(comparison.LogicalXor(), other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        """Logical not of truth values."""
        return self._unary(unary.LogicalNot())

    def where(self, x: TensorLike, y: TensorLike) -> Tensor:
        """Choose x where this condition holds, else y."""
        like = next((value.dtype for value in (x, y) if isinstance(value, Tensor)), None)
        return Tensor(select_nodes(self.node, as_tensor(x, like).node, as_tensor(y, like).node))

    # Functions of one element.
    def cast(self, dtype: object) -> Tensor:
        """The same values in another element type."""
        return Tensor(cast_to(self.node, as_dtype(dtype)))

    def astype(self, dtype: object) -> Tensor:
        """The same values in another element type (numpy's name)."""
        return self.cast(dtype)

    def exp(self) -> Tensor:
        """Exponential."""
        return self._unary(transcendental.Exp(), floats=True)

    def log(self) -> Tensor:
        """Natural logarithm."""
        return self._unary(transcendental.Log(), floats=True)

    def sin(self) -> Tensor:
        """Sine."""
        return self._unary(transcendental.Sin(), floats=True)

    def cos(self) -> Tensor:
        """Cosine."""
        return self._unary(transcendental.Cos(), floats=True)

    def sqrt(self) -> Tensor:
        """Square root."""
        return self._unary(transcendental.Sqrt(), floats=True)

    def sigmoid(self) -> Tensor:
        """The logistic function."""
        return self._unary(transcendental.Sigmoid(), floats=True)

    def rsqrt(self) -> Tensor:
        """One over the square root."""
        return self._unary(transcendental.Rsqrt(), floats=True)

    def sign(self) -> Tensor:
        """Sign: -1, 0 or 1."""
        return self._unary(unary.Sign())

    def floor(self) -> Tensor:
        """The largest whole number not above."""
        return self._unary(unary.Floor(), floats=True)

    def training_switch(self, inference: Tensor) -> Tensor:
        """This value while training, the other in inference."""
        return self._binary(comparison.TrainingSwitch(), inference)

    def zeros_like(self) -> Tensor:
        """Zeros of the same type."""
        return Tensor(broadcast_to(constant_node(0, self.dtype), self.shape))

    # Reductions.
    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over axes (all if None); of bool and int32 in int64."""
        value = self if self.dtype.is_float else self.cast(INT64)
        return value._reduce(reduction.ReduceSum, axis, keepdims)

    def prod(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The product over axes (all if None); of bool and int32 in int64."""
        value = self if self.dtype.is_float else self.cast(INT64)
        return value._reduce(reduction.ReduceProd, axis, keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The largest element over axes (all if None)."""
        return self._reduce(reduction.ReduceMax, axis, keepdims)

    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The smallest element over axes (all if None)."""
        return self._reduce(reduction.ReduceMin, axis, keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """The index of the largest element along an axis (of the flattened tensor if None), the first of equal ones."""
        if axis is None:
            return self.reshape(-1).argmax(0)
        return Tensor(apply(reduction.ArgMax(axis_of(self.node, "argmax", axis)), self.node))

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The arithmetic mean over axes (all if None), in float32 unless the tensor is float64."""
        value = self if self.dtype.is_float else self.cast(FLOAT32)
        count = product(self.shape[number] for number in self._axes(axis))
        return value.sum(axis, keepdims) / as_tensor(count, value.dtype)

    def var(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The variance over axes (all if None), divided by the number of elements: mean((x - mean(x))**2)."""
        value = self if self.dtype.is_float else self.cast(FLOAT32)
        centred = value - value.mean(axis, keepdims=True)
        return (centred * centred).mean(axis, keepdims)

    # Moving elements.
    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape, given as one tuple or as sizes; one -1 is computed."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        sizes = [None if isinstance(size, int) and size == -1 else as_size(size) for size in wanted]
        known = product(size for size in sizes if size is not None)
        missing = divide(self.size, known) if None in sizes else 1
        if sizes.count(None) > 1 or missing is None:
            raise ShapeError(
                f"{self.type} cannot be reshaped to {tuple(map(str, wanted))}",
                at=str(user_location()),
                facts=[("operand", describe(self.node))],
                expected="sizes whose product is the number of elements, with at most one -1",
            )
        result = tuple(missing if size is None else size for size in sizes)
        return self if result == self.shape else self._make(movement.Reshape(result))

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, given as one tuple or as numbers; reversed if none is given."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        chosen = self._axes(tuple(order) or tuple(reversed(range(self.ndim))))
        return self if chosen == tuple(range(self.ndim)) else self._make(movement.Transpose(chosen))

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    def reverse(self, axes: Sequence[int]) -> Tensor:
        """The elements of axes in reverse order."""
        return self._make(movement.Reverse(self._axes(tuple(axes))))

    def broadcast_in_dim(self, shape: Shape, dims: Sequence[int]) -> Tensor:
        """Repeat along new axes; axis i of this value becomes axis dims[i]."""
        if shape == self.shape:
            return self
        return self._make(movement.BroadcastInDim(tuple(shape), tuple(dims)))

    def slice(self, start: Sequence[int], stop: Sequence[Size | None], step: Sequence[int]) -> Tensor:
        """Every step-th element from start up to stop; a stop of None is the end."""
        ends = tuple(size if end is None else end for size, end in zip(self.shape, stop, strict=True))
        if ends == self.shape and not any(start) and all(number == 1 for number in step):
            return self
        return self._make(movement.Slice(tuple(start), ends, tuple(step)))

    def pad(self, low: Sequence[int], high: Sequence[int], interior: Sequence[int], value: TensorLike = 0) -> Tensor:
        """A value (zero) before, after and between the elements of each axis."""
        if not any((*low, *high, *interior)):
            return self
        return self._make(assembly.Pad(tuple(low), tuple(high), tuple(interior)), as_tensor(value, self.dtype))

    def concatenate(self, others: Sequence[Tensor], axis: int) -> Tensor:
        """This value and others joined along an axis."""
        return self._make(assembly.Concatenate(self._axes(axis)[0]), *others) if others else self

    def __getitem__(self, key: Part | tuple[Part, ...]) -> Tensor:
        """Parts of the tensor: integers, slices, None and ... as in numpy."""
        return Tensor(subscript(self.node, key))

    def dot_general(
        self, other: Tensor, batch: tuple[Sequence[int], Sequence[int]], contract: tuple[Sequence[int], Sequence[int]]
    ) -> Tensor:
        """Contract axes of two tensors; the result has batch, free left, free right axes."""
        axes = (tuple(batch[0]), tuple(batch[1]), tuple(contract[0]), tuple(contract[1]))
        return self._make(contraction.DotGeneral(*axes), other)

    def conv_general(self, other: Tensor, roles: Ints, strides: Sequence[int], padding: Ints, dilation: Ints) -> Tensor:
        """Convolve with a kernel; roles of axes of this tensor, the kernel and the result."""
        fields = [tuple(field) for field in (*roles, strides, *padding, *dilation)]
        return self._make(convolution.ConvGeneral(*fields), other)

    def gather(self, indices: Tensor, axis: int) -> Tensor:
        """Elements at integer indices of an axis."""
        return self._make(indexing.Gather(axis), indices)

    def scatter_add(self, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
        """A copy with updates added at integer indices of an axis."""
        return self._make(indexing.ScatterAdd(axis), indices, updates)

    # Shared machinery.
    def _make(self, op: Op, *others: Tensor) -> Tensor:
        return Tensor(apply(op, self.node, *(other.node for other in others)))

    def _unary(self, op: Elementwise, floats: bool = False) -> Tensor:
        return (self.cast(FLOAT32) if floats and not self.dtype.is_float else self)._make(op)

    def _binary(self, op: Elementwise, other: object, swapped: bool = False, floats: bool = False) -> Tensor:
        mate = as_tensor(other, self.dtype).node
        nodes = [mate, self.node] if swapped else [self.node, mate]
        if floats and not any(node.type.dtype.is_float for node in nodes):
            nodes = [cast_to(node, FLOAT32) for node in nodes]
        return Tensor(apply(op, *match_operands(op.name, nodes)))

    def _integer_power(self, exponent: int) -> Tensor:
        if exponent < 0:
            return self.cast(FLOAT32) ** exponent
        result = Tensor(broadcast_to(constant_node(1, self.dtype), self.shape))
        for _ in range(exponent):
            result = result * self
        return result

    def _axes(self, axis: int | Sequence[int] | None) -> tuple[int, ...]:
        return axes_of(self.node, axis)

    def _reduce(self, op: Reduction, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
        axes = tuple(sorted(self._axes(axis)))
        reduced = self._make(op(axes))
        kept = tuple(1 if number in axes else size for number, size in enumerate(self.shape))
        return reduced.reshape(kept) if keepdims else reduced


Reduction = Callable[[tuple[int, ...]], reduction.Reduce]
TensorLike = Tensor | float | np.ndarray[Any, Any] | np.generic | Sequence[Any]


def as_tensor(value: object, like: DType | None = None) -> Tensor:
    """The tensor that a value stands for: itself, or a constant that takes the element type ``like`` where it can."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Dim):
        return Tensor(apply(DimSize(value)))
    return Tensor(data_beside(value, like) if like is not None else constant_node(value))
