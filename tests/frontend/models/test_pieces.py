"""Layers that belong to one model: sub-sampling, tables of connections, radial bases, padded shortcuts, features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import layers, models
from graphc.errors import DeclarationError, GraphcError, ShapeError
from graphc.frontend.models.lenet import _LENET1_TABLE, _LENET5_TABLE
from graphc.scalar import Array

RNG = np.random.default_rng(0)


def image(*shape: int | str) -> gc.Tensor:
    return gc.input("image", ("batch", *shape), "float64")


def test_subsampling_is_a_mean_with_weight_and_bias() -> None:
    layer = models.Subsampling(2)
    y = layer(image(4, 6, 3))
    layer.weight.value, layer.bias.value = [1.0, 2.0, -1.0], [0.0, 5.0, 1.0]
    data = RNG.normal(size=(2, 4, 6, 3))
    means = data.reshape(2, 2, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(gc.evaluate(y, {"image": data}), means * [1, 2, -1] + [0, 5, 1], 1e-12)


def correlated(x: Array, kernel: Array) -> Array:
    """The valid positions of one channel, one kernel."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape, (1, 2))
    return np.asarray(np.einsum("bijkl,kl->bij", windows, kernel))


def test_filters_of_a_table_see_their_channels_alone() -> None:
    table = [(0, 2), (1,), (0, 1, 2)]
    layer = models.TableConv2d(table, 3)
    y = layer(image(5, 6, 3))
    layer.bias.value = [1.0, 2.0, 3.0]
    data, weight = RNG.normal(size=(2, 5, 6, 3)), layer.weight.value
    assert weight.shape == (3, 3, 6)
    expected = np.tile([1.0, 2.0, 3.0], (2, 3, 4, 1))
    for connection, (number, channel) in enumerate((n, c) for n, seen in enumerate(table) for c in seen):
        expected[..., number] += correlated(data[..., channel], weight[..., connection])
    np.testing.assert_allclose(gc.evaluate(y, {"image": data}), expected, 1e-10)


def test_the_published_tables_have_the_published_connections() -> None:
    assert [sum(map(len, table)) for table in (_LENET1_TABLE, _LENET5_TABLE)] == [20, 60]
    for table, uses in ((_LENET1_TABLE, 5), (_LENET5_TABLE, 10)):
        seen = [channel for channels in table for channel in channels]
        assert {seen.count(channel) for channel in seen} == {uses}
        assert all(tuple(sorted(set(channels))) == channels for channels in table)


def test_scores_of_a_radial_basis_are_distances() -> None:
    codes = RNG.choice([-1.0, 1.0], (3, 7))
    data = RNG.normal(size=(4, 7))
    found = gc.evaluate(models.RadialBasis(codes)(gc.input("x", ("batch", 7), "float64")), {"x": data})
    np.testing.assert_allclose(found, -np.square(data[:, None] - codes).sum(-1), 1e-12)


def test_a_padded_shortcut_drops_pixels_and_adds_zeros() -> None:
    data = RNG.normal(size=(2, 5, 4, 3))
    found = gc.evaluate(models.PaddedShortcut(5)(image(5, 4, 3)), {"image": data})
    np.testing.assert_array_equal(found[..., :3], data[:, ::2, ::2])
    np.testing.assert_array_equal(found[..., 3:], np.zeros((2, 3, 2, 2)))


def test_features_of_the_playground() -> None:
    names = ["sin(x2)", "x1", "x1*x2", "x2^2", "sin(x1)", "x1^2", "x2"]
    point = gc.constant([[0.5, -2.0]], "float64")
    found = gc.evaluate(models.PlaygroundFeatures(names)(point))[0]
    np.testing.assert_allclose(found, [np.sin(-2), 0.5, -1, 4, np.sin(0.5), 0.25, -2], 1e-12)


def test_plain_networks_are_residual_ones_without_their_shortcuts() -> None:
    plain, residual = models.plain_cifar(8, 3, 4), models.resnet_cifar(8, 3, 4)
    for network in (plain, residual):
        network(image(8, 8, 3))
    for parameter, other in zip(plain.parameters, residual.parameters, strict=True):
        assert parameter.type == other.type
    assert plain[3].layers[0].name == "block"
    assert isinstance(residual[3].layers[0], layers.Residual)


@pytest.mark.parametrize(
    ("build", "kind", "what", "rest"),
    [
        (
            lambda: models.resnet_cifar(21),
            DeclarationError,
            "networks for small images have 6 n + 2 layers",
            ["expected   8, 14, 20, 26, 32, ...", "got        21"],
        ),
        (lambda: models.resnet_cifar(20, option="C"), DeclarationError, "no option 'C'", ["expected   A, B"]),
        (
            lambda: models.resnet((2, 2), filters=(4, 4, 8)),
            DeclarationError,
            "every stage has a depth and a number of filters",
            ["expected   2 numbers of filters", "got        (4, 4, 8)"],
        ),
        (lambda: models.playground(["x3"]), DeclarationError, "no feature 'x3'", ["expected   x1, x2, x1^2, x2^2"]),
        (
            lambda: models.PlaygroundFeatures()(gc.input("x", ("batch", 2, 2))),
            ShapeError,
            "does not fit this input",
            ["expected   [batch, 2], the coordinates x1 and x2", "got        f32[batch, 2, 2]"],
        ),
        (
            lambda: models.PlaygroundFeatures()(gc.input("x", ("batch", 3))),
            ShapeError,
            "does not fit this input",
            ["expected   [batch, 2], the coordinates x1 and x2", "got        f32[batch, 3]"],
        ),
        (
            lambda: models.TableConv2d([(0,), (3,)], 3)(image(5, 5, 3)),
            ShapeError,
            "the table does not fit the channels",
            ["expected   channels from 0 to 2", "got        channels [0, 3]"],
        ),
        (
            lambda: models.RadialBasis([1.0, 2.0]),
            DeclarationError,
            "codes are a matrix",
            ["expected   [classes, features]", "got        [2]"],
        ),
        (
            lambda: models.RadialBasis([[1.0, 2.0]])(gc.input("x", ("batch", 3))),
            ShapeError,
            "the codes have another width than the input",
            ["expected   [batch, 2]", "got        f32[batch, 3]"],
        ),
        (
            lambda: models.PaddedShortcut(2)(image(4, 4, 3)),
            ShapeError,
            "only adds channels",
            ["expected   at most 2 channels", "got        f64[batch, 4, 4, 3]", "way out    make the shortcut"],
        ),
        (lambda: models.alexnet()(image(66, 66, 3)), ShapeError, "window", []),
        (lambda: models.vgg16()(image(31, 31, 3)), ShapeError, "window", []),
        (lambda: models.worksheet_cnn()(image(5, 5, 1)), ShapeError, "window", []),
        (lambda: models.alexnet(filters=(96, 255, 384, 384, 256))(image(227, 227, 3)), ShapeError, "groups", []),
    ],
)
def test_what_does_not_fit_is_refused(
    build: Callable[[], object], kind: type[GraphcError], what: str, rest: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        build()
    text = str(caught.value)
    assert what in text
    assert "test_pieces.py" in text
    assert [line for line in rest if line not in text] == []
