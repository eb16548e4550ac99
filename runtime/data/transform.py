"""Scaling that is fitted to the training data: standardisation and whitening."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Self

import numpy as np

from graphc.errors import DataError, DeclarationError
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["Standardize", "Transform", "Whiten", "standardize_each"]


class Transform(ABC):
    """Fitted to one array, applied to others: ``fit`` on training data, then ``transform`` on all.

    Every method takes arrays [samples, ...]; results are float64, or float32 for float32.

    >>> import graphc as gc
    >>> isinstance(gc.data.Standardize(), gc.data.Transform)
    True
    """

    _shape: tuple[int, ...] | None = None

    @abstractmethod
    def _fit(self, array: Array) -> None:
        """Measure the array, float64."""

    @abstractmethod
    def _apply(self, array: Array, back: bool) -> Array:
        """Transform an array, float64, or take that back."""

    def fit(self, array: Array) -> Self:
        """Measure the array; DataError for one without samples, or with NaN or infinities."""
        array = np.asarray(array)
        if array.ndim < 2 or not array.size or not np.isfinite(array).all():
            raise DataError(
                f"{type(self).__name__} cannot be fitted to this array",
                at=str(user_location()),
                expected="finite numbers, [samples, ...], at least one sample",
                got=f"{array.dtype}{list(array.shape)}" + (", not all finite" if array.ndim > 1 and array.size else ""),
            )
        self._shape = array.shape[1:]
        self._fit(array.astype(np.float64))
        return self

    def transform(self, array: Array) -> Array:
        """The transformed array; DataError before ``fit``, and for samples of another shape."""
        return self._checked(array, back=False)

    def inverse(self, array: Array) -> Array:
        """The array whose transform this is, up to rounding."""
        return self._checked(array, back=True)

    def _checked(self, array: Array, back: bool) -> Array:
        array = np.asarray(array)
        if self._shape is None or array.shape[1:] != self._shape:
            raise DataError(
                f"{type(self).__name__} is not fitted"
                if self._shape is None
                else f"{type(self).__name__} was fitted to samples of another shape",
                at=str(user_location()),
                expected=None if self._shape is None else f"[samples, {', '.join(map(str, self._shape))}]",
                got=str(list(array.shape)),
                way_out="call fit with the training data first" if self._shape is None else None,
            )
        found = self._apply(array.astype(np.float64), back)
        return found.astype(np.float32) if array.dtype == np.float32 else found


class Standardize(Transform):
    """(x - mean) / deviation, with the mean and the standard deviation (divided by N) of the training data.

    by: "feature" for a mean of each number of a sample, "channel" for one of each place of the last axis (all pixels
    together). epsilon: added to the variance. A feature that never changes becomes 0.

    >>> scale = Standardize().fit(np.asarray([[1.0, 5.0], [3.0, 5.0]]))
    >>> scale.transform(np.asarray([[2.0, 5.0], [3.0, 6.0]])).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, by: Literal["feature", "channel"] = "feature", epsilon: float = 0.0) -> None:
        _require(by in ("feature", "channel"), 'by: "feature" or "channel"', repr(by))
        _require(epsilon >= 0, "epsilon: at least 0", str(epsilon))
        self.by, self.epsilon = by, epsilon

    def _fit(self, array: Array) -> None:
        axes = 0 if self.by == "feature" else tuple(range(array.ndim - 1))
        self.mean = array.mean(axes)
        deviation = np.sqrt(array.var(axes) + self.epsilon)
        self.deviation = np.where(_constant(array, axes), 1.0, deviation)

    def _apply(self, array: Array, back: bool) -> Array:
        found: Array = array * self.deviation + self.mean if back else (array - self.mean) / self.deviation
        return found


class Whiten(Transform):
    """Take away the mean and the correlations: the covariance of the training data becomes the identity.

    With the covariance's eigenvectors U and eigenvalues s (divided by N), "pca" gives diag(s + epsilon)^(-1/2) U^T
    (x - mean), in the order of falling s, and "zca" turns that back with U, so that images still look like images (Bell
    and Sejnowski, 1997). epsilon: keeps directions small in which the data hardly change. Samples are flattened and
    come back in their shape.

    >>> samples = np.asarray([[2.0, 1.0], [-2.0, -1.0], [1.0, -2.0], [-1.0, 2.0]]) * [[3.0, 1.0]]
    >>> white = Whiten(epsilon=0.0).fit(samples).transform(samples)
    >>> np.round(white.T @ white / 4, 6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, method: Literal["zca", "pca"] = "zca", epsilon: float = 1e-5) -> None:
        _require(method in ("zca", "pca"), 'method: "zca" or "pca"', repr(method))
        _require(epsilon >= 0, "epsilon: at least 0", str(epsilon))
        self.method, self.epsilon = method, epsilon

    def _fit(self, array: Array) -> None:
        flat = array.reshape(len(array), -1)
        self.mean = flat.mean(0)
        centred = flat - self.mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(flat))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        scales = np.sqrt(values + self.epsilon)
        if not scales.min() > 1e-7 * scales.max():
            raise DataError(
                "the data do not change in some direction, which cannot be whitened",
                at=str(user_location()),
                expected=f"at least {flat.shape[1] + 1} samples of {flat.shape[1]} numbers that are no sums of others",
                got=f"{len(flat)} samples, least variance {values.min():.3g}",
                way_out="a larger epsilon, such as 1e-5 of the largest variance",
            )
        signs = np.where(vectors[np.abs(vectors).argmax(0), np.arange(len(values))] < 0, -1.0, 1.0)
        vectors = vectors * signs
        turned = vectors if self.method == "zca" else np.eye(len(values))
        self.matrix = turned @ (vectors / scales).T
        self.back = (vectors * scales) @ turned.T

    def _apply(self, array: Array, back: bool) -> Array:
        flat = array.reshape(len(array), -1)
        found: Array = flat @ self.back.T + self.mean if back else (flat - self.mean) @ self.matrix.T
        return found.reshape(array.shape)


def standardize_each(array: Array, epsilon: float = 0.0) -> Array:
    """Each sample less its own mean, divided by its own deviation sqrt(var + epsilon): invariant under a x + b.

    array: [samples, ...]. The variance is divided by N. A constant sample becomes zeros, where the bare formula would
    be 0 / 0. Results are float64, or float32 for float32.

    >>> np.round(standardize_each(np.asarray([[1.0, 2.0, 3.0, 6.0]])), 4).tolist()
    [[-1.069, -0.5345, 0.0, 1.6036]]
    """
    exact = np.asarray(array, np.float64)
    axes = tuple(range(1, exact.ndim))
    deviation = np.sqrt(exact.var(axes, keepdims=True) + epsilon)
    constant = _constant(exact, axes, keepdims=True)
    found: Array = (exact - exact.mean(axes, keepdims=True)) / np.where(constant, 1.0, deviation)
    found = np.where(constant, 0.0, found)
    return found.astype(np.float32) if np.asarray(array).dtype == np.float32 else found


def _constant(array: Array, axes: int | tuple[int, ...], keepdims: bool = False) -> Array:
    found: Array = array.max(axes, keepdims=keepdims) == array.min(axes, keepdims=keepdims)
    return found


def _require(right: bool, expected: str, got: str) -> None:
    if not right:
        raise DeclarationError("this transform cannot be", at=str(user_location()), expected=expected, got=got)
