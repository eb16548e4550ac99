"""Multi-layer perceptrons: plain, with batch normalisation, and of maxout units with dropout."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.frontend.activations import ActivationLike
from graphc.frontend.initializers import Initializer, Normal, Uniform
from graphc.frontend.layers.activations import Maxout
from graphc.frontend.layers.basic import Activation, Dense, Flatten, Sequential
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.noise import Dropout
from graphc.frontend.layers.normalization import BatchNorm

__all__ = ["batch_norm_mlp", "maxout_mlp", "mlp"]


def mlp(
    hidden: Sequence[int] = (300,),
    classes: int = 10,
    activation: ActivationLike = "relu",
    initializer: Initializer | str = "glorot_uniform",
    name: str | None = "mlp",
) -> Sequential:
    """A perceptron of several layers, V f(W x + b) + c: samples of any shape, [batch, ...], to [batch, classes].

    hidden: units of the layers between, which ``activation`` follows. initializer: of all weights. Parameters: 238,510
    for images of 28 x 28. Raises DeclarationError for sizes below one and unknown names.

    Source: D. Rumelhart, G. Hinton, R. Williams, "Learning representations by back-propagating errors", Nature 323,
    1986.

    >>> import graphc as gc
    >>> network = gc.models.mlp()
    >>> network(gc.input("image", ("batch", 28, 28)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    238510
    """
    between = [Dense(units, activation, kernel_initializer=initializer) for units in hidden]
    return Sequential([Flatten(), *between, Dense(classes, kernel_initializer=initializer)], name)


def batch_norm_mlp(
    hidden: Sequence[int] = (100, 100, 100),
    classes: int = 10,
    activation: ActivationLike = "sigmoid",
    normalise: bool = True,
    name: str | None = "batch_norm_mlp",
) -> Sequential:
    """The perceptron with batch normalisation before each activation: [batch, ...] to [batch, classes].

    normalise: False leaves the normalisation out and gives the layers biases, which is what the paper compares with.
    Weights start as normal numbers of deviation 0.1. Parameters: 100,010 for images of 28 x 28 (99,710 plain).

    Source: S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015, section 4.1.

    >>> import graphc as gc
    >>> network = gc.models.batch_norm_mlp()
    >>> network(gc.input("image", ("batch", 28, 28)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    100010
    """
    small = Normal(0.1)
    between: list[Layer] = []
    for units in hidden:
        between.append(Dense(units, use_bias=not normalise, kernel_initializer=small))
        between += [BatchNorm()] if normalise else []
        between.append(Activation(activation, "activation"))
    return Sequential([Flatten(), *between, Dense(classes, kernel_initializer=small)], name)


def maxout_mlp(
    hidden: Sequence[int] = (240, 240),
    pieces: int = 5,
    classes: int = 10,
    input_rate: float = 0.2,
    rate: float = 0.5,
    name: str | None = "maxout_mlp",
) -> Sequential:
    """Maxout units trained with dropout: samples of any shape, [batch, ...], to [batch, classes].

    Each of the ``hidden`` units is the largest of ``pieces`` linear functions. input_rate, rate: probabilities to drop
    an input and a unit. The paper also limits the norm of each unit's weights: wrap the optimizer in
    ``gc.optimizers.MaxNorm``. Weights start uniform in +-0.005. Parameters: 1,233,610 for images of 28 x 28.

    Source: I. Goodfellow and others, "Maxout networks", ICML 2013, section 5.1.

    >>> import graphc as gc
    >>> network = gc.models.maxout_mlp()
    >>> network(gc.input("image", ("batch", 28, 28)))
    <Tensor f32[batch, 10]>
    >>> network.parameter_count
    1233610
    """
    small = Uniform(-0.005, 0.005)
    between: list[Layer] = []
    for units in hidden:
        between += [Dense(units * pieces, kernel_initializer=small), Maxout(pieces), Dropout(rate)]
    last = Dense(classes, kernel_initializer=small)
    return Sequential([Flatten(), Dropout(input_rate, "input_dropout"), *between, last], name)
