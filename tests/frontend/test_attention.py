"""Attention, its layers, embeddings and positions against plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, FeedError, ShapeError
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

RNG = np.random.default_rng(0)
QUERY, KEY, VALUE = (RNG.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))
MASK = RNG.random((2, 3, 5)) < 0.6
MASK[0, 1] = False
MASK[1, 2] = True


def attention(q: Array, k: Array, v: Array, seen: Array) -> Array:
    scores = np.where(seen, q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    powers = np.exp(scores - np.maximum(scores.max(-1, keepdims=True), -1e300))
    total = powers.sum(-1, keepdims=True)
    return np.asarray(powers / np.where(total == 0, 1, total) @ v)


@pytest.mark.parametrize(
    ("mask", "causal", "seen"),
    [
        (None, False, np.ones((3, 5), bool)),
        (MASK, False, MASK),
        (MASK[0, 0], True, MASK[0, 0] & np.tri(3, 5, dtype=bool)),
        (None, True, np.tri(3, 5, dtype=bool)),
    ],
    ids=["all", "mask", "both", "causal"],
)
def test_attention_is_a_mean_of_values_weighted_by_scores(mask: Array | None, causal: bool, seen: Array) -> None:
    def function(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
        return gc.attention(q, k, v, mask, causal)

    found = gc.evaluate(function(gc.constant(QUERY), gc.constant(KEY), gc.constant(VALUE)))
    np.testing.assert_allclose(found, attention(QUERY, KEY, VALUE, seen), 1e-12, 1e-14)
    assert_slopes(function, {"q": QUERY, "k": KEY, "v": VALUE})


def test_a_query_that_sees_nothing_gets_zero_and_no_gradient() -> None:
    q = gc.input("q", (2, 3, 4), "float64")
    result = gc.attention(q, KEY, VALUE, MASK)
    slope = gc.grad(gc.sum(result * result), q)
    assert isinstance(slope, gc.Tensor)
    found, gradient = gc.evaluate([result, slope], {"q": QUERY})
    np.testing.assert_array_equal(found[0, 1], np.zeros(6))
    np.testing.assert_array_equal(gradient[0, 1], np.zeros(4))


def test_large_scores_do_not_overflow() -> None:
    found = gc.evaluate(gc.attention([[1e18]], [[1e18], [-1e18]], [[1.0], [2.0]]))
    np.testing.assert_array_equal(found, [[1.0]])


def test_attention_refuses_what_does_not_fit() -> None:
    x = gc.input("x", ("batch", "time", 4))
    with pytest.raises(ShapeError, match="attention takes rows of features") as caught:
        gc.attention(x, x, gc.input("v", (4,)))
    assert "value      f32[4]  input 'v', declared at " in str(caught.value)
    with pytest.raises(DTypeError, match="attention: a mask is of truth values") as refused:
        gc.attention(x, x, x, gc.input("mask", ("batch", "time", "time")))
    assert "expected   bool, True where a query sees a key\n  got        f32[batch, time, time]" in str(refused.value)
    with pytest.raises(ShapeError, match="attention: the mask does not fit the scores") as caught:
        gc.attention(x, x, x, gc.input("mask", ("batch", "time"), "bool"))
    assert "expected   a mask that broadcasts to [batch, time, time]\n  got        bool[batch, time]" in str(
        caught.value
    )


def dense(layer: Any, x: Array) -> Array:
    return np.asarray(x @ layer.weight.value + layer.bias.value)


def heads(x: Array, count: int) -> Array:
    return x.reshape((*x.shape[:2], count, -1)).transpose(0, 2, 1, 3)


def many_heads(layer: Any, query: Array, memory: Array, seen: Array) -> Array:
    q, k, v = (heads(dense(part, x), layer.heads) for part, x in
               ((layer.query, query), (layer.key, memory), (layer.value, memory)))  # fmt: skip
    found = attention(q, k, v, seen).transpose(0, 2, 1, 3)
    return dense(layer.output, found.reshape((*query.shape[:2], -1)))


def sequence(name: str, features: int = 4, dtype: str = "float64") -> gc.Tensor:
    return gc.input(name, ("batch", f"{name}_time", features), dtype)


def test_heads_attend_to_a_sequence_itself() -> None:
    layer = layers.MultiHeadAttention(2, causal=True)
    x = sequence("x")
    present = gc.input("present", ("batch", "x_time"), "bool")
    mask = np.array([[True, True, True], [False, True, True]])
    found = gc.function([x, present], layer(x, mask=present))(QUERY, mask)
    seen = np.tri(3, dtype=bool) & mask[:, None, None, :]
    np.testing.assert_allclose(np.asarray(found), many_heads(layer, QUERY, QUERY, seen), 1e-10, 1e-12)
    assert [parameter.name for parameter in layer.parameters] == [
        f"multi_head_attention/{part}/{kind}" for part in ("query", "key", "value", "output")
        for kind in ("weight", "bias")
    ]  # fmt: skip
    assert str(layer.parameters[0].type) == "f64[4, 4]"


def test_heads_attend_to_another_sequence() -> None:
    layer = layers.MultiHeadAttention(3, units=6)
    x, memory = sequence("x"), sequence("memory", 6)
    mask = gc.input("mask", ("batch", "x_time", "memory_time"), "bool")
    y = layer(x, memory, mask=mask)
    assert str(y.type) == "f64[batch, x_time, 6]"
    found = gc.evaluate(y, {"x": QUERY, "memory": VALUE, "mask": MASK})
    np.testing.assert_allclose(found, many_heads(layer, QUERY, VALUE, MASK[:, None]), 1e-10, 1e-12)
    other = gc.evaluate(layer(x, memory, memory, mask=mask), {"x": QUERY, "memory": VALUE, "mask": MASK})
    np.testing.assert_array_equal(other, found)


def test_weights_of_heads_are_dropped_while_training() -> None:
    layer = layers.MultiHeadAttention(2, dropout=0.5)
    x = sequence("x")
    y = layer(x)
    plain = layers.MultiHeadAttention(2)
    plain(x)
    for mine, theirs in zip(layer.parameters, plain.parameters, strict=True):
        theirs.value = mine.value
    inference, training = (np.asarray(gc.function([x], y, training=mode)(QUERY)) for mode in (False, True))
    np.testing.assert_allclose(inference, np.asarray(gc.function([x], plain(x))(QUERY)), 1e-12)
    assert np.abs(training - inference).max() > 1e-3


def norm(x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5))


@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_transformer_block_is_attention_and_two_dense_layers_with_shortcuts(pre_norm: bool) -> None:
    layer = layers.TransformerBlock(2, hidden=7, activation="tanh", pre_norm=pre_norm, causal=True)
    x = sequence("x")
    y = layer(x)
    seen = np.tri(3, dtype=bool)

    def mapped(value: Array) -> Array:
        return dense(layer.dense, np.tanh(dense(layer.hidden, value)))

    if pre_norm:
        middle = QUERY + many_heads(layer.attention, norm(QUERY), norm(QUERY), seen)
        expected = middle + mapped(norm(middle))
    else:
        middle = norm(QUERY + many_heads(layer.attention, QUERY, QUERY, seen))
        expected = norm(middle + mapped(middle))
    np.testing.assert_allclose(gc.evaluate(y, {"x": QUERY}), expected, 1e-10, 1e-12)
    assert len(layer.parameters) == 16


def test_a_transformer_learns_to_repeat_the_word_before() -> None:
    word, after = gc.input("word", ("batch", 6), "int64"), gc.input("after", ("batch", 6), "int64")
    x = layers.PositionalEncoding()(layers.Embedding(5, 16, initializer="normal")(word))
    logits = layers.Dense(5)(layers.TransformerBlock(2, causal=True)(x))
    model = gc.compile(gc.losses.softmax_cross_entropy(logits, after), gc.optimizers.Adam(1e-2))
    words = np.random.default_rng(0).integers(0, 5, (64, 7))
    data = {"word": words[:, 1:], "after": words[:, :-1]}
    data["after"][:, 0] = data["word"][:, 0]
    losses = [model.step(data)["loss"] for _ in range(60)]
    assert losses[0] > 1.5
    assert losses[-1] < 0.3


def test_layers_of_attention_refuse_what_does_not_fit() -> None:
    x = gc.input("x", ("batch", "time", 6))
    with pytest.raises(ShapeError, match="MultiHeadAttention 'heads': the units do not fall into heads") as caught:
        layers.MultiHeadAttention(4, name="heads")(x)
    text = str(caught.value)
    assert "expected   a multiple of 4\n  got        6 units\n  way out    give MultiHeadAttention its units" in text
    with pytest.raises(ShapeError, match="MultiHeadAttention 'heads' does not fit this input") as caught:
        layers.MultiHeadAttention(2, name="heads")(gc.input("x", ("batch", 6)))
    assert "expected   [batch, time, features] with an integer\n  got        f32[batch, 6]" in str(caught.value)
    with pytest.raises(ShapeError, match="TransformerBlock 'transformer_block': the mask does not fit") as caught:
        layers.TransformerBlock(2)(x, mask=gc.input("mask", ("batch", "time")))
    assert "expected   bool[batch, keys] or bool[batch, queries, keys]\n  got        f32[batch, time]" in str(
        caught.value
    )
    with pytest.raises(DeclarationError, match="takes one to three sequences") as refused:
        layers.MultiHeadAttention(2)(x, x, x, x)
    assert "got        4 tensors" in str(refused.value)
    with pytest.raises(DeclarationError, match="heads is a positive integer"):
        layers.MultiHeadAttention(0)


def test_an_embedding_gives_rows_and_learns_those_that_were_read() -> None:
    layer = layers.Embedding(5, 3, padding_index=0)
    word = gc.input("word", ("batch", "time"), "int32")
    y = layer(word)
    words = np.array([[1, 0], [4, 1]])
    slope = gc.grad(gc.sum(y * y), layer.table)
    assert isinstance(slope, gc.Tensor)
    found, gradient = gc.evaluate([y, slope], {"word": words})
    expected = np.where(words[..., None] == 0, 0, layer.table.value[words])
    np.testing.assert_array_equal(found, expected)
    counts = np.array([0, 2, 0, 0, 1])[:, None]
    np.testing.assert_allclose(gradient, 2 * counts * layer.table.value, 1e-6)
    assert 0.5 < layer.table.value.std() < 1.6
    assert str(layers.Embedding(5, 3, dtype="float64")(word).type) == "f64[batch, time, 3]"


def test_an_embedding_refuses_what_is_no_row() -> None:
    word = gc.input("word", ("batch",), "int64")
    y = layers.Embedding(5, 3)(word)
    with pytest.raises(FeedError, match="1 of 2 integers are out of range"):
        gc.evaluate(y, {"word": [0, -1]})
    with pytest.raises(DTypeError, match="Embedding 'embedding' takes integers") as caught:
        layers.Embedding(5, 3)(gc.input("word", ("batch",)))
    assert 'way out    declare the input with dtype="int64"' in str(caught.value)
    with pytest.raises(DeclarationError, match="the padding index is one of the table's rows") as refused:
        layers.Embedding(5, 3, padding_index=5)
    assert "expected   0 <= padding_index < 5\n  got        5" in str(refused.value)
    with pytest.raises(DeclarationError, match="units is a positive integer"):
        layers.Embedding(5, 0)


@pytest.mark.parametrize("time", [7, "time"])
@pytest.mark.parametrize("features", [4, 5])
def test_positions_are_waves(time: object, features: int) -> None:
    x = gc.input("x", ("batch", time, features))
    data = RNG.normal(size=(2, 7, features)).astype(np.float32)
    angles = np.arange(7)[:, None] / 100.0 ** (2 * (np.arange(features) // 2) / features)
    waves = np.where(np.arange(features) % 2 == 0, np.sin(angles), np.cos(angles))
    found = gc.evaluate(layers.PositionalEncoding(base=100.0)(x), {"x": data})
    np.testing.assert_allclose(found, data + waves, 1e-5, 1e-6)
    assert found.dtype == np.float32
