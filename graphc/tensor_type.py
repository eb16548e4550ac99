"""The type of a tensor: element type and shape."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.dims import Shape, Size, as_size, product
from graphc.dtypes import DType, as_dtype

__all__ = ["TensorType", "as_shape", "tensor_type"]


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor; prints as ``f32[batch, 10]``, a scalar as ``f32[]``."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def elements(self) -> Size:
        """The number of elements; named sizes stay symbols."""
        return product(self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        """The same element type with another shape."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another element type."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def as_shape(shape: object) -> Shape:
    """The shape that an iterable of sizes, or one single size, stands for."""
    if isinstance(shape, (tuple, list)):
        return tuple(as_size(size) for size in shape)
    return (as_size(shape),)


def tensor_type(dtype: object, *shape: object) -> TensorType:
    """A tensor type from short names.

    >>> str(tensor_type("f32", "batch", 10))
    'f32[batch, 10]'
    """
    return TensorType(as_dtype(dtype), tuple(as_size(size) for size in shape))
