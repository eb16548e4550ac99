"""Pooling layers; tensors are [batch, *spatial, channels]."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import ShapeError
from graphc.frontend.convolution import Padding, per_axis
from graphc.frontend.layers.basic import only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool
from graphc.frontend.responses import lp_pool
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "LpPool1d",
    "LpPool2d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _Pool(Layer):
    """window, strides: a number, or one for each spatial axis."""

    axes = 2

    def __init__(
        self,
        window: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.window = per_axis("window", window, self.axes)
        self.strides = self.window if strides is None else per_axis("strides", strides, self.axes)
        self.padding = padding

    def batch_of(self, inputs: Sequence[Tensor]) -> Tensor:
        """The input; ShapeError if it has another rank."""
        x = only_input(self, inputs)
        if x.ndim != self.axes + 2:
            raise ShapeError(
                f"{type(self).__name__} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, {'*, ' * self.axes}channels]",
                got=str(x.type),
            )
        return x


class _MaxPool(_Pool):
    def __init__(
        self,
        window: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(window, strides, padding, name)
        self.dilation = per_axis("dilation", dilation, self.axes)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the largest elements."""
        return max_pool(self.batch_of(inputs), self.window, self.strides, self.padding, self.dilation)


class _AvgPool(_Pool):
    def __init__(
        self,
        window: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        count_include_pad: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(window, strides, padding, name)
        self.count_include_pad = count_include_pad

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the means."""
        x = self.batch_of(inputs)
        return avg_pool(x, self.window, self.strides, self.padding, count_include_pad=self.count_include_pad)


class MaxPool1d(_MaxPool):
    """The largest element of each window of [batch, length, channels]; see ``gc.max_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.MaxPool1d(3, strides=2, padding="same")(gc.input("x", ("batch", 100, 4)))
    <Tensor f32[batch, 50, 4]>
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of [batch, height, width, channels]; see ``gc.max_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.MaxPool2d(2)(gc.input("image", ("batch", 28, 28, 6)))
    <Tensor f32[batch, 14, 14, 6]>
    """


class MaxPool3d(_MaxPool):
    """The largest element of each window of [batch, depth, height, width, channels]; see ``gc.max_pool``.

    >>> import graphc as gc
    >>> gc.layers.MaxPool3d((1, 2, 2))(gc.input("volume", ("batch", 9, 8, 8, 4)))
    <Tensor f32[batch, 9, 4, 4, 4]>
    """

    axes = 3


class AvgPool1d(_AvgPool):
    """The mean of each window of [batch, length, channels]; see ``gc.avg_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.AvgPool1d(4)(gc.input("x", ("batch", 100, 4)))
    <Tensor f32[batch, 25, 4]>
    """

    axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of [batch, height, width, channels]; see ``gc.avg_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.AvgPool2d(3, strides=2, padding="same")(gc.input("image", ("batch", 28, 28, 6)))
    <Tensor f32[batch, 14, 14, 6]>
    """


class AvgPool3d(_AvgPool):
    """The mean of each window of [batch, depth, height, width, channels]; see ``gc.avg_pool``.

    >>> import graphc as gc
    >>> gc.layers.AvgPool3d(2)(gc.input("volume", ("batch", 8, 8, 8, 4)))
    <Tensor f32[batch, 4, 4, 4, 4]>
    """

    axes = 3


class _LpPool(_Pool):
    def __init__(
        self,
        window: int | Sequence[int],
        order: float = 2,
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(window, strides, padding, name)
        self.order = order

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the norms."""
        return lp_pool(self.batch_of(inputs), self.window, self.order, self.strides, self.padding)


class LpPool1d(_LpPool):
    """The p-norm of each window of [batch, length, channels]; see ``gc.lp_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.LpPool1d(4)(gc.input("x", ("batch", 100, 4)))
    <Tensor f32[batch, 25, 4]>
    """

    axes = 1


class LpPool2d(_LpPool):
    """The p-norm of each window of [batch, height, width, channels]; see ``gc.lp_pool`` for the arguments.

    >>> import graphc as gc
    >>> gc.layers.LpPool2d(2, order=4)(gc.input("image", ("batch", 28, 28, 6)))
    <Tensor f32[batch, 14, 14, 6]>
    """


class GlobalAvgPool(Layer):
    """The mean over all spatial axes, [batch, *spatial, channels] to [batch, channels]; see ``gc.global_avg_pool``.

    >>> import graphc as gc
    >>> gc.layers.GlobalAvgPool()(gc.input("image", ("batch", 7, 7, 64)))
    <Tensor f32[batch, 64]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the mean."""
        return global_avg_pool(only_input(self, inputs))


class GlobalMaxPool(Layer):
    """The largest element over all spatial axes, [batch, *spatial, channels] to [batch, channels].

    See ``gc.global_max_pool``.

    >>> import graphc as gc
    >>> gc.layers.GlobalMaxPool()(gc.input("image", ("batch", 7, 7, 64)))
    <Tensor f32[batch, 64]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the largest elements."""
        return global_max_pool(only_input(self, inputs))
