"""Images as what is learned: style transfer and pictures of what a unit looks for, with the network left as it is."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, models, optimizers
from graphc.errors import ShapeError
from tests.frontend.models.training import pixels
from tests.frontend.slopes import assert_slopes


def network() -> layers.Sequential:
    return layers.Sequential(
        [
            layers.Conv2d(4, 3, activation="elu", name="edges"),
            layers.MaxPool2d(2, name="pool"),
            layers.Conv2d(4, 3, activation="elu", name="parts"),
            layers.GlobalAvgPool(name="mean"),
            layers.Dense(3, name="scores"),
        ],
        name="net",
    )


def test_a_gram_matrix_compares_channels_over_all_positions() -> None:
    x = pixels(2, 3, 4, 5).astype(np.float64)
    expected = np.einsum("nhwc,nhwd->ncd", x, x) / 60
    np.testing.assert_allclose(gc.evaluate(models.gram_matrix(gc.constant(x))), expected, 1e-12)
    assert_slopes(models.gram_matrix, {"x": x[:1, :2, :2]})
    with pytest.raises(ShapeError, match="gram_matrix takes features of images") as caught:
        models.gram_matrix(gc.input("x", ("batch", "side", "side", 3)))
    assert "expected   [batch, *spatial, channels] of fixed sizes" in str(caught.value)


def test_variation_is_that_of_neighbours() -> None:
    x = pixels(2, 4, 5, 3).astype(np.float64)
    expected = (np.diff(x, axis=1) ** 2).mean() + (np.diff(x, axis=2) ** 2).mean()
    np.testing.assert_allclose(gc.evaluate(models.total_variation(gc.constant(x))), expected, 1e-12)


def test_features_are_those_of_the_named_layers() -> None:
    net, image = network(), gc.input("image", (1, 12, 12, 3))
    net(image)
    parts, edges = models.features_of(net, image, ["parts", "edges"])
    assert (str(parts.type), str(edges.type)) == ("f32[1, 3, 3, 4]", "f32[1, 10, 10, 4]")
    with pytest.raises(ShapeError, match="'net' has no layer 'eyes'") as caught:
        models.features_of(net, image, ["edges", "eyes"])
    assert "expected   edges, pool, parts, mean, scores\n  got        eyes" in str(caught.value)


def test_style_is_carried_over_to_the_image_alone() -> None:
    net = network()
    content, style = gc.constant(pixels(1, 12, 12, 3)), gc.constant(pixels(1, 16, 16, 3) ** 4)
    image = gc.parameter((1, 12, 12, 3), pixels(1, 12, 12, 3), name="picture")
    names = ["edges", "parts"]
    mine, wanted = models.features_of(net, image, names), models.features_of(net, content, names)
    manner = models.style_loss(mine, models.features_of(net, style, names))
    loss = losses.mean_squared_error(mine[-1], wanted[-1]) + 100 * manner + 0.01 * models.total_variation(image)
    model = gc.compile(loss, optimizers.Adam(0.02), parameters=[image], metrics={"style": manner}, threads=1)
    before, start = [p.value for p in model.parameters if p.name != "picture"], image.value
    found = [model.step({}) for _ in range(15)]
    assert found[-1]["loss"] < 0.6 * found[0]["loss"]
    assert found[-1]["style"] < 0.6 * found[0]["style"]
    after = [p.value for p in model.parameters if p.name != "picture"]
    assert len(before) == 4
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert not np.array_equal(image.value, start)


def test_an_image_grows_what_excites_a_unit() -> None:
    net, image = network(), gc.parameter((1, 12, 12, 3), pixels(1, 12, 12, 3), name="picture")
    scores = net(image)
    loss = models.activation_score(scores[:, 1], image, decay=0.01, smooth=0.01)
    model = gc.compile(loss, optimizers.Adam(0.05), parameters=[image], metrics={"unit": scores[0, 1]}, threads=1)
    found = [model.step({})["unit"] for _ in range(15)]
    assert found[-1] > found[0] + 0.1
    plain = gc.evaluate([models.activation_score(scores[:, 1], image), scores[0, 1]])
    assert float(plain[0]) == -float(plain[1])
