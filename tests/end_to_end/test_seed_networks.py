"""Worked counts of lecture notes that whole networks give: parameters, operations, windows, records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, models
from graphc.ops.contraction import DotGeneral
from graphc.ops.convolution import ConvGeneral
from tests.end_to_end.seed_cases import cases

COUNTS: dict[str, dict[str, Any]] = {case["id"]: case["values"] for case in cases("counts")}


def sizes(tensor: gc.Tensor) -> list[int]:
    return [size for size in tensor.shape if isinstance(size, int)]


def multiply_adds(scores: gc.Tensor, convolutions_only: bool = False) -> int:
    """Multiplications of convolutions and products for one sample."""
    total = 0
    for node in gc.graph_of({"scores": scores}).nodes:
        op = node.op
        if isinstance(op, ConvGeneral):
            kernel = node.inputs[1].type.shape
            depths = [kernel[axis] for axis in (op.rhs[0], *op.rhs[2 : 2 + op.spatial])]
        elif isinstance(op, DotGeneral) and not convolutions_only:
            depths = [node.inputs[1].type.shape[axis] for axis in op.rhs_contract]
        else:
            continue
        total += prod(size for size in (*node.type.shape[1:], *depths) if isinstance(size, int))
    return total


Make = Callable[[], layers.Layer]
NETWORKS: dict[str, tuple[Make, tuple[int, int, int]]] = {
    "LeNet-5 (dense C3)": (models.lenet5, (28, 28, 1)),
    "AlexNet (two groups)": (models.alexnet, (227, 227, 3)),
    "VGG-16": (models.vgg16, (224, 224, 3)),
    "VGG-19": (models.vgg19, (224, 224, 3)),
    "ResNet-50": (partial(models.resnet, (3, 4, 6, 3), bottleneck=True, original=True), (224, 224, 3)),
    "ResNet-101": (partial(models.resnet, (3, 4, 23, 3), bottleneck=True, original=True), (224, 224, 3)),
    "ResNet-152": (partial(models.resnet, (3, 8, 36, 3), bottleneck=True, original=True), (224, 224, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_named_networks_have_the_worked_sizes(name: str) -> None:
    make, shape = NETWORKS[name]
    network = make()
    scores = network(gc.input("image", ("batch", *shape)))
    case = COUNTS["S1.models"]
    assert network.parameter_count == case[f"{name} weights"]
    assert multiply_adds(scores) == round(case[f"{name} GMAC"] * 1e9)
    if name.startswith("VGG"):
        assert multiply_adds(scores, convolutions_only=True) == round(case[f"{name} convolutions GMAC"] * 1e9)


def test_the_worksheet_network_has_the_worked_numbers() -> None:
    case = COUNTS["S3.keras-model"]
    network = models.worksheet_cnn()
    network(gc.input("image", ("batch", 28, 28, 1)))
    assert network.parameter_count == case["total"]
    first, second = layers.Conv2d(16, 3), layers.Conv2d(32, 3)
    second(layers.MaxPool2d(1)(first(gc.input("image", ("batch", 28, 28, 1)))))
    assert (first.parameter_count, second.parameter_count) == (case["conv 3x3x1->16"], case["conv 3x3x16->32"])
    assert [case[name] for name in ("maxpool 2", "flatten", "dropout .25", "dropout .5")] == [0, 0, 0, 0]
    train, _ = gc.data.split({"row": np.arange(60_000)}, [5 / 6, 1 / 6])
    images = len(train["row"])
    assert images == case["training images"]
    assert -(-images // 32) == case["steps per epoch"]
    assert 15 * -(-images // 32) == case["steps in 15 epochs"]


def test_a_small_convolution_has_the_worked_counts() -> None:
    case = COUNTS["S3.conv-counts"]
    image = gc.input("image", ("batch", 5, 5, 1))
    one, two = (layers.Conv2d(maps, 2, use_bias=False) for maps in (1, 2))
    assert prod(sizes(one(image))) == case["hidden units, one map"]
    assert prod(sizes(two(image))) == case["hidden units, two maps"]
    assert multiply_adds(two(image)) == case["conv connections"]
    assert two.parameter_count == case["conv weights"]


@pytest.mark.parametrize("name", COUNTS["S1.receptive-field"])
def test_a_pool_after_a_convolution_sees_the_worked_field(name: str) -> None:
    kernel, window = (int(part.partition("=")[2]) for part in name.split(", "))
    image = gc.input("image", (1, 20, 20, 1), "float64")
    maps = gc.convolution(image, np.ones((kernel, kernel, 1, 1)))
    seen = gc.avg_pool(maps, window, strides=1)[0, 0, 0, 0]
    slope = gc.grad(seen, image)
    assert isinstance(slope, gc.Tensor)
    field = np.asarray(gc.evaluate(slope))[0, :, :, 0] != 0
    assert field.sum() == COUNTS["S1.receptive-field"][name] ** 2
    assert field.any(axis=0).sum() == COUNTS["S1.receptive-field"][name]


@pytest.mark.parametrize("name", COUNTS["S1.lr-decay"])
def test_a_decaying_step_has_the_worked_sizes(name: str) -> None:
    time, rate = (float(part.partition("=")[2]) for part in name.split(", "))
    assert gc.schedules.inverse(rate).at(int(time)) == pytest.approx(COUNTS["S1.lr-decay"][name], rel=1e-12)


def test_tables_of_the_notes_are_read_whole(tmp_path: Path) -> None:
    case = COUNTS["S3.data"]
    rows = [(150 + place, 50 + place, "male" if place % 2 else "female") for place in range(case["rows in the table"])]
    rows.append((166, 38, "female"))  # which the printed table leaves out
    path = tmp_path / "people.csv"
    path.write_text("height,weight,sex\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    table = gc.data.read_csv(path, {"X": ["height", "weight"], "y": "sex"}, labels=["y"])
    assert table.arrays["X"].shape == (case["rows in X"], 2)
    assert table.arrays["y"].shape == (case["rows in y"],)
    record = np.zeros((4, 3073), np.uint8)
    record.tofile(tmp_path / "data_batch_1.bin")
    images, _ = gc.data.read_cifar10([tmp_path / "data_batch_1.bin"] * 5)
    assert str((50_000, *images.shape[1:])) == case["CIFAR-10 training tensor"]


def test_reported_results_agree_with_their_counts() -> None:
    case = COUNTS["S1.tables"]
    scores, label = gc.input("scores", ("batch", 10)), gc.input("label", ("batch",), "int64")
    wrong = gc.function([scores, label], gc.metrics.zero_one(scores, label))
    labels = np.zeros(10_000, np.int64)
    labels[:82] = 1
    assert float(np.asarray(wrong(np.eye(10)[np.zeros(10_000, int)], labels))) * 100 == pytest.approx(
        case["LeNet-5 test error %"], rel=1e-5
    )
    assert case["ImageNet localisation margin"] == (12.0 - 9.0) / 12.0
    assert pytest.approx(case["COCO detection margin"], rel=1e-12) == (37.3 - 33.5) / 33.5
    assert pytest.approx(case["COCO segmentation margin"], rel=1e-12) == (28.2 - 25.1) / 25.1
    assert case["parallel efficiency"] == 3.75 / 4
