"""Classifiers that slide over larger images: OverFeat, whose dense layers become convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.convolution import convolution
from graphc.frontend.layers import Conv2d, Dense, Flatten, MaxPool2d, Sequential
from graphc.frontend.layers.basic import channels_of
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["overfeat", "sliding_window"]


def overfeat(
    classes: int, widths: Sequence[int] = (96, 256, 512, 512, 1024), hidden: Sequence[int] = (3072, 4096)
) -> Sequential:
    """The "fast" network of OverFeat: five convolutions, three poolings, three dense layers.

    Input: float [batch, 231, 231, channels] for the paper's size; smaller sides of 64 or more also work. Output:
    logits [batch, classes]. widths: filters of the convolutions. hidden: units of the first two dense layers. See
    ``sliding_window`` for larger images.

    Source: P. Sermanet and others, "OverFeat: integrated recognition, localization and detection using convolutional
    networks", ICLR 2014.

    >>> import graphc as gc
    >>> net = gc.models.overfeat(10, widths=(4, 4, 8, 8, 8), hidden=(16, 16))
    >>> net(gc.input("image", ("batch", 231, 231, 3)))
    <Tensor f32[batch, 10]>
    """
    first, second, *others = widths
    return Sequential(
        [
            Conv2d(first, 11, 4, activation="relu", kernel_initializer="he_normal"),
            MaxPool2d(2),
            Conv2d(second, 5, activation="relu", kernel_initializer="he_normal"),
            MaxPool2d(2),
            *(Conv2d(width, 3, padding="same", activation="relu", kernel_initializer="he_normal") for width in others),
            MaxPool2d(2, padding="same"),
            Flatten(),
            *(Dense(units, activation="relu", kernel_initializer="he_normal") for units in hidden),
            Dense(classes),
        ],
        name="overfeat",
    )


def sliding_window(classifier: Sequential, image: Tensor, window: tuple[int, int] | None = None) -> Tensor:
    """The scores of a classifier at all places of a larger image, with the work of overlapping windows done once.

    classifier: convolutions and poolings, then Flatten and dense layers, built by a call on images of its own size.
    image: float [batch, height, width, channels], at least of that size. window: height and width of the features that
    Flatten gets there; not needed where they are equal. The first dense layer becomes a convolution of that size with
    the same weights, the others convolutions of 1 x 1. Result: [batch, rows, columns, classes]; with unpadded
    convolutions the score at (i, j) is the classifier's on the crop that begins at (i, j) times all strides.

    Raises DeclarationError for a classifier of another form, ShapeError for a window that its weights do not have.

    Source: P. Sermanet and others, "OverFeat", ICLR 2014; J. Long and others, "Fully convolutional networks", 2015.

    >>> import graphc as gc
    >>> layers = gc.layers
    >>> net = layers.Sequential([layers.Conv2d(4, 3), layers.MaxPool2d(2), layers.Flatten(), layers.Dense(10)])
    >>> net(gc.input("crop", ("batch", 8, 8, 1)))
    <Tensor f32[batch, 10]>
    >>> gc.models.sliding_window(net, gc.input("image", ("batch", 12, 16, 1)))
    <Tensor f32[batch, 3, 5, 10]>
    """
    _ = classifier.parameters  # which says so if there are none yet
    kinds = [type(layer) for layer in classifier.layers]
    place = kinds.index(Flatten) if Flatten in kinds else len(kinds)
    if Dense in kinds[:place] or Dense not in kinds[place:] or kinds.count(Flatten) > 1:
        raise DeclarationError(
            f"{classifier.name!r} is no classifier that can slide",
            at=str(user_location()),
            expected="a Sequential of convolutions and poolings, one Flatten, and dense layers",
            got=", ".join(kind.__name__ for kind in kinds),
        )
    x = image
    for layer in classifier.layers[:place]:
        x = layer(x)
    waiting = True
    for layer in classifier.layers[place + 1 :]:
        if waiting and isinstance(layer, Dense):
            x, waiting = _as_convolution(layer, x, window), False
        else:
            x = layer(x)
    return x


def _as_convolution(dense: Dense, x: Tensor, window: tuple[int, int] | None) -> Tensor:
    """What a dense layer on flattened features gives at all places of larger ones."""
    channels, (rows, units) = channels_of(x), dense.weight.shape
    assert isinstance(rows, int)
    side = int((rows / channels) ** 0.5)
    height, width = (side, side) if window is None else window
    if height * width * channels != rows:
        raise ShapeError(
            f"the weights of {dense.name!r} are none of a window of {height} x {width}",
            at=str(user_location()),
            facts=[("weights", describe(dense.weight.node)), ("features", describe(x.node))],
            expected=f"height * width * {channels} = {rows}",
            got=f"{height} * {width} * {channels} = {height * width * channels}",
            way_out="give window=(height, width) of the features that Flatten gets in the classifier's own size",
        )
    scores = convolution(x, dense.weight.reshape((height, width, channels, units)))
    return dense.activation(scores + dense.bias if dense.use_bias else scores)
