"""Convolutional networks: a small one against loops in numpy, and LeNet-5 on real digits."""

from __future__ import annotations

import math

import numpy as np

import graphc as gc
from graphc import layers, losses, metrics, optimizers
from graphc.runtime.digits import load_digits
from graphc.scalar import Array

RATE = 0.2
EPOCHS = 50


def convolve(x: Array, kernel: Array) -> Array:
    """Without padding or strides, position by position."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    result = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            result[:, row, column] = np.tensordot(x[:, row : row + height, column : column + width], kernel, 3)
    return result


def convolve_backward(x: Array, kernel: Array, slope: Array) -> tuple[Array, Array]:
    """The gradients by the input and by the kernel, from that by the result."""
    height, width = kernel.shape[:2]
    by_x, by_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for row, column in np.ndindex(*slope.shape[1:3]):
        at = (slice(None), slice(row, row + height), slice(column, column + width))
        by_x[at] += np.tensordot(slope[:, row, column], kernel, (1, 3))
        by_kernel += np.tensordot(x[at], slope[:, row, column], (0, 0))
    return by_x, by_kernel


def pool(x: Array) -> tuple[Array, Array]:
    """The largest of each two by two, and a mask of where they are."""
    result, mask = np.zeros((len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3])), np.zeros_like(x)
    for image, row, column, channel in np.ndindex(*result.shape):
        window = x[image, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        below, right = divmod(int(window.argmax()), 2)
        result[image, row, column, channel] = window[below, right]
        mask[image, 2 * row + below, 2 * column + right, channel] = 1
    return result, mask


def step_by_hand(parameters: list[Array], image: Array, label: Array) -> tuple[float, list[Array]]:
    """The loss, and the parameters after a step of gradient descent."""
    kernel, bias, second_kernel, second_bias, weight, last_bias = parameters
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    first = np.tanh(convolve(wide, kernel) + bias)
    pooled, mask = pool(first)
    second = np.maximum(convolve(pooled, second_kernel) + second_bias, 0)
    flat = second.reshape(len(image), -1)
    logits = flat @ weight + last_bias
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(probability[np.arange(len(label)), label]).mean()

    slope = (probability - np.eye(logits.shape[1])[label]) / len(label)
    by_weight, by_last_bias = flat.T @ slope, slope.sum(axis=0)
    by_second = (slope @ weight.T).reshape(second.shape) * (second > 0)
    by_pooled, by_second_kernel = convolve_backward(pooled, second_kernel, by_second)
    by_first = by_pooled.repeat(2, axis=1).repeat(2, axis=2) * mask * (1 - first**2)
    _, by_kernel = convolve_backward(wide, kernel, by_first)
    sums = by_first.sum(axis=(0, 1, 2)), by_second.sum(axis=(0, 1, 2))
    gradients = [by_kernel, sums[0], by_second_kernel, sums[1], by_weight, by_last_bias]
    return float(loss), [value - RATE * gradient for value, gradient in zip(parameters, gradients, strict=True)]


def test_steps_of_a_convolutional_network_are_those_of_numpy() -> None:
    image, label = gc.input("image", ("batch", 8, 6, 2), "float64"), gc.input("label", ("batch",), "int64")
    network = layers.Sequential(
        [
            layers.Conv2d(5, 3, padding="same", activation="tanh"),
            layers.MaxPool2d(2),
            layers.Conv2d(7, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    model = gc.compile(losses.softmax_cross_entropy(network(image), label), optimizers.SGD(RATE))
    parameters = [parameter.value for parameter in model.parameters]
    assert [value.shape for value in parameters[::2]] == [(3, 3, 2, 5), (2, 2, 5, 7), (42, 4)]
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(6, 8, 6, 2)), rng.integers(0, 4, 6)
    expected = []
    for _ in range(3):
        found = model.step({"image": images, "label": labels})["loss"]
        loss, parameters = step_by_hand(parameters, images, labels)
        np.testing.assert_allclose(found, loss, 0, 1e-10)
        expected.append(loss)
    for parameter, right in zip(model.parameters, parameters, strict=True):
        np.testing.assert_allclose(parameter.value, right, 0, 1e-10, err_msg=parameter.name)
    assert expected[2] < 0.9 * expected[0], "nothing was learnt, so nothing was compared"


def lenet(x: gc.Tensor, dropout: float = 0.0) -> tuple[layers.Sequential, gc.Tensor]:
    """LeNet-5 with rectified units, maxima and dropout; the network and its logits."""
    network = layers.Sequential(
        [
            layers.Conv2d(6, 5, padding="same", activation="relu"),
            layers.MaxPool2d(2),
            layers.Conv2d(16, 5, activation="relu"),
            layers.MaxPool2d(2),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(120, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ],
        name="lenet",
    )
    return network, network(x)


def test_lenet_on_images_of_28_by_28_has_61706_parameters() -> None:
    network, logits = lenet(gc.input("image", ("batch", 28, 28, 1)))
    assert str(logits.type) == "f32[batch, 10]"
    assert sum(math.prod(parameter.value.shape) for parameter in network.parameters) == 61_706


def classifier(threads: int, size: int = 28, seed: int = 0) -> tuple[gc.Model, optimizers.Adam]:
    """LeNet-5 on images of a size, to be trained by the optimizer that comes with it."""
    image, label = gc.input("image", ("batch", size, size, 1)), gc.input("label", ("batch",), "int64")
    _, logits = lenet(image, dropout=0.4)
    optimizer = optimizers.Adam(3e-3)
    model = gc.compile(
        losses.softmax_cross_entropy(logits, label),
        optimizer,
        metrics={"accuracy": metrics.accuracy(logits, label)},
        threads=threads,
        seed=seed,
    )
    return model, optimizer


def enlarged(data: dict[str, Array]) -> dict[str, Array]:
    """Digits of 8 by 8 drawn three times as large, smoothly, on images of 28 by 28 with one channel."""
    centres = np.clip((np.arange(24) + 0.5) / 3 - 0.5, 0, 7)
    between = np.maximum(0, 1 - abs(centres[:, None] - np.arange(8)))
    images = np.pad(between @ data["image"] @ between.T, ((0, 0), (2, 2), (2, 2)))
    return {"image": images[..., None].astype(np.float32), "label": data["label"]}


def shifted(data: dict[str, Array], epoch: int, most: int = 3) -> dict[str, Array]:
    """Each digit moved by up to so many pixels, another way in each epoch."""
    images = data["image"]
    size = images.shape[1]
    wide = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    corners = np.random.default_rng(epoch).integers(0, 2 * most + 1, (len(images), 2))
    moved = [
        image[row : row + size, column : column + size] for image, (row, column) in zip(wide, corners, strict=True)
    ]
    return {"image": np.stack(moved), "label": data["label"]}


def test_lenet_reads_98_and_a_half_percent_of_digits_that_it_never_saw() -> None:
    train, test = map(enlarged, load_digits())
    model, optimizer = classifier(threads=2)
    for epoch in range(EPOCHS):
        optimizer.learning_rate = 3e-3 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
        model.fit(shifted(train, epoch), batch_size=64, progress=False)
    assert model.evaluate(test)["accuracy"] >= 0.985


def test_the_same_seed_gives_the_same_bits_for_one_and_two_threads() -> None:
    train, _ = load_digits()
    few = {"image": train["image"][:300].repeat(2, axis=1).repeat(2, axis=2)[..., None], "label": train["label"][:300]}
    losses_of, states = [], []
    for threads in (1, 2, 2):
        model, _ = classifier(threads, size=16)
        losses_of.append(model.fit(few, epochs=2, batch_size=64, progress=False)["loss"])
        states.append({name: cell.array.tobytes() for name, cell in model.cells.items()})
    assert losses_of[0] == losses_of[1] == losses_of[2]
    assert states[0] == states[1] == states[2]
    assert losses_of[0][1] < losses_of[0][0]
