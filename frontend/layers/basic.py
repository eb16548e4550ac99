"""Layers that every network has: dense, activation, flatten, and the chain of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.dims import product
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.activations import ActivationLike, as_activation
from graphc.frontend.initializers import Initializer
from graphc.frontend.layers.layer import Layer
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["Activation", "Dense", "Flatten", "Sequential", "channels_of", "float_input", "only_input"]


def only_input(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """The input of a layer that takes one tensor."""
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
        raise DeclarationError(
            f"layer {layer.name!r} takes one tensor",
            at=str(user_location()),
            expected="layer(x)",
            got=", ".join(type(value).__name__ for value in inputs) or "nothing",
            way_out="make data a tensor with gc.constant, join tensors with gc.concatenate",
        )
    return inputs[0]


def float_input(
    layer: Layer, inputs: Sequence[Tensor], layout: str, rank: int | None = None, fixed: Sequence[int] = (-1,)
) -> Tensor:
    """The input of a layer that takes one tensor of floats.

    layout: how the message writes its shape. rank: its number of axes, any if None. fixed: axes of integer sizes.
    Raises DTypeError, ShapeError.
    """
    x = only_input(layer, inputs)
    kind = type(layer).__name__
    if not x.dtype.is_float:
        raise DTypeError(
            f"{kind} {layer.name!r} does not take {x.dtype.name}",
            at=str(user_location()),
            facts=[("input", describe(x.node))],
            expected="float32 or float64",
            got=str(x.type),
            way_out='declare the input as float, or convert it with gc.cast(x, "float32")',
        )
    least = max((axis + 1 if axis >= 0 else -axis for axis in fixed), default=0)
    wrong = x.ndim != rank if rank is not None else x.ndim < least
    if wrong or not all(isinstance(x.shape[axis], int) for axis in fixed):
        raise ShapeError(
            f"{kind} {layer.name!r} does not fit this input",
            at=str(user_location()),
            facts=[("input", describe(x.node))],
            expected=layout,
            got=str(x.type),
        )
    return x


def channels_of(x: Tensor) -> int:
    """The size of the last axis of a tensor that was checked to have one of integer size."""
    size = x.shape[-1]
    assert isinstance(size, int)
    return size


class Dense(Layer):
    """A fully connected layer: activation(x @ weight + bias).

    Input: float [..., features], features an integer. Output: [..., units]. Parameters: weight [features, units], bias
    [units] unless ``use_bias`` is False.

    >>> import graphc as gc
    >>> gc.layers.Dense(10)(gc.input("x", shape=("batch", 64)))
    <Tensor f32[batch, 10]>
    """

    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | str = "glorot_uniform",
        bias_initializer: Initializer | str = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(units, int) or units < 1:
            raise DeclarationError("units is a positive integer", at=str(user_location()), got=repr(units))
        self.units = units
        self.activation = as_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, *inputs: Tensor) -> None:
        """Declare weight and bias; ShapeError, DTypeError for inputs that are no rows of floats."""
        x = only_input(self, inputs)
        if not x.ndim or not isinstance(x.shape[-1], int):
            raise ShapeError(
                "Dense needs a last axis of fixed size",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="[..., features] with an integer",
                got=str(x.type),
            )
        if not x.dtype.is_float:
            raise DTypeError(
                f"Dense does not take {x.dtype.name}",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="float32 or float64",
                got=str(x.type),
                way_out='declare the input as float, or convert it with gc.cast(x, "float32")',
            )
        self.weight = self.parameter("weight", (x.shape[-1], self.units), self.kernel_initializer, x.dtype)
        if self.use_bias:
            self.bias = self.parameter("bias", (self.units,), self.bias_initializer, x.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare activation(x @ weight + bias)."""
        product_ = only_input(self, inputs) @ self.weight
        return self.activation(product_ + self.bias if self.use_bias else product_)


class Activation(Layer):
    """An activation function as a layer: a name such as "relu", or any function of a tensor.

    >>> import graphc as gc
    >>> gc.layers.Activation("relu")(gc.input("x", shape=("batch", 3)))
    <Tensor f32[batch, 3]>
    """

    def __init__(self, function: ActivationLike, name: str | None = None) -> None:
        super().__init__(name or (function if isinstance(function, str) else None))
        self.function = as_activation(function)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare function(x)."""
        return self.function(only_input(self, inputs))


class Flatten(Layer):
    """All axes but the first merged into one: [batch, a, b, ...] to [batch, a*b*...].

    >>> import graphc as gc
    >>> gc.layers.Flatten()(gc.input("x", shape=("batch", 8, 8)))
    <Tensor f32[batch, 64]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the reshape."""
        x = only_input(self, inputs)
        if not x.ndim:
            raise ShapeError(
                "Flatten needs a first axis",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="[batch, ...]",
                got=str(x.type),
            )
        return x.reshape((x.shape[0], product(x.shape[1:])))


class Sequential(Layer):
    """Layers one after the other. Layers without a name are called by their kind, numbered where it repeats.

    >>> import graphc as gc
    >>> net = gc.layers.Sequential([gc.layers.Dense(16, activation="relu"), gc.layers.Dense(10)], name="net")
    >>> net(gc.input("x", shape=("batch", 64)))
    <Tensor f32[batch, 10]>
    >>> [p.name for p in net.parameters]
    ['net/dense/weight', 'net/dense/bias', 'net/dense_1/weight', 'net/dense_1/bias']
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None) -> None:
        super().__init__(name)
        self.layers = list(layers)
        names: set[str] = set()
        for layer in dict.fromkeys(self.layers):
            if not isinstance(layer, Layer):
                raise DeclarationError(
                    f"{layer!r} is no layer",
                    at=str(user_location()),
                    expected="layers such as layers.Dense(10)",
                    got=type(layer).__name__,
                    way_out="wrap a function in layers.Activation",
                )
            number, wanted = 0, layer.name
            while wanted in names:
                number += 1
                wanted = f"{layer.name}_{number}"
            names.add(wanted)
            layer._name = wanted

    def __getitem__(self, index: int) -> Any:
        """The layer at a position."""
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the chain."""
        x = only_input(self, inputs)
        for layer in self.layers:
            x = layer(x)
        return x
