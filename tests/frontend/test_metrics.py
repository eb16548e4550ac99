from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import metrics
from graphc.errors import DTypeError, ShapeError

LOGITS = gc.input("logits", ("batch", 3))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_accuracy_is_the_share_of_right_answers(dtype: str) -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 3, 50)
    share = metrics.accuracy(LOGITS, gc.input("labels", ("batch",), dtype))
    assert share.dtype == gc.float32
    found = gc.evaluate(share, {"logits": logits, "labels": labels})
    assert found == pytest.approx((logits.argmax(1) == labels).mean(), rel=1e-6)


def test_of_equal_logits_the_first_counts() -> None:
    assert gc.evaluate(metrics.accuracy([[1.0, 1.0], [1.0, 1.0]], [0, 1])) == 0.5


def test_accuracy_runs_over_all_leading_axes() -> None:
    logits = np.eye(4).reshape(2, 2, 4)
    assert gc.evaluate(metrics.accuracy(logits, np.array([[0, 1], [2, 0]]))) == 0.75


def test_labels_are_integers() -> None:
    labels = gc.input("labels", ("batch",))
    with pytest.raises(DTypeError, match="accuracy: class labels are integers") as caught:
        metrics.accuracy(LOGITS, labels)
    assert "labels     f32[batch]  input 'labels', declared at " in str(caught.value)
    assert "expected   int32 or int64\n  got        f32[batch]" in str(caught.value)


@pytest.mark.parametrize("shape", [("batch", 1), (1,), (7,), ("batch", 3)], ids=str)
def test_labels_that_would_broadcast_are_refused(shape: tuple[object, ...]) -> None:
    labels = gc.input("labels", shape, "int64")
    with pytest.raises(ShapeError, match="accuracy: the labels do not fit the logits") as caught:
        metrics.accuracy(LOGITS, labels)
    text = str(caught.value)
    assert "metrics.accuracy(LOGITS, labels)" in text
    assert "logits     f32[batch, 3]  input 'logits', declared at " in text
    assert f"expected   labels of shape [batch]\n  got        {labels.type}" in text


def test_scalar_logits_are_refused() -> None:
    with pytest.raises(ShapeError, match="accuracy: the labels do not fit the logits") as caught:
        metrics.accuracy(1.0, 0)
    assert "expected   logits [..., classes]" in str(caught.value)
