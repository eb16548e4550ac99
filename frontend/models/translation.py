"""Networks from images to images: pix2pix and CycleGAN."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.frontend.elementwise import leaky_relu, relu, tanh
from graphc.frontend.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm,
    Layer,
    ReflectionPad,
    Residual,
    Sequential,
)
from graphc.frontend.layers.basic import float_input
from graphc.frontend.settings import check_choice, check_count
from graphc.frontend.shaping import concatenate
from graphc.frontend.tensor import Tensor

__all__ = ["CycleGenerator", "PatchDiscriminator", "UNetGenerator"]


def _leaky() -> Activation:
    return Activation(lambda x: leaky_relu(x, 0.2), name="leaky_relu")


class UNetGenerator(Layer):
    """The generator of pix2pix: down by strided convolutions of 4 x 4, up again, each level joined to its mirror.

    Input: float [batch, height, width, channels], sides multiples of 2**depth. Output: [batch, height, width, outputs]
    in (-1, 1). width: filters of the first level, doubled at each up to 8 times (the paper: width 64, depth 8 for 256 x
    256). Only the last layer has a bias. dropout: after the first three levels up; the paper keeps it in use as its
    noise, here it is off in inference.

    Source: P. Isola, J.-Y. Zhu, T. Zhou, A. Efros, "Image-to-image translation with conditional adversarial networks",
    CVPR 2017.

    >>> import graphc as gc
    >>> gc.models.UNetGenerator(outputs=3, width=4, depth=3)(gc.input("image", ("batch", 16, 16, 1)))
    <Tensor f32[batch, 16, 16, 3]>
    """

    def __init__(
        self, outputs: int = 3, width: int = 64, depth: int = 8, dropout: float = 0.5, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_count("depth", depth)
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.downs = [self._down(filters, level, depth) for level, filters in enumerate(widths)]
        self.ups = [
            self._up(filters, level, dropout if depth - 2 - level < 3 else 0.0)
            for level, filters in reversed(list(enumerate(widths[:-1])))
        ]
        self.output = ConvTranspose2d(outputs, 4, 2, "same")

    @staticmethod
    def _down(filters: int, level: int, depth: int) -> Sequential:
        """Half the size; no normalisation at the first level, nor where a single pixel may be left."""
        normed = 0 < level < depth - 1
        convolution = Conv2d(filters, 4, 2, "same", use_bias=False, kernel_initializer="he_normal")
        before: list[Layer] = [_leaky()] if level else []
        return Sequential([*before, convolution, *([BatchNorm()] if normed else [])], f"down{level}")

    @staticmethod
    def _up(filters: int, level: int, dropout: float) -> Sequential:
        convolution = ConvTranspose2d(filters, 4, 2, "same", use_bias=False, kernel_initializer="he_normal")
        after: list[Layer] = [Dropout(dropout)] if dropout else []
        return Sequential([Activation("relu"), convolution, BatchNorm(), *after], f"up{level}")

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the image."""
        x = float_input(self, inputs, "[batch, height, width, channels]", 4, (1, 2, 3))
        levels = []
        for down in self.downs:
            x = down(x)
            levels.append(x)
        for up, mirror in zip(self.ups, levels[-2::-1], strict=True):
            x = concatenate([up(x), mirror], axis=-1)
        return tanh(self.output(relu(x)))


class PatchDiscriminator(Layer):
    """The discriminator of pix2pix and CycleGAN: one logit for each patch of an image, no dense layer.

    Input: one or two images [batch, height, width, channels], which are joined (a condition and its image). Output:
    logits [batch, rows, columns, 1]. depth: of strided convolutions; with 3, as in the papers, a logit sees 70 x 70
    pixels. width: filters of the first one, doubled at each up to 8 times. norm: "batch" or "instance" (CycleGAN).

    Source: as ``UNetGenerator``.

    >>> import graphc as gc
    >>> sketch, photo = gc.input("sketch", ("batch", 32, 32, 1)), gc.input("photo", ("batch", 32, 32, 3))
    >>> gc.models.PatchDiscriminator(width=4, depth=2)(sketch, photo)
    <Tensor f32[batch, 6, 6, 1]>
    """

    def __init__(self, width: int = 64, depth: int = 3, norm: str = "batch", name: str | None = None) -> None:
        super().__init__(name)
        check_choice("norm of PatchDiscriminator", norm, ["batch", "instance"])
        layers: list[Layer] = []
        for level in range(depth + 1):
            strides = 2 if level < depth else 1
            layers.append(
                Conv2d(width * min(2**level, 8), 4, strides, 1, use_bias=not level, kernel_initializer="he_normal")
            )
            if level:
                layers.append(BatchNorm() if norm == "batch" else InstanceNorm())
            layers.append(_leaky())
        self.layers = Sequential([*layers, Conv2d(1, 4, 1, 1)])

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the logits."""
        return self.layers(concatenate(inputs, axis=-1))


class CycleGenerator(Layer):
    """The generator of CycleGAN: two strides down, residual blocks, two up, with reflections at the borders.

    Input: float [batch, height, width, channels], sides multiples of 4 and at least 16. Output: [batch, height, width,
    outputs] in (-1, 1). width: filters of the first convolution (64 in the paper). blocks: 6 for images of 128, 9 for
    256 and more. Instance normalisation throughout.

    Source: J.-Y. Zhu, T. Park, P. Isola, A. Efros, "Unpaired image-to-image translation using cycle-consistent
    adversarial networks", ICCV 2017; J. Johnson and others, "Perceptual losses for real-time style transfer", 2016.

    >>> import graphc as gc
    >>> gc.models.CycleGenerator(outputs=3, width=4, blocks=1)(gc.input("photo", ("batch", 16, 16, 3)))
    <Tensor f32[batch, 16, 16, 3]>
    """

    def __init__(self, outputs: int = 3, width: int = 64, blocks: int = 9, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = Sequential(
            [
                *_padded(width, 7),
                *_normed(Conv2d(2 * width, 3, 2, "same", use_bias=False)),
                *_normed(Conv2d(4 * width, 3, 2, "same", use_bias=False)),
                *(
                    Residual(Sequential([*_padded(4 * width, 3), *_padded(4 * width, 3)[:-1]], "convolutions"))
                    for _ in range(blocks)
                ),
                *_normed(ConvTranspose2d(2 * width, 3, 2, "same", use_bias=False)),
                *_normed(ConvTranspose2d(width, 3, 2, "same", use_bias=False)),
                ReflectionPad(3),
                Conv2d(outputs, 7, activation="tanh"),
            ]
        )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the image."""
        return self.layers(float_input(self, inputs, "[batch, height, width, channels]", 4, (1, 2, 3)))


def _normed(convolution: Layer) -> Sequence[Layer]:
    return [convolution, InstanceNorm(), Activation("relu")]


def _padded(filters: int, size: int) -> Sequence[Layer]:
    """A convolution that keeps the size, of an image that goes on mirrored."""
    return [ReflectionPad(size // 2), *_normed(Conv2d(filters, size, use_bias=False))]
