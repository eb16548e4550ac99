"""The base of layers: names, parameters, and building at the first call."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import prod

from graphc.dtypes import FLOAT32
from graphc.errors import DeclarationError
from graphc.frontend.initializers import Initializer
from graphc.frontend.state import Parameter, parameter
from graphc.frontend.tensor import Tensor
from graphc.origin import scope, user_location

__all__ = ["Layer"]


class Layer(ABC):
    """A piece of a model that owns parameters. Calling it twice uses the same parameters twice.

    A subclass writes ``call``, and ``build`` if it has parameters whose shapes depend on the input; layers assigned to
    attributes are its children and take the attribute's name.

    >>> import graphc as gc
    >>> class Scale(gc.layers.Layer):
    ...     def build(self, x):
    ...         self.factor = self.parameter("factor", (x.shape[-1],), "ones")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> layer = Scale()
    >>> layer(gc.input("x", shape=("batch", 3)))
    <Tensor f32[batch, 3]>
    >>> [p.name for p in layer.parameters]
    ['scale/factor']
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._built = False

    @property
    def name(self) -> str:
        """The name given, or the attribute's, or the class's in lower case."""
        given: str | None = self.__dict__.get("_name")
        return given or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, Layer) and value.__dict__.get("_name") is None:
            object.__setattr__(value, "_name", name)
        object.__setattr__(self, name, value)

    def build(self, *inputs: Tensor) -> None:
        """Declare the parameters; called once, with the first call's inputs."""
        return

    @abstractmethod
    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the output."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Declare the output for inputs, building the layer first if it is new."""
        with scope(self.name):
            if not self.__dict__.get("_built"):
                self.build(*inputs)
                self._built = True
            return self.call(*inputs)

    def parameter(
        self,
        name: str,
        shape: object,
        initializer: Initializer | str | float = "glorot_uniform",
        dtype: object = FLOAT32,
    ) -> Parameter:
        """Declare a trainable parameter of this layer."""
        return parameter(shape, initializer, name, dtype)

    @property
    def children(self) -> tuple[Layer, ...]:
        """The layers inside, in the order they were assigned."""
        return tuple(self._children())

    def _children(self) -> Iterator[Layer]:
        for value in self.__dict__.values():
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, Layer):
                    yield item

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of this layer and the layers inside, each once.

        Raises DeclarationError before the first call, when there are none yet.
        """
        if not self.__dict__.get("_built"):
            raise DeclarationError(
                f"layer {self.name!r} has no parameters yet: their shapes come from its first input",
                at=str(user_location()),
                way_out="call the layer on an input first",
            )
        found: dict[int, Parameter] = {}
        for value in self.__dict__.values():
            if isinstance(value, Parameter):
                found.setdefault(id(value.node), value)
        for child in self.children:
            for value in child.parameters:
                found.setdefault(id(value.node), value)
        return tuple(found.values())

    @property
    def parameter_count(self) -> int:
        """How many numbers the parameters hold; DeclarationError before the first call. No value is made for it."""
        return sum(prod(size for size in found.shape if isinstance(size, int)) for found in self.parameters)
