"""Layers of images with their gradients: normalisations, margins, blocks of pixels, pooling by norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from tests.against_torch.peer import assert_close, image_for_torch, image_of, torch, with_gradients

F = torch.nn.functional
DATA = np.random.default_rng(0).normal(1, 2, size=(3, 6, 8, 12)).astype(np.float32)

PEERS: dict[str, tuple[Any, Any]] = {
    "groups": (layers.GroupNorm(3), lambda x: F.group_norm(x, 3)),
    "instances": (layers.InstanceNorm(), F.instance_norm),
    "responses": (layers.LocalResponseNorm(5, 0.3 / 5), lambda x: F.local_response_norm(x, 5, 0.3, 0.75, 2.0)),
    "four responses": (layers.LocalResponseNorm(4, 0.3 / 4), lambda x: F.local_response_norm(x, 4, 0.3, 0.75, 2.0)),
    "reflection": (layers.ReflectionPad([(1, 2), (3, 0)]), lambda x: F.pad(x, (3, 0, 1, 2), mode="reflect")),
    "zeros": (layers.ZeroPad([(1, 2), (3, 0)]), lambda x: F.pad(x, (3, 0, 1, 2))),
    "norms of order 2": (layers.LpPool2d(2), lambda x: F.lp_pool2d(x, 2.0, 2)),
    "norms of order 4": (layers.LpPool2d(3, 4, strides=1), lambda x: F.lp_pool2d(x, 4.0, 3, 1)),
    "blocks": (
        lambda x: gc.depth_to_space(
            x.reshape((*x.shape[:3], 3, 4)).transpose((0, 1, 2, 4, 3)).reshape((*x.shape[:3], 12)), 2
        ),
        lambda x: F.pixel_shuffle(x, 2),
    ),
}


@pytest.mark.parametrize("name", PEERS)
def test_a_layer_and_its_gradient(name: str) -> None:
    mine, theirs = PEERS[name]
    x = image_for_torch(DATA)
    result = theirs(x)
    expected = image_of(result)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
    (result * image_for_torch(weights)).sum().backward()
    found = with_gradients(mine, {"x": DATA}, weights)
    assert_close(found[0], expected)
    assert_close(found[1], image_of(x.grad))


def test_root_mean_squares() -> None:
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    result = F.rms_norm(x, (12,), eps=1e-6)
    weights = np.random.default_rng(1).normal(size=DATA.shape).astype(np.float32)
    (result * torch.from_numpy(weights)).sum().backward()
    found = with_gradients(layers.RMSNorm(use_scale=False), {"x": DATA}, weights)
    assert_close(found[0], result.detach().numpy())
    assert_close(found[1], x.grad.numpy())
