"""Metrics of a whole data set against scikit-learn, for any sizes of batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as peers

import graphc as gc
from graphc import metrics
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(53, 5)).astype(np.float32)
LABELS = RNG.integers(0, 4, 53)
FOUND = np.where(LOGITS.argmax(1) == 3, 0, LOGITS.argmax(1))
"""No sample has label 4, and 3 is never predicted."""
LOGITS[np.arange(53), FOUND] += 9
SCORES = RNG.normal(size=53).astype(np.float32)
TRUTH = RNG.integers(0, 2, 53)


def value(metric: metrics.Metric) -> float:
    return metric.finish(np.asarray(gc.evaluate(metric.counts), np.float64))


def peer_of_classes(score: Callable[..., float]) -> float:
    return float(score(LABELS, FOUND, average="macro", zero_division=0))


def exact_perplexity() -> float:
    logarithm = LOGITS - np.log(np.exp(LOGITS.astype(np.float64)).sum(1, keepdims=True))
    return float(np.exp(-logarithm[np.arange(53), LABELS].mean()))


def test_confusion_counts_labels_in_rows_and_predictions_in_columns() -> None:
    found = gc.evaluate(metrics.confusion_matrix(LOGITS, LABELS))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, peers.confusion_matrix(LABELS, FOUND, labels=range(5)))
    left = np.where(LABELS == 1, 255, LABELS)
    kept = LABELS != 1
    ignoring = gc.evaluate(metrics.confusion_matrix(LOGITS, left, ignore_index=255))
    np.testing.assert_array_equal(ignoring, peers.confusion_matrix(LABELS[kept], FOUND[kept], labels=range(5)))


def test_scores_of_two_classes() -> None:
    found = SCORES > 0.25
    for labels in (TRUTH, TRUTH.astype(bool), TRUTH.astype(np.float32)):
        names: list[tuple[Callable[..., metrics.Metric], Callable[..., float]]] = [
            (metrics.precision, peers.precision_score),
            (metrics.recall, peers.recall_score),
            (metrics.f1, peers.f1_score),
        ]
        for mine, theirs in names:
            assert value(mine(SCORES, labels, threshold=0.25)) == pytest.approx(theirs(TRUTH, found), rel=1e-12)


def test_scores_of_several_classes_are_means_over_those_that_occur() -> None:
    assert value(metrics.precision(LOGITS, LABELS)) == pytest.approx(peer_of_classes(peers.precision_score))
    assert value(metrics.recall(LOGITS, LABELS)) == pytest.approx(peer_of_classes(peers.recall_score))
    assert value(metrics.f1(LOGITS, LABELS)) == pytest.approx(peer_of_classes(peers.f1_score))
    assert value(metrics.mean_iou(LOGITS, LABELS)) == pytest.approx(peer_of_classes(peers.jaccard_score))


def test_of_nothing_found_the_precision_is_zero_and_of_nothing_at_all_not_a_number() -> None:
    assert value(metrics.precision([-1.0, -2.0], [1, 0])) == 0
    assert value(metrics.f1([-1.0], [0])) == 0
    assert math.isnan(value(metrics.mean_iou([[1.0, 0.0]], [7], ignore_index=7)))


def test_perplexity_and_its_limits() -> None:
    assert value(metrics.perplexity(LOGITS, LABELS)) == pytest.approx(exact_perplexity(), rel=1e-5)
    labels = np.where(np.arange(53) < 20, LABELS, -1)
    kept = value(metrics.perplexity(LOGITS, labels, ignore_index=-1))
    assert kept == pytest.approx(value(metrics.perplexity(LOGITS[:20], LABELS[:20])), rel=1e-6)
    assert value(metrics.perplexity([[0.0, 1e4]], [0])) == math.inf
    assert math.isnan(value(metrics.perplexity([[0.0, 1.0]], [-1], ignore_index=-1)))


def test_the_explained_share_of_the_variance() -> None:
    targets = SCORES * 2 + 1000
    found = targets + LOGITS[:, 0] / 4
    assert value(metrics.r_squared(found, targets)) == pytest.approx(peers.r2_score(targets, found), rel=1e-4)
    assert math.isnan(value(metrics.r_squared([1.0, 2.0], [3.0, 3.0])))


def test_top_k_accuracy_is_scikit_learns() -> None:
    for k in (1, 2, 3):
        found = gc.evaluate(metrics.top_k_accuracy(LOGITS, LABELS, k))
        assert found == pytest.approx(peers.top_k_accuracy_score(LABELS, LOGITS, k=k, labels=range(5)), rel=1e-6)
    assert gc.evaluate(metrics.top_k_accuracy(LOGITS, LABELS, 1)) == gc.evaluate(metrics.accuracy(LOGITS, LABELS))


def test_top_k_accuracy_of_equal_logits_and_of_what_is_no_number() -> None:
    assert gc.evaluate(metrics.top_k_accuracy([[1.0, 1.0, 1.0]] * 3, [0, 1, 2], 2)) == pytest.approx(2 / 3)
    assert gc.evaluate(metrics.top_k_accuracy([[np.nan, 1.0]], [0], 2)) == 0
    assert gc.evaluate(metrics.top_k_accuracy([[0.5, 1.0]], [9], 2)) == 0


def test_zero_one_counts_errors() -> None:
    wrong = (FOUND != LABELS).mean()
    assert gc.evaluate(metrics.zero_one(LOGITS, LABELS)) == pytest.approx(wrong, rel=1e-6)


def scaled_logits() -> gc.Model:
    """A model of one weight that hardly moves, whose metrics are those of what is fed."""
    logits, labels = gc.input("logits", ("batch", 5)), gc.input("labels", ("batch",), "int64")
    scaled = logits * gc.parameter((), 1.0, "weight")
    watched: dict[str, gc.Tensor | metrics.Metric] = {
        "accuracy": metrics.accuracy(scaled, labels),
        "f1": metrics.f1(scaled, labels),
        "iou": metrics.mean_iou(scaled, labels),
        "perplexity": metrics.perplexity(scaled, labels),
    }
    return gc.compile(gc.losses.softmax_cross_entropy(scaled, labels), gc.optimizers.SGD(1e-9), watched)


@pytest.fixture(scope="module")
def model() -> gc.Model:
    return scaled_logits()


def expected() -> dict[str, float]:
    return {
        "loss": math.log(exact_perplexity()),
        "accuracy": float((FOUND == LABELS).mean()),
        "f1": peer_of_classes(peers.f1_score),
        "iou": peer_of_classes(peers.jaccard_score),
        "perplexity": exact_perplexity(),
    }


DATA: dict[str, Array] = {"logits": LOGITS, "labels": LABELS}


@pytest.mark.parametrize("batch_size", [1, 10, 53, 100])
def test_evaluation_does_not_depend_on_the_sizes_of_batches(model: gc.Model, batch_size: int) -> None:
    assert model.evaluate(DATA, batch_size=batch_size) == pytest.approx(expected(), rel=1e-5)


def test_an_epoch_of_training_counts_over_all_its_batches(model: gc.Model) -> None:
    history = model.fit(DATA, batch_size=10, validation_data=DATA)
    for name, wanted in expected().items():
        assert history[name][-1] == pytest.approx(wanted, rel=1e-5)
        assert history[f"val_{name}"][-1] == pytest.approx(wanted, rel=1e-5)


def test_a_single_step_finishes_its_own_counts(model: gc.Model) -> None:
    found = model.step({name: column[:10] for name, column in DATA.items()})
    assert found["f1"] == pytest.approx(value(metrics.f1(LOGITS[:10], LABELS[:10])), rel=1e-12)


class Save(gc.callbacks.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_batch_end(self, model: gc.Model, logs: dict[str, float]) -> None:
        if model.position.batch == 3:
            model.save(self.path)


def test_counts_of_a_begun_epoch_are_resumed_from_a_checkpoint(tmp_path: Path) -> None:
    whole = scaled_logits()
    whole.fit(DATA, batch_size=10, callbacks=[Save(tmp_path / "model")])
    resumed = scaled_logits()
    resumed.load(tmp_path / "model")
    history = resumed.fit(DATA, batch_size=10)
    assert [history[name] for name in expected()] == [[whole.position.history[0][name]] for name in expected()]


def test_counts_have_a_fixed_shape() -> None:
    x = gc.input("x", ("batch", 3))
    with pytest.raises(DeclarationError, match="the counts of a metric have one shape for all batches") as caught:
        metrics.Metric(x, lambda sums: 0.0)
    text = str(caught.value)
    assert "counts     f32[batch, 3]  input 'x', declared at " in text
    assert "expected   a tensor of integer sizes\n  got        f32[batch, 3]\n  way out    take the sum" in text


def test_labels_that_do_not_fit_are_refused() -> None:
    x = gc.input("x", ("batch", 3))
    with pytest.raises(ShapeError, match="confusion_matrix: the labels do not fit the logits"):
        metrics.f1(x, gc.input("y", ("batch", 1), "int64"))
    with pytest.raises(DTypeError, match="top_k_accuracy: class labels are integers"):
        metrics.top_k_accuracy(x, gc.input("y", ("batch",)))
    with pytest.raises(DeclarationError, match="top_k_accuracy: k is a number of classes") as caught:
        metrics.top_k_accuracy(x, gc.input("y", ("batch",), "int64"), k=0)
    assert "expected   an integer of at least 1\n  got        0" in str(caught.value)
    with pytest.raises(ShapeError, match="confusion_matrix: the logits need a fixed number of classes"):
        metrics.confusion_matrix(gc.input("x", (3, "n")), gc.input("y", (3,), "int64"))
