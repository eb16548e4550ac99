"""Losses of distances between pairs and triples of vectors."""

from __future__ import annotations

from graphc.frontend.elementwise import maximum, relu
from graphc.frontend.losses.samples import check_shape, reduced
from graphc.frontend.reductions import norm
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import scope

__all__ = ["contrastive", "cosine", "triplet"]


def cosine(
    first: TensorLike,
    second: TensorLike,
    reduction: str = "mean",
    *,
    epsilon: float = 1e-8,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """One minus the cosine of the angle: 1 - (x . y) / (max(|x|, epsilon) max(|y|, epsilon)), along the last axis.

    first, second: float [..., features] of one shape. 0 for parallel vectors, 1 for orthogonal ones or one of length 0.

    >>> import graphc as gc
    >>> gc.evaluate(gc.losses.cosine([[2.0, 0.0], [0.0, 0.0]], [[5.0, 0.0], [1.0, 0.0]], reduction="none"))
    array([0., 1.], dtype=float32)
    """
    x, y = as_tensor(first), as_tensor(second)
    with scope("cosine"):
        check_shape("cosine", x, y, x.shape)
        lengths = maximum(norm(x, axis=-1), epsilon) * maximum(norm(y, axis=-1), epsilon)
        return reduced("cosine", 1 - (x * y).sum(axis=-1) / lengths, reduction, sample_weights)


def contrastive(
    first: TensorLike,
    second: TensorLike,
    same: TensorLike,
    margin: float = 1.0,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Pull equal pairs together and push others apart: (same d**2 + (1 - same) max(0, margin - d)**2) / 2.

    first, second: float [..., features] of one shape, at the distance d = |first - second|. same: [...] of truth
    values, or of numbers where 1 is the same (the paper counts the other way round).

    Source: R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.

    >>> import graphc as gc
    >>> x, y = [[3.0, 4.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]
    >>> gc.evaluate(gc.losses.contrastive(x, y, [True, False], reduction="none"))
    array([12.5  ,  0.125], dtype=float32)
    """
    x, y, equal = as_tensor(first), as_tensor(second), as_tensor(same)
    with scope("contrastive"):
        check_shape("contrastive", x, y, x.shape)
        check_shape("contrastive", x, equal, x.shape[:-1])
        share, difference = equal.cast(x.dtype), x - y
        near = relu(margin - norm(difference, axis=-1))
        each = 0.5 * (share * (difference * difference).sum(axis=-1) + (1 - share) * near * near)
        return reduced("contrastive", each, reduction, sample_weights)


def triplet(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    margin: float = 1.0,
    reduction: str = "mean",
    *,
    squared: bool = False,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The anchor closer to the positive than to the negative by a margin: max(0, d(a, p) - d(a, n) + margin).

    anchor, positive, negative: float [..., features] of one shape. d: the Euclidean distance; its square, as in the
    paper, if ``squared``.

    Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: a unified embedding for face recognition and clustering",
    CVPR 2015.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.losses.triplet([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]])))
    4.0
    """
    a, p, n = as_tensor(anchor), as_tensor(positive), as_tensor(negative)
    with scope("triplet"):
        check_shape("triplet", a, p, a.shape)
        check_shape("triplet", a, n, a.shape)
        near, far = (
            ((a - other) * (a - other)).sum(axis=-1) if squared else norm(a - other, axis=-1) for other in (p, n)
        )
        return reduced("triplet", relu(near - far + margin), reduction, sample_weights)
