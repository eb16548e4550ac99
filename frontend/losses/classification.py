"""Losses of classes and of probabilities."""

from __future__ import annotations

from graphc.errors import ShapeError
from graphc.frontend.elementwise import clip, log, softplus
from graphc.frontend.losses.samples import check_shape, check_share, chosen_classes, reduced
from graphc.frontend.reductions import log_softmax
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_of_probabilities",
    "cross_entropy_of_probabilities",
    "kl_divergence",
    "softmax_cross_entropy",
]


def softmax_cross_entropy(
    logits: TensorLike,
    labels: TensorLike,
    reduction: str = "mean",
    *,
    label_smoothing: float = 0.0,
    class_weights: TensorLike | None = None,
    ignore_index: int | None = None,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Minus the log-probability of the right class, from logits: -log softmax(logits)[label], without overflow.

    logits: float [..., classes]. labels: integers [...] in [0, classes), or floats [..., classes] of class
    probabilities (one-hot), for which the loss is -sum(labels * log_softmax(logits)). Labels out of range are a
    FeedError before anything runs. Its gradient is (softmax(logits) - one_hot(labels)) / samples.

    label_smoothing: e mixes the labels with all classes, (1 - e) * labels + e / classes. class_weights: [classes], by
    which the term of each class is multiplied; the mean over integer labels is divided by the sum of their weights.
    ignore_index: samples with this integer label have loss 0 and do not count in the mean; of others that are out of
    range the check then runs after the step. All as PyTorch's cross_entropy, but that the mean of nothing is 0.

    Source of smoothing: C. Szegedy and others, "Rethinking the Inception architecture for computer vision", CVPR 2016.

    >>> import graphc as gc
    >>> loss = gc.losses.softmax_cross_entropy(gc.constant([[3.2, 5.1, -1.7]]), gc.constant([0]))
    >>> round(float(gc.evaluate(loss)), 4)
    2.0404
    """
    scores, target = as_tensor(logits), as_tensor(labels)
    with scope("softmax_cross_entropy"):
        return _cross_entropy(
            "softmax_cross_entropy",
            scores,
            log_softmax(scores),
            target,
            reduction,
            label_smoothing,
            class_weights,
            ignore_index,
            sample_weights,
        )


def cross_entropy_of_probabilities(
    probabilities: TensorLike,
    labels: TensorLike,
    reduction: str = "mean",
    *,
    epsilon: float = 1e-7,
    label_smoothing: float = 0.0,
    class_weights: TensorLike | None = None,
    ignore_index: int | None = None,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Minus the logarithm of the right class's probability, -log(p[label]), for outputs of a softmax.

    probabilities: float [..., classes], limited to [epsilon, 1] first, so that there is no gradient below epsilon;
    ``softmax_cross_entropy`` of logits has no such limit. The rest as there.

    >>> import graphc as gc
    >>> loss = gc.losses.cross_entropy_of_probabilities(gc.constant([[0.25, 0.75], [0.0, 1.0]]), gc.constant([0, 0]))
    >>> round(float(gc.evaluate(loss)), 4)
    8.7522
    """
    chances, target = as_tensor(probabilities), as_tensor(labels)
    with scope("cross_entropy_of_probabilities"):
        return _cross_entropy(
            "cross_entropy_of_probabilities",
            chances,
            log(clip(chances, epsilon, 1.0)),
            target,
            reduction,
            label_smoothing,
            class_weights,
            ignore_index,
            sample_weights,
        )


def _cross_entropy(
    name: str,
    scores: Tensor,
    log_probability: Tensor,
    target: Tensor,
    reduction: str,
    smoothing: float,
    class_weights: TensorLike | None,
    ignore_index: int | None,
    sample_weights: TensorLike | None,
) -> Tensor:
    check_share(name, "label_smoothing", smoothing)
    weights = None if class_weights is None else _class_weights(name, scores, class_weights)
    terms = log_probability if weights is None else log_probability * weights
    counts = None
    if target.dtype.is_float:
        check_shape(name, scores, target, scores.shape)
        each = -(target * terms).sum(axis=-1)
    else:
        ignored = None if ignore_index is None else target.equals(ignore_index)
        chosen = chosen_classes(name, scores, target, ignored)
        each = -chosen.where(terms, 0.0).sum(axis=-1)
        if weights is not None:
            counts = chosen.where(weights, 0.0).sum(axis=-1)
    if smoothing:
        each = (1 - smoothing) * each - smoothing * terms.mean(axis=-1)
    if not target.dtype.is_float and ignored is not None:
        each = ignored.where(0.0, each)
        counts = (~ignored).cast(each.dtype) if counts is None else ignored.where(0.0, counts)
    return reduced(name, each, reduction, sample_weights, counts)


def _class_weights(name: str, scores: Tensor, class_weights: TensorLike) -> Tensor:
    weights = as_tensor(class_weights, scores.dtype).cast(scores.dtype)
    if weights.shape != scores.shape[-1:]:
        raise ShapeError(
            f"{name}: there is one weight for each class",
            at=str(user_location()),
            facts=[("scores", describe(scores.node)), ("weights", describe(weights.node))],
            expected=f"weights of shape [{', '.join(map(str, scores.shape[-1:]))}]",
            got=str(weights.type),
        )
    return weights


def binary_cross_entropy(
    logits: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    label_smoothing: float = 0.0,
    positive_weight: TensorLike | None = None,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Cross-entropy of truth values, from logits: softplus(z) - z * y, which is -y log s(z) - (1 - y) log(1 - s(z)).

    logits: float, any shape. targets: float or bool of the same shape, in [0, 1]. label_smoothing: e makes the targets
    (1 - e) * y + e / 2. positive_weight: multiplies the term of y; a number, or a tensor that broadcasts.

    >>> import graphc as gc
    >>> round(float(gc.evaluate(gc.losses.binary_cross_entropy([0.0, 2.0], [1.0, 1.0]))), 4)
    0.41
    """
    scores, target = as_tensor(logits), as_tensor(targets)
    with scope("binary_cross_entropy"):
        check_shape("binary_cross_entropy", scores, target, scores.shape)
        truth = _smoothed("binary_cross_entropy", target.cast(scores.dtype), label_smoothing)
        if positive_weight is None:
            each = softplus(scores) - scores * truth
        else:
            each = positive_weight * (truth * softplus(-scores)) + (1 - truth) * softplus(scores)
        return reduced("binary_cross_entropy", each, reduction, sample_weights)


def _smoothed(name: str, truth: Tensor, smoothing: float) -> Tensor:
    check_share(name, "label_smoothing", smoothing)
    return truth * (1 - smoothing) + smoothing / 2 if smoothing else truth


def binary_cross_entropy_of_probabilities(
    probabilities: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    epsilon: float = 1e-7,
    label_smoothing: float = 0.0,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """Cross-entropy of truth values, -y log p - (1 - y) log(1 - p), for outputs of a sigmoid.

    probabilities: float, any shape, limited to [epsilon, 1 - epsilon] first as Keras does, so that there is no gradient
    outside; ``binary_cross_entropy`` of logits has no such limit. targets: float or bool of the same shape, in [0, 1].

    >>> import graphc as gc
    >>> loss = gc.losses.binary_cross_entropy_of_probabilities([0.9, 0.2, 0.6], [1.0, 0.0, 1.0])
    >>> round(float(gc.evaluate(loss)), 4)
    0.2798
    """
    name = "binary_cross_entropy_of_probabilities"
    chances, target = as_tensor(probabilities), as_tensor(targets)
    with scope(name):
        check_shape(name, chances, target, chances.shape)
        truth = _smoothed(name, target.cast(chances.dtype), label_smoothing)
        inside = clip(chances, epsilon, 1 - epsilon)
        return reduced(name, -(truth * log(inside) + (1 - truth) * log(1 - inside)), reduction, sample_weights)


def kl_divergence(
    log_probabilities: TensorLike,
    targets: TensorLike,
    reduction: str = "mean",
    *,
    sample_weights: TensorLike | None = None,
) -> Tensor:
    """The divergence of predicted from true distributions, sum of t (log t - log p) along the last axis.

    log_probabilities: float [..., classes], such as ``gc.log_softmax(logits)``. targets: probabilities t of the same
    shape; the term of t = 0 is 0. "mean" divides by the number of distributions (PyTorch's "batchmean").

    Source: S. Kullback, R. Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22, 1951.

    >>> import graphc as gc
    >>> round(float(gc.evaluate(gc.losses.kl_divergence(gc.log([[0.5, 0.5]]), [[1.0, 0.0]]))), 4)
    0.6931
    """
    value, target = as_tensor(log_probabilities), as_tensor(targets)
    with scope("kl_divergence"):
        check_shape("kl_divergence", value, target, value.shape)
        logarithm = log((target <= 0).where(1.0, target))  # 0 log 0 is 0
        return reduced("kl_divergence", (target * (logarithm - value)).sum(axis=-1), reduction, sample_weights)
