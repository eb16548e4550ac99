"""Classifiers that slide over larger images, and several tasks on one trunk."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, models
from graphc.errors import DeclarationError, ShapeError
from tests.frontend.models.training import assert_learns, labels, pixels


def classifier() -> layers.Sequential:
    return layers.Sequential(
        [
            layers.Conv2d(3, 3, activation="relu"),
            layers.MaxPool2d(2),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(4),
        ],
        name="digit",
    )


def test_scores_of_a_sliding_window_are_those_of_its_crops() -> None:
    net, image = classifier(), pixels(2, 10, 14, 1)
    crop = gc.input("crop", ("batch", 8, 8, 1))
    own = net(crop)
    large = gc.input("image", ("batch", 10, 14, 1))
    found = np.asarray(gc.function([large], models.sliding_window(net, large))(image))
    assert found.shape == (2, 2, 4, 4)
    score = gc.function([crop], own)
    for row in range(2):
        for column in range(4):
            part = image[:, 2 * row : 2 * row + 8, 2 * column : 2 * column + 8]
            np.testing.assert_allclose(found[:, row, column], np.asarray(score(part)), 1e-5, 1e-6)


def test_a_window_that_is_no_square_is_given() -> None:
    net = classifier()
    net(gc.input("crop", ("batch", 8, 12, 1)))
    image = gc.input("image", ("batch", 16, 16, 1))
    assert str(models.sliding_window(net, image, window=(3, 5)).type) == "f32[batch, 5, 3, 4]"
    with pytest.raises(ShapeError, match="the weights of 'dense' are none of a window of 3 x 3") as caught:
        models.sliding_window(net, image)
    assert "expected   height * width * 3 = 45\n  got        3 * 3 * 3 = 27" in str(caught.value)
    assert "way out    give window=(height, width)" in str(caught.value)


def test_what_is_no_classifier_cannot_slide() -> None:
    net = layers.Sequential([layers.Conv2d(3, 3), layers.GlobalAvgPool(), layers.Dense(4)], name="pooled")
    net(gc.input("crop", ("batch", 8, 8, 1)))
    with pytest.raises(DeclarationError, match="'pooled' is no classifier that can slide") as caught:
        models.sliding_window(net, gc.input("image", ("batch", 9, 9, 1)))
    assert "got        Conv2d, GlobalAvgPool, Dense" in str(caught.value)


def test_a_classifier_is_built_before_it_slides() -> None:
    with pytest.raises(DeclarationError, match="layer 'digit' has no parameters yet") as caught:
        models.sliding_window(classifier(), gc.input("image", ("batch", 9, 9, 1)))
    assert "way out    call the layer on an input first" in str(caught.value)


def test_overfeat_has_the_layers_of_the_paper_and_learns() -> None:
    full = models.overfeat(1000)
    assert str(full(gc.input("image", ("batch", 231, 231, 3))).type) == "f32[batch, 1000]"
    shapes = [str(parameter.type) for parameter in full.parameters if parameter.ndim > 1]
    assert shapes == [
        *("f32[11, 11, 3, 96]", "f32[5, 5, 96, 256]", "f32[3, 3, 256, 512]", "f32[3, 3, 512, 512]"),
        *("f32[3, 3, 512, 1024]", "f32[36864, 3072]", "f32[3072, 4096]", "f32[4096, 1000]"),
    ]
    net = models.overfeat(3, widths=(4, 4, 4, 4, 4), hidden=(8, 8))
    loss = losses.softmax_cross_entropy(
        net(gc.input("image", ("batch", 64, 64, 1))), gc.input("y", ("batch",), "int64")
    )
    assert_learns(loss, net.parameters, {"image": pixels(4, 64, 64, 1), "y": labels(3, 4)}, rate=0.03)


def test_tasks_share_a_trunk_and_their_losses_add_up() -> None:
    heads: dict[str, layers.Layer] = {"kind": layers.Dense(3, name="kind"), "size": layers.Dense(1, name="size")}
    net = models.MultiTask(layers.Dense(8, "tanh", name="trunk"), heads)
    found = net(gc.input("x", ("batch", 4)))
    kind = losses.softmax_cross_entropy(found["kind"], gc.input("kind", ("batch",), "int64"))
    size = losses.mean_squared_error(found["size"], gc.input("size", ("batch", 1)))
    loss = models.weighted_loss({"kind": kind, "size": size}, {"size": 0.5})
    feed = {"x": pixels(6, 4), "kind": labels(3, 6), "size": pixels(6, 1)}
    one, two, both = gc.evaluate([kind, size, loss], feed)
    np.testing.assert_allclose(both, one + 0.5 * two, 1e-6)
    assert_learns(loss, net.parameters, feed)


def test_tasks_that_do_not_exist_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no loss of task 'depth'") as caught:
        models.weighted_loss({"kind": gc.constant(1.0)}, {"depth": 1.0})
    assert "expected   kind\n  got        depth" in str(caught.value)
    with pytest.raises(DeclarationError, match="the weight of 'kind' must not be negative"):
        models.weighted_loss({"kind": gc.constant(1.0)}, {"kind": -1.0})
    with pytest.raises(DeclarationError, match="there are no losses"):
        models.weighted_loss({}, {})
    with pytest.raises(DeclarationError, match="MultiTask has no tasks"):
        models.MultiTask(layers.Dense(1), {})
