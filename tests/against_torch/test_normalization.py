"""Batch normalisation in training and inference with its running statistics, and layer normalisation."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.scalar import Array
from tests.against_torch.peer import assert_close, image_for_torch, image_of, torch, with_gradients

SHAPE = (6, 5, 4, 7)


def batches(count: int = 4) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.normal(number, 1 + number, SHAPE).astype(np.float32) for number in range(count)]


def test_batch_norm_in_training_with_gradients_by_input_scale_and_offset() -> None:
    rng = np.random.default_rng(1)
    data = {"x": batches()[1], "scale": rng.normal(size=7).astype(np.float32), "offset": np.ones(7, np.float32)}
    peer = torch.nn.BatchNorm2d(7)
    peer.weight.data, peer.bias.data = (torch.from_numpy(data[name].copy()) for name in ("scale", "offset"))
    x = image_for_torch(data["x"])
    result = peer(x)
    weights = rng.normal(size=SHAPE).astype(np.float32)
    (result * image_for_torch(weights)).sum().backward()
    layer = layers.BatchNorm(use_scale=False, use_offset=False)
    found = with_gradients(lambda x, scale, offset: layer(x) * scale + offset, data, weights, training=True)
    expected = [image_of(result), image_of(x.grad), peer.weight.grad.numpy(), peer.bias.grad.numpy()]
    for mine, theirs in zip(found, expected, strict=True):
        assert_close(mine, theirs)


def test_running_statistics_and_what_inference_makes_of_them() -> None:
    layer = layers.BatchNorm(momentum=0.9)
    y = layer(gc.input("x", ("batch", *SHAPE[1:])))
    model = gc.compile((y * 0.0).sum(), gc.optimizers.SGD(0.1), outputs={"y": y})
    peer = torch.nn.BatchNorm2d(7, momentum=0.1)
    for batch in batches():
        model.step({"x": batch})
        peer(image_for_torch(batch))
    assert_close(layer.running_mean.value, peer.running_mean.numpy())
    # Torch divides the running variance by one element less than that of the batch; ours is the same in both.
    count, kept = SHAPE[0] * SHAPE[1] * SHAPE[2], 0.9**4
    variance = (peer.running_var.numpy() - kept) * (count - 1) / count + kept
    assert_close(layer.running_variance.value, variance.astype(np.float32))
    peer.running_var.data = torch.from_numpy(variance.astype(np.float32))
    found = model.predict({"x": batches()[2]})["y"]
    assert_close(found, image_of(peer.eval()(image_for_torch(batches()[2]))))


@pytest.mark.parametrize("axes", [(3,), (2, 3), (1, 2, 3)], ids=str)
def test_layer_norm_with_gradients(axes: tuple[int, ...]) -> None:
    data, rng = batches()[1], np.random.default_rng(1)
    x = torch.from_numpy(data.copy()).requires_grad_()
    result = torch.nn.functional.layer_norm(x, SHAPE[axes[0] :])
    weights = rng.normal(size=SHAPE).astype(np.float32)
    (result * torch.from_numpy(weights)).sum().backward()
    found = with_gradients(layers.LayerNorm(axes, use_scale=False, use_offset=False), {"x": data}, weights)
    assert_close(found[0], result.detach().numpy())
    assert_close(found[1], x.grad.numpy())
