"""Random numbers: counter based, so that the same node gives the same numbers wherever and whenever it is computed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np

from graphc.dtypes import INT64, UINT64
from graphc.errors import DTypeError
from graphc.op import Op, Sample, check_kind, draw
from graphc.philox import stream_key
from graphc.scalar import Array, NumpyScalars, Scalars
from graphc.tensor_type import TensorType, tensor_type

__all__ = ["Random", "RandomNormal", "RandomUniform"]

T = TypeVar("T")


@dataclass(frozen=True)
class Random(Op):
    """Base of the random ops. Operands: seed and step, int64 scalars.

    label: the name that keys the stream. serial: tells nodes apart that were declared under one name; it is not
    printed.
    """

    label: str
    type: TensorType
    serial: int = field(default=0, repr=False)

    def infer(self, *types: TensorType) -> TensorType:
        check_kind(self.name, self.type, "f")
        for operand in types:
            if operand != TensorType(INT64, ()):
                raise DTypeError(f"{self.name}: seed and step are int64 scalars", expected="i64[]", got=str(operand))
        return self.type

    @abstractmethod
    def function(self) -> str:
        """The named function that gives one number."""

    def element(self, s: Scalars[T], index: T, seed: T, step: T) -> T:
        """The number for an element, given its int64 position in row-major order."""
        return s.call(self.function(), index, s.constant(stream_key(self.label), UINT64), seed, step)

    def reference(self, *args: Array) -> Array:
        shape = tuple(size for size in self.type.shape if isinstance(size, int))
        index = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
        return self.element(NumpyScalars(), index, args[0], args[1]).reshape(shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Both element types, all words of a counter, a symbolic size, no element."""
        keys = (draw("i64", low=-5, high=5), draw("i64", low=0, high=9))
        types = (
            tensor_type("f32", 3, 50),
            tensor_type("f64", 70),
            tensor_type("f32", "batch", 5),
            tensor_type("f32"),
            tensor_type("f32", 0),
        )
        return [Sample(cls("noise", type_), keys) for type_ in types]


@dataclass(frozen=True)
class RandomUniform(Random):
    """Numbers drawn uniformly from [0, 1).

    >>> import graphc as gc
    >>> noise = gc.evaluate(gc.random.uniform((1000,), name="noise"))
    >>> bool((noise >= 0).all() and (noise < 1).all() and abs(noise.mean() - 0.5) < 0.03)
    True
    """

    name: ClassVar[str] = "random_uniform"

    def function(self) -> str:
        return f"uniform{self.type.dtype.bits}"


@dataclass(frozen=True)
class RandomNormal(Random):
    """Numbers drawn from the normal distribution with mean 0 and standard deviation 1.

    >>> import graphc as gc
    >>> noise = gc.evaluate(gc.random.normal((1000,), name="noise"))
    >>> bool(abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1)
    True
    """

    name: ClassVar[str] = "random_normal"

    def function(self) -> str:
        return f"normal{self.type.dtype.bits}"
