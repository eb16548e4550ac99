"""Residual networks for small images, and the plain networks that they are compared with."""

from __future__ import annotations

from collections.abc import Callable

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.layers.basic import Activation, Dense, Sequential, channels_of, float_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.pooling import GlobalAvgPool
from graphc.frontend.layers.structure import Residual
from graphc.frontend.models.resnet import normalised_conv
from graphc.frontend.settings import check_choice
from graphc.frontend.shaping import pad
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["PaddedShortcut", "plain_cifar", "resnet_cifar"]


def resnet_cifar(
    depth: int = 20, classes: int = 10, width: int = 16, option: str = "A", name: str | None = None
) -> Sequential:
    """6 n + 2 layers for images of 32 x 32: [batch, height, width, 3] to scores [batch, classes].

    depth: 20, 32, 44, 56, 110 in the paper, which also has 1202. width: filters of the first of three stages; the
    others have two and four times as many. option: how shortcuts change the shape, "A" without parameters
    (``PaddedShortcut``), as the paper has it for these images, or "B" by a 1 x 1 convolution. Parameters with A and
    depth 20, 32, 44, 56, 110: 269,722, 464,154, 658,586, 853,018, 1,727,962. Raises DeclarationError for other depths
    and options.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.

    >>> import graphc as gc
    >>> network = gc.models.resnet_cifar(20)
    >>> network(gc.input("image", ("batch", 32, 32, 3)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    269722
    """
    check_choice("option", option, ("A", "B"))

    def around(inner: Sequential, filters: int, strides: int) -> Layer:
        if strides == 1:
            return Residual(inner, name="residual")
        convolution = Sequential(normalised_conv(filters, 1, strides))
        return Residual(inner, PaddedShortcut(filters, strides) if option == "A" else convolution, "residual")

    return _stages(depth, classes, width, around, name or f"resnet{depth}")


def plain_cifar(depth: int = 20, classes: int = 10, width: int = 16, name: str | None = None) -> Sequential:
    """The same layers without shortcuts, which train worse the deeper they are; otherwise as ``resnet_cifar``.

    Parameters: as with option A.

    >>> import graphc as gc
    >>> network = gc.models.plain_cifar(56)
    >>> network(gc.input("image", ("batch", 32, 32, 3)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    853018
    """
    return _stages(depth, classes, width, lambda inner, filters, strides: inner, name or f"plain{depth}")


class PaddedShortcut(Layer):
    """Every ``strides``-th pixel, with channels of zeros after the others: option A of the paper, no parameters.

    Input: float [batch, height, width, channels], at most ``filters`` channels, else ShapeError. Output:
    [batch, *positions, filters].

    Source: as ``resnet_cifar``.

    >>> import graphc as gc
    >>> gc.models.PaddedShortcut(32)(gc.input("image", ("batch", 8, 8, 16)))
    <Tensor f32[batch, 4, 4, 32]>
    """

    def __init__(self, filters: int, strides: int = 2, name: str | None = None) -> None:
        super().__init__(name)
        self.filters, self.strides = filters, strides

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the pixels and the zeros."""
        x = float_input(self, inputs, "[batch, height, width, channels]", rank=4)
        missing = self.filters - channels_of(x)
        if missing < 0:
            raise ShapeError(
                f"PaddedShortcut {self.name!r} only adds channels",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"at most {self.filters} channels",
                got=str(x.type),
                way_out="make the shortcut a convolution: option B",
            )
        return pad(x[:, :: self.strides, :: self.strides], [(0, 0), (0, 0), (0, 0), (0, missing)])


def _stages(
    depth: int, classes: int, width: int, around: Callable[[Sequential, int, int], Layer], name: str
) -> Sequential:
    """Three stages of equal depth. around: what a block becomes, by its filters and strides."""
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise DeclarationError(
            "networks for small images have 6 n + 2 layers",
            at=str(user_location()),
            expected="8, 14, 20, 26, 32, ...",
            got=repr(depth),
        )
    layers: list[Layer] = [*normalised_conv(width, 3), Activation("relu")]
    for stage in range(3):
        for number in range(depth // 6):
            filters, strides = width * 2**stage, 2 if stage and not number else 1
            inner = Sequential(
                [*normalised_conv(filters, 3, strides), Activation("relu"), *normalised_conv(filters, 3)], "block"
            )
            block = around(inner, filters, strides)
            layers.append(Sequential([block, Activation("relu")], f"stage{stage + 1}_block{number + 1}"))
    return Sequential([*layers, GlobalAvgPool(), Dense(classes, kernel_initializer="he_normal")], name)
