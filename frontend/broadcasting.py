"""Bringing operands together, on the level of nodes: Python numbers, element types, broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.dims import Shape, Size
from graphc.dtypes import BOOL, FLOAT32, INT64, DType, as_dtype, promote
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.literal import Literal
from graphc.node import Node, apply, describe
from graphc.op import size_text
from graphc.ops.comparison import Select
from graphc.ops.leaves import Constant
from graphc.ops.movement import BroadcastInDim, Reshape
from graphc.ops.unary import Cast
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = [
    "array_of",
    "broadcast_shapes",
    "broadcast_to",
    "cast_to",
    "constant_node",
    "data_beside",
    "match_operands",
    "natural_dtype",
    "select_nodes",
]


def array_of(value: object) -> Array:
    """Data as a numpy array; DeclarationError for rows of different lengths, which are none."""
    try:
        return np.asarray(value)
    except ValueError:
        raise DeclarationError(
            "a constant is a number or an array",
            at=str(user_location()),
            expected="rows of one length",
            got=repr(value)[:60],
            way_out="pad the shorter rows",
        ) from None


def natural_dtype(value: object) -> DType:
    """The element type of data that comes without one.

    NumPy arrays keep theirs (short and unsigned integers become int64); Python floats are float32, integers int64.
    """
    array = array_of(value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or array.dtype.name == "float16":
        raise DTypeError(
            "a constant is made of numbers of graphc's element types",
            expected="floats of 32 or 64 bits, integers or truth values",
            got=f"{array.dtype} in {repr(value)[:60]}",
            at=str(user_location()),
        )
    if isinstance(value, (np.ndarray, np.generic)) and array.dtype.name in ("float64", "int32"):
        return as_dtype(array.dtype.name)
    return {"f": FLOAT32, "i": INT64, "u": INT64, "b": BOOL}[array.dtype.kind]


def constant_node(value: object, dtype: DType | None = None) -> Node:
    """A constant node from a number, a list or an array."""
    return apply(Constant(Literal.of(value, dtype or natural_dtype(value))))


def cast_to(node: Node, dtype: DType) -> Node:
    """The node in an element type; constants are converted at once."""
    if node.type.dtype == dtype:
        return node
    if isinstance(node.op, Constant) and not node.type.shape:
        return constant_node(node.op.value.array, dtype)
    return apply(Cast(dtype), node)


def data_beside(value: object, other: DType) -> Node:
    """A Python number or array beside a tensor: it takes the tensor's element type, unless that cannot hold it."""
    kind = natural_dtype(value)
    if kind.is_float:
        return constant_node(value, other if other.is_float else FLOAT32)
    array = array_of(value)
    fits = array.ndim == 0 and (kind == BOOL or other.is_float or (other.is_integer and _holds(other, int(array))))
    return constant_node(value, other if fits else kind)


def _holds(dtype: DType, number: int) -> bool:
    limits = np.iinfo(dtype.name)
    return bool(limits.min <= number <= limits.max)


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape | None:
    """The shape that all shapes broadcast to as in numpy, or None. A named size equals itself only."""
    rank = max(map(len, shapes))
    result: list[Size] = []
    for axis in range(-rank, 0):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(sizes) > 1:
            return None
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def broadcast_to(node: Node, shape: Shape) -> Node:
    """The node repeated to a shape that it broadcasts to."""
    if node.type.shape == shape:
        return node
    offset = len(shape) - node.type.rank
    kept = [axis for axis, size in enumerate(node.type.shape) if size != 1 or shape[offset + axis] == 1]
    if len(kept) < node.type.rank:  # sizes of 1 that repeat are dropped, so that one form of broadcast remains
        squeezed = tuple(node.type.shape[axis] for axis in kept)
        while isinstance(node.op, Reshape) and node.type.shape != squeezed:
            (node,) = node.inputs
        node = node if node.type.shape == squeezed else apply(Reshape(squeezed), node)
    return apply(BroadcastInDim(shape, tuple(offset + axis for axis in kept)), node)


def match_operands(name: str, nodes: Sequence[Node]) -> list[Node]:
    """Operands cast to their common element type and broadcast to one shape.

    Raises ShapeError where the shapes do not broadcast.
    """
    common = nodes[0].type.dtype
    for node in nodes[1:]:
        common = promote(common, node.type.dtype)
    return broadcast_together(name, [cast_to(node, common) for node in nodes])


def select_nodes(condition: Node, x: Node, y: Node) -> Node:
    """The node that chooses x where the condition holds, else y, of one element type and shape."""
    common = promote(x.type.dtype, y.type.dtype)
    return apply(Select(), *broadcast_together("where", [condition, cast_to(x, common), cast_to(y, common)]))


def broadcast_together(name: str, nodes: Sequence[Node]) -> list[Node]:
    """Operands broadcast to one shape."""
    shape = broadcast_shapes([node.type.shape for node in nodes])
    if shape is None:
        shapes = " and ".join(size_text(node.type.shape) for node in nodes)
        raise ShapeError(
            f"{name}: the shapes {shapes} do not broadcast",
            at=str(user_location()),
            facts=[(f"operand {number}", describe(node)) for number, node in enumerate(nodes, 1)],
            expected="sizes that are equal, or 1, counted from the last axis",
            got=shapes,
            way_out="reshape one of them, or add axes with x[:, None]",
        )
    return [broadcast_to(node, shape) for node in nodes]
