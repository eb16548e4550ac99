"""Convolution layers; tensors are [batch, *spatial, channels]."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.activations import ActivationLike, as_activation
from graphc.frontend.convolution import Padding, convolution, convolution_transpose, per_axis
from graphc.frontend.initializers import Initializer
from graphc.frontend.layers.basic import only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"]


class _Conv(Layer):
    """activation(convolution(x, weight) + bias); see ``gc.convolution`` for the arguments.

    weight: [*kernel_size, channels / groups, filters]; bias: [filters]. kernel_size, strides, dilation: a number, or
    one for each spatial axis.
    """

    axes = 2
    transposed = False

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | str = "glorot_uniform",
        bias_initializer: Initializer | str = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.filters = _positive("filters", filters)
        self.kernel_size = per_axis("kernel_size", kernel_size, self.axes)
        self.strides = per_axis("strides", strides, self.axes)
        self.dilation = per_axis("dilation", dilation, self.axes)
        self.padding, self.groups = padding, _positive("groups", groups)
        self.activation = as_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, *inputs: Tensor) -> None:
        """Declare weight and bias; ShapeError for inputs of another rank, or channels that groups do not divide,
        DTypeError for inputs that are no floats."""
        x = only_input(self, inputs)
        channels = x.shape[-1] if x.ndim else 0
        if x.ndim != self.axes + 2 or not isinstance(channels, int) or channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, {'*, ' * self.axes}channels] with a multiple of {self.groups} channels",
                got=str(x.type),
            )
        if not x.dtype.is_float:
            raise DTypeError(
                f"{type(self).__name__} does not take {x.dtype.name}",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="float32 or float64",
                got=str(x.type),
                way_out='declare the input as float, or convert it with gc.cast(x, "float32")',
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.weight = self.parameter("weight", shape, self.kernel_initializer, x.dtype)
        if self.use_bias:
            self.bias = self.parameter("bias", (self.filters,), self.bias_initializer, x.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare activation(convolution(x, weight) + bias)."""
        x = only_input(self, inputs)
        if self.transposed:
            result = convolution_transpose(x, self.weight, self.strides, self.padding, self.dilation)
        else:
            result = convolution(x, self.weight, self.strides, self.padding, self.dilation, self.groups)
        return self.activation(result + self.bias if self.use_bias else result)


class Conv1d(_Conv):
    """A convolution along one axis: [batch, length, channels] to [batch, positions, filters]; see ``gc.convolution``.

    weight: [kernel_size, channels / groups, filters]; bias: [filters]. Source: A. Waibel and others, "Phoneme
    recognition using time-delay neural networks", 1989.

    >>> import graphc as gc
    >>> gc.layers.Conv1d(8, kernel_size=3, padding="same")(gc.input("x", ("batch", 100, 4)))
    <Tensor f32[batch, 100, 8]>
    """

    axes = 1


class Conv2d(_Conv):
    """A convolution of images, [batch, height, width, channels] to [batch, *positions, filters].

    See ``gc.convolution``. weight: [*kernel_size, channels / groups, filters]; bias: [filters]. Source: Y. LeCun and
    others, "Gradient-based learning applied to document recognition", 1998.

    >>> import graphc as gc
    >>> gc.layers.Conv2d(6, kernel_size=5, activation="relu")(gc.input("image", ("batch", 28, 28, 1)))
    <Tensor f32[batch, 24, 24, 6]>
    """


class Conv3d(_Conv):
    """A convolution of volumes: [batch, depth, height, width, channels]; see ``gc.convolution``.

    weight: [*kernel_size, channels / groups, filters]; bias: [filters].

    >>> import graphc as gc
    >>> gc.layers.Conv3d(4, kernel_size=3, strides=2)(gc.input("volume", ("batch", 9, 9, 9, 1)))
    <Tensor f32[batch, 4, 4, 4, 4]>
    """

    axes = 3


class ConvTranspose2d(_Conv):
    """A transposed convolution of images, which upsamples by the strides; see ``gc.convolution_transpose``.

    weight: [*kernel_size, channels, filters]; bias: [filters].

    >>> import graphc as gc
    >>> gc.layers.ConvTranspose2d(3, kernel_size=4, strides=2, padding="same")(gc.input("x", ("batch", 7, 7, 8)))
    <Tensor f32[batch, 14, 14, 3]>
    """

    transposed = True

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: Initializer | str = "glorot_uniform",
        bias_initializer: Initializer | str = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            name=name,
        )


def _positive(what: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise DeclarationError(f"{what} is a positive integer", at=str(user_location()), got=repr(value))
    return value
