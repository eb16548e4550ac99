"""Layers that move the pixels of [batch, *spatial, channels]; each is one of the functions."""

from __future__ import annotations

from graphc.frontend import rearranging
from graphc.frontend.layers.basic import only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.rearranging import Margins
from graphc.frontend.tensor import Tensor

__all__ = ["Crop", "DepthToSpace", "ReflectionPad", "SpaceToDepth", "ZeroPad"]


class _Margin(Layer):
    def __init__(self, amount: Margins, name: str | None = None) -> None:
        super().__init__(name)
        self.amount = amount


class ZeroPad(_Margin):
    """Zeros around the pixels; see ``gc.zero_pad``.

    >>> import graphc as gc
    >>> gc.layers.ZeroPad([1, (0, 2)])(gc.input("image", shape=("batch", 8, 8, 3)))
    <Tensor f32[batch, 10, 10, 3]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the padding."""
        return rearranging.zero_pad(only_input(self, inputs), self.amount)


class ReflectionPad(_Margin):
    """The pixels mirrored at the borders; see ``gc.reflection_pad``.

    >>> import graphc as gc
    >>> gc.layers.ReflectionPad(3)(gc.input("image", shape=("batch", 8, 8, 3)))
    <Tensor f32[batch, 14, 14, 3]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the padding."""
        return rearranging.reflection_pad(only_input(self, inputs), self.amount)


class Crop(_Margin):
    """Without the outer pixels; see ``gc.crop``.

    >>> import graphc as gc
    >>> gc.layers.Crop(2)(gc.input("image", shape=("batch", 8, 8, 3)))
    <Tensor f32[batch, 4, 4, 3]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the inner pixels."""
        return rearranging.crop(only_input(self, inputs), self.amount)


class _Block(Layer):
    def __init__(self, block: int, name: str | None = None) -> None:
        super().__init__(name)
        self.block = block


class SpaceToDepth(_Block):
    """Blocks of pixels as channels; see ``gc.space_to_depth``.

    >>> import graphc as gc
    >>> gc.layers.SpaceToDepth(2)(gc.input("image", shape=("batch", 8, 8, 3)))
    <Tensor f32[batch, 4, 4, 12]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the move."""
        return rearranging.space_to_depth(only_input(self, inputs), self.block)


class DepthToSpace(_Block):
    """Channels as blocks of pixels, also known as pixel shuffle; see ``gc.depth_to_space``.

    >>> import graphc as gc
    >>> gc.layers.DepthToSpace(2)(gc.input("image", shape=("batch", 4, 4, 12)))
    <Tensor f32[batch, 8, 8, 3]>
    """

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the move."""
        return rearranging.depth_to_space(only_input(self, inputs), self.block)
