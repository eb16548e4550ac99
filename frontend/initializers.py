"""Initial values of parameters: functions of a shape and a random stream, computed once, in numpy.

The numbers come from graphc's counter-based generator keyed by the seed and the parameter's name, in float64, and are
the same on every machine. For a weight of shape (..., fan_in, fan_out) the leading axes (a convolution's window)
multiply both fans.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from graphc.dtypes import UINT64
from graphc.errors import DeclarationError
from graphc.origin import user_location
from graphc.philox import normal64, stream_key, uniform64
from graphc.scalar import Array, NumpyScalars

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "Normal",
    "Orthogonal",
    "Stream",
    "Uniform",
    "Zeros",
    "as_initializer",
]


@dataclass(frozen=True)
class Stream:
    """A source of random numbers named by a seed and a name.

    >>> Stream(0, "w").uniform((2,)).shape
    (2,)
    """

    seed: int
    name: str

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Float64 numbers drawn uniformly from [0, 1)."""
        return self._draw(uniform64, shape)

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Float64 numbers of mean 0 and standard deviation 1."""
        return self._draw(normal64, shape)

    def _draw(self, function: Callable[..., Array], shape: tuple[int, ...]) -> Array:
        element = np.arange(prod(shape), dtype=np.int64)
        s = NumpyScalars()
        seed, step = np.asarray(self.seed, np.int64), np.asarray(0, np.int64)
        return function(s, element, s.constant(stream_key(self.name), UINT64), seed, step).reshape(shape)


class Initializer(ABC):
    """Makes the initial value of a parameter: ``initializer(shape, stream)`` gives a float64 array (or any that
    fits).
    """

    @abstractmethod
    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        """An array of the shape."""

    @property
    def only_shape(self) -> tuple[int, ...] | None:
        """The only shape that can be asked for; None for any."""
        return None


@dataclass(frozen=True)
class Constant(Initializer):
    """One number everywhere, or a given array.

    >>> Constant(0.5)((2,), Stream(0, "b"))
    array([0.5, 0.5])
    """

    value: object

    def __post_init__(self) -> None:
        if np.asarray(self.value).ndim:  # the caller's array may change later
            object.__setattr__(self, "value", np.array(self.value))

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        array = np.asarray(self.value)
        return array.copy() if array.ndim else np.full(shape, array)

    @property
    def only_shape(self) -> tuple[int, ...] | None:
        """The shape of the array; None for a number."""
        return np.asarray(self.value).shape or None


@dataclass(frozen=True)
class Zeros(Initializer):
    """Zeros.

    >>> Zeros()((2,), Stream(0, "b"))
    array([0., 0.])
    """

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Numbers drawn uniformly from [low, high).

    >>> bool(abs(Uniform(-1, 1)((100,), Stream(0, "w"))).max() <= 1)
    True
    """

    low: float = -0.05
    high: float = 0.05

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        return self.low + (self.high - self.low) * stream.uniform(shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Numbers of the normal distribution.

    >>> Normal(0.01)((3,), Stream(0, "w")).shape
    (3,)
    """

    standard_deviation: float = 0.05
    mean: float = 0.0

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        return self.mean + self.standard_deviation * stream.normal(shape)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The numbers of inputs and outputs that one output and one input connect to."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)), which keeps the variance of signals and gradients.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    2010.

    >>> bool(abs(GlorotUniform()((3072, 10), Stream(0, "w"))).max() <= 0.0441225)
    True
    """

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        bound = sqrt(6 / max(sum(_fans(shape)), 1))
        return Uniform(-bound, bound)(shape, stream)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal with variance 2 / (fan_in + fan_out).

    Source: as GlorotUniform.

    >>> GlorotNormal()((4, 2), Stream(0, "w")).shape
    (4, 2)
    """

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        return Normal(sqrt(2 / max(sum(_fans(shape)), 1)))(shape, stream)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform in +-sqrt(6 / fan_in), for rectified linear units.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.

    >>> bool(abs(HeUniform()((6, 2), Stream(0, "w"))).max() <= 1)
    True
    """

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        bound = sqrt(6 / max(_fans(shape)[0], 1))
        return Uniform(-bound, bound)(shape, stream)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal with variance 2 / fan_in, for rectified linear units.

    Source: as HeUniform.

    >>> HeNormal()((4, 2), Stream(0, "w")).shape
    (4, 2)
    """

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        return Normal(sqrt(2 / max(_fans(shape)[0], 1)))(shape, stream)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns (all singular values are ``gain``), leading axes merged.

    Source: A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", ICLR 2014.

    >>> q = Orthogonal()((3, 3), Stream(0, "w"))
    >>> bool(abs(q.T @ q - np.eye(3)).max() < 1e-12)
    True
    """

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
        if len(shape) < 2:
            raise DeclarationError("an orthogonal matrix has two dimensions", expected="two or more", got=str(shape))
        rows, columns = prod(shape[:-1]), shape[-1]
        drawn = stream.normal((max(rows, columns), min(rows, columns))).astype(np.float64)
        q, r = np.linalg.qr(drawn)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the distribution uniform over orthogonal matrices
        return np.asarray(self.gain * (q if rows >= columns else q.T).reshape(shape))


_BY_NAME: dict[str, Initializer] = {
    "zeros": Zeros(),
    "ones": Constant(1.0),
    "uniform": Uniform(),
    "normal": Normal(),
    "glorot_uniform": GlorotUniform(),
    "glorot_normal": GlorotNormal(),
    "he_uniform": HeUniform(),
    "he_normal": HeNormal(),
    "orthogonal": Orthogonal(),
}


def as_initializer(value: object) -> Initializer:
    """The initializer that a name, an array, a number or an initializer stands for; DeclarationError for others.

    >>> as_initializer("zeros")
    Zeros()
    """
    if isinstance(value, Initializer):
        return value
    if isinstance(value, str):
        if value in _BY_NAME:
            return _BY_NAME[value]
        raise DeclarationError(
            f"there is no initializer {value!r}",
            at=str(user_location()),
            expected="one of " + ", ".join(_BY_NAME),
            got=repr(value),
        )
    if not _is_data(value):
        raise DeclarationError(
            "this is no initial value",
            at=str(user_location()),
            expected="a number, an array, a name or an initializer from gc.initializers",
            got=repr(value),
            way_out="write a function of a shape as a subclass of gc.initializers.Initializer",
        )
    return Constant(value)


def _is_data(value: object) -> bool:
    """True for a number or an array; False for rows of different lengths, which numpy refuses."""
    try:
        return np.asarray(value).dtype.kind in "fiub"
    except ValueError:
        return False
