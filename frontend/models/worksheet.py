"""The convolutional network of the worksheet that follows Keras's example for MNIST."""

from __future__ import annotations

from graphc.frontend.layers.basic import Dense, Flatten, Sequential
from graphc.frontend.layers.convolution import Conv2d
from graphc.frontend.layers.noise import Dropout
from graphc.frontend.layers.pooling import MaxPool2d

__all__ = ["worksheet_cnn"]


def worksheet_cnn(
    classes: int = 10,
    filters: tuple[int, int] = (16, 32),
    units: int = 128,
    name: str | None = "worksheet_cnn",
) -> Sequential:
    """Two convolutions of 3 x 3, one pooling, two dense layers, dropout: images [batch, height, width, channels].

    Result: scores, [batch, classes]; the worksheet's softmax is part of ``gc.losses.softmax_cross_entropy``.
    Parameters: 596,042 for images of 28 x 28 x 1. Raises ShapeError for images below 6 x 6.

    Source: the example mnist_cnn of Keras (F. Chollet and others, 2015), with half its filters.

    >>> import graphc as gc
    >>> network = gc.models.worksheet_cnn()
    >>> network(gc.input("image", ("batch", 28, 28, 1)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    596042
    """
    return Sequential(
        [
            Conv2d(filters[0], 3, activation="relu"),
            Conv2d(filters[1], 3, activation="relu"),
            MaxPool2d(2),
            Dropout(0.25),
            Flatten(),
            Dense(units, activation="relu"),
            Dropout(0.5),
            Dense(classes),
        ],
        name,
    )
