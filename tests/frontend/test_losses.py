"""Losses against plain numpy: values, gradients, extreme logits, and targets that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import losses
from graphc.errors import DeclarationError, DTypeError, FeedError, ShapeError
from graphc.scalar import Array

Loss = Callable[..., gc.Tensor]

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)) * 3
LABELS = RNG.integers(0, 4, 6)
EXTREME = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, 1e4], [1e4, 1e4, 1e4]])


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def cross_entropy(logits: Array, labels: Array) -> Array:
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def binary(logits: Array, targets: Array) -> Array:
    chance = 1 / (1 + np.exp(-logits))
    return np.asarray(-targets * np.log(chance) - (1 - targets) * np.log(1 - chance))


def hinge(scores: Array, labels: Array, margin: float = 1.0) -> Array:
    values = []
    for row, label in zip(scores, labels, strict=True):
        values.append(sum(max(0.0, s - row[label] + margin) for j, s in enumerate(row) if j != label))
    return np.array(values)


def value_and_gradient(loss: Loss, logits: Array, target: Array) -> list[Array]:
    """The loss and its gradient by the logits, in float64."""
    x = gc.input("logits", ("batch", *logits.shape[1:]), "float64")
    y = gc.input("target", ("batch", *target.shape[1:]), target.dtype)
    scalar = loss(x, y)
    slope = gc.grad(scalar, x)
    assert isinstance(slope, gc.Tensor)
    return gc.evaluate([scalar, slope], {"logits": logits, "target": target})


REFERENCES: list[tuple[Loss, Array, Array]] = [
    (losses.softmax_cross_entropy, LABELS, cross_entropy(LOGITS, LABELS)),
    (losses.softmax_cross_entropy, LABELS.astype(np.int32), cross_entropy(LOGITS, LABELS)),
    (losses.softmax_cross_entropy, np.eye(4)[LABELS], cross_entropy(LOGITS, LABELS)),
    (losses.hinge, LABELS, hinge(LOGITS, LABELS)),
    (losses.binary_cross_entropy, (LOGITS > 1).astype(np.float64), binary(LOGITS, 1.0 * (LOGITS > 1))),
    (losses.binary_cross_entropy, LOGITS > 1, binary(LOGITS, 1.0 * (LOGITS > 1))),
    (losses.binary_cross_entropy, np.full((6, 4), 0.3), binary(LOGITS, np.full((6, 4), 0.3))),
    (losses.mean_squared_error, np.ones((6, 4)), (LOGITS - 1) ** 2),
]


@pytest.mark.parametrize(("loss", "target", "expected"), REFERENCES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_follow_their_formulas(loss: Loss, target: Array, expected: Array, reduction: str) -> None:
    x = gc.input("x", ("batch", 4), "float64")
    y = gc.input("y", ("batch", *target.shape[1:]), target.dtype)
    found = gc.evaluate(loss(x, y, reduction=reduction), {"x": LOGITS, "y": target})
    wanted = {"mean": expected.mean(), "sum": expected.sum(), "none": expected}[reduction]
    np.testing.assert_allclose(found, wanted, 1e-12)


def test_cross_entropy_takes_any_leading_axes() -> None:
    x, y = gc.input("x", ("batch", 3, 4), "float64"), gc.input("y", ("batch", 3), "int64")
    found = gc.evaluate(losses.softmax_cross_entropy(x, y), {"x": LOGITS.reshape(2, 3, 4), "y": LABELS.reshape(2, 3)})
    assert found == pytest.approx(cross_entropy(LOGITS, LABELS).mean(), rel=1e-12)


def test_soft_labels_weigh_the_classes() -> None:
    soft = softmax(LOGITS[::-1])
    found, _ = value_and_gradient(losses.softmax_cross_entropy, LOGITS, soft)
    assert found == pytest.approx(-(soft * np.log(softmax(LOGITS))).sum(-1).mean(), rel=1e-12)


@pytest.mark.parametrize("target", [LABELS, np.eye(4)[LABELS]], ids=["labels", "one-hot"])
def test_the_gradient_of_cross_entropy_is_chance_minus_truth(target: Array) -> None:
    _, gradient = value_and_gradient(losses.softmax_cross_entropy, LOGITS, target)
    np.testing.assert_allclose(gradient, (softmax(LOGITS) - np.eye(4)[LABELS]) / 6, 1e-11, 1e-15)


def test_the_gradient_of_binary_cross_entropy_is_chance_minus_truth() -> None:
    targets = (LOGITS > 0).astype(np.float64)
    _, gradient = value_and_gradient(losses.binary_cross_entropy, LOGITS, targets)
    np.testing.assert_allclose(gradient, (1 / (1 + np.exp(-LOGITS)) - targets) / LOGITS.size, 1e-11, 1e-15)


def test_the_gradient_of_hinge_counts_violations() -> None:
    _, gradient = value_and_gradient(losses.hinge, LOGITS, LABELS)
    right = LOGITS[np.arange(6), LABELS][:, None]
    violated = (LOGITS - right + 1 > 0) & (np.eye(4)[LABELS] == 0)
    expected = violated - np.eye(4)[LABELS] * violated.sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, expected / 6, 1e-12)


def test_hinge_has_a_margin() -> None:
    x, y = gc.constant(LOGITS), gc.constant(LABELS)
    found = gc.evaluate(losses.hinge(x, y, margin=2.5, reduction="none"))
    np.testing.assert_allclose(found, hinge(LOGITS, LABELS, 2.5), 1e-12)


@pytest.mark.parametrize("target", [np.array([1, 2, 0]), np.eye(3)[[1, 2, 0]]], ids=["labels", "one-hot"])
def test_cross_entropy_of_extreme_logits_is_exact(target: Array) -> None:
    found, gradient = value_and_gradient(losses.softmax_cross_entropy, EXTREME, target)
    assert found == pytest.approx((1e4 + 0 + np.log(3)) / 3, rel=1e-15)
    np.testing.assert_allclose(gradient, (softmax(EXTREME) - np.eye(3)[[1, 2, 0]]) / 3, 1e-12)


def test_binary_cross_entropy_of_extreme_logits_is_exact() -> None:
    logits, targets = np.array([1e4, 1e4, -1e4, -1e4]), np.array([1.0, 0.0, 1.0, 0.0])
    found, gradient = value_and_gradient(losses.binary_cross_entropy, logits, targets)
    assert found == 5e3
    np.testing.assert_array_equal(gradient, [0, 0.25, -0.25, 0])


def test_compiled_cross_entropy_of_extreme_logits_is_exact() -> None:
    x, y = gc.input("x", ("batch", 3)), gc.input("y", ("batch",), "int64")
    loss = losses.softmax_cross_entropy(x, y)
    slope = gc.grad(loss, x)
    assert isinstance(slope, gc.Tensor)
    value, gradient = np.asarray(gc.function([x, y], loss)(EXTREME, [1, 2, 0])), gc.function([x, y], slope)
    assert float(value) == pytest.approx((1e4 + np.log(3)) / 3, rel=1e-6)
    expected = (softmax(EXTREME) - np.eye(3)[[1, 2, 0]]) / 3
    np.testing.assert_allclose(np.asarray(gradient(EXTREME, [1, 2, 0])), expected, 1e-6)


@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.hinge])
@pytest.mark.parametrize(("label", "place"), [(4, 2), (-1, 0)])
def test_labels_out_of_range_are_refused(loss: Loss, label: int, place: int) -> None:
    x, y = gc.input("x", ("batch", 4)), gc.input("answers", ("batch",), "int64")
    scalar = loss(x, y)
    labels = np.zeros(3, np.int64)
    labels[place] = label
    with pytest.raises(FeedError, match="1 of 3 integers are out of range") as caught:
        gc.evaluate(scalar, {"x": np.zeros((3, 4)), "answers": labels})
    text = str(caught.value)
    assert "scalar = loss(x, y)" in text
    assert f"expected   0 <= value < 4\n  got        {label} at [{place}]" in text


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (losses.softmax_cross_entropy, gc.input("target", ("batch",)), "[batch, 4]"),
        (losses.softmax_cross_entropy, gc.input("target", ("batch", 3)), "[batch, 4]"),
        (losses.softmax_cross_entropy, gc.input("target", (6,), "int64"), "[batch]"),
        (losses.softmax_cross_entropy, gc.input("target", ("batch", 1), "int64"), "[batch]"),
        (losses.hinge, gc.input("target", ("batch", 4), "int64"), "[batch]"),
        (losses.binary_cross_entropy, gc.input("target", ("batch", 1)), "[batch, 4]"),
        (losses.mean_squared_error, gc.input("target", ("batch",)), "[batch, 4]"),
    ],
)
def test_targets_of_another_shape_are_refused(loss: Any, target: gc.Tensor, expected: str) -> None:
    prediction = gc.input("prediction", ("batch", 4))
    with pytest.raises(ShapeError) as caught:
        loss(prediction, target)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{loss.__name__}: the target does not fit the prediction"
    assert lines[1].endswith("    loss(prediction, target)")
    assert lines[2].startswith("  prediction f32[batch, 4]  input 'prediction', declared at ")
    assert lines[3].startswith(f"  target     {target.type}  input 'target', declared at ")
    assert lines[4:] == [f"  expected   a target of shape {expected}", f"  got        {target.type}"]


def test_hinge_takes_integer_labels_only() -> None:
    scores, labels = gc.input("scores", ("batch", 4)), gc.input("labels", ("batch",))
    with pytest.raises(DTypeError, match="hinge: class labels are integers") as caught:
        losses.hinge(scores, labels)
    assert "labels     f32[batch]  input 'labels', declared at " in str(caught.value)
    assert "expected   int32 or int64\n" in str(caught.value)


def test_the_number_of_classes_is_fixed() -> None:
    scores, labels = gc.input("scores", (3, "n")), gc.input("labels", (3,), "int64")
    with pytest.raises(ShapeError, match="hinge: the scores need a fixed number of classes") as caught:
        losses.hinge(scores, labels)
    assert "scores     f32[3, n]  input 'scores', declared at " in str(caught.value)


def test_unknown_reductions_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no reduction 'average'") as caught:
        losses.mean_squared_error([1.0], [2.0], reduction="average")
    assert "expected   mean, sum or none" in str(caught.value)
    assert "test_losses.py" in str(caught.value)
