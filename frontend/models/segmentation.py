"""Networks that give every pixel a class: FCN and DeepLab."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.errors import ShapeError
from graphc.frontend.elementwise import relu
from graphc.frontend.initializers import Constant
from graphc.frontend.layers import BatchNorm, Conv2d, ConvTranspose2d, Layer, MaxPool2d, Sequential
from graphc.frontend.layers.basic import float_input, only_input
from graphc.frontend.resizing import resize
from graphc.frontend.settings import check_choice
from graphc.frontend.shaping import broadcast_to, concatenate
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["ASPP", "FCN", "DeepLab", "bilinear_kernel"]

_STRIDES = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}


def bilinear_kernel(factor: int, channels: int) -> Array:
    """The kernel with which a transposed convolution of stride ``factor`` interpolates linearly.

    Result: float32 [2 f - f % 2, 2 f - f % 2, channels, channels], each channel for itself.

    Source: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.

    >>> bilinear_kernel(2, 1)[..., 0, 0][0].tolist()
    [0.0625, 0.1875, 0.1875, 0.0625]
    """
    size = 2 * factor - factor % 2
    centre = (size - 1) / 2
    line = 1 - np.abs(np.arange(size) - centre) / factor
    return (np.outer(line, line)[..., None, None] * np.eye(channels)).astype(np.float32)


def _upsampling(classes: int, factor: int, name: str) -> ConvTranspose2d:
    """A learned enlargement that begins as a bilinear one."""
    kernel = bilinear_kernel(factor, classes)
    return ConvTranspose2d(
        classes, len(kernel), factor, "same", use_bias=False, kernel_initializer=Constant(kernel), name=name
    )


def _images(layer: Layer, inputs: Sequence[Tensor], divisor: int) -> Tensor:
    """The only input, images whose sides are multiples of a number; ShapeError, DTypeError for others."""
    layout = f"[batch, height, width, channels], both sides multiples of {divisor}"
    x = float_input(layer, inputs, layout, 4, (1, 2, 3))
    if any(isinstance(size, int) and size % divisor for size in x.shape[1:3]):
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r} does not fit this input",
            at=str(user_location()),
            facts=[("input", describe(x.node))],
            expected=layout,
            got=str(x.type),
            way_out="resize the images with gc.resize, or pad them with gc.zero_pad",
        )
    return x


class FCN(Layer):
    """A fully convolutional network on a small VGG: scores of each pixel, from three depths.

    Input: float [batch, height, width, channels], sides multiples of 32. Output: logits [batch, height, width,
    classes], for ``losses.softmax_cross_entropy(logits, labels, ignore_index=255)``. form: "fcn32s" enlarges the
    scores of the fifth pooling 32 times; "fcn16s" adds scores of the fourth, "fcn8s" also of the third, on the way.
    widths: channels of the five stages (the paper's VGG-16 has 64 to 512). hidden: channels of the two layers that
    were dense. Scores start at zero and enlargements bilinear, as in the paper; where that pads by 100 pixels and
    crops, all convolutions here are "same".

    Source: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.

    >>> import graphc as gc
    >>> gc.models.FCN(classes=3, widths=(4, 4, 8, 8, 8), hidden=16)(gc.input("image", ("batch", 32, 64, 3)))
    <Tensor f32[batch, 32, 64, 3]>
    """

    def __init__(
        self,
        classes: int,
        form: str = "fcn8s",
        widths: Sequence[int] = (16, 32, 64, 64, 64),
        hidden: int = 128,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        check_choice("form of FCN", form, list(_STRIDES))
        self.stride = _STRIDES[form]
        self.stages = [
            Sequential(
                [
                    Conv2d(width, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
                    Conv2d(width, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
                    MaxPool2d(2),
                ],
                name=f"stage{number}",
            )
            for number, width in enumerate(widths, start=1)
        ]
        self.hidden = Sequential(
            [
                Conv2d(hidden, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
                Conv2d(hidden, 1, activation="relu", kernel_initializer="he_normal"),
            ]
        )
        skips = {32: [5], 16: [5, 4], 8: [5, 4, 3]}[self.stride]
        self.scores = [Conv2d(classes, 1, kernel_initializer="zeros", name=f"score{number}") for number in skips]
        self.doublings = [_upsampling(classes, 2, f"double{number}") for number in skips[1:]]
        self.enlarge = _upsampling(classes, self.stride, "enlarge")

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the scores."""
        x = _images(self, inputs, 32)
        depths = [x]
        for stage in self.stages:
            depths.append(stage(depths[-1]))
        first, *others = self.scores
        scores = first(self.hidden(depths[5]))
        for number, (score, double) in enumerate(zip(others, self.doublings, strict=True), start=1):
            scores = double(scores) + score(depths[5 - number])
        return self.enlarge(scores)


class _Unit(Layer):
    """A convolution without bias, batch normalisation, relu."""

    def __init__(self, filters: int, size: int, strides: int = 1, dilation: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.convolution = Conv2d(
            filters, size, strides, "same", dilation, use_bias=False, kernel_initializer="he_normal"
        )
        self.norm = BatchNorm()

    def call(self, *inputs: Tensor) -> Tensor:
        return relu(self.norm(self.convolution(only_input(self, inputs))))


class ASPP(Layer):
    """Atrous spatial pyramid pooling: one view of 1 x 1, views of 3 x 3 at several rates, and the mean of the image.

    Input: float [batch, height, width, channels]. Output: [batch, height, width, filters]. rates: dilations.

    Source: L.-C. Chen, G. Papandreou, F. Schroff, H. Adam, "Rethinking atrous convolution for semantic image
    segmentation", 2017.

    >>> import graphc as gc
    >>> gc.models.ASPP(16, rates=(2, 4))(gc.input("x", ("batch", 8, 8, 12)))
    <Tensor f32[batch, 8, 8, 16]>
    """

    def __init__(self, filters: int, rates: Sequence[int] = (6, 12, 18), name: str | None = None) -> None:
        super().__init__(name)
        self.views = [
            _Unit(filters, 1, name="point"),
            *(_Unit(filters, 3, dilation=rate, name=f"rate{rate}") for rate in rates),
        ]
        self.whole, self.joined = _Unit(filters, 1), _Unit(filters, 1)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the views, joined by a convolution of 1 x 1."""
        x = float_input(self, inputs, "[batch, height, width, channels]", 4, (1, 2, 3))
        views = [view(x) for view in self.views]
        mean = self.whole(x.mean((1, 2), keepdims=True))
        return self.joined(concatenate([*views, broadcast_to(mean, views[0].shape)], axis=-1))


class DeepLab(Layer):
    """DeepLab v3 on a small trunk: a few strides of 2, atrous convolutions in place of more, ASPP, bilinear upsampling.

    Input: float [batch, height, width, channels], sides multiples of 2**len(widths). Output: logits [batch, height,
    width, classes]. widths: channels of the stages that halve the image, three in the paper; two more convolutions at
    the last width have dilations 2 and 4. rates: of ASPP (the paper's (6, 12, 18) suit feature maps of 33 x 33).
    Training goes with ``schedules.polynomial(rate, steps, power=0.9)``, which the paper calls "poly".

    Source: L.-C. Chen and others, "DeepLab", TPAMI 2018 (atrous convolution, ASPP), and "Rethinking atrous convolution
    for semantic image segmentation", 2017 (batch normalisation, the mean of the image).

    >>> import graphc as gc
    >>> gc.models.DeepLab(classes=4, widths=(4, 8, 8), rates=(2, 4))(gc.input("image", ("batch", 32, 32, 1)))
    <Tensor f32[batch, 32, 32, 4]>
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (16, 32, 64),
        rates: Sequence[int] = (6, 12, 18),
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.halving = 2 ** len(widths)
        self.trunk = Sequential(
            [*(_Unit(width, 3, strides=2) for width in widths), *(_Unit(widths[-1], 3, dilation=d) for d in (2, 4))]
        )
        self.pyramid = ASPP(widths[-1], rates)
        self.score = Conv2d(classes, 1)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the scores."""
        x = _images(self, inputs, self.halving)
        return resize(self.score(self.pyramid(self.trunk(x))), scale=float(self.halving))
