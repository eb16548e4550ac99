"""LeNet-1 and LeNet-5, as they are taught today and as they were published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.activations import ActivationLike
from graphc.frontend.convolution import convolution
from graphc.frontend.elementwise import tanh
from graphc.frontend.initializers import Uniform
from graphc.frontend.layers.basic import Activation, Dense, Flatten, Sequential, channels_of, float_input, only_input
from graphc.frontend.layers.convolution import Conv2d
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.pooling import AvgPool2d
from graphc.frontend.pooling import avg_pool
from graphc.frontend.state import Parameter, constant
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["RadialBasis", "Subsampling", "TableConv2d", "lenet1", "lenet5"]

_LENET1_TABLE = ((0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1), (2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3))
_LENET5_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


def lenet1(classes: int = 10, original: bool = False, name: str | None = "lenet1") -> Sequential:
    """Two convolutions of 5 x 5, each averaged two by two, and one dense layer: images [batch, 28, 28, 1].

    Result: scores, [batch, classes]. original: averages with weights and biases (``Subsampling``), the scaled tanh
    1.7159 tanh(2 x / 3), and a second convolution in which each filter sees one or two channels (``TableConv2d``).
    Parameters: 3,246; original 2,578, as published. Other sizes of images make another dense layer.

    Source: Y. LeCun and others, "Handwritten digit recognition with a back-propagation network", NeurIPS 1989.

    >>> import graphc as gc
    >>> network = gc.models.lenet1(original=True)
    >>> network(gc.input("image", ("batch", 28, 28, 1)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    2578
    """
    squash = _squash(original)
    second: Layer = TableConv2d(_LENET1_TABLE, 5, squash) if original else Conv2d(12, 5, activation=squash)
    return Sequential(
        [
            Conv2d(4, 5, activation=squash),
            _halved(original),
            second,
            _halved(original),
            Flatten(),
            Dense(classes),
        ],
        name,
    )


def lenet5(
    classes: int = 10, original: bool = False, codes: object | None = None, name: str | None = "lenet5"
) -> Sequential:
    """Two convolutions of 5 x 5, each averaged two by two, and three dense layers: images [batch, 28, 28, 1].

    Result: scores, [batch, classes]. original: averages with weights and biases (``Subsampling``), the scaled tanh
    1.7159 tanh(2 x / 3), and a second convolution in which filters see three, four or six channels (``TableConv2d``).
    codes: in place of the last dense layer, scores are negative squared distances to these [classes, 84] fixed codes
    (``RadialBasis``); the paper drew its codes as characters of 7 x 12 pixels. Parameters: 61,706; 60,850 original;
    60,000 original with codes, as published. Other sizes of images make another first dense layer.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86, 1998.

    >>> import graphc as gc
    >>> network = gc.models.lenet5()
    >>> network(gc.input("image", ("batch", 28, 28, 1)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    61706
    """
    squash = _squash(original)
    second: Layer = TableConv2d(_LENET5_TABLE, 5, squash) if original else Conv2d(16, 5, activation=squash)
    return Sequential(
        [
            Conv2d(6, 5, padding="same", activation=squash),
            _halved(original),
            second,
            _halved(original),
            Flatten(),
            Dense(120, squash),
            Dense(84, squash),
            Dense(classes) if codes is None else RadialBasis(codes),
        ],
        name,
    )


def _squash(original: bool) -> ActivationLike:
    return (lambda x: 1.7159 * tanh(x * (2 / 3))) if original else "tanh"


def _halved(original: bool) -> Layer:
    return Sequential([Subsampling(2), Activation(_squash(True))], "subsampled") if original else AvgPool2d(2)


class Subsampling(Layer):
    """The mean of each window of an image, times a weight and plus a bias of the channel.

    Input: float [batch, height, width, channels]. window: also the strides. Output: [batch, height // window, width //
    window, channels]. Parameters: weight (ones) and bias (zeros), [channels].

    Source: as ``lenet5``.

    >>> import graphc as gc
    >>> layer = gc.models.Subsampling(2)
    >>> layer(gc.input("image", ("batch", 28, 28, 6)))
    <Tensor f32[batch, 14, 14, 6]>
    >>> layer.parameter_count
    12
    """

    weight: Parameter
    bias: Parameter

    def __init__(self, window: int = 2, name: str | None = None) -> None:
        super().__init__(name)
        self.window = window

    def build(self, *inputs: Tensor) -> None:
        """Declare weight and bias; ShapeError, DTypeError for inputs that are no images of floats."""
        x = float_input(self, inputs, "[batch, height, width, channels]", rank=4)
        self.weight = self.parameter("weight", x.shape[-1:], "ones", x.dtype)
        self.bias = self.parameter("bias", x.shape[-1:], "zeros", x.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare mean * weight + bias."""
        return avg_pool(only_input(self, inputs), self.window) * self.weight + self.bias


class TableConv2d(Layer):
    """A convolution of images in which each filter sees channels of its own; the other weights do not exist.

    Input: float [batch, height, width, channels]. table: for each filter the channels it sees. Output: [batch,
    *positions, filters]. Parameters: weight, [kernel_size, kernel_size, connections], in the table's order, and bias,
    [filters]; weights start uniform by the rule of Glorot with the mean fans of a filter and a channel. Raises
    ShapeError for a channel that the input does not have.

    Source: as ``lenet5``, table I.

    >>> import graphc as gc
    >>> layer = gc.models.TableConv2d([(0, 1), (2,)], kernel_size=5)
    >>> layer(gc.input("image", ("batch", 14, 14, 3)))
    <Tensor f32[batch, 10, 10, 2]>
    >>> layer.parameter_count
    77
    """

    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        table: Sequence[Sequence[int]],
        kernel_size: int,
        activation: ActivationLike = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.table = tuple(map(tuple, table))
        self.kernel_size = kernel_size
        self.squash = Activation(activation, "activation")

    def build(self, *inputs: Tensor) -> None:
        """Declare weight and bias; ShapeError, DTypeError for inputs that the table does not fit."""
        x = float_input(self, inputs, "[batch, height, width, channels]", rank=4)
        seen = [channel for channels in self.table for channel in channels]
        if not seen or min(seen) < 0 or max(seen) >= channels_of(x):
            raise ShapeError(
                f"TableConv2d {self.name!r}: the table does not fit the channels",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"channels from 0 to {channels_of(x) - 1}",
                got=f"channels {seen}",
            )
        window = self.kernel_size
        fans = window * window * len(seen) * (1 / len(self.table) + 1 / channels_of(x))
        bound = (6 / fans) ** 0.5
        self.weight = self.parameter("weight", (window, window, len(seen)), Uniform(-bound, bound), x.dtype)
        self.bias = self.parameter("bias", (len(self.table),), "zeros", x.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare a convolution whose kernel has the weights at their places, and zeros elsewhere."""
        x = only_input(self, inputs)
        channels, filters = channels_of(x), len(self.table)
        pairs = [(channel, number) for number, seen in enumerate(self.table) for channel in seen]
        places = np.zeros((len(pairs), channels, filters))
        for connection, (channel, number) in enumerate(pairs):
            places[connection, channel, number] = 1
        spread = self.weight @ constant(places.reshape(len(pairs), -1), x.dtype)
        kernel = spread.reshape((self.kernel_size, self.kernel_size, channels, filters))
        return self.squash(convolution(x, kernel) + self.bias)


class RadialBasis(Layer):
    """Scores that are negative squared distances to fixed codes: [batch, features] to [batch, classes].

    codes: an array [classes, features]. ``gc.losses.softmax_cross_entropy`` of the scores is the paper's second
    criterion without its constant. No parameters. Raises DeclarationError for codes that are no matrix, ShapeError for
    inputs of another width.

    Source: as ``lenet5``, section II.B.

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.RadialBasis([[1.0, 1.0], [-1.0, 1.0]])(gc.constant([[1.0, 0.0]])))
    array([[-1., -5.]], dtype=float32)
    """

    def __init__(self, codes: object, name: str | None = None) -> None:
        super().__init__(name)
        self.codes: Array = np.array(codes, np.float64)
        if self.codes.ndim != 2:
            raise DeclarationError(
                "codes are a matrix",
                at=str(user_location()),
                expected="[classes, features]",
                got=str(list(self.codes.shape)),
            )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the distances."""
        features = self.codes.shape[1]
        x = float_input(self, inputs, f"[batch, {features}]", rank=2)
        if x.shape[1] != features:
            raise ShapeError(
                f"RadialBasis {self.name!r}: the codes have another width than the input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, {features}]",
                got=str(x.type),
            )
        apart = x[:, None] - constant(self.codes, x.dtype)
        return -(apart * apart).sum(-1)
