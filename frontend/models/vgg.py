"""VGG: stacks of 3 x 3 convolutions, halved five times, and three dense layers."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.frontend.layers.basic import Dense, Flatten, Sequential
from graphc.frontend.layers.convolution import Conv2d
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.noise import Dropout
from graphc.frontend.layers.pooling import MaxPool2d

__all__ = ["vgg16", "vgg19"]

FILTERS = (64, 128, 256, 512, 512)


def vgg16(
    classes: int = 1000, filters: Sequence[int] = FILTERS, units: int = 4096, name: str | None = "vgg16"
) -> Sequential:
    """Configuration D of the paper: images [batch, 224, 224, 3] to scores [batch, classes].

    filters: of the five stacks of 2, 2, 3, 3, 3 convolutions. units: of the two dense layers between. Other sizes of
    images from 32 x 32 on make other first dense layers. Weights start normal with variance 2 / fan_in, in place of the
    paper's start from a shallower network. Parameters: 138,357,544. Raises ShapeError for smaller images.

    Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.

    >>> import graphc as gc
    >>> network = gc.models.vgg16()
    >>> network(gc.input("image", ("batch", 224, 224, 3)))
    <Tensor f32[batch, 1000]>
    >>> network.parameter_count
    138357544
    """
    return _vgg((2, 2, 3, 3, 3), classes, filters, units, name)


def vgg19(
    classes: int = 1000, filters: Sequence[int] = FILTERS, units: int = 4096, name: str | None = "vgg19"
) -> Sequential:
    """Configuration E of the paper, with stacks of 2, 2, 4, 4, 4 convolutions; otherwise as ``vgg16``.

    Parameters: 143,667,240.

    Source: as ``vgg16``.

    >>> import graphc as gc
    >>> network = gc.models.vgg19(classes=10, filters=(4, 4, 8, 8, 8), units=16)
    >>> network(gc.input("image", ("batch", 32, 32, 3)))
    <Tensor f32[batch, 10]>
    """
    return _vgg((2, 2, 4, 4, 4), classes, filters, units, name)


def _vgg(depths: Sequence[int], classes: int, filters: Sequence[int], units: int, name: str | None) -> Sequential:
    layers: list[Layer] = []
    for depth, width in zip(depths, filters, strict=True):
        layers += [Conv2d(width, 3, padding=1, activation="relu", kernel_initializer="he_normal") for _ in range(depth)]
        layers.append(MaxPool2d(2))
    layers.append(Flatten())
    for _ in range(2):
        layers += [Dense(units, "relu", kernel_initializer="he_normal"), Dropout(0.5)]
    return Sequential([*layers, Dense(classes)], name)
