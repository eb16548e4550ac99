"""Layers that are random while training and do nothing, or little, in inference."""

from __future__ import annotations

from math import sqrt

from graphc.dims import Shape
from graphc.errors import DeclarationError
from graphc.frontend import elementwise, sampling
from graphc.frontend.layers.basic import float_input, only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.tensor import Tensor
from graphc.origin import user_location

__all__ = ["Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout"]


class _Rate(Layer):
    def __init__(self, rate: float, name: str | None) -> None:
        super().__init__(name)
        if not 0 <= rate < 1:
            raise DeclarationError(
                "the rate of dropout is a probability below 1",
                at=str(user_location()),
                expected="0 <= rate < 1",
                got=repr(rate),
            )
        self.rate = rate


class Dropout(_Rate):
    """Inverted dropout: while training, each element is 0 with probability ``rate`` and divided by 1 - rate otherwise.

    The mask depends on the seed, the step, the layer's name and the element alone; in inference nothing happens.
    inverted: False leaves kept elements as they are while training, and multiplies all by 1 - rate in inference, which
    is how the paper has it. ``rate`` is the probability to drop; texts that write p for the probability to keep mean
    ``Dropout(1 - p)``.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    >>> import graphc as gc
    >>> gc.layers.Dropout(0.5)(gc.input("x", shape=("batch", 3)))
    <Tensor f32[batch, 3]>
    >>> x = gc.input("x", shape=("batch",))
    >>> gc.function([x], gc.layers.Dropout(0.25, inverted=False)(x))([4.0, 8.0])
    array([3., 6.], dtype=float32)
    """

    def __init__(self, rate: float, name: str | None = None, inverted: bool = True) -> None:
        super().__init__(rate, name)
        self.inverted = inverted

    def mask_shape(self, x: Tensor) -> Shape:
        """The shape of the mask, which is repeated along axes of size 1."""
        return x.shape

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the training and the inference side."""
        x = only_input(self, inputs)
        if self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = sampling.bernoulli(self.mask_shape(x), keep, name="mask")
        if self.inverted:
            return elementwise.training_switch(mask.where(x * (1 / keep), 0.0), x)
        return elementwise.training_switch(mask.where(x, 0.0), x * keep)


class SpatialDropout(Dropout):
    """Dropout of whole channels of each sample: one choice for all positions of [batch, *spatial, channels].

    Arguments as for Dropout.

    Source: J. Tompson and others, "Efficient object localization using convolutional networks", CVPR 2015.

    >>> import graphc as gc
    >>> gc.layers.SpatialDropout(0.5)(gc.input("image", shape=("batch", 8, 8, 3)))
    <Tensor f32[batch, 8, 8, 3]>
    """

    def mask_shape(self, x: Tensor) -> Shape:
        """One element for each channel of each sample."""
        return (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1])

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the training and the inference side; ShapeError for an input without channels."""
        return super().call(float_input(self, inputs, "[batch, *spatial, channels]", fixed=(-1,)))


class GaussianNoise(Layer):
    """While training, x plus normal noise of a standard deviation; in inference x.

    Source: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7, 1995.

    >>> import graphc as gc
    >>> gc.layers.GaussianNoise(0.1)(gc.input("x", shape=("batch", 3)))
    <Tensor f32[batch, 3]>
    """

    def __init__(self, standard_deviation: float, name: str | None = None) -> None:
        super().__init__(name)
        if not standard_deviation >= 0:
            raise DeclarationError(
                "a standard deviation is at least 0",
                at=str(user_location()),
                expected="a number of at least 0",
                got=repr(standard_deviation),
            )
        self.standard_deviation = standard_deviation

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the training and the inference side."""
        x = float_input(self, inputs, "any shape", fixed=())
        if self.standard_deviation == 0:
            return x
        noise = sampling.normal(x.shape, 0.0, self.standard_deviation, x.dtype, name="noise")
        return elementwise.training_switch(x + noise, x)


class GaussianDropout(_Rate):
    """While training, x times normal numbers of mean 1 and standard deviation sqrt(rate / (1 - rate)); in inference x.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014, 10.

    >>> import graphc as gc
    >>> gc.layers.GaussianDropout(0.5)(gc.input("x", shape=("batch", 3)))
    <Tensor f32[batch, 3]>
    """

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(rate, name)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the training and the inference side."""
        x = float_input(self, inputs, "any shape", fixed=())
        if self.rate == 0:
            return x
        factor = sampling.normal(x.shape, 1.0, sqrt(self.rate / (1 - self.rate)), x.dtype, name="factor")
        return elementwise.training_switch(x * factor, x)
