"""Regions of images: resampling inside boxes, boxes relative to anchors, and the heads that learn from them."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers, models
from graphc.errors import ShapeError
from graphc.scalar import Array
from tests.frontend.models.training import assert_learns, labels, pixels
from tests.frontend.slopes import assert_slopes

BOXES = np.array([[[0.6, 1.1, 3.4, 4.3], [-1.0, 2.0, 2.0, 9.0]], [[1.0, 1.0, 4.0, 2.0], [0.0, 0.0, 4.0, 5.0]]])


def value_at(image: Array, row: float, column: float) -> Array:
    """Bilinear interpolation between the centres of pixels, whose border goes on."""
    row, column = np.clip(row - 0.5, 0, image.shape[0] - 1), np.clip(column - 0.5, 0, image.shape[1] - 1)
    top, left = int(min(row, image.shape[0] - 2)), int(min(column, image.shape[1] - 2))
    down, right = row - top, column - left
    upper = (1 - right) * image[top, left] + right * image[top, left + 1]
    lower = (1 - right) * image[top + 1, left] + right * image[top + 1, left + 1]
    return np.asarray((1 - down) * upper + down * lower)


def aligned(features: Array, boxes: Array, size: int, samples: int) -> Array:
    """RoI align written out point by point."""
    result = np.zeros((*boxes.shape[:2], size, size, features.shape[-1]))
    points = size * samples
    for image, region in np.ndindex(boxes.shape[:2]):
        top, left, bottom, right = boxes[image, region]
        for row, column in np.ndindex(points, points):
            place = (top + (bottom - top) * (row + 0.5) / points, left + (right - left) * (column + 0.5) / points)
            result[image, region, row // samples, column // samples] += value_at(features[image], *place)
    return result / samples**2


@pytest.mark.parametrize(("size", "samples"), [(2, 2), (3, 1)])
def test_features_inside_boxes_are_interpolated_between_pixels(size: int, samples: int) -> None:
    features = pixels(2, 4, 5, 3).astype(np.float64)
    found = gc.evaluate(models.roi_align(gc.constant(features), gc.constant(BOXES), size, samples))
    np.testing.assert_allclose(found, aligned(features, BOXES, size, samples), 1e-6)


def test_derivatives_reach_features_and_boxes() -> None:
    features = pixels(1, 4, 5, 1).astype(np.float64)
    boxes = np.array([[[0.6, 1.07, 3.4, 4.29]]])  # no point on a line of centres, where there is a kink
    assert_slopes(lambda x, boxes: models.roi_align(x, boxes, 2), {"x": features, "boxes": boxes})


def test_boxes_of_another_batch_are_refused() -> None:
    with pytest.raises(ShapeError, match="roi_align: features and boxes do not fit") as caught:
        models.roi_align(gc.input("x", ("batch", 4, 4, 2)), gc.input("boxes", (3, 4)), 2)
    assert "expected   [batch, height, width, channels] of fixed sizes and [batch, regions, 4]" in str(caught.value)
    assert "got        f32[batch, 4, 4, 2] and f32[3, 4]" in str(caught.value)


def test_heads_take_a_fixed_number_of_regions() -> None:
    for head in (models.RegionHead(3, hidden=8), models.MaskHead(3)):
        with pytest.raises(ShapeError, match=f"{type(head).__name__} '{head.name}' does not fit this input") as caught:
            head(gc.input("regions", ("batch", "regions", 3, 3, 4)))
        assert "expected   [batch, regions, size, size, channels] of fixed sizes" in str(caught.value)


def test_boxes_come_back_from_what_they_are_relative_to_anchors() -> None:
    anchors = np.array([[0.0, 0.0, 2.0, 3.0], [1.0, 1.0, 5.0, 2.0]])
    boxes = np.array([[1.0, -1.0, 4.0, 2.0], [1.0, 1.0, 5.0, 2.0]])
    deltas = models.encode_boxes(gc.constant(boxes), gc.constant(anchors))
    found = gc.evaluate([deltas, models.decode_boxes(deltas, gc.constant(anchors))])
    np.testing.assert_allclose(found[0], [[0.75, -1 / 3, np.log(1.5), 0.0], [0.0] * 4], atol=1e-12)
    np.testing.assert_allclose(found[1], boxes, atol=1e-12)


def test_only_the_box_and_the_mask_of_the_own_class_count() -> None:
    scores = models.RegionScores(gc.constant(np.zeros((1, 2, 3))), gc.constant(np.arange(24.0).reshape(1, 2, 3, 4)))
    masks = np.full((1, 2, 1, 1, 3), 50.0)
    masks[0, 1, 0, 0, 2] = 0.0
    found = models.region_losses(
        scores,
        gc.constant([[0, 2]]),
        gc.constant(np.array([[[9.0] * 4, [20.0, 21.0, 22.0, 25.0]]])),
        gc.constant(masks),
        gc.constant(np.ones((1, 2, 1, 1))),
    )
    assert list(found) == ["class", "box", "mask"]
    values = gc.evaluate(list(found.values()))
    np.testing.assert_allclose(values, [np.log(3), 1.5 / 2, np.log(2)], 1e-6)


def test_classes_boxes_and_masks_are_learned_together() -> None:
    trunk = layers.Conv2d(4, 3, padding="same", activation="relu")
    head, masks = models.RegionHead(3, hidden=8), models.MaskHead(3, depth=1, width=4)
    features = trunk(gc.input("image", ("batch", 8, 8, 1)))
    boxes = gc.input("boxes", ("batch", 2, 4))
    found = models.region_losses(
        head.scores(models.roi_align(features, boxes, 3)),
        gc.input("label", ("batch", 2), "int64"),
        gc.input("target", ("batch", 2, 4)),
        masks(models.roi_align(features, boxes, 4)),
        gc.input("mask", ("batch", 2, 8, 8)),
    )
    feed = {
        "image": pixels(2, 8, 8, 1),
        "boxes": np.tile([1.0, 1.0, 6.0, 7.0], (2, 2, 1)),
        "label": np.array([[1, 0], [2, 1]]),
        "target": pixels(2, 2, 4),
        "mask": labels(2, 2, 2, 8, 8),
    }
    loss = models.weighted_loss(found, {})
    assert_learns(loss, (*trunk.parameters, *head.parameters, *masks.parameters), feed, rate=0.02)
