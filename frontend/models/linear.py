"""The linear classifier: softmax regression or a support-vector machine, by the loss it is trained with."""

from __future__ import annotations

from graphc.frontend.initializers import Normal
from graphc.frontend.layers.basic import Dense, Flatten, Sequential

__all__ = ["linear_classifier"]


def linear_classifier(classes: int = 10, name: str | None = "linear_classifier") -> Sequential:
    """Scores x W + b of samples of any shape: [batch, ...] to [batch, classes].

    With ``gc.losses.softmax_cross_entropy`` this is softmax (logistic) regression, with ``gc.losses.hinge`` the
    multiclass support-vector machine; add ``gc.regularizers.l2`` of the weight to either. The weight starts as normal
    numbers of deviation 0.0001. Parameters: features * classes + classes, 7,850 for images of 28 x 28, 30,730 for those
    of 32 x 32 x 3. Raises DeclarationError for fewer classes than one, ShapeError for sizes that are not fixed.

    Source: J. Weston, C. Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    >>> import graphc as gc
    >>> image, label = gc.input("image", ("batch", 32, 32, 3)), gc.input("label", ("batch",), "int64")
    >>> network = gc.models.linear_classifier()
    >>> scores = network(image)
    >>> gc.losses.hinge(scores, label) + gc.regularizers.l2(network[1].weight, 1e-3)
    <Tensor f32[]>
    >>> network.parameter_count
    30730
    """
    return Sequential([Flatten(), Dense(classes, kernel_initializer=Normal(1e-4))], name)
