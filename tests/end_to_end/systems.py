"""Systems of docs/systems.md that are more than one model and one loss: each is run on a few samples.

A function returns losses, the first before and the last after what it does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphc as gc
from graphc import layers, losses, models, optimizers
from graphc.scalar import Array

CLASSES = 3
FEATURES = 4


def blobs(count: int = 60) -> dict[str, Array]:
    """Three clouds of points."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    centres = 2 * np.eye(CLASSES, FEATURES)
    return {"x": (centres[labels] + 0.5 * rng.normal(size=(count, FEATURES))).astype(np.float32), "label": labels}


def circle(count: int = 60) -> dict[str, Array]:
    """Points of the plane; those near the origin are of class 1."""
    points = np.random.default_rng(0).uniform(-2, 2, (count, 2)).astype(np.float32)
    return {"x": points, "label": (np.square(points).sum(1, keepdims=True) < 2).astype(np.float32)}


def classified(network: layers.Layer) -> tuple[gc.Tensor, gc.Tensor, gc.Tensor]:
    """Input, labels and scores of a network for the clouds."""
    x, label = gc.input("x", ("batch", FEATURES)), gc.input("label", ("batch",), "int64")
    return x, label, network(x)


def trained(loss: gc.Tensor, data: dict[str, Array], optimizer: optimizers.Optimizer, steps: int = 20) -> list[float]:
    model = gc.compile(loss, optimizer, threads=1)
    return [model.step(data)["loss"] for _ in range(steps)]


def measured(x: gc.Tensor, label: gc.Tensor, scores: gc.Tensor) -> Callable[[dict[str, Array]], float]:
    """The cross-entropy as a compiled function of data, at the present parameters."""
    loss = gc.function([x, label], losses.softmax_cross_entropy(scores, label), threads=1)
    return lambda data: float(np.asarray(loss(data["x"], data["label"])))


def support_vector_machine() -> list[float]:
    network = models.linear_classifier(CLASSES)
    _, label, scores = classified(network)
    loss = losses.hinge(scores, label) + gc.regularizers.l2(network[1].weight, 1e-3)
    return trained(loss, blobs(), optimizers.SGD(0.1))


def random_search() -> list[float]:
    network = models.linear_classifier(CLASSES)
    x, label, scores = classified(network)
    loss = measured(x, label, scores)
    data, rng, best = blobs(), np.random.default_rng(0), [np.inf]
    weight = network[1].weight
    for _ in range(50):
        weight.value = rng.normal(size=weight.shape)
        found = loss(data)
        best.append(min(best[-1], found))
    return best[1:]


def finite_differences() -> list[float]:
    """The step is against the sign of what a small change does, one weight at a time."""
    network = models.linear_classifier(CLASSES)
    x, label, scores = classified(network)
    loss = measured(x, label, scores)
    data, weight, h = blobs(), network[1].weight, 1e-2
    found = [loss(data)]
    for place in np.ndindex(FEATURES, CLASSES):
        values = weight.value
        weight.value = values + h * _at(place)
        change = loss(data) - found[-1]
        weight.value = values - 0.3 * np.sign(change) * _at(place)
        found.append(loss(data))
    return found


def _at(place: tuple[int, ...]) -> Array:
    one = np.zeros((FEATURES, CLASSES))
    one[place] = 1
    return one


def playground() -> list[float]:
    network = models.playground(["x1^2", "x2^2"], hidden=(3,))
    x, label = gc.input("x", ("batch", 2)), gc.input("label", ("batch", 1))
    fit = losses.binary_cross_entropy(network(x), label)
    weights = [parameter for parameter in network.parameters if parameter.ndim > 1]
    return trained(fit + gc.regularizers.l1(weights, 1e-4), circle(), optimizers.Adam(0.05), 60)


def perceptron() -> list[float]:
    """A perceptron with a rate of its own for the last layer, and rates that fall as c / t."""
    network = models.mlp((8,), CLASSES)
    _, label, scores = classified(network)
    slow = optimizers.SGD(gc.schedules.inverse(0.5))
    rates = optimizers.Groups([(network[-1].parameters, slow)], default=optimizers.SGD(0.5))
    return trained(losses.softmax_cross_entropy(scores, label), blobs(), rates)


def averaged_dropout() -> list[float]:
    """Training, then the mean of many masks' probabilities, which is never worse than they are in the mean."""
    network = models.maxout_mlp((8,), 2, CLASSES)
    x, label, scores = classified(network)
    data = blobs()
    found = trained(losses.softmax_cross_entropy(scores, label), data, optimizers.Adam(0.05))
    sampled = gc.function([x], gc.softmax(scores), training=True, threads=1)
    draws = [np.asarray(sampled(data["x"])) for _ in range(30)]
    together = _surprise(np.mean(draws, 0), data["label"])
    assert together < np.mean([_surprise(draw, data["label"]) for draw in draws])
    return [found[0], together]


def _surprise(probabilities: Array, labels: Array) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def bagging() -> list[float]:
    """Three networks, each trained on samples drawn with replacement; the loss of their mean at first and at last."""
    members = [models.mlp((6,), CLASSES) for _ in range(3)]
    x, label, first = classified(members[0])
    scores = [first, *(member(x) for member in members[1:])]
    counts = [gc.input(f"count{number}", ("batch",)) for number in range(3)]
    total = sum(
        (
            losses.softmax_cross_entropy(score, label, sample_weights=count)
            for score, count in zip(scores, counts, strict=True)
        ),
        gc.constant(0.0),
    )
    mean = gc.softmax(gc.stack(scores)).mean(0)
    model = gc.compile(total, optimizers.Adam(0.05), metrics={"together": _surprise_of(mean, label)}, threads=1)
    data, rng = blobs(), np.random.default_rng(0)
    size = len(data["x"])
    drawn = {f"count{number}": np.bincount(rng.integers(0, size, size), minlength=size) for number in range(3)}
    feed = {**data, **{name: count.astype(np.float32) for name, count in drawn.items()}}
    return [model.step(feed)["together"] for _ in range(20)]


def _surprise_of(probabilities: gc.Tensor, label: gc.Tensor) -> gc.Tensor:
    return losses.cross_entropy_of_probabilities(probabilities, label)


def newton() -> list[float]:
    network = models.linear_classifier(CLASSES)
    _, label, scores = classified(network)
    loss = losses.softmax_cross_entropy(scores, label) + gc.regularizers.l2(network[1].weight, 1e-2)
    return list(gc.newton_cg(loss, network.parameters, blobs(), steps=8, tolerance=1e-3, threads=1).losses)


def fine_tuning() -> list[float]:
    """A new head on a trained trunk, which stays as it is."""
    trunk = layers.Sequential([layers.Dense(8, activation="relu")], name="trunk")
    x, label, scores = classified(layers.Sequential([trunk, layers.Dense(CLASSES)]))
    data = blobs()
    trained(losses.softmax_cross_entropy(scores, label), data, optimizers.Adam(0.05))
    head = layers.Dense(1, name="head")
    answer = gc.input("answer", ("batch", 1))
    loss = losses.binary_cross_entropy(head(trunk(x)), answer)
    model = gc.compile(loss, optimizers.Adam(0.1), parameters=head.parameters, threads=1)
    before = [parameter.value for parameter in trunk.parameters]
    feed = {"x": data["x"], "answer": (data["label"] == 1).astype(np.float32)[:, None]}
    found = [model.step(feed)["loss"] for _ in range(20)]
    for parameter, value in zip(trunk.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)
    return found


def early_stopping() -> list[float]:
    network = models.linear_classifier(CLASSES)
    _, label, scores = classified(network)
    model = gc.compile(losses.softmax_cross_entropy(scores, label), optimizers.SGD(0.2), threads=1)
    stop = gc.callbacks.EarlyStopping(patience=2)
    history = model.fit(blobs(), epochs=8, batch_size=16, validation_split=1 / 6, callbacks=[stop], progress=False)
    return list(history["val_loss"])


SYSTEMS: dict[str, Callable[[], list[float]]] = {
    "Multiclass support-vector machine": support_vector_machine,
    "Random search": random_search,
    "Multi-layer perceptron": perceptron,
    "TensorFlow's playground": playground,
    "Dropout, and its average over samples (MC dropout)": averaged_dropout,
    "Ensembles, bagging": bagging,
    "Newton-like methods": newton,
    "Pretraining, fine-tuning, transfer": fine_tuning,
    "Finite differences, as a method and as a check of gradients": finite_differences,
    "Early stopping by a validation split": early_stopping,
}
"""By the names of their rows."""
