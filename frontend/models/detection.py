"""Heads on regions of an image: RoI align, classes and boxes of Faster R-CNN, masks of Mask R-CNN.

Boxes are (top, left, bottom, right). Which boxes are proposed and which suppressed is decided outside of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.errors import ShapeError
from graphc.frontend.elementwise import clip, exp, floor, log
from graphc.frontend.layers import Conv2d, ConvTranspose2d, Dense, Layer, Sequential
from graphc.frontend.layers.basic import float_input
from graphc.frontend.losses import binary_cross_entropy, smooth_l1, softmax_cross_entropy
from graphc.frontend.settings import check_count
from graphc.frontend.shaping import expand_dims, iota, one_hot, stack, take
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["MaskHead", "RegionHead", "RegionScores", "decode_boxes", "encode_boxes", "region_losses", "roi_align"]

_REGIONS = "[batch, regions, size, size, channels] of fixed sizes"


def roi_align(features: TensorLike, boxes: TensorLike, size: int, samples: int = 2) -> Tensor:
    """The features inside boxes, each resampled to size x size by bilinear interpolation, without rounding.

    features: float [batch, height, width, channels] of fixed sizes. boxes: float [batch, regions, 4] as (top, left,
    bottom, right) in pixels of the features, where (0, 0) is the corner of the first pixel and (0.5, 0.5) its centre.
    Result: [batch, regions, size, size, channels]; each cell is the mean of samples x samples points. Points beyond the
    border take the border's features. Derivatives reach features and boxes. Raises ShapeError.

    Source: K. He, G. Gkioxari, P. Dollar, R. Girshick, "Mask R-CNN", ICCV 2017.

    >>> import graphc as gc
    >>> features = gc.iota((1, 4, 4, 1), axis=2, dtype="float32")
    >>> gc.evaluate(gc.models.roi_align(features, [[[0.0, 1.0, 4.0, 3.0]]], size=2)).reshape(2, 2)
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    x, regions = as_tensor(features), as_tensor(boxes)
    check_count("size", size)
    check_count("samples", samples)
    fixed = x.ndim == 4 and all(isinstance(side, int) for side in x.shape[1:])
    if not fixed or regions.ndim != 3 or regions.shape[0] != x.shape[0] or regions.shape[2] != 4:
        raise ShapeError(
            "roi_align: features and boxes do not fit",
            at=str(user_location()),
            facts=[("features", describe(x.node)), ("boxes", describe(regions.node))],
            expected="[batch, height, width, channels] of fixed sizes and [batch, regions, 4]",
            got=f"{x.type} and {regions.type}",
        )
    with scope("roi_align"):
        points = size * samples
        grid = (iota((points,), dtype="int64").cast(x.dtype) + 0.5) / points
        rows, columns = (
            regions[..., axis : axis + 1] + (regions[..., axis + 2 : axis + 3] - regions[..., axis : axis + 1]) * grid
            for axis in (0, 1)
        )
        found = _bilinear(x, rows - 0.5, columns - 0.5)
        cells = found.reshape((*found.shape[:2], size, samples, size, samples, found.shape[-1]))
        return cells.mean((3, 5))


def _bilinear(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values at all pairs of rows and columns [batch, regions, points]: [batch, regions, points, points, channels]."""
    batch, height, width, channels = x.shape
    assert isinstance(height, int)
    assert isinstance(width, int)
    pixels = x.reshape((-1, channels))
    image = iota((batch, 1, 1, 1), 0, "int64") * (height * width)
    total = None
    for row, row_share in _neighbours(rows, height):
        for column, column_share in _neighbours(columns, width):
            places = image + expand_dims(row * width, 3) + expand_dims(column, 2)
            shares = expand_dims(row_share, 3) * expand_dims(column_share, 2)
            term = take(pixels, places) * expand_dims(shares, 4)
            total = term if total is None else total + term
    assert total is not None
    return total


def _neighbours(places: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The elements before and after places between them, and how much each counts."""
    inside = clip(places, 0.0, size - 1.0)
    before = clip(floor(inside), 0.0, max(size - 2.0, 0.0))
    share = inside - before
    first = before.cast("int64")
    return [(first, 1 - share), (clip(first + 1, 0, size - 1), share)]


def encode_boxes(boxes: TensorLike, anchors: TensorLike) -> Tensor:
    """Boxes as four numbers relative to anchors: shifts of the centre in sides, and logarithms of the sides' ratios.

    boxes, anchors: float [..., 4]. Result: [..., 4]; ``decode_boxes`` is the opposite.

    Source: R. Girshick and others, "Rich feature hierarchies for accurate object detection", CVPR 2014.

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.encode_boxes([2.0, 0.0, 6.0, 8.0], [0.0, 0.0, 4.0, 8.0]))
    array([0.5, 0. , 0. , 0. ], dtype=float32)
    """
    (centres, sides), (places, sizes) = _centred(as_tensor(boxes)), _centred(as_tensor(anchors))
    shifts = [(mine - its) / size for mine, its, size in zip(centres, places, sizes, strict=True)]
    return stack([*shifts, *(log(mine / its) for mine, its in zip(sides, sizes, strict=True))], axis=-1)


def decode_boxes(deltas: TensorLike, anchors: TensorLike) -> Tensor:
    """The boxes that ``encode_boxes`` wrote relative to anchors. deltas, anchors: float [..., 4].

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.decode_boxes([0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 8.0]))
    array([2., 0., 6., 8.], dtype=float32)
    """
    moves = as_tensor(deltas)
    places, sizes = _centred(as_tensor(anchors))
    centres = [moves[..., axis] * sizes[axis] + places[axis] for axis in (0, 1)]
    halves = [exp(moves[..., axis + 2]) * sizes[axis] / 2 for axis in (0, 1)]
    corners = [centre - half for centre, half in zip(centres, halves, strict=True)]
    corners += [centre + half for centre, half in zip(centres, halves, strict=True)]
    return stack(corners, axis=-1)


def _centred(boxes: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Centres and sides, rows before columns."""
    sides = [boxes[..., axis + 2] - boxes[..., axis] for axis in (0, 1)]
    return [boxes[..., axis] + side / 2 for axis, side in enumerate(sides)], sides


@dataclass(frozen=True)
class RegionScores:
    """What is predicted for each region: logits [batch, regions, classes], deltas [batch, regions, classes, 4].

    Class 0 is the background.

    >>> import graphc as gc
    >>> head = gc.models.RegionHead(classes=3, hidden=8)
    >>> scores = head.scores(gc.input("regions", ("batch", 5, 7, 7, 16)))
    >>> scores.logits, scores.deltas
    (<Tensor f32[batch, 5, 3]>, <Tensor f32[batch, 5, 3, 4]>)
    """

    logits: Tensor
    deltas: Tensor


class RegionHead(Layer):
    """The second stage of Faster R-CNN: two dense layers, then a class and, for each class, a box.

    Input: features of regions, float [batch, regions, size, size, channels]. Output: [batch, regions, classes * 5],
    which ``scores`` takes apart. hidden: units of the dense layers (1024 in the paper's feature pyramid network).

    Source: S. Ren, K. He, R. Girshick, J. Sun, "Faster R-CNN", NeurIPS 2015.

    >>> import graphc as gc
    >>> gc.models.RegionHead(classes=3, hidden=8)(gc.input("regions", ("batch", 5, 7, 7, 16)))
    <Tensor f32[batch, 5, 15]>
    """

    def __init__(self, classes: int, hidden: int = 1024, name: str | None = None) -> None:
        super().__init__(name)
        check_count("classes", classes)
        self.classes = classes
        self.hidden = Sequential([Dense(hidden, "relu", kernel_initializer="he_normal") for _ in range(2)])
        self.output = Dense(5 * classes)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare classes and boxes, joined."""
        x = float_input(self, inputs, _REGIONS, 5, (1, 2, 3, 4))
        return self.output(self.hidden(x.reshape((*x.shape[:2], -1))))

    def scores(self, regions: Tensor) -> RegionScores:
        """Declare classes and boxes."""
        joined = self(regions)
        boxes = joined[..., self.classes :]
        return RegionScores(joined[..., : self.classes], boxes.reshape((*boxes.shape[:2], self.classes, 4)))


class MaskHead(Layer):
    """The mask branch of Mask R-CNN: convolutions, one enlargement, and a mask for each class.

    Input: features of regions, float [batch, regions, size, size, channels]. Output: logits [batch, regions, 2 size,
    2 size, classes], each class with a sigmoid of its own. depth, width: of the convolutions (4 and 256 in the paper).

    Source: K. He, G. Gkioxari, P. Dollar, R. Girshick, "Mask R-CNN", ICCV 2017.

    >>> import graphc as gc
    >>> gc.models.MaskHead(classes=3, depth=2, width=8)(gc.input("regions", ("batch", 5, 7, 7, 16)))
    <Tensor f32[batch, 5, 14, 14, 3]>
    """

    def __init__(self, classes: int, depth: int = 4, width: int = 256, name: str | None = None) -> None:
        super().__init__(name)
        he = "he_normal"
        self.layers = Sequential(
            [
                *(Conv2d(width, 3, padding="same", activation="relu", kernel_initializer=he) for _ in range(depth)),
                ConvTranspose2d(width, 2, 2, activation="relu", kernel_initializer=he),
                Conv2d(classes, 1),
            ]
        )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the masks."""
        x = float_input(self, inputs, _REGIONS, 5, (1, 2, 3, 4))
        masks = self.layers(x.reshape((-1, *x.shape[2:])))
        return masks.reshape((*x.shape[:2], *masks.shape[1:]))


def region_losses(
    scores: RegionScores,
    labels: Tensor,
    targets: Tensor,
    masks: Tensor | None = None,
    target_masks: Tensor | None = None,
) -> dict[str, Tensor]:
    """The losses of regions: "class" (cross-entropy), "box" (smooth L1), and "mask" (binary cross-entropy) if given.

    labels: int64 [batch, regions], 0 for background, which has no box and no mask. targets: float [batch, regions, 4]
    from ``encode_boxes``. masks: of a MaskHead; target_masks: float [batch, regions, size, size]. Only the box and the
    mask of a region's own class count. "box" is divided by the number of regions, "mask" by that of the foreground.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015; K. He and others, "Mask R-CNN", ICCV 2017.

    >>> import graphc as gc
    >>> scores = gc.models.RegionScores(gc.constant([[[0.0, 0.0]]]), gc.constant([[[[9.0] * 4, [0.0] * 4]]]))
    >>> losses = gc.models.region_losses(scores, gc.constant([[1]]), gc.constant([[[2.0, 0.0, 0.0, 0.0]]]))
    >>> [round(float(value), 4) for value in gc.evaluate([losses["class"], losses["box"]])]
    [0.6931, 1.5]
    """
    classes = scores.logits.shape[-1]
    assert isinstance(classes, int)
    own = one_hot(labels, classes)
    foreground = (labels > 0).cast("float32")
    deltas = (scores.deltas * expand_dims(own, 3)).sum(2)
    box = (smooth_l1(deltas, targets, reduction="none").sum(-1) * foreground).mean()
    losses = {"class": softmax_cross_entropy(scores.logits, labels), "box": box}
    if masks is not None and target_masks is not None:
        chosen = (masks * expand_dims(own, (2, 3))).sum(-1)
        losses["mask"] = binary_cross_entropy(chosen, target_masks, sample_weights=foreground)
    return losses
