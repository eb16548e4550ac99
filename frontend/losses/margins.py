"""Losses of margins: support-vector machines of many classes and of two."""

from __future__ import annotations

from graphc.frontend.elementwise import relu
from graphc.frontend.losses.samples import check_shape, chosen_classes, reduced
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import scope

__all__ = ["binary_hinge", "hinge"]


def hinge(
    scores: TensorLike,
    labels: TensorLike,
    margin: float = 1.0,
    reduction: str = "mean",
    *,
    squared: bool = False,
    divide_by_classes: bool = False,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The multiclass support-vector loss: sum over j != label of max(0, s_j - s_label + margin), one value a sample.

    scores: float [..., classes]. labels: integers [...] in [0, classes). squared: the squares of the violations are
    summed. divide_by_classes: the sum is divided by the number of classes, as PyTorch's multi_margin_loss does.

    Source: J. Weston, C. Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    >>> import graphc as gc
    >>> loss = gc.losses.hinge(gc.constant([[3.2, 5.1, -1.7]]), gc.constant([0]))
    >>> round(float(gc.evaluate(loss)), 4)
    2.9
    """
    value, target = as_tensor(scores), as_tensor(labels)
    with scope("hinge"):
        chosen = chosen_classes("hinge", value, target)
        right = chosen.where(value, 0.0).sum(axis=-1, keepdims=True)
        violations = chosen.where(0.0, relu(value - right + margin))
        total = (violations * violations if squared else violations).sum(axis=-1)
        each = total / as_tensor(value.shape[-1], value.dtype) if divide_by_classes else total
        return reduced("hinge", each, reduction, sample_weights)


def binary_hinge(
    scores: TensorLike,
    targets: TensorLike,
    margin: float = 1.0,
    reduction: str = "mean",
    *,
    squared: bool = False,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The support-vector loss of two classes, max(0, margin - y s), or its square.

    scores: float, any shape. targets: -1 or 1, of the same shape, of any type.

    Source: C. Cortes, V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.binary_hinge([0.5, 3.0, 1.0], [1, 1, -1], reduction="none"))
    array([0.5, 0. , 2. ], dtype=float32)
    """
    value, target = as_tensor(scores), as_tensor(targets)
    with scope("binary_hinge"):
        check_shape("binary_hinge", value, target, value.shape)
        violation = relu(margin - target.cast(value.dtype) * value)
        return reduced("binary_hinge", violation * violation if squared else violation, reduction, sample_weights)
