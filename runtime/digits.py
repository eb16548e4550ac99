"""The task "digits": handwritten digits, 8 x 8 pixels, that come inside scikit-learn.

The data are 1,797 images of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998). The
split is fixed: every fifth image, counted in an order shuffled by seed 0, is for testing.
"""

from __future__ import annotations

import numpy as np

from graphc.errors import DeclarationError, MissingPackageError
from graphc.frontend import layers, losses, metrics, models, optimizers
from graphc.frontend.resizing import resize
from graphc.frontend.shaping import expand_dims
from graphc.frontend.state import input as declare_input
from graphc.frontend.tensor import Tensor
from graphc.origin import user_location
from graphc.runtime.data.arrays import shuffled
from graphc.runtime.model import compile as compile_model
from graphc.runtime.tasks import Task
from graphc.scalar import Array

__all__ = ["load_digits", "task"]

IS_USER_CODE = True
"""Messages and pictures show the lines of this file, as they show those of a user's own."""


def load_digits() -> tuple[dict[str, Array], dict[str, Array]]:
    """Training and test data: images [n, 8, 8] between 0 and 1, labels [n]; MissingPackageError without
    scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError:
        raise MissingPackageError("the digits come with scikit-learn", way_out="pip install 'graphc[demo]'") from None
    data = bundled()
    order = shuffled(len(data.target), seed=0, epoch=0)
    images = (data.images[order] / 16.0).astype(np.float32)
    labels = data.target[order].astype(np.int64)
    testing = np.arange(len(labels)) % 5 == 0
    return (
        {"image": images[~testing], "label": labels[~testing]},
        {"image": images[testing], "label": labels[testing]},
    )


NETWORKS = {"perceptron": 40, "lenet": 15, "resnet": 12}
"""The networks that the task knows, and their epochs."""


def task(
    network: str = "perceptron",
    hidden: int = 128,
    dropout: float = 0.2,
    learning_rate: float = 2e-3,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Adam on one of three networks: "perceptron" has two hidden layers with dropout, "lenet" is LeNet-5 on images of
    28 x 28, "resnet" a residual network of 20 layers on images of 16 x 16."""
    if network not in NETWORKS:
        raise DeclarationError(
            f"the digits have no network {network!r}",
            at=str(user_location()),
            expected=", ".join(map(repr, NETWORKS)),
            got=repr(network),
            way_out="write a task file of your own, see docs/tour.md",
        )
    train, test = load_digits()
    image = declare_input("image", shape=("batch", 8, 8))
    label = declare_input("label", shape=("batch",), dtype="int64")
    logits = _scores(network, image, hidden, dropout)
    model = compile_model(
        losses.softmax_cross_entropy(logits, label),
        optimizers.Adam(learning_rate),
        metrics={"accuracy": metrics.accuracy(logits, label)},
        outputs={"logits": logits},
        seed=seed,
        threads=threads,
        name="digits",
    )
    return Task(model, train, test, epochs=NETWORKS[network], batch_size=32)


def _scores(network: str, image: Tensor, hidden: int, dropout: float) -> Tensor:
    if network == "lenet":
        return models.lenet5()(resize(expand_dims(image, -1), (28, 28)))
    if network == "resnet":
        return models.resnet_cifar(20, width=8)(resize(expand_dims(image, -1), (16, 16)))
    return layers.Sequential(
        [
            layers.Flatten(),
            layers.Dense(hidden, activation="relu", kernel_initializer="he_normal"),
            layers.Dropout(dropout),
            layers.Dense(hidden // 2, activation="relu", kernel_initializer="he_normal"),
            layers.Dropout(dropout),
            layers.Dense(10),
        ],
        name="digits",
    )(image)
