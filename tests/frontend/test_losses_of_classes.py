"""Options of the losses of classes: smoothing, weights, ignored labels, probabilities, squared margins."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import losses
from graphc.errors import DeclarationError, FeedError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)) * 2
LABELS = np.array([0, 3, 1, 1, 2, 0])
TRUTH = np.eye(4)[LABELS]
WEIGHTS = np.array([1.0, 0.5, 2.0, 3.0])
SAMPLES = np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])
LOGARITHM = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
SIGNS = np.sign(RNG.normal(size=(6, 4)))


def value_of(loss: gc.Tensor, logits: Array = LOGITS) -> Array:
    return gc.evaluate(loss, {"logits": logits})


def scores() -> gc.Tensor:
    return gc.input("logits", (6, 4), "float64")


@pytest.mark.parametrize("labels", [LABELS, TRUTH], ids=["labels", "one-hot"])
def test_smoothing_mixes_the_labels_with_all_classes(labels: Array) -> None:
    loss = losses.softmax_cross_entropy(scores(), labels, label_smoothing=0.1)
    expected = -((0.9 * TRUTH + 0.1 / 4) * LOGARITHM).sum(-1).mean()
    assert value_of(loss) == pytest.approx(expected, rel=1e-12)


def test_class_weights_count_in_the_mean() -> None:
    loss = losses.softmax_cross_entropy(scores(), LABELS, class_weights=WEIGHTS)
    each = -(TRUTH * LOGARITHM * WEIGHTS).sum(-1)
    assert value_of(loss) == pytest.approx(each.sum() / WEIGHTS[LABELS].sum(), rel=1e-12)
    soft = losses.softmax_cross_entropy(scores(), TRUTH, class_weights=WEIGHTS)
    assert value_of(soft) == pytest.approx(each.mean(), rel=1e-12)


def test_all_options_together() -> None:
    labels = np.where(LABELS == 1, -100, LABELS)
    loss = losses.softmax_cross_entropy(
        scores(), labels, label_smoothing=0.2, class_weights=WEIGHTS, ignore_index=-100, sample_weights=SAMPLES
    )
    each = -((0.8 * TRUTH + 0.2 / 4) * LOGARITHM * WEIGHTS).sum(-1) * SAMPLES * (labels >= 0)
    expected = each.sum() / (WEIGHTS[LABELS] * SAMPLES * (labels >= 0)).sum()
    assert value_of(loss) == pytest.approx(expected, rel=1e-12)


def test_ignored_samples_have_no_loss_and_no_gradient() -> None:
    x, labels = scores(), np.where(LABELS == 0, 255, LABELS)
    loss = losses.softmax_cross_entropy(x, labels, ignore_index=255)
    slope = gc.grad(loss, x)
    assert isinstance(slope, gc.Tensor)
    value, gradient = gc.evaluate([loss, slope], {"logits": LOGITS})
    kept = LABELS != 0
    assert value == pytest.approx(-(TRUTH * LOGARITHM).sum(-1)[kept].mean(), rel=1e-12)
    expected = (np.exp(LOGARITHM) - TRUTH) * kept[:, None] / kept.sum()
    np.testing.assert_allclose(gradient, expected, 1e-12, 1e-15)


def test_a_batch_that_is_ignored_as_a_whole_has_loss_zero() -> None:
    x = scores()
    loss = losses.softmax_cross_entropy(x, np.full(6, -1), ignore_index=-1)
    slope = gc.grad(loss, x)
    assert isinstance(slope, gc.Tensor)
    value, gradient = gc.evaluate([loss, slope], {"logits": LOGITS})
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((6, 4)))


def test_labels_that_are_neither_classes_nor_ignored_are_refused() -> None:
    x, y = scores(), gc.input("labels", (6,), "int64")
    run = gc.function([x, y], losses.softmax_cross_entropy(x, y, ignore_index=-1))
    with pytest.raises(FeedError, match="out of range"):
        run(LOGITS, [0, 1, 2, 3, 4, -1])
    assert np.isfinite(np.asarray(run(LOGITS, [0, 1, 2, 3, 3, -1])))


def test_probabilities_are_as_good_as_logits_where_they_are_not_tiny() -> None:
    x = gc.softmax(scores())
    found = losses.cross_entropy_of_probabilities(x, LABELS, epsilon=1e-12, label_smoothing=0.1, class_weights=WEIGHTS)
    expected = losses.softmax_cross_entropy(scores(), LABELS, label_smoothing=0.1, class_weights=WEIGHTS)
    assert value_of(found) == pytest.approx(float(value_of(expected)), rel=1e-12)


def test_probabilities_are_limited() -> None:
    x = gc.input("p", (2,), "float64")
    loss = losses.binary_cross_entropy_of_probabilities(x, [1.0, 0.0], reduction="sum")
    slope = gc.grad(loss, x)
    assert isinstance(slope, gc.Tensor)
    value, gradient = gc.evaluate([loss, slope], {"p": [0.0, 1.0]})
    assert value == pytest.approx(-2 * np.log(1e-7), rel=1e-8)
    np.testing.assert_array_equal(gradient, [0, 0])


def test_positive_weights_and_smoothing_of_truth_values() -> None:
    chance, truth = 1 / (1 + np.exp(-LOGITS)), TRUTH
    weighted = losses.binary_cross_entropy(scores(), truth, positive_weight=WEIGHTS)
    expected = -(WEIGHTS * truth * np.log(chance) + (1 - truth) * np.log(1 - chance))
    assert value_of(weighted) == pytest.approx(expected.mean(), rel=1e-12)
    soft = 0.8 * truth + 0.1
    expected = -(soft * np.log(chance) + (1 - soft) * np.log(1 - chance))
    smoothed = losses.binary_cross_entropy(scores(), truth, label_smoothing=0.2)
    assert value_of(smoothed) == pytest.approx(expected.mean(), rel=1e-12)
    of_chances = losses.binary_cross_entropy_of_probabilities(gc.sigmoid(scores()), truth, label_smoothing=0.2)
    assert value_of(of_chances) == pytest.approx(expected.mean(), rel=1e-9)


def test_hinge_may_be_squared_and_divided_by_the_classes() -> None:
    violations = np.maximum(LOGITS - LOGITS[np.arange(6), LABELS][:, None] + 1, 0) * (1 - TRUTH)
    squared = losses.hinge(scores(), LABELS, squared=True, reduction="none")
    np.testing.assert_allclose(value_of(squared), (violations**2).sum(-1), 1e-12)
    divided = losses.hinge(scores(), LABELS, divide_by_classes=True, reduction="none")
    np.testing.assert_allclose(value_of(divided), violations.sum(-1) / 4, 1e-12)


def test_binary_hinge_takes_signs() -> None:
    violations = np.maximum(2 - SIGNS * LOGITS, 0)
    for squared, expected in ((False, violations), (True, violations**2)):
        loss = losses.binary_hinge(scores(), SIGNS.astype(np.int64), 2, "none", squared=squared)
        np.testing.assert_allclose(value_of(loss), expected, 1e-12)


def test_divergence_of_distributions() -> None:
    truth = np.array([[0.5, 0.5, 0, 0], [0.1, 0.2, 0.3, 0.4]] * 3)
    loss = losses.kl_divergence(gc.log_softmax(scores()), truth, "none")
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nansum(truth * (np.log(truth) - LOGARITHM), -1)
    np.testing.assert_allclose(value_of(loss), expected, 1e-12)
    assert value_of(losses.kl_divergence(gc.log_softmax(scores()), np.exp(LOGARITHM))) == pytest.approx(0, abs=1e-14)


def test_derivatives_are_slopes() -> None:
    soft = np.exp(LOGARITHM[::-1])

    def together(x: gc.Tensor) -> gc.Tensor:
        return (
            losses.softmax_cross_entropy(
                x,
                np.where(LABELS == 2, -1, LABELS),
                "none",
                label_smoothing=0.1,
                class_weights=WEIGHTS,
                ignore_index=-1,
            )
            + losses.hinge(x, LABELS, squared=True, reduction="none")
            + losses.kl_divergence(gc.log_softmax(x), soft, "none")
            + losses.binary_cross_entropy(x, TRUTH, "none", positive_weight=2.0).sum(axis=-1)
            + losses.binary_hinge(x, SIGNS, squared=True, reduction="none").sum(axis=-1)
        )

    assert_slopes(together, {"x": LOGITS})


def test_derivatives_of_losses_of_probabilities_are_slopes() -> None:
    def together(x: gc.Tensor) -> gc.Tensor:
        chances = gc.sigmoid(x)
        return losses.cross_entropy_of_probabilities(chances, LABELS, "none") + (
            losses.binary_cross_entropy_of_probabilities(chances, TRUTH, "none").sum(axis=-1)
        )

    assert_slopes(together, {"x": LOGITS})


def test_weights_of_another_number_of_classes_are_refused() -> None:
    x = gc.input("logits", ("batch", 4))
    with pytest.raises(ShapeError, match="softmax_cross_entropy: there is one weight for each class") as caught:
        losses.softmax_cross_entropy(x, gc.input("labels", ("batch",), "int64"), class_weights=[1.0, 2.0])
    assert "expected   weights of shape [4]\n  got        f32[2]" in str(caught.value)


def test_smoothing_is_a_share() -> None:
    with pytest.raises(DeclarationError, match="binary_cross_entropy: label_smoothing is a share below 1") as caught:
        losses.binary_cross_entropy([1.0], [1.0], label_smoothing=1.0)
    assert "expected   0 <= label_smoothing < 1\n  got        1.0" in str(caught.value)
