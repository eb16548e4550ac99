"""Residual networks for ImageNet: blocks of two or three convolutions around which their input runs."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError
from graphc.frontend.layers.basic import Activation, Dense, Sequential
from graphc.frontend.layers.convolution import Conv2d
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.normalization import BatchNorm
from graphc.frontend.layers.pooling import GlobalAvgPool, MaxPool2d
from graphc.frontend.layers.structure import Residual
from graphc.origin import user_location

__all__ = ["normalised_conv", "resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

FILTERS = (64, 128, 256, 512)


def resnet(
    depths: Sequence[int],
    bottleneck: bool = False,
    classes: int = 1000,
    filters: Sequence[int] = FILTERS,
    name: str | None = "resnet",
    original: bool = False,
) -> Sequential:
    """Stages of residual blocks: images [batch, height, width, 3] to scores [batch, classes].

    depths: blocks of each stage, of as many as ``filters`` has. Blocks are two convolutions of 3 x 3, or with
    ``bottleneck`` 1 x 1, 3 x 3, 1 x 1, the last to four times the filters. Every stage but the first halves the image.
    Where a block halves the image or widens it, a 1 x 1 convolution makes the shortcut (option B of the paper). The
    3 x 3 convolution of a bottleneck takes the strides, as in PyTorch; with ``original`` the first 1 x 1 does, as in
    the paper. Images of any size fit. The running statistics are state and no parameters. Raises DeclarationError
    unless depths and filters are as many.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.

    >>> import graphc as gc
    >>> network = gc.models.resnet((1, 1), bottleneck=True, classes=10, filters=(4, 8))
    >>> network(gc.input("image", ("batch", 32, 32, 3)))
    <Tensor f32[batch, 10]>
    """
    if len(depths) != len(filters):
        raise DeclarationError(
            "every stage has a depth and a number of filters",
            at=str(user_location()),
            expected=f"{len(depths)} numbers of filters",
            got=repr(filters),
        )
    block, expansion = (_bottleneck, 4) if bottleneck else (_basic, 1)
    layers = [*normalised_conv(filters[0], 7, 2), Activation("relu"), MaxPool2d(3, strides=2, padding=1)]
    before = filters[0]
    for stage, (depth, width) in enumerate(zip(depths, filters, strict=True)):
        for number in range(depth):
            strides = 2 if stage and not number else 1
            changes = strides != 1 or before != width * expansion
            shortcut = Sequential(normalised_conv(width * expansion, 1, strides)) if changes else None
            around = Residual(Sequential(block(width, strides, original)), shortcut, "residual")
            layers.append(Sequential([around, Activation("relu")], f"stage{stage + 1}_block{number + 1}"))
            before = width * expansion
    return Sequential([*layers, GlobalAvgPool(), Dense(classes)], name)


def resnet18(classes: int = 1000, filters: Sequence[int] = FILTERS, name: str | None = "resnet18") -> Sequential:
    """18 layers, 11,689,512 parameters: images [batch, height, width, 3], 224 x 224 in the paper; see ``resnet``.

    >>> import graphc as gc
    >>> network = gc.models.resnet18()
    >>> network(gc.input("image", ("batch", 224, 224, 3)))
    <Tensor f32[batch, 1000]>
    >>> network.parameter_count
    11689512
    """
    return resnet((2, 2, 2, 2), False, classes, filters, name)


def resnet34(classes: int = 1000, filters: Sequence[int] = FILTERS, name: str | None = "resnet34") -> Sequential:
    """34 layers, 21,797,672 parameters; otherwise as ``resnet18``.

    >>> import graphc as gc
    >>> gc.models.resnet34(10, filters=(2, 2, 4, 4))(gc.input("image", ("batch", 64, 64, 3)))
    <Tensor f32[batch, 10]>
    """
    return resnet((3, 4, 6, 3), False, classes, filters, name)


def resnet50(classes: int = 1000, filters: Sequence[int] = FILTERS, name: str | None = "resnet50") -> Sequential:
    """50 layers in bottleneck blocks, 25,557,032 parameters; otherwise as ``resnet18``.

    >>> import graphc as gc
    >>> network = gc.models.resnet50()
    >>> network(gc.input("image", ("batch", 224, 224, 3)))
    <Tensor f32[batch, 1000]>
    >>> network.parameter_count
    25557032
    """
    return resnet((3, 4, 6, 3), True, classes, filters, name)


def resnet101(classes: int = 1000, filters: Sequence[int] = FILTERS, name: str | None = "resnet101") -> Sequential:
    """101 layers, 44,549,160 parameters; otherwise as ``resnet50``.

    >>> import graphc as gc
    >>> gc.models.resnet101(10, filters=(1, 1, 2, 2))(gc.input("image", ("batch", 64, 64, 3)))
    <Tensor f32[batch, 10]>
    """
    return resnet((3, 4, 23, 3), True, classes, filters, name)


def resnet152(classes: int = 1000, filters: Sequence[int] = FILTERS, name: str | None = "resnet152") -> Sequential:
    """152 layers, 60,192,808 parameters; otherwise as ``resnet50``.

    >>> import graphc as gc
    >>> gc.models.resnet152(10, filters=(1, 1, 2, 2))(gc.input("image", ("batch", 64, 64, 3)))
    <Tensor f32[batch, 10]>
    """
    return resnet((3, 8, 36, 3), True, classes, filters, name)


def normalised_conv(filters: int, window: int, strides: int = 1) -> list[Layer]:
    """A convolution that keeps the size of the image but for its strides, and batch normalisation in place of bias."""
    padding = window // 2
    return [
        Conv2d(filters, window, strides, padding, use_bias=False, kernel_initializer="he_normal"),
        BatchNorm(),
    ]


def _basic(filters: int, strides: int, original: bool) -> list[Layer]:
    return [*normalised_conv(filters, 3, strides), Activation("relu"), *normalised_conv(filters, 3)]


def _bottleneck(filters: int, strides: int, original: bool) -> list[Layer]:
    first, second = (strides, 1) if original else (1, strides)
    return [
        *normalised_conv(filters, 1, first),
        Activation("relu"),
        *normalised_conv(filters, 3, second),
        Activation("relu"),
        *normalised_conv(4 * filters, 1),
    ]
