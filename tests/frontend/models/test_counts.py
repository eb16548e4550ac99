"""Numbers of parameters against the published ones; no value is made, so the largest models cost nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

import graphc as gc
from graphc import layers, models
from graphc.errors import DeclarationError
from graphc.frontend.state import cell_of

DIGIT = (28, 28, 1)
TINY = (32, 32, 3)
LARGE = (224, 224, 3)
CODES = np.ones((10, 84))


def scores_of(network: layers.Layer, shape: tuple[int, ...]) -> gc.Tensor:
    return network(gc.input("image", ("batch", *shape)))


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (models.linear_classifier(), TINY, 30_730),
        (models.mlp(), DIGIT, 238_510),
        (models.mlp((100,)), TINY, 308_310),
        (models.batch_norm_mlp(), DIGIT, 100_010),
        (models.batch_norm_mlp(normalise=False), DIGIT, 99_710),
        (models.maxout_mlp(), DIGIT, 1_233_610),
        (models.lenet1(), DIGIT, 3_246),
        (models.lenet1(original=True), DIGIT, 2_578),
        (models.lenet5(), DIGIT, 61_706),
        (models.lenet5(original=True), DIGIT, 60_850),
        (models.lenet5(original=True, codes=CODES), DIGIT, 60_000),
        (models.worksheet_cnn(), DIGIT, 596_042),
        (models.resnet_cifar(20), TINY, 269_722),
        (models.resnet_cifar(20, option="B"), TINY, 272_474),
        (models.resnet_cifar(32), TINY, 464_154),
        (models.resnet_cifar(44), TINY, 658_586),
        (models.resnet_cifar(56), TINY, 853_018),
        (models.resnet_cifar(110), TINY, 1_727_962),
        (models.plain_cifar(20), TINY, 269_722),
    ],
    ids=lambda value: f"{value:,}" if isinstance(value, int) else "",
)
def test_classifiers_of_ten_classes(network: layers.Layer, shape: tuple[int, ...], expected: int) -> None:
    assert str(scores_of(network, shape).type) == "f32[batch, 10]"
    assert network.parameter_count == expected


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        (models.alexnet(), 227, 60_965_224),
        (models.vgg16(), 224, 138_357_544),
        (models.vgg19(), 224, 143_667_240),
        (models.resnet18(), 224, 11_689_512),
        (models.resnet34(), 224, 21_797_672),
        (models.resnet50(), 224, 25_557_032),
        (models.resnet101(), 224, 44_549_160),
        (models.resnet152(), 224, 60_192_808),
    ],
    ids=lambda value: value.name if isinstance(value, layers.Layer) else "",
)
def test_classifiers_of_imagenet(network: layers.Layer, size: int, expected: int) -> None:
    scores = scores_of(network, (size, size, 3))
    assert str(scores.type) == "f32[batch, 1000]"
    assert network.parameter_count == expected
    assert not any(cell_of(parameter.node).ready for parameter in network.parameters)
    label = gc.input("label", ("batch",), "int64")
    gradients = gc.grad(gc.losses.softmax_cross_entropy(scores, label), network.parameters)
    assert [gradient.type for gradient in gradients] == [parameter.type for parameter in network.parameters]


@pytest.mark.parametrize(("features", "expected"), [(["x1", "x2"], 25), (["x1", "x2", "x1^2", "x2^2"], 33)])
def test_the_playground(features: list[str], expected: int) -> None:
    network = models.playground(features)
    assert str(scores_of(network, (2,)).type) == "f32[batch, 1]"
    assert network.parameter_count == expected


def test_depths_are_those_that_the_names_say() -> None:
    def depth(network: layers.Layer, shape: tuple[int, ...]) -> int:
        scores_of(network, shape)
        shortcuts = sum("shortcut" in parameter.name for parameter in network.parameters if parameter.ndim > 1)
        return sum(parameter.ndim > 1 for parameter in network.parameters) - shortcuts

    for build, expected in ((models.resnet18, 18), (models.resnet34, 34), (models.resnet50, 50), (models.vgg16, 16)):
        assert depth(build(10), LARGE) == expected
    assert depth(models.resnet_cifar(44), TINY) == 44
    assert depth(models.plain_cifar(56), TINY) == 56


def test_a_parameter_that_two_layers_share_counts_once() -> None:
    inner = layers.Dense(4)
    network = layers.Sequential([inner, inner])
    scores_of(network, (4,))
    assert network.parameter_count == math.prod((4, 4)) + 4


def test_the_layers_of_the_worksheet_have_the_worked_counts() -> None:
    network = models.worksheet_cnn()
    scores_of(network, DIGIT)
    counts = [layer.parameter_count for layer in network.layers]
    assert [count for count in counts if count] == [160, 4_640, 589_952, 1_290]


def test_a_layer_that_was_never_called_has_no_count() -> None:
    with pytest.raises(DeclarationError, match="layer 'lenet5' has no parameters yet") as caught:
        _ = models.lenet5().parameter_count
    assert "test_counts.py" in str(caught.value)
