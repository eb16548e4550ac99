"""Networks as scikit-learn's estimators, for its pipelines, searches and cross-validation. Public as ``gc.estimators``.

Needs scikit-learn (``pip install 'graphc[demo]'``), which is imported with this module alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from graphc.errors import DataError, MissingPackageError
from graphc.frontend import layers, losses, optimizers
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.state import input as declare_input
from graphc.frontend.tensor import Tensor
from graphc.origin import user_location
from graphc.runtime.callbacks import EarlyStopping
from graphc.runtime.data.split import split
from graphc.runtime.history import History
from graphc.runtime.model import Model
from graphc.runtime.model import compile as compile_model
from graphc.scalar import Array

if TYPE_CHECKING:

    class BaseEstimator:
        """What type checkers need to know of scikit-learn's classes."""

        def __getstate__(self) -> dict[str, Any]: ...
        def __setstate__(self, state: dict[str, Any]) -> None: ...
        def __sklearn_tags__(self) -> Any: ...

    class ClassifierMixin(BaseEstimator):
        """Adds ``score``, the accuracy."""

    class RegressorMixin(BaseEstimator):
        """Adds ``score``, the coefficient of determination."""

    def check_is_fitted(estimator: object) -> None: ...
    def check_classification_targets(y: Array) -> None: ...
    def column_or_1d(y: Array, *, warn: bool) -> Array: ...
    def validate_data(estimator: object, *arrays: object, **options: object) -> Any: ...

else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
    except ImportError:
        raise MissingPackageError(
            "gc.estimators needs scikit-learn 1.6 or newer", way_out="pip install 'graphc[demo]'"
        ) from None

__all__ = ["Classifier", "Regressor"]

_ROWS = 256


class _Estimator(BaseEstimator):
    """What classifier and regressor have in common; scikit-learn reads the parameters off ``__init__``."""

    model_: Model
    history_: History
    n_features_in_: int

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        *,
        network: Callable[[Tensor, int], Tensor] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        optimizer: Callable[[float], Optimizer] | None = None,
        learning_rate: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 32,
        seed: int = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes, self.activation, self.network = hidden_layer_sizes, activation, network
        self.loss, self.optimizer, self.learning_rate = loss, optimizer, learning_rate
        self.epochs, self.batch_size, self.seed = epochs, batch_size, seed
        self.early_stopping, self.validation_fraction, self.patience = early_stopping, validation_fraction, patience
        self.threads = threads

    @abstractmethod
    def _outputs(self) -> int:
        """How many numbers the network yields for a sample."""

    @abstractmethod
    def _targets(self) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """The input for targets, and the usual loss of outputs and targets."""

    def _build(self) -> Model:
        x = declare_input("x", shape=("batch", self.n_features_in_))
        targets, usual_loss = self._targets()
        network = self.network or self._perceptron
        outputs = network(x, self._outputs())
        return compile_model(
            (self.loss or usual_loss)(outputs, targets),
            (self.optimizer or optimizers.Adam)(self.learning_rate),
            outputs={"outputs": outputs},
            seed=self.seed,
            threads=self.threads,
            name=type(self).__name__.lower(),
        )

    def _perceptron(self, x: Tensor, outputs: int) -> Tensor:
        hidden = [
            layers.Dense(size, activation=self.activation, kernel_initializer="he_uniform")
            for size in self.hidden_layer_sizes
        ]
        return layers.Sequential([*hidden, layers.Dense(outputs)])(x)

    def _train(self, x: Array, y: Array, stratify: str | None) -> None:
        data: dict[str, object] = {"x": x, "y": y}
        self.model_ = self._build()
        if not self.early_stopping:
            self.history_ = self.model_.fit(data, epochs=self.epochs, batch_size=self.batch_size, progress=False)
            return
        fraction = self.validation_fraction
        train, held_out = split(data, [1 - fraction, fraction], seed=self.seed, stratify=stratify)
        self.history_ = self.model_.fit(
            train,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation_data=held_out,
            callbacks=[EarlyStopping(patience=self.patience)],
            progress=False,
        )

    def _train_once(self, x: Array, y: Array) -> None:
        if not hasattr(self, "model_"):
            self.model_ = self._build()
        history = self.model_.fit({"x": x, "y": y}, batch_size=self.batch_size, progress=False)
        self.history_ = History([*getattr(self, "history_", []), *history])

    def _forward(self, x: object) -> Array:
        check_is_fitted(self)
        checked = validate_data(self, x, reset=False, dtype=np.float32)
        return self.model_.predict({"x": checked}, batch_size=_ROWS)["outputs"]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        model: Model | None = state.pop("model_", None)
        if model is not None:
            cells = {name: cell.read() for name, cell in model.cells.items()}
            state["_trained"] = (cells, model.position)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        trained = state.pop("_trained", None)
        super().__setstate__(state)
        if trained is not None:
            self.model_ = self._build()
            cells, self.model_.position = trained
            for name, value in cells.items():
                self.model_.cells[name].set(value)


class Classifier(ClassifierMixin, _Estimator):
    """A network that tells classes apart, as an estimator of scikit-learn.

    hidden_layer_sizes, activation: of the dense layers. network: in their place, a function of the inputs [batch,
    features] and the number of classes that gives logits [batch, classes]. loss: a function of logits and labels, by
    default softmax cross entropy. optimizer: a function of the learning rate, by default ``gc.optimizers.Adam``.
    epochs, batch_size, seed, threads: as in ``gc.compile`` and ``fit``. early_stopping: hold out validation_fraction of
    the samples, with all classes in their shares; end when their loss has not become better for ``patience`` epochs,
    and take the best parameters. Features go in as float32 and are not scaled: put a StandardScaler before.

    After ``fit``: classes_, model_ (the ``gc.Model``), history_. It can be pickled if its functions can.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> Classifier((16,), epochs=40, learning_rate=0.01).fit(x, y).score(x, y) > 0.9
    True
    """

    classes_: Array

    def fit(self, X: object, y: object) -> Self:
        """Train anew on samples [samples, features] and labels [samples] of any kind.

        Raises DataError for a single class, and what scikit-learn raises for arrays that do not fit.
        """
        x, labels = self._checked(X, y, reset=True)
        self.classes_, places = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                "a classifier needs at least two classes",
                at=str(user_location()),
                expected="labels of two kinds or more",
                got=f"1 class: {self.classes_[0]!r}",
            )
        self._train(x, places.astype(np.int64), "y")
        return self

    def partial_fit(self, X: object, y: object, classes: object = None) -> Self:
        """Train for one epoch from where training stands.

        classes: all labels there are, needed by the first call. Raises DataError without them, and for other labels.
        """
        first = not hasattr(self, "model_")
        x, labels = self._checked(X, y, reset=first)
        if first:
            if classes is None:
                raise DataError(
                    "the first call of partial_fit needs the classes",
                    at=str(user_location()),
                    expected="classes: all labels that there are",
                    got="classes=None",
                )
            self.classes_ = np.unique(np.asarray(classes))
        places = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unknown = labels[self.classes_[places] != labels]
        if len(unknown):
            raise DataError(
                f"there is no class {unknown[0]!r}",
                at=str(user_location()),
                expected=f"one of {list(self.classes_)}",
                got=repr(unknown[0]),
            )
        self._train_once(x, places.astype(np.int64))
        return self

    def decision_function(self, X: object) -> Array:
        """The logits [samples, classes]; for two classes the difference [samples] of the second and the first."""
        logits = self._forward(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: object) -> Array:
        """The softmax of the logits, [samples, classes] of float64."""
        logits = self._forward(X).astype(np.float64)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found: Array = powers / powers.sum(1, keepdims=True)
        return found

    def predict(self, X: object) -> Array:
        """The label of the largest logit, [samples]."""
        best = self._forward(X).argmax(1)
        return np.asarray(self.classes_[best])

    def _checked(self, x: object, y: object, reset: bool) -> tuple[Array, Array]:
        checked, labels = validate_data(self, x, y, reset=reset, dtype=np.float32)
        check_classification_targets(labels)
        return checked, column_or_1d(labels, warn=True)

    def _outputs(self) -> int:
        return len(self.classes_)

    def _targets(self) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        return declare_input("y", shape=("batch",), dtype="int64"), losses.softmax_cross_entropy


class Regressor(RegressorMixin, _Estimator):
    """A network that tells numbers, as an estimator of scikit-learn.

    The parameters are those of ``Classifier``; the function ``network`` is given the number of targets, and ``loss`` is
    by default the mean squared error. Targets [samples] or [samples, targets] are not scaled: a
    TransformedTargetRegressor does that.

    After ``fit``: n_outputs_, model_ (the ``gc.Model``), history_. It can be pickled if its functions can.

    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> Regressor((16,), epochs=60, learning_rate=0.02).fit(x, x[:, 0] ** 2).score(x, x[:, 0] ** 2) > 0.9
    True
    """

    n_outputs_: int

    def fit(self, X: object, y: object) -> Self:
        """Train anew on samples [samples, features] and numbers [samples] or [samples, targets]."""
        self._train(*self._checked(X, y, reset=True), None)
        return self

    def partial_fit(self, X: object, y: object) -> Self:
        """Train for one epoch from where training stands."""
        self._train_once(*self._checked(X, y, reset=not hasattr(self, "model_")))
        return self

    def predict(self, X: object) -> Array:
        """The numbers, [samples] or [samples, targets] of float64, as ``fit`` was given."""
        found = self._forward(X).astype(np.float64)
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, x: object, y: object, reset: bool) -> tuple[Array, Array]:
        checked, targets = validate_data(self, x, y, reset=reset, dtype=np.float32, multi_output=True, y_numeric=True)
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        if reset:
            self._flat = targets.ndim == 1
            self.n_outputs_ = 1 if self._flat else targets.shape[1]
        return checked, targets.reshape(len(targets), -1)

    def _outputs(self) -> int:
        return self.n_outputs_

    def _targets(self) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        return declare_input("y", shape=("batch", self.n_outputs_)), losses.mean_squared_error
