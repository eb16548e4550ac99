"""A conditional random field over all pairs of pixels, as mean-field rounds that train with the network below."""

from __future__ import annotations

import numpy as np

from graphc.errors import ShapeError
from graphc.frontend.elementwise import exp
from graphc.frontend.initializers import Constant
from graphc.frontend.layers import Layer
from graphc.frontend.layers.basic import channels_of, float_input
from graphc.frontend.models.inputs import two_inputs
from graphc.frontend.reductions import softmax
from graphc.frontend.scan import scan
from graphc.frontend.settings import check_count, check_positive
from graphc.frontend.state import Parameter, constant
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location
from graphc.scalar import Array

__all__ = ["DenseCRF"]

_LAYOUT = "[batch, height, width, channels] of fixed sizes"


class DenseCRF(Layer):
    """Mean-field inference in a fully connected conditional random field: scores that agree among alike pixels.

        q = softmax(s),   s <- unary - (w1 K1 q + w2 K2 q) @ compatibility

    K1[i, j] = exp(-|p_i - p_j|^2 / (2 near^2) - |c_i - c_j|^2 / (2 alike^2)) compares places p (pixels) and colours c,
    K2[i, j] = exp(-|p_i - p_j|^2 / (2 smooth^2)) places alone; both are 0 for i = j, and their rows add up to 1.

    Inputs: logits [batch, height, width, classes] and the image [batch, height, width, channels]. Output: new logits.
    rounds: how often; one loop in the program, all rounds with the same parameters: appearance and smoothness (w1, w2),
    compatibility [classes, classes] (Potts: 1 off the diagonal). It holds height^2 * width^2 numbers for each sample,
    so it is for small images or for scores before they are enlarged.

    Source: P. Krahenbuhl, V. Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials",
    NeurIPS 2011; S. Zheng and others, "Conditional random fields as recurrent neural networks", ICCV 2015.

    >>> import graphc as gc
    >>> logits, image = gc.input("logits", ("batch", 6, 6, 2)), gc.input("image", ("batch", 6, 6, 3))
    >>> gc.models.DenseCRF(rounds=3)(logits, image)
    <Tensor f32[batch, 6, 6, 2]>
    """

    appearance: Parameter
    smoothness: Parameter
    compatibility: Parameter

    def __init__(
        self, rounds: int = 5, near: float = 8.0, alike: float = 0.2, smooth: float = 2.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_count("rounds", rounds)
        for what, width in (("near", near), ("alike", alike), ("smooth", smooth)):
            check_positive(what, width)
        self.rounds, self.near, self.alike, self.smooth = rounds, near, alike, smooth

    def build(self, *inputs: Tensor) -> None:
        """Declare weights and compatibility; ShapeError, DTypeError for what are no scores of an image's pixels."""
        two_inputs(self, inputs, "logits, image")
        logits, image = (float_input(self, [value], _LAYOUT, 4, (1, 2, 3)) for value in inputs)
        if image.shape[:3] != logits.shape[:3]:
            raise ShapeError(
                f"DenseCRF {self.name!r}: the scores and the image have different pixels",
                at=str(user_location()),
                facts=[("scores", describe(logits.node)), ("image", describe(image.node))],
                expected=f"an image of the scores' {logits.shape[1]} x {logits.shape[2]} pixels",
                got=str(image.type),
                way_out="resize one of them with gc.resize",
            )
        classes = channels_of(logits)
        self.appearance = self.parameter("appearance", (), 1.0, logits.dtype)
        self.smoothness = self.parameter("smoothness", (), 1.0, logits.dtype)
        self.compatibility = self.parameter(
            "compatibility", (classes, classes), Constant(1 - np.eye(classes)), logits.dtype
        )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the rounds."""
        logits, image = two_inputs(self, inputs, "logits, image")
        height, width = (size for size in logits.shape[1:3] if isinstance(size, int))
        places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
        unary = logits.reshape((logits.shape[0], height * width, -1))
        colours = image.reshape((image.shape[0], height * width, -1)).cast(logits.dtype)
        pairs = self._alike(colours, places)
        smooth = constant(_rows(np.exp(-_distances(places) / (2 * self.smooth**2))), logits.dtype)
        kernel = self.appearance * pairs + self.smoothness * smooth

        def step(scores: Tensor, _: None) -> tuple[Tensor, None]:
            return unary - (kernel @ softmax(scores)) @ self.compatibility, None

        scores, _ = scan(step, unary, length=self.rounds)
        assert isinstance(scores, Tensor)
        return scores.reshape(logits.shape)

    def _alike(self, colours: Tensor, places: Array) -> Tensor:
        """The kernel of places and colours, [batch, pixels, pixels]."""
        squares = (colours * colours).sum(-1, keepdims=True)
        apart = squares + squares.transpose((0, 2, 1)) - 2 * (colours @ colours.transpose((0, 2, 1)))
        far = constant(_distances(places) / (2 * self.near**2), colours.dtype)
        others = constant(1 - np.eye(len(places)), colours.dtype)
        kernel = exp(-apart / (2 * self.alike**2) - far) * others
        return kernel / (kernel.sum(-1, keepdims=True) + 1e-8)


def _distances(places: Array) -> Array:
    """Squared distances of all pairs."""
    difference = places[:, None] - places[None]
    return np.asarray((difference**2).sum(-1), np.float64)


def _rows(kernel: Array) -> Array:
    """Without the diagonal, rows that add up to 1 (0 for a single pixel)."""
    others = kernel * (1 - np.eye(len(kernel)))
    return np.asarray(others / np.maximum(others.sum(-1, keepdims=True), 1e-8))
