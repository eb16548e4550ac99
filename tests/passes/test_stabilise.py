from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.passes.stabilise import Stabilise, stabilise_for_gradient

EXTREME = np.array([[0.0, 1e4, -1e4], [-1e30, 3.0, 3.0]], np.float32)


def test_a_model_trains_on_the_log_of_a_softmax_of_extreme_values() -> None:
    x = gc.input("x", shape=("batch", 3))
    shift = gc.parameter((3,), "zeros", name="shift")
    loss = -gc.mean(gc.log(gc.softmax(x + shift, axis=1))[:, 0])
    model = gc.compile(loss, optimizers.SGD(1.0))
    assert model.step({"x": EXTREME}) == {"loss": pytest.approx((1e4 + 1e30) / 2, rel=1e-6)}
    np.testing.assert_allclose(shift.value, [1.0, -0.75, -0.25], 1e-6)


def test_the_model_lists_what_was_rewritten_and_at_which_line() -> None:
    x = gc.input("x", shape=("batch", 3))
    weight = gc.parameter((3,), "ones", name="weight")
    loss = -gc.sum(gc.log(gc.sigmoid(x * weight)))
    (firing,) = gc.compile(loss, optimizers.SGD(1.0)).stabilised
    assert firing.rule == "log(sigmoid(x)) = -softplus(-x)"
    where = firing.before.origin.location
    assert where is not None
    assert Path(where.file) == Path(__file__)
    assert where.source == "loss = -gc.sum(gc.log(gc.sigmoid(x * weight)))"
    assert str(firing) == f"{firing.rule}    at {where}"


def test_a_model_without_unstable_formulas_lists_nothing() -> None:
    image, label = gc.input("image", shape=("batch", 4)), gc.input("label", shape=("batch",), dtype="int64")
    loss = losses.softmax_cross_entropy(layers.Dense(3)(image), label)
    assert gc.compile(loss, optimizers.SGD(1.0)).stabilised == []


def test_rewritten_formulas_hold_where_the_spelled_out_ones_overflow() -> None:
    x = gc.input("x", shape=(4,))
    spelled = {
        "sigmoid": 1.0 / (1.0 + gc.exp(-x)),
        "softplus": gc.log(1.0 + gc.exp(x)),
        "logsumexp": gc.log(gc.sum(gc.exp(x))),
        "log_of_exp": gc.log(gc.exp(x)),
        "expm1": gc.exp(x) - 1.0,
        "root": gc.sqrt(x * x),
        "tanh": (gc.exp(2.0 * x) - 1.0) / (gc.exp(2.0 * x) + 1.0),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        values = gc.function([x], spelled)([-1e30, -1e-10, 0.0, 1e30])
    assert isinstance(values, dict)
    expected = {
        "sigmoid": [0.0, 0.5, 0.5, 1.0],
        "softplus": [0.0, np.log(2), np.log(2), 1e30],
        "logsumexp": [1e30],
        "log_of_exp": [-1e30, -1e-10, 0.0, 1e30],
        "expm1": [-1.0, -1e-10, 0.0, np.inf],
        "root": [1e30, 1e-10, 0.0, 1e30],
        "tanh": [-1.0, -1e-10, 0.0, 1.0],
    }
    assert values.keys() == expected.keys()
    for name, value in values.items():
        np.testing.assert_allclose(value, expected[name], 1e-6, err_msg=name)


def test_opaque_nodes_survive() -> None:
    x = gc.input("x", shape=(3,))
    inner = gc.sigmoid(x)
    outer = gc.log(inner)
    loss, (kept,) = stabilise_for_gradient(outer.node, [inner.node])
    assert loss is outer.node
    assert kept is inner.node
    assert Stabilise().rewrite(gc.graph_of({"y": outer})).counts == {"log(sigmoid(x)) = -softplus(-x)": 1}
