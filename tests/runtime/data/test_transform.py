from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import data
from graphc.errors import DataError, DeclarationError
from graphc.scalar import Array
from tests.end_to_end.seed_cases import cases

RNG = np.random.default_rng(0)
SAMPLES = RNG.normal(2.0, 3.0, (200, 3, 2)) @ np.asarray([[1.0, 0.7], [0.0, 0.5]])


def covariance(array: Array) -> Array:
    flat = array.reshape(len(array), -1)
    found: Array = np.cov(flat.T, bias=True)
    return found


def test_features_have_mean_zero_and_deviation_one() -> None:
    scaled = data.Standardize().fit(SAMPLES).transform(SAMPLES)
    assert np.allclose(scaled.mean(0), 0)
    assert np.allclose(scaled.std(0), 1)


def test_channels_share_mean_and_deviation() -> None:
    scale = data.Standardize(by="channel").fit(SAMPLES)
    assert scale.mean.shape == (2,)
    scaled = scale.transform(SAMPLES)
    assert np.allclose(scaled.mean((0, 1)), 0)
    assert np.allclose(scaled.std((0, 1)), 1)
    assert not np.allclose(scaled.mean(0), 0)


def test_mean_and_deviation_are_those_of_the_training_data() -> None:
    scale = data.Standardize().fit(np.asarray([[0.0], [2.0]]))
    assert scale.transform(np.asarray([[5.0]])).tolist() == [[4.0]]
    assert data.Standardize(epsilon=3.0).fit(np.asarray([[0.0], [2.0]])).transform(np.asarray([[5.0]])).tolist() == [
        [2.0]
    ]


def test_a_feature_that_never_changes_becomes_zero() -> None:
    array = np.asarray([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    assert np.allclose(data.Standardize().fit(array).transform(array)[:, 0], 0)


@pytest.mark.parametrize("method", ["zca", "pca"])
def test_whitened_data_are_not_correlated(method: Any) -> None:
    white = data.Whiten(method, epsilon=0.0).fit(SAMPLES).transform(SAMPLES)
    assert white.shape == SAMPLES.shape
    assert np.allclose(covariance(white), np.eye(6))
    assert np.allclose(white.mean(0), 0)


def test_zca_changes_the_data_least_and_pca_sorts_by_variance() -> None:
    zca = data.Whiten("zca", epsilon=0.0).fit(SAMPLES)
    assert np.allclose(zca.matrix, zca.matrix.T)
    assert np.allclose(zca.matrix @ covariance(SAMPLES) @ zca.matrix.T, np.eye(6))
    pca = data.Whiten("pca", epsilon=0.0).fit(SAMPLES)
    lengths = np.linalg.norm(pca.matrix, axis=1)
    assert np.all(np.diff(lengths) > 0)


def test_epsilon_keeps_small_directions_small() -> None:
    array = np.asarray([[10.0, 0.1], [-10.0, 0.1], [10.0, -0.1], [-10.0, -0.1]])
    white = data.Whiten(epsilon=1.0).fit(array).transform(array)
    assert np.allclose(np.abs(white), [10 / np.sqrt(101), 0.1 / np.sqrt(1.01)])


@pytest.mark.parametrize(
    "transform",
    [data.Standardize(), data.Standardize("channel", epsilon=0.1), data.Whiten("zca"), data.Whiten("pca", epsilon=0.1)],
)
def test_the_inverse_gives_the_data_back(transform: data.Transform) -> None:
    other = SAMPLES[:7] * 2 + 1
    assert np.allclose(transform.fit(SAMPLES).inverse(transform.transform(other)), other)


def test_results_have_the_precision_of_the_data() -> None:
    scale = data.Standardize().fit(SAMPLES)
    assert scale.transform(SAMPLES.astype(np.float32)).dtype == np.float32
    assert scale.transform(np.ones((1, 3, 2), np.uint8)).dtype == np.float64


def test_each_sample_is_standardised_as_the_notes_do() -> None:
    (case,) = [case for case in cases("graphs") if case["id"] == "S1.whitening"]
    patch = np.asarray(case["inputs"]["I"])
    found = data.standardize_each(np.stack([patch, 5 * patch + 7, np.ones((2, 2))]))
    assert np.allclose(found[0], case["expect"]["ZN"])
    assert np.allclose(found[1], found[0])
    assert found[2].tolist() == [[0, 0], [0, 0]]
    assert data.standardize_each(np.ones((1, 2), np.float32)).dtype == np.float32


def refusal(make: Callable[[], object]) -> DataError:
    with pytest.raises(DataError) as caught:
        make()
    assert __file__ in str(caught.value.at)
    return caught.value


def test_a_transform_that_is_not_fitted_or_for_another_shape_is_refused() -> None:
    error = refusal(lambda: data.Standardize().transform(SAMPLES))
    assert error.what == "Standardize is not fitted"
    assert error.way_out == "call fit with the training data first"
    error = refusal(lambda: data.Whiten().fit(SAMPLES).inverse(SAMPLES[:, :2]))
    assert error.what == "Whiten was fitted to samples of another shape"
    assert (error.expected, error.got) == ("[samples, 3, 2]", "[200, 2, 2]")


def test_data_that_cannot_be_measured_are_refused() -> None:
    error = refusal(lambda: data.Standardize().fit(np.asarray([[np.nan]])))
    assert error.what == "Standardize cannot be fitted to this array"
    assert error.got == "float64[1, 1], not all finite"
    assert refusal(lambda: data.Standardize().fit(np.ones(3))).got == "float64[3]"
    error = refusal(lambda: data.Whiten(epsilon=0.0).fit(np.asarray([[1.0, 2.0], [2.0, 4.0], [5.0, 10.0]])))
    assert error.what == "the data do not change in some direction, which cannot be whitened"
    assert error.expected == "at least 3 samples of 2 numbers that are no sums of others"


def test_options_that_cannot_be_are_refused() -> None:
    method: Any = "lda"
    with pytest.raises(DeclarationError, match="this transform cannot be") as caught:
        data.Whiten(method)
    assert (caught.value.expected, caught.value.got) == ('method: "zca" or "pca"', "'lda'")
    with pytest.raises(DeclarationError, match="epsilon: at least 0"):
        data.Standardize(epsilon=-1.0)
