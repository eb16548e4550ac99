from __future__ import annotations

import importlib.util
import pickle
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.errors import DataError, MissingPackageError
from graphc.frontend.tensor import Tensor
from graphc.runtime.estimators import Classifier, Regressor
from graphc.scalar import Array

BLOBS: tuple[Array, Array] = make_blobs(120, centers=3, n_features=2, random_state=0)
LINE: tuple[Array, Array] = make_regression(100, 3, random_state=0)


@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_estimators_keep_the_rules_of_scikit_learn(kind: Any) -> None:
    results = check_estimator(kind((), epochs=10, learning_rate=0.02), on_skip=None, on_fail=None)
    assert [
        (result["check_name"], str(result["exception"])) for result in results if result["status"] == "failed"
    ] == []
    assert sum(result["status"] == "passed" for result in results) > 40


def test_a_classifier_learns_classes_with_names() -> None:
    x, y = BLOBS
    names = np.asarray(["rose", "iris", "lily"])[y]
    model = Classifier((16,), epochs=30, learning_rate=0.02).fit(x, names)
    assert model.classes_.tolist() == ["iris", "lily", "rose"]
    assert (model.predict(x) == names).mean() > 0.9
    shares = model.predict_proba(x)
    assert np.allclose(shares.sum(1), 1)
    assert np.array_equal(model.classes_[shares.argmax(1)], model.predict(x))
    assert len(model.history_) == 30


def test_the_seed_decides_every_bit() -> None:
    x, y = BLOBS
    first, second, other = (Classifier((4,), epochs=2, seed=seed).fit(x, y).decision_function(x) for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_regressor_learns_one_target_or_several() -> None:
    x, y = LINE
    y = y / y.std()
    one = Regressor((), epochs=40, learning_rate=0.05).fit(x, y)
    assert one.predict(x).shape == (100,)
    assert np.corrcoef(one.predict(x), y)[0, 1] > 0.99
    two = Regressor((), epochs=40, learning_rate=0.05).fit(x, np.stack([y, -y], 1))
    assert two.predict(x).shape == (100, 2)
    assert np.corrcoef(two.predict(x)[:, 1], -y)[0, 1] > 0.99


def test_network_loss_and_optimizer_are_the_users() -> None:
    def network(x: Tensor, outputs: int) -> Tensor:
        return layers.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(outputs)], name="own")(x)

    model = Regressor(
        network=network, loss=losses.mean_absolute_error, optimizer=optimizers.SGD, learning_rate=0.5, epochs=1
    ).fit(*LINE)
    assert model.model_.cells["own/dense/weight"].array.shape == (3, 5)
    assert isinstance(model.model_.optimizer, optimizers.SGD)
    assert float(model.model_.cells["learning_rate"].array) == 0.5


def test_parts_of_the_data_train_one_after_the_other() -> None:
    x, y = BLOBS
    model = Classifier((8,), learning_rate=0.02)
    for _ in range(15):
        model.partial_fit(x[:60], y[:60], classes=[0, 1, 2])
        model.partial_fit(x[60:], y[60:])
    assert (model.predict(x) == y).mean() > 0.9
    assert model.history_["epoch"] == list(range(1, 31))


def test_wrong_classes_are_refused() -> None:
    x, y = BLOBS
    with pytest.raises(DataError, match="the first call of partial_fit needs the classes"):
        Classifier().partial_fit(x, y)
    with pytest.raises(DataError, match="there is no class") as caught:
        Classifier(()).partial_fit(x, y, classes=[0, 1])
    assert "Classifier(()).partial_fit" in str(caught.value.at)
    with pytest.raises(DataError, match="a classifier needs at least two classes") as caught:
        Classifier().fit(x, np.zeros(len(x)))
    assert caught.value.got == "1 class: np.float64(0.0)"


def test_early_stopping_holds_samples_out_and_takes_the_best() -> None:
    x, y = BLOBS
    model = Classifier((16,), epochs=200, learning_rate=0.5, early_stopping=True, validation_fraction=0.25, patience=3)
    model.fit(x, y)
    best = int(np.argmin(model.history_["val_loss"]))
    assert len(model.history_) == best + 4
    assert "val_loss has not become better" in str(model.history_.stopped)
    regressor = Regressor((), epochs=3, early_stopping=True).fit(*LINE)
    assert "val_loss" in regressor.history_.names


def test_a_pickled_estimator_predicts_and_trains_on_as_before() -> None:
    x, y = BLOBS
    model = Classifier((8,), epochs=3).fit(x, y)
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.decision_function(x), model.decision_function(x))
    assert np.array_equal(twin.partial_fit(x, y).decision_function(x), model.partial_fit(x, y).decision_function(x))


def test_estimators_work_in_pipelines_and_searches() -> None:
    x, y = BLOBS
    pipeline = make_pipeline(StandardScaler(), Classifier((), epochs=5, learning_rate=0.1))
    search = GridSearchCV(pipeline, {"classifier__learning_rate": [1e-6, 0.1]}, cv=2)
    search.fit(x, y)
    assert search.best_params_ == {"classifier__learning_rate": 0.1}
    assert clone(search.best_estimator_).get_params()["classifier__epochs"] == 5


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    specification = importlib.util.find_spec("graphc.runtime.estimators")
    assert specification is not None
    assert specification.loader is not None
    fresh = importlib.util.module_from_spec(specification)
    with pytest.raises(MissingPackageError, match=r"gc.estimators needs scikit-learn 1\.6 or newer") as caught:
        specification.loader.exec_module(fresh)
    assert caught.value.way_out == "pip install 'graphc[demo]'"


def test_the_module_is_public() -> None:
    assert gc.estimators.Classifier is Classifier
