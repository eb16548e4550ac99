"""FCN, DeepLab and the conditional random field: what they compute, and that they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import losses, models
from graphc.errors import DeclarationError, ShapeError
from graphc.scalar import Array
from tests.frontend.models.training import assert_learns, labels, pixels


def test_the_bilinear_kernel_enlarges_a_plane_without_bending_it() -> None:
    plane = np.add.outer(np.arange(6.0), 2 * np.arange(6.0))[None, :, :, None]
    image = gc.input("image", (1, 6, 6, 1))
    large = gc.convolution_transpose(image, models.bilinear_kernel(2, 1), 2, "same")
    found = np.asarray(gc.evaluate(large, {"image": plane}))[0, :, :, 0]
    inner = found[1:-1, 1:-1]
    np.testing.assert_allclose(np.diff(inner, axis=0), 0.5, atol=1e-5)
    np.testing.assert_allclose(np.diff(inner, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(("form", "skips"), [("fcn32s", 1), ("fcn16s", 2), ("fcn8s", 3)])
def test_an_fcn_begins_with_no_opinion_of_any_pixel(form: str, skips: int) -> None:
    net = models.FCN(3, form, (2, 2, 4, 4, 4), hidden=4)
    scores = net(gc.input("image", ("batch", 32, 64, 3)))
    assert str(scores.type) == "f32[batch, 32, 64, 3]"
    assert (len(net.scores), len(net.doublings)) == (skips, skips - 1)
    assert not np.any(gc.evaluate(scores, {"image": pixels(1, 32, 64, 3)}))


def test_an_fcn_learns_where_pixels_are_labelled() -> None:
    net = models.FCN(3, widths=(4, 4, 4, 4, 4), hidden=8)
    image, label = gc.input("image", ("batch", 32, 32, 3)), gc.input("label", ("batch", 32, 32), "int64")
    known = labels(3, 2, 32, 32) * 0 + (pixels(2, 32, 32, 3)[..., 0] > 2)
    known[:, :16], known[:, -2:] = 1, 255
    loss = losses.softmax_cross_entropy(net(image), label, ignore_index=255)
    assert_learns(loss, net.parameters, {"image": pixels(2, 32, 32, 3), "label": known}, 8, 0.9, rate=0.02)


def test_images_of_other_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="FCN 'fcn' does not fit this input") as caught:
        models.FCN(3)(gc.input("image", ("batch", 30, 32, 3)))
    assert "both sides multiples of 32" in str(caught.value)
    assert "got        f32[batch, 30, 32, 3]" in str(caught.value)
    assert "way out    resize the images with gc.resize" in str(caught.value)
    with pytest.raises(DeclarationError, match="there is no form of FCN 'fcn4s'") as refused:
        models.FCN(3, "fcn4s")
    assert "expected   fcn32s, fcn16s, fcn8s" in str(refused.value)


def test_deeplab_learns_with_the_poly_schedule() -> None:
    net = models.DeepLab(3, widths=(4, 4, 8), rates=(2, 4))
    image, label = gc.input("image", ("batch", 32, 32, 3)), gc.input("label", ("batch", 32, 32), "int64")
    loss = losses.softmax_cross_entropy(net(image), label)
    optimizer = gc.optimizers.Momentum(gc.schedules.polynomial(0.05, 8, power=0.9), 0.9)
    known = (pixels(2, 32, 32, 3)[..., 0] > 2).astype(np.int64)
    known[:, :16] = 2
    feed = {"image": pixels(2, 32, 32, 3), "label": known}
    assert_learns(gc.objective(loss, optimizer), net.parameters, feed, 8, 0.8)


def test_an_atrous_trunk_keeps_an_eighth_of_the_image() -> None:
    net = models.DeepLab(3, widths=(4, 4, 8), rates=(2,))
    net(gc.input("image", ("batch", 64, 32, 3)))
    assert str(net.trunk(gc.input("other", ("batch", 64, 32, 3))).type) == "f32[batch, 8, 4, 8]"


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def test_mean_field_rounds_are_those_of_the_formula() -> None:
    crf = models.DenseCRF(rounds=2, near=3.0, alike=0.5, smooth=1.5)
    logits, image = gc.input("logits", ("batch", 2, 3, 2), "float64"), gc.input("image", ("batch", 2, 3, 1), "float64")
    result = crf(logits, image)
    unary, colours = pixels(1, 2, 3, 2).astype(np.float64), pixels(1, 2, 3, 1).astype(np.float64)

    places = np.array([(row, column) for row in range(2) for column in range(3)], float)
    apart = ((places[:, None] - places[None]) ** 2).sum(-1)
    colour = (colours.reshape(6, 1) - colours.reshape(1, 6)) ** 2
    kernels = [np.exp(-apart / 18 - colour / 0.5), np.exp(-apart / 4.5)]
    for kernel in kernels:
        np.fill_diagonal(kernel, 0)
        kernel /= kernel.sum(1, keepdims=True)
    scores = start = unary.reshape(6, 2)
    for _ in range(2):
        scores = start - (kernels[0] + kernels[1]) @ softmax(scores) @ (1 - np.eye(2))
    found = gc.evaluate(result, {"logits": unary, "image": colours})
    np.testing.assert_allclose(np.asarray(found).reshape(6, 2), scores, 1e-6)


def test_the_crf_removes_a_pixel_that_disagrees_with_its_like() -> None:
    crf: Any = models.DenseCRF(rounds=5)
    result = crf(gc.input("logits", (1, 5, 5, 2)), gc.input("image", (1, 5, 5, 1)))
    logits = np.zeros((1, 5, 5, 2), np.float32)
    logits[..., 0] = 1.0
    logits[0, 2, 2] = [0.0, 0.5]
    found = np.asarray(gc.evaluate(result, {"logits": logits, "image": np.zeros((1, 5, 5, 1))}))
    assert (found.argmax(-1) == 0).all()


def test_the_crf_learns_through_its_rounds() -> None:
    crf = models.DenseCRF(rounds=3)
    logits, image = gc.input("logits", ("batch", 4, 4, 2)), gc.input("image", ("batch", 4, 4, 3))
    loss = losses.softmax_cross_entropy(crf(logits, image), gc.input("label", ("batch", 4, 4), "int64"))
    feed = {"logits": pixels(2, 4, 4, 2), "image": pixels(2, 4, 4, 3), "label": labels(2, 2, 4, 4)}
    assert_learns(loss, crf.parameters, feed, 6, 0.97, rate=0.1)


def test_a_crf_of_other_pixels_is_refused() -> None:
    with pytest.raises(ShapeError, match="the scores and the image have different pixels") as caught:
        models.DenseCRF()(gc.input("logits", ("batch", 4, 4, 2)), gc.input("image", ("batch", 8, 8, 3)))
    with pytest.raises(DeclarationError, match="layer 'dense_crf' takes two tensors") as refused:
        models.DenseCRF(name="dense_crf")(gc.input("logits", ("batch", 4, 4, 2)))
    assert "expected   layer(logits, image)\n  got        Tensor" in str(refused.value)
    assert "expected   an image of the scores' 4 x 4 pixels\n  got        f32[batch, 8, 8, 3]" in str(caught.value)
