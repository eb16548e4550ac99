"""Resizing layers; tensors are [batch, *spatial, channels]."""

from __future__ import annotations

from graphc.errors import ShapeError
from graphc.frontend.layers.basic import only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.resizing import Scale, check_method, check_scale, resize
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["Upsample1d", "Upsample2d"]


class _Upsample(Layer):
    """scale: a number, or one for each spatial axis."""

    axes = 2

    def __init__(
        self, scale: Scale = 2, method: str = "bilinear", align_corners: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_method(method, align_corners)
        self.scale = check_scale(scale, self.axes)
        self.method, self.align_corners = method, align_corners

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the larger image; ShapeError if the input has another rank."""
        x = only_input(self, inputs)
        if x.ndim != self.axes + 2:
            raise ShapeError(
                f"{type(self).__name__} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, {'*, ' * self.axes}channels]",
                got=str(x.type),
            )
        return resize(x, scale=self.scale, method=self.method, align_corners=self.align_corners)


class Upsample1d(_Upsample):
    """Longer lines, [batch, length, channels] to [batch, floor(length * scale), channels]; see ``gc.resize``.

    >>> import graphc as gc
    >>> gc.layers.Upsample1d(3)(gc.input("x", ("batch", 10, 4)))
    <Tensor f32[batch, 30, 4]>
    """

    axes = 1


class Upsample2d(_Upsample):
    """Larger images, [batch, height, width, channels] with both sizes times scale; see ``gc.resize``.

    >>> import graphc as gc
    >>> gc.layers.Upsample2d((2, 1.5), method="nearest")(gc.input("image", ("batch", 8, 8, 16)))
    <Tensor f32[batch, 16, 12, 16]>
    """
