"""The model of TensorFlow's playground: a small perceptron on features of a point of the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.errors import ShapeError
from graphc.frontend.activations import ActivationLike
from graphc.frontend.elementwise import sin
from graphc.frontend.layers.basic import Dense, Sequential, float_input, only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.settings import check_choice
from graphc.frontend.shaping import stack
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["PlaygroundFeatures", "playground"]

_FEATURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x1": lambda x1, _: x1,
    "x2": lambda _, x2: x2,
    "x1^2": lambda x1, _: x1 * x1,
    "x2^2": lambda _, x2: x2 * x2,
    "x1*x2": lambda x1, x2: x1 * x2,
    "sin(x1)": lambda x1, _: sin(x1),
    "sin(x2)": lambda _, x2: sin(x2),
}


class PlaygroundFeatures(Layer):
    """Chosen features of points: float [batch, 2] to [batch, features]. It learns nothing.

    features: of x1, x2, x1^2, x2^2, x1*x2, sin(x1), sin(x2), in the order in which they are wanted; DeclarationError
    for others.

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.PlaygroundFeatures(["x2", "x1^2", "x1*x2"])(gc.constant([[3.0, 2.0]])))
    array([[2., 9., 6.]], dtype=float32)
    """

    def __init__(self, features: Sequence[str] = ("x1", "x2"), name: str | None = None) -> None:
        super().__init__(name)
        for feature in features:
            check_choice("feature", feature, list(_FEATURES))
        self.features = tuple(features)

    def build(self, *inputs: Tensor) -> None:
        """Check the input: ShapeError, DTypeError if it is no list of points."""
        layout = "[batch, 2], the coordinates x1 and x2"
        x = float_input(self, inputs, layout, rank=2)
        if x.shape[1] != 2:
            raise ShapeError(
                f"PlaygroundFeatures {self.name!r} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=layout,
                got=str(x.type),
            )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the features."""
        x = only_input(self, inputs)
        return stack([_FEATURES[feature](x[:, 0], x[:, 1]) for feature in self.features], axis=-1)


def playground(
    features: Sequence[str] = ("x1", "x2"),
    hidden: Sequence[int] = (4, 2),
    activation: ActivationLike = "tanh",
    name: str | None = "playground",
) -> Sequential:
    """The playground's network: points [batch, 2] to one score each, [batch, 1].

    features: see ``PlaygroundFeatures``. The score is the logit of class 1, for ``gc.losses.binary_cross_entropy``;
    the playground's own loss is half the squared error of its tanh. Its penalties are ``gc.regularizers.l1`` and
    ``gc.regularizers.l2`` of the weights. Parameters: 25 by default.

    Source: D. Smilkov and others, "Direct-manipulation visualization of deep networks", arXiv 1708.03788, 2017.

    >>> import graphc as gc
    >>> network = gc.models.playground(["x1", "x2", "x1^2", "x2^2"])
    >>> network(gc.input("point", ("batch", 2)))
    <Tensor f32[batch, 1]>
    >>> network.parameter_count
    33
    """
    between = [Dense(units, activation) for units in hidden]
    return Sequential([PlaygroundFeatures(features, "features"), *between, Dense(1)], name)
