"""Heads of attention, with masks, and the blocks of a transformer, with gradients by input and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.scalar import Array
from tests.against_torch.peer import assert_close, torch

BATCH, TIME, FEATURES, HEADS = 3, 7, 12, 4
DATA = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)
PRESENT = np.arange(TIME) < np.array([[7], [4], [1]])
WEIGHTS = np.random.default_rng(1).normal(size=DATA.shape).astype(np.float32)


def give_heads(layer: Any, peer: Any) -> None:
    """The peer's projections get the parameters of a layer; biases are made different from 0 first."""
    rng = np.random.default_rng(2)
    parts = (layer.query, layer.key, layer.value, layer.output)
    for part in parts:
        part.bias.value = rng.normal(size=FEATURES)
    joined = [np.concatenate([part.weight.value.T for part in parts[:3]])]
    joined += [np.concatenate([part.bias.value for part in parts[:3]])]
    give(peer.in_proj_weight, joined[0])
    give(peer.in_proj_bias, joined[1])
    give(peer.out_proj.weight, layer.output.weight.value.T)
    give(peer.out_proj.bias, layer.output.bias.value)


def give(parameter: Any, value: Array) -> None:
    parameter.data = torch.from_numpy(np.ascontiguousarray(value))


def ours(layer: layers.MultiHeadAttention | layers.TransformerBlock, masked: bool) -> tuple[Array, Array]:
    """The result, and the gradient by the input of its sum with weights."""
    x, present = gc.input("x", DATA.shape), gc.input("present", PRESENT.shape, "bool")
    y = layer(x, mask=present) if masked else layer(x)
    slope = gc.grad(gc.sum(y * gc.constant(WEIGHTS)), x)
    assert isinstance(slope, gc.Tensor)
    inputs = [x, present] if masked else [x]
    found = gc.function(inputs, [y, slope])(*([DATA, PRESENT] if masked else [DATA]))
    assert isinstance(found, list)
    return found[0], found[1]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_heads_with_masks(causal: bool, masked: bool) -> None:
    layer = layers.MultiHeadAttention(HEADS, causal=causal)
    layer(gc.input("x", DATA.shape))
    peer = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True)
    give_heads(layer, peer)
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    hidden = torch.from_numpy(~PRESENT) if masked else None
    future = torch.from_numpy(~np.tri(TIME, dtype=bool)) if causal else None
    expected, _ = peer(x, x, x, key_padding_mask=hidden, attn_mask=future)
    (expected * torch.from_numpy(WEIGHTS)).sum().backward()
    found, slope = ours(layer, masked)
    assert_close(found, expected.detach().numpy())
    assert_close(slope, x.grad.numpy())


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_transformer_block(pre_norm: bool) -> None:
    layer = layers.TransformerBlock(HEADS, hidden=20, pre_norm=pre_norm)
    layer(gc.input("x", DATA.shape))
    peer = torch.nn.TransformerEncoderLayer(
        FEATURES, HEADS, 20, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre_norm
    )
    give_heads(layer.attention, peer.self_attn)
    for mine, theirs in ((layer.hidden, peer.linear1), (layer.dense, peer.linear2)):
        give(theirs.weight, mine.weight.value.T)
        give(theirs.bias, mine.bias.value)
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    expected = peer(x)
    (expected * torch.from_numpy(WEIGHTS)).sum().backward()
    found, slope = ours(layer, False)
    assert_close(found, expected.detach().numpy())
    assert_close(slope, x.grad.numpy())
