"""Winograd's convolution: fewer multiplications for windows of 3 x 3, in exchange for more additions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphc.dims import Dim
from graphc.errors import DTypeError, ShapeError
from graphc.op import Op, Refusal, Sample, check_kind, draw
from graphc.scalar import Array
from graphc.tensor_type import TensorType, tensor_type

__all__ = ["POINTS", "WINDOW_MATRIX", "WinogradConvolution"]

POINTS = 16
"""Products for one tile, input feature and output feature."""
TILE = 2
WINDOW_MATRIX = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
"""G: it turns three numbers of a window into four."""
_INPUT_MATRIX = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_OUTPUT_MATRIX = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


@dataclass(frozen=True)
class WinogradConvolution(Op):
    """A convolution with a window of 3 x 3 and stride 1, in tiles of 2 x 2 elements of the result.

        out tile = Aᵀ [sum over c of u[:, c, f] * (Bᵀ d[c] B)] A        u[:, c, f] = G w[c, f] Gᵀ

    d is the part of the left operand, 4 x 4 elements, that a tile is computed from. The right operand is the
    transformed window: 16 matrices of input and output features. 16 products take the place of 36. At an odd last row
    or column a tile lies one nearer, and what the tile before it has is left out. The layout pass puts zeros around the
    image, and autodiff has been before: this op comes from the passes only.

    Source: S. Winograd, "Arithmetic complexity of computations", 1980; A. Lavin and S. Gray, "Fast algorithms for
    convolutional neural networks", 2015, where this is F(2x2, 3x3).

    >>> import numpy as np
    >>> image, window = np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1))
    >>> transformed = np.einsum("ra,sb,abcf->rscf", WINDOW_MATRIX, WINDOW_MATRIX, window)
    >>> WinogradConvolution().reference(image, transformed.reshape(16, 1, 1)).ravel()
    array([9., 9., 9., 9.])
    """

    name: ClassVar[str] = "winograd_convolution"
    text: ClassVar[str] = "winograd({0}, {1})"
    latex: ClassVar[str] = r"\mathrm{{winograd}}({0}, {1})"

    def infer(self, *types: TensorType) -> TensorType:
        left, right = types
        check_kind(self.name, left, "f")
        if left.dtype != right.dtype:
            raise DTypeError(
                f"{self.name} of {left.dtype.name} and {right.dtype.name}", expected=str(left.dtype), got=str(right)
            )
        sizes = left.shape[1:3]
        small = any(isinstance(size, Dim) or size < TILE + 2 for size in sizes)
        if left.rank != 4 or right.rank != 3 or small or right.shape[:2] != (POINTS, left.shape[3]):
            raise ShapeError(
                f"{self.name} does not fit these operands",
                expected="[images, rows, columns, features] with 4 rows and columns at least, [16, features, outputs]",
                got=f"{left} and {right}",
            )
        inner = tuple(size - 2 for size in sizes if isinstance(size, int))
        return left.with_shape((left.shape[0], *inner, right.shape[2]))

    def reference(self, *args: Array) -> Array:
        left, right = args
        down, along = (_starts(size - TILE) for size in left.shape[1:3])
        rows, columns = ((starts[:, None] + np.arange(4)) for starts in (down, along))
        tiles = left[:, rows[:, None, :, None], columns[None, :, None, :]]
        turn, back = _INPUT_MATRIX.astype(left.dtype), _OUTPUT_MATRIX.astype(left.dtype)
        points = np.einsum("ra,nyxabc,sb->rsnyxc", turn, tiles, turn, optimize=True)
        sums = points.reshape(POINTS, math.prod(points.shape[2:5]), left.shape[3]) @ right
        sums = sums.reshape(*points.shape[:5], right.shape[2])
        result = np.einsum("pr,rsnyxf,qs->nypxqf", back, sums, back, optimize=True)
        own = (np.arange(left.shape[1] - TILE), np.arange(left.shape[2] - TILE))
        y, x = own[0][:, None], own[1][None, :]
        return np.ascontiguousarray(result[:, y // TILE, y - down[y // TILE], x // TILE, x - along[x // TILE]])

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Even and odd sizes, whole vectors of features and parts, a named batch."""
        return [
            Sample(cls(), (draw("f64", 2, 6, 8, 3), draw("f64", 16, 3, 2))),
            Sample(cls(), (draw("f64", 1, 5, 4, 2), draw("f64", 16, 2, 3))),
            Sample(cls(), (draw("f64", 3, 7, 9, 16), draw("f64", 16, 16, 32))),
            Sample(cls(), (draw("f32", "batch", 7, 6, 16), draw("f32", 16, 16, 16, low=-0.5, high=0.5))),
            Sample(cls(), (draw("f32", 0, 6, 6, 16), draw("f32", 16, 16, 48))),
        ]

    @classmethod
    def refusals(cls) -> Sequence[Refusal]:
        """Too few rows, other features, other element types."""
        image, window = tensor_type("f32", "batch", 6, 6, 3), tensor_type("f32", 16, 3, 8)
        message = "winograd_convolution does not fit these operands"
        return [
            Refusal(cls(), (tensor_type("f32", "batch", 3, 6, 3), window), ShapeError, message),
            Refusal(cls(), (image, tensor_type("f32", 16, 4, 8)), ShapeError, message),
            Refusal(
                cls(),
                (image, tensor_type("f64", 16, 3, 8)),
                DTypeError,
                "winograd_convolution of float32 and float64",
            ),
        ]


def _starts(length: int) -> Array:
    """Where the tiles along an axis of the result start; the last one lies inside."""
    return np.minimum(np.arange(0, length, TILE), length - TILE)
