"""Recurrent layers against numpy: values, shapes, options, training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 5
Layer = gc.layers.SimpleRNN | gc.layers.LSTM | gc.layers.GRU


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def split(x: Array, count: int) -> list[Array]:
    return list(np.split(x, count, axis=-1))


def simple(state: list[Array], now: Array, p: dict[str, Array]) -> list[Array]:
    return [np.tanh(now + state[0] @ p["recurrent_kernel"])]


def lstm(state: list[Array], now: Array, p: dict[str, Array]) -> list[Array]:
    enter, keep, new, leave = split(now + state[0] @ p["recurrent_kernel"], 4)
    cell = sigmoid(keep) * state[1] + sigmoid(enter) * np.tanh(new)
    return [sigmoid(leave) * np.tanh(cell), cell]


def gru(state: list[Array], now: Array, p: dict[str, Array]) -> list[Array]:
    mine, other = split(now, 3), split(state[0] @ p["recurrent_kernel"] + p["recurrent_bias"], 3)
    reset, update = sigmoid(mine[0] + other[0]), sigmoid(mine[1] + other[1])
    return [(1 - update) * np.tanh(mine[2] + reset * other[2]) + update * state[0]]


Step = Callable[[list[Array], Array, dict[str, Array]], list[Array]]
KINDS: dict[str, tuple[type[Layer], Step, int]] = {
    "simple": (gc.layers.SimpleRNN, simple, 1),
    "lstm": (gc.layers.LSTM, lstm, 2),
    "gru": (gc.layers.GRU, gru, 1),
}


def by_hand(step: Step, x: Array, state: list[Array], p: dict[str, Array], reverse: bool) -> Array:
    """The outputs at all times."""
    outputs = np.zeros((*x.shape[:2], UNITS))
    for time in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        state = step(state, x[:, time] @ p["kernel"] + p["bias"], p)
        outputs[:, time] = state[0]
    return outputs


def values_of(layer: gc.layers.Layer) -> dict[str, Array]:
    """Parameters by their last names, with biases that are not zero."""
    for number, parameter in enumerate(layer.parameters):
        if parameter.ndim == 1:
            parameter.value = np.random.default_rng(number).normal(size=parameter.value.shape)
    return {parameter.name.rpartition("/")[2]: np.asarray(parameter.value) for parameter in layer.parameters}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_follow_the_formulas(kind: str, reverse: bool) -> None:
    make, step, states = KINDS[kind]
    x = gc.input("x", ("batch", TIME, FEATURES), "float64")
    whole, last = make(UNITS, return_sequences=True, reverse=reverse), make(UNITS, reverse=reverse)
    outputs = {"whole": whole(x), "last": last(x)}
    data = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES))
    first = [np.zeros((BATCH, UNITS))] * states
    expected = [by_hand(step, data, first, values_of(layer), reverse) for layer in (whole, last)]
    found = gc.function([x], outputs)(data)
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["whole"], expected[0], 1e-12, 1e-14)
    np.testing.assert_allclose(found["last"], expected[1][:, 0 if reverse else -1], 1e-12, 1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_state_may_be_given(kind: str) -> None:
    make, step, states = KINDS[kind]
    x = gc.input("x", (BATCH, TIME, FEATURES), "float64")
    begin = [gc.input(f"state{number}", (BATCH, UNITS), "float64") for number in range(states)]
    layer = make(UNITS, return_sequences=True)
    result = layer(x, *begin)
    rng = np.random.default_rng(1)
    data, first = rng.normal(size=(BATCH, TIME, FEATURES)), [rng.normal(size=(BATCH, UNITS)) for _ in begin]
    expected = by_hand(step, data, first, values_of(layer), False)
    np.testing.assert_allclose(np.asarray(gc.function([x, *begin], result)(data, *first)), expected, 1e-12, 1e-14)


def test_two_directions_stand_side_by_side() -> None:
    x = gc.input("x", (BATCH, TIME, FEATURES), "float64")
    forward = gc.layers.GRU(UNITS, return_sequences=True)
    backward = gc.layers.GRU(UNITS, return_sequences=True, reverse=True)
    result = gc.layers.Bidirectional(forward, backward)(x)
    data = np.random.default_rng(2).normal(size=(BATCH, TIME, FEATURES))
    state = [np.zeros((BATCH, UNITS))]
    parts = [
        by_hand(gru, data, state, values_of(layer), reverse) for layer, reverse in ((forward, False), (backward, True))
    ]
    np.testing.assert_allclose(np.asarray(gc.function([x], result)(data)), np.concatenate(parts, -1), 1e-12, 1e-14)


def test_an_lstm_forgets_little_at_first() -> None:
    layer = gc.layers.LSTM(UNITS)
    layer(gc.input("x", ("batch", TIME, FEATURES)))
    bias = next(parameter for parameter in layer.parameters if parameter.name.endswith("bias"))
    np.testing.assert_array_equal(bias.value, [0.0] * 5 + [1.0] * 5 + [0.0] * 10)


@pytest.mark.parametrize("checkpoint", [None, 4])
def test_a_stack_of_layers_learns_to_remember_the_first_element(checkpoint: int | None) -> None:
    x, y = gc.input("x", ("batch", 8, 2)), gc.input("y", ("batch",), "int64")
    network = gc.layers.Sequential(
        [gc.layers.LSTM(16, return_sequences=True, checkpoint=checkpoint), gc.layers.GRU(16), gc.layers.Dense(2)]
    )
    loss = gc.losses.softmax_cross_entropy(network(x), y)
    model = gc.compile(loss, gc.optimizers.Adam(0.02), seed=1)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(80):
        data = rng.normal(size=(32, 8, 2))
        losses.append(model.step({"x": data, "y": data[:, 0, 0] > 0})["loss"])
    assert losses[0] > 0.6
    assert np.mean(losses[-10:]) < 0.3


def test_inputs_that_are_no_sequences_are_refused() -> None:
    with pytest.raises(ShapeError, match="LSTM 'lstm' does not fit this input"):
        gc.layers.LSTM(3)(gc.input("x", ("batch", 4)))
    with pytest.raises(DTypeError, match="GRU 'gru' does not take int64"):
        gc.layers.GRU(3)(gc.input("x", ("batch", 4, 2), "int64"))
    with pytest.raises(DeclarationError, match="takes its input and 2 tensors of its first state"):
        gc.layers.LSTM(3)(gc.input("x", ("batch", 4, 2)), gc.input("h", ("batch", 3)))
    with pytest.raises(DeclarationError, match="units is a positive integer"):
        gc.layers.GRU(0)
    with pytest.raises(DeclarationError, match="no activation 'sine'"):
        gc.layers.SimpleRNN(3, activation="sine")
    with pytest.raises(DeclarationError, match="one that runs back"):
        gc.layers.Bidirectional(gc.layers.GRU(3), gc.layers.GRU(3))
