"""AlexNet: five convolutions, two of them pooled and normalised by neighbouring channels, and three dense layers."""

from __future__ import annotations

from graphc.frontend.initializers import Initializer, Normal
from graphc.frontend.layers.basic import Dense, Flatten, Sequential
from graphc.frontend.layers.convolution import Conv2d
from graphc.frontend.layers.noise import Dropout
from graphc.frontend.layers.normalization import LocalResponseNorm
from graphc.frontend.layers.pooling import MaxPool2d

__all__ = ["alexnet"]

_SMALL = Normal(0.01)


def alexnet(
    classes: int = 1000,
    filters: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256),
    units: int = 4096,
    initializer: Initializer | str = _SMALL,
    name: str | None = "alexnet",
) -> Sequential:
    """The network of the paper: images [batch, 227, 227, 3] to scores [batch, classes].

    Convolutions 2, 4 and 5 have two groups, as on the two processors of the paper, and pools of 3 x 3 overlap by one
    pixel. Weights and biases start as there: normal of deviation 0.01; ones in convolutions 2, 4, 5 and the two dense
    layers between, zeros elsewhere. filters, units: of the five convolutions and those two dense layers;
    initializer: of the weights, since narrow networks need larger ones. Other sizes of
    images from 67 x 67 on make other first dense layers; the paper says 224, but only 227 gives its 55 x 55 positions.
    Parameters: 60,965,224. Trained there with weight decay 0.0005, momentum 0.9 and rates divided by ten. Raises
    ShapeError for smaller images and for filters that two does not divide.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NeurIPS 2012.

    >>> import graphc as gc
    >>> network = gc.models.alexnet()
    >>> network(gc.input("image", ("batch", 227, 227, 3)))
    <Tensor f32[batch, 1000]>
    >>> network.parameter_count
    60965224
    """
    first, second, third, fourth, fifth = filters
    return Sequential(
        [
            Conv2d(first, 11, strides=4, activation="relu", kernel_initializer=initializer),
            LocalResponseNorm(),
            MaxPool2d(3, strides=2),
            _grouped(second, 5, initializer),
            LocalResponseNorm(),
            MaxPool2d(3, strides=2),
            Conv2d(third, 3, padding=1, activation="relu", kernel_initializer=initializer),
            _grouped(fourth, 3, initializer),
            _grouped(fifth, 3, initializer),
            MaxPool2d(3, strides=2),
            Flatten(),
            Dropout(0.5),
            Dense(units, "relu", kernel_initializer=initializer, bias_initializer="ones"),
            Dropout(0.5),
            Dense(units, "relu", kernel_initializer=initializer, bias_initializer="ones"),
            Dense(classes, kernel_initializer=initializer),
        ],
        name,
    )


def _grouped(filters: int, window: int, initializer: Initializer | str) -> Conv2d:
    return Conv2d(
        filters,
        window,
        padding=window // 2,
        groups=2,
        activation="relu",
        kernel_initializer=initializer,
        bias_initializer="ones",
    )
