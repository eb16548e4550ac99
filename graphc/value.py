"""The algebra in which gradient rules are written: what a value of the graph can do.

A rule in an op class receives values and combines them with these operators and methods; ``graphc.frontend.Tensor`` is
the value it receives. The protocol lets the ops name their derivatives in the user's own language without importing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

from graphc.dims import Shape
from graphc.dtypes import DType

__all__ = ["Ints", "V", "Value"]

Ints = Sequence[Sequence[int]]
"""Integers for each of several operands."""


class Value(Protocol):
    """A tensor of the graph. Operators follow numpy; a Python number stands for a constant of the other's dtype."""

    @property
    def shape(self) -> Shape:
        """Sizes of the dimensions."""

    @property
    def dtype(self) -> DType:
        """Element type."""

    def __add__(self, other: Self | float, /) -> Self:
        """The sum."""

    def __sub__(self, other: Self | float, /) -> Self:
        """The difference."""

    def __rsub__(self, other: float, /) -> Self:
        """A number minus this value."""

    def __mul__(self, other: Self | float, /) -> Self:
        """The product."""

    def __rmul__(self, other: float, /) -> Self:
        """A number times this value."""

    def __truediv__(self, other: Self | float, /) -> Self:
        """The quotient."""

    def __rtruediv__(self, other: float, /) -> Self:
        """A number divided by this value."""

    def __pow__(self, other: Self | float, /) -> Self:
        """The power."""

    def __neg__(self) -> Self:
        """The negation."""

    def __lt__(self, other: Self | float, /) -> Self:
        """True where less."""

    def __gt__(self, other: Self | float, /) -> Self:
        """True where greater."""

    def equals(self, other: Self | float, /) -> Self:
        """True where equal."""

    def where(self, x: Self | float, y: Self | float) -> Self:
        """Choose x where this condition holds, else y."""

    def cast(self, dtype: DType) -> Self:
        """Convert to another element type."""

    def exp(self) -> Self:
        """Exponential."""

    def log(self) -> Self:
        """Natural logarithm."""

    def sin(self) -> Self:
        """Sine."""

    def cos(self) -> Self:
        """Cosine."""

    def sign(self) -> Self:
        """Sign: -1, 0 or 1."""

    def sigmoid(self) -> Self:
        """The logistic function."""

    def rsqrt(self) -> Self:
        """One over the square root."""

    def sum(self, axis: Sequence[int]) -> Self:
        """Sum over axes, which disappear."""

    def reshape(self, shape: Shape, /) -> Self:
        """The same elements in another shape."""

    def transpose(self, axes: Sequence[int], /) -> Self:
        """The axes in another order."""

    def reverse(self, axes: Sequence[int]) -> Self:
        """The elements of axes in reverse order."""

    def broadcast_in_dim(self, shape: Shape, dims: Sequence[int]) -> Self:
        """Repeat along new axes; axis i of this value becomes axis dims[i]."""

    def slice(self, start: Sequence[int], stop: Sequence[int | None], step: Sequence[int]) -> Self:
        """Every step-th element from start up to stop; a stop of None is the end."""

    def pad(self, low: Sequence[int], high: Sequence[int], interior: Sequence[int]) -> Self:
        """Zeros before, after and between the elements of each axis."""

    def concatenate(self, others: Sequence[Self], axis: int) -> Self:
        """This value and others joined along an axis."""

    def dot_general(
        self, other: Self, batch: tuple[Sequence[int], Sequence[int]], contract: tuple[Sequence[int], Sequence[int]]
    ) -> Self:
        """Contract axes of two values; axes are batch, then free left, then free right."""

    def conv_general(self, other: Self, roles: Ints, strides: Sequence[int], padding: Ints, dilation: Ints) -> Self:
        """Convolve with a kernel; roles of axes of this value, the kernel and the result."""

    def gather(self, indices: Self, axis: int) -> Self:
        """Elements at integer indices of an axis."""

    def scatter_add(self, indices: Self, updates: Self, axis: int) -> Self:
        """A copy with updates added at integer indices of an axis."""

    def training_switch(self, inference: Self) -> Self:
        """This value while training, the other in inference."""

    def zeros_like(self) -> Self:
        """Zeros of the same type."""


V = TypeVar("V", bound=Value)
