"""A small network with dilated convolutions that gives every pixel a class."""

from __future__ import annotations

import numpy as np

from workloads.spec import Array, Workload
from workloads.values import Random, he, zeros

_CLASSES, _SIZE, _IGNORED = 21, 64, 255
_CONVOLUTIONS = (
    ("stem1", 3, 32, 3, 2, 1, 32),
    ("stem2", 32, 64, 3, 2, 1, 16),
    ("atr1", 64, 128, 3, 1, 1, 16),
    ("atr2", 128, 128, 3, 1, 2, 16),
    ("atr4", 128, 128, 3, 1, 4, 16),
    ("head", 128, _CLASSES, 1, 1, 1, 16),
)
"""Name, channels in and out, window, stride, dilation, height and width of the result."""


def deeplab_mini() -> Workload:
    """Convolutions with ReLU (none behind the head), padded by their dilation where the window is 3; the scores are
    enlarged four times, bilinear with pixel centres between pixels. The loss is the mean cross-entropy of the pixels
    whose label is not 255. Source: L.-C. Chen and others, "DeepLab", 2016."""
    rng = np.random.default_rng(11)
    params: dict[str, Array] = {}
    for name, inputs, outputs, window, *_ in _CONVOLUTIONS:
        params[f"{name}.w"], params[f"{name}.b"] = he(rng, (outputs, inputs, window, window)), zeros(outputs)
    cfg = {"convs": _CONVOLUTIONS, "ignore": _IGNORED, "up": 4}
    return Workload("deeplab-mini", params, _scenes(rng, 8, 8), {"kind": "momentum", "lr": 0.02, "mu": 0.9}, cfg)


def _scenes(rng: Random, batches: int, samples: int) -> dict[str, Array]:
    """Areas around random points, each of one class that shows as a colour; some labels are missing."""
    colours = rng.standard_normal((_CLASSES, 3), np.float32)
    centres = rng.uniform(0, _SIZE, (batches, samples, 5, 2, 1, 1))
    classes = rng.integers(0, _CLASSES, (batches, samples, 5))
    distances = ((centres - np.indices((_SIZE, _SIZE))) ** 2).sum(3)
    nearest = distances.argmin(2).reshape(batches, samples, -1)
    labels = np.take_along_axis(classes, nearest, 2).reshape(batches, samples, _SIZE, _SIZE)
    images = np.moveaxis(colours[labels], -1, 2) + rng.normal(0, 0.5, (batches, samples, 3, _SIZE, _SIZE))
    labels[rng.random(labels.shape) < 0.05] = _IGNORED
    return {"x": images.astype(np.float32), "y": labels.astype(np.int32)}
