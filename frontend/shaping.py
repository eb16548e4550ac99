"""Functions that move elements: shapes, axes, joining, padding, positions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from graphc.dims import Size
from graphc.dtypes import INT64, as_dtype, promote
from graphc.errors import DTypeError, ShapeError
from graphc.frontend.broadcasting import broadcast_shapes
from graphc.frontend.broadcasting import broadcast_to as broadcast_node
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import apply, describe
from graphc.op import size_text
from graphc.ops.assembly import Concatenate
from graphc.ops.leaves import DimSize, Iota
from graphc.origin import user_location
from graphc.tensor_type import TensorType, as_shape

__all__ = [
    "broadcast_to",
    "concatenate",
    "dim_size",
    "expand_dims",
    "flip",
    "iota",
    "matmul",
    "one_hot",
    "pad",
    "reshape",
    "scatter_add",
    "squeeze",
    "stack",
    "take",
    "transpose",
]


def reshape(x: TensorLike, shape: object) -> Tensor:
    """The same elements, in row-major order, in another shape; one size of -1 is computed.

    Raises ShapeError where the number of elements would change.

    >>> import graphc as gc
    >>> gc.evaluate(gc.reshape([[1, 2], [3, 4]], (-1,)))
    array([1, 2, 3, 4])
    """
    return as_tensor(x).reshape(shape)


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order (reversed if None).

    >>> import graphc as gc
    >>> gc.evaluate(gc.transpose([[1, 2], [3, 4]]))
    array([[1, 3],
           [2, 4]])
    """
    return as_tensor(x).transpose(*(axes or ()))


def broadcast_to(x: TensorLike, shape: object) -> Tensor:
    """The tensor repeated to a shape that it broadcasts to; ShapeError if it does not.

    >>> import graphc as gc
    >>> gc.evaluate(gc.broadcast_to([1, 2], (2, 2)))
    array([[1, 2],
           [1, 2]])
    """
    value, wanted = as_tensor(x), as_shape(shape)
    if len(wanted) < value.ndim or broadcast_shapes([value.shape, wanted]) != wanted:
        raise ShapeError(
            f"{value.type} does not broadcast to {size_text(wanted)}",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected="sizes that are equal, or 1, counted from the last axis",
            got=size_text(wanted),
        )
    return Tensor(broadcast_node(value.node, wanted))


def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """The tensor with new axes of size 1 at the given positions of the result.

    >>> import graphc as gc
    >>> gc.expand_dims(gc.constant([1, 2]), 0)
    <Tensor i64[1, 2]>
    """
    value = as_tensor(x)
    positions = [axis] if isinstance(axis, int) else [*axis]
    rank = value.ndim + len(positions)
    chosen = {position % rank for position in positions if -rank <= position < rank}
    if len(chosen) < len(positions):
        raise ShapeError(
            f"the positions {tuple(positions)} are no new axes of a tensor of rank {rank}",
            at=str(user_location()),
            facts=[("operand", describe(value.node))],
            expected=f"different numbers from {-rank} to {rank - 1}",
        )
    sizes = iter(value.shape)
    return value.reshape(tuple(1 if position in chosen else next(sizes) for position in range(rank)))


def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """The tensor without axes of size 1: the given ones, or all; ShapeError for an axis of another size.

    >>> import graphc as gc
    >>> gc.squeeze(gc.constant([[1, 2]]))
    <Tensor i64[2]>
    """
    value = as_tensor(x)
    ones = tuple(number for number, size in enumerate(value.shape) if size == 1)
    chosen = ones if axis is None else value._axes(axis)
    for number in chosen:
        if number not in ones:
            raise ShapeError(
                f"axis {number} of size {value.shape[number]} cannot be squeezed",
                at=str(user_location()),
                facts=[("operand", describe(value.node))],
                expected="a size of 1",
                got=str(value.type),
            )
    return value.reshape(tuple(size for number, size in enumerate(value.shape) if number not in chosen))


def concatenate(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors joined along an axis, after promotion to one element type; the other sizes must agree.

    >>> import graphc as gc
    >>> gc.evaluate(gc.concatenate([[1, 2], [3]]))
    array([1, 2, 3])
    """
    parts = [as_tensor(tensor) for tensor in tensors]
    if not parts:
        raise ShapeError("concatenate of no tensors", at=str(user_location()), expected="at least one tensor")
    dtype = reduce(promote, [part.dtype for part in parts])
    nodes = [part.cast(dtype).node for part in parts]
    return parts[0] if len(parts) == 1 else Tensor(apply(Concatenate(parts[0]._axes(axis)[0]), *nodes))


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    >>> import graphc as gc
    >>> gc.evaluate(gc.stack([[1, 2], [3, 4]], axis=1))
    array([[1, 3],
           [2, 4]])
    """
    return concatenate([expand_dims(tensor, axis) for tensor in tensors], axis)


def pad(x: TensorLike, width: Sequence[tuple[int, int]], value: float = 0) -> Tensor:
    """The tensor with (before, after) copies of a value along each axis.

    width: one pair for each axis, amounts of at least 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.pad([1, 2], [(1, 2)]))
    array([0, 1, 2, 0, 0])
    """
    tensor = as_tensor(x)
    if len(width) != tensor.ndim:
        raise ShapeError(
            f"pad: {len(width)} pairs for {tensor.ndim} dimensions",
            at=str(user_location()),
            facts=[("operand", describe(tensor.node))],
            expected="one pair (before, after) for each axis",
            got=str(width),
        )
    low, high = [before for before, _ in width], [after for _, after in width]
    return tensor.pad(low, high, [0] * tensor.ndim, value)


def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """The elements of axes (all if None) in reverse order.

    >>> import graphc as gc
    >>> gc.evaluate(gc.flip([1, 2, 3]))
    array([3, 2, 1])
    """
    value = as_tensor(x)
    return value.reverse(value._axes(axis))


def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """The matrix product, as numpy's matmul: vectors are rows or columns, axes before the last two are batches.

    Raises ShapeError where the inner sizes differ or the batch sizes do not broadcast.

    >>> import graphc as gc
    >>> gc.evaluate(gc.matmul([[1.0, 2.0]], [[3.0], [4.0]]))
    array([[11.]], dtype=float32)
    """
    return as_tensor(x) @ y


def iota(shape: object, axis: int = 0, dtype: object = INT64) -> Tensor:
    """The position along an axis, as a tensor: numpy's arange, repeated over the other axes.

    >>> import graphc as gc
    >>> gc.evaluate(gc.iota((2, 2), axis=1))
    array([[0, 1],
           [0, 1]])
    """
    wanted = as_shape(shape)
    return Tensor(apply(Iota(TensorType(as_dtype(dtype), wanted), axis if axis >= 0 else axis + len(wanted))))


def dim_size(x: Tensor, axis: int) -> Tensor:
    """The size of an axis as an int64 scalar, also where it is known only at run time.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 2))
    >>> gc.evaluate(x.sum() / gc.dim_size(x, 0), {"x": [[1, 2], [3, 4], [5, 6]]})
    array(7., dtype=float32)
    """
    size: Size = x.shape[x._axes(axis)[0]]
    return Tensor(apply(DimSize(size)))


def _integers(name: str, indices: TensorLike) -> Tensor:
    value = as_tensor(indices)
    if not value.dtype.is_integer:
        raise DTypeError(
            f"{name}: indices are integers",
            at=str(user_location()),
            facts=[("indices", describe(value.node))],
            expected="int32 or int64",
            got=str(value.type),
            way_out='convert them with gc.cast(indices, "int64")',
        )
    return value


def take(x: TensorLike, indices: TensorLike, axis: int = 0) -> Tensor:
    """The elements of an axis at integer indices, as numpy's take; negative indices count from the end.

    x: any shape. indices: int32 or int64, any shape; it replaces the axis. An index of an input that is out of range is
    a FeedError before anything runs; a computed one yields NaN (0 of integers).

    >>> import graphc as gc
    >>> gc.evaluate(gc.take([10.0, 20.0, 30.0], [2, 0]))
    array([30., 10.], dtype=float32)
    """
    value = as_tensor(x)
    return value.gather(_integers("take", indices), value._axes(axis)[0])


def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: int = 0) -> Tensor:
    """A copy of x with updates added at integer indices of an axis, in their order; the opposite of take.

    updates: of the shape that take(x, indices, axis) has. Indices out of range are left out.

    >>> import graphc as gc
    >>> gc.evaluate(gc.scatter_add([1.0, 2.0], [1, 1], [10.0, 20.0]))
    array([ 1., 32.], dtype=float32)
    """
    value = as_tensor(x)
    added = as_tensor(updates, value.dtype).cast(value.dtype)
    return value.scatter_add(_integers("scatter_add", indices), added, value._axes(axis)[0])


def one_hot(indices: TensorLike, classes: int, dtype: object = "float32") -> Tensor:
    """1 at the index and 0 elsewhere, along a new last axis of size ``classes``; all 0 for an index out of range.

    >>> import graphc as gc
    >>> gc.evaluate(gc.one_hot([0, 2], 3))
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    value = _integers("one_hot", indices)
    places = iota((*value.shape, classes), axis=-1, dtype=value.dtype)
    return expand_dims(value, -1).equals(places).cast(dtype)
