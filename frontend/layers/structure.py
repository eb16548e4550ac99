"""Layers that put others together or only change shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.layers.basic import only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.op import size_text
from graphc.origin import user_location

__all__ = ["Lambda", "Permute", "Reshape", "Residual"]


class Residual(Layer):
    """A layer around which its input runs: layer(x) + x, or layer(x) + shortcut(x).

    layer: any layer, such as a Sequential. shortcut: a layer that gives x the shape of the result, where that differs;
    ShapeError if both differ, even if they would broadcast.

    Source: K. He and others, "Deep residual learning for image recognition", CVPR 2016.

    >>> import graphc as gc
    >>> x = gc.input("x", shape=("batch", 8))
    >>> gc.layers.Residual(gc.layers.Dense(8, activation="relu"))(x)
    <Tensor f32[batch, 8]>
    >>> gc.layers.Residual(gc.layers.Dense(4), shortcut=gc.layers.Dense(4, use_bias=False))(x)
    <Tensor f32[batch, 4]>
    """

    def __init__(self, layer: Layer, shortcut: Layer | None = None, name: str | None = None) -> None:
        super().__init__(name)
        for inner in (layer, *([shortcut] if shortcut is not None else [])):
            if not isinstance(inner, Layer):
                raise DeclarationError(
                    f"{inner!r} is no layer",
                    at=str(user_location()),
                    expected="layers such as layers.Dense(10)",
                    got=type(inner).__name__,
                    way_out="wrap a function in layers.Lambda",
                )
        self.layer, self.shortcut = layer, shortcut

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the sum."""
        x = only_input(self, inputs)
        result = self.layer(x)
        passed = x if self.shortcut is None else self.shortcut(x)
        if passed.type != result.type:
            raise ShapeError(
                f"Residual {self.name!r}: the layer's result and the shortcut have different types",
                at=str(user_location()),
                facts=[("result", describe(result.node)), ("shortcut", describe(passed.node))],
                expected=str(result.type),
                got=str(passed.type),
                way_out="give Residual a shortcut of that size, such as layers.Conv2d(filters, 1, strides)",
            )
        return result + passed


class Reshape(Layer):
    """Each sample in another shape: [batch, ...] to [batch, *shape]; one size of -1 is computed.

    Raises ShapeError where the number of elements would change.

    >>> import graphc as gc
    >>> gc.layers.Reshape((4, -1))(gc.input("x", shape=("batch", 8)))
    <Tensor f32[batch, 4, 2]>
    """

    def __init__(self, shape: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        self.shape = tuple(shape)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the reshape."""
        x = only_input(self, inputs)
        return x.reshape((*x.shape[:1], *self.shape))


class Permute(Layer):
    """The axes of each sample in another order. order: numbers from 1, as in Keras; the batch stays first.

    >>> import graphc as gc
    >>> gc.layers.Permute((2, 1))(gc.input("x", shape=("batch", 8, 3)))
    <Tensor f32[batch, 3, 8]>
    """

    def __init__(self, order: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        self.order = tuple(order)
        if sorted(self.order) != list(range(1, len(self.order) + 1)):
            raise DeclarationError(
                "Permute takes every axis but the batch once",
                at=str(user_location()),
                expected="the numbers from 1, such as (2, 1)",
                got=repr(order),
            )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the transposition; ShapeError for an input of another rank."""
        x = only_input(self, inputs)
        if x.ndim != len(self.order) + 1:
            raise ShapeError(
                f"Permute {self.name!r} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, ...] with {len(self.order) + 1} axes, for the order {size_text(self.order)}",
                got=str(x.type),
            )
        return x.transpose((0, *self.order))


class Lambda(Layer):
    """A function of tensors as a layer without parameters of its own.

    >>> import graphc as gc
    >>> x, y = gc.input("x", shape=("batch", 3)), gc.input("y", shape=("batch", 3))
    >>> gc.layers.Lambda(lambda a, b: gc.concatenate([a, b], axis=-1))(x, y)
    <Tensor f32[batch, 6]>
    """

    def __init__(self, function: Callable[..., Tensor], name: str | None = None) -> None:
        super().__init__(name)
        if not callable(function):
            raise DeclarationError(
                f"{function!r} is no function",
                at=str(user_location()),
                expected="a function of tensors",
                got=type(function).__name__,
            )
        self.function = function

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare function(*inputs)."""
        return self.function(*inputs)
