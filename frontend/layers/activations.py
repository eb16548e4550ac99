"""Activations that are layers of their own, since they learn or change the number of channels."""

from __future__ import annotations

from graphc.frontend.activations import maxout, prelu
from graphc.frontend.initializers import Initializer
from graphc.frontend.layers.basic import float_input, only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor

__all__ = ["Maxout", "PReLU"]


class PReLU(Layer):
    """The value x above 0 and slope * x at or below it, with a learned slope; see ``gc.activations.prelu``.

    Input: float [..., channels]. Parameter: slope, [channels], or [1] if ``shared``; it starts at 0.25 as in the paper
    and in PyTorch (Keras: zeros).

    Source: K. He and others, "Delving deep into rectifiers", ICCV 2015.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.PReLU()(gc.constant([[-4.0, 4.0]])))
    array([[-1.,  4.]], dtype=float32)
    """

    slope: Parameter

    def __init__(
        self, shared: bool = False, initializer: Initializer | str | float = 0.25, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.shared, self.initializer = shared, initializer

    def build(self, *inputs: Tensor) -> None:
        """Declare the slope; ShapeError, DTypeError for inputs that are no floats with a fixed number of channels."""
        x = float_input(self, inputs, "[..., channels] with an integer")
        self.slope = self.parameter("slope", (1,) if self.shared else x.shape[-1:], self.initializer, x.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the two lines."""
        return prelu(only_input(self, inputs), self.slope)


class Maxout(Layer):
    """The largest of each group of neighbouring channels, [..., channels] to [..., channels / pieces].

    After a Dense or convolution layer without activation it learns any convex function; see ``gc.activations.maxout``.

    Source: I. Goodfellow and others, "Maxout networks", ICML 2013.

    >>> import graphc as gc
    >>> gc.layers.Maxout(4)(gc.input("x", shape=("batch", 64)))
    <Tensor f32[batch, 16]>
    """

    def __init__(self, pieces: int = 2, name: str | None = None) -> None:
        super().__init__(name)
        self.pieces = pieces

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the largest elements."""
        return maxout(only_input(self, inputs), self.pieces)
