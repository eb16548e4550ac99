"""Losses, activations, metrics and layers by name, on the worked examples of the notes that print their formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import activations, layers, losses, metrics
from tests.end_to_end.seed_cases import Case, cases, numbers

GRAPHS: dict[str, Case] = {case["id"]: case for case in cases("graphs")}

LOSSES: dict[str, tuple[str, str, Callable[..., gc.Tensor]]] = {
    "S2.l2-loss": ("yh", "d", lambda yh, y: losses.l2_norm(yh, y, "sum")),
    "S2.mse-as-printed": ("yh", "J", losses.l2_norm),
    "S2.mse": ("yh", "J", losses.mean_squared_error),
    "S2.l1": ("yh", "d", lambda yh, y: losses.mean_absolute_error(yh, y, "sum")),
    "S2.mae": ("yh", "J", losses.mean_absolute_error),
    "S2.bce": ("p", "J", losses.binary_cross_entropy_of_probabilities),
    "S4.hinge": ("s", "L", lambda s, y: losses.hinge(s, gc.argmax(y, axis=-1))),
    "S4.softmax-fused": ("s", "L", losses.softmax_cross_entropy),
}
"""The input that is differentiated by, the result, and the loss of the inputs in their order."""


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_by_name_has_the_worked_value_and_slope(name: str) -> None:
    wrt, result, loss = LOSSES[name]
    case = GRAPHS[name]
    feed = {key: numbers(value) for key, value in case["inputs"].items()}
    inputs = {key: gc.input(key, array.shape, array.dtype) for key, array in feed.items()}
    value = loss(*inputs.values())
    slope = gc.grad(value, inputs[wrt])
    assert isinstance(slope, gc.Tensor)
    found = gc.evaluate([value, slope], feed)
    np.testing.assert_allclose(found[0], case["expect"][result], 1e-9)
    right = numbers(case["grads"][wrt])
    fixed = ~np.isnan(right)
    np.testing.assert_allclose(found[1][fixed], right[fixed], 1e-9, 1e-12)


def test_the_activations_of_the_notes_by_name() -> None:
    case = GRAPHS["S4.activations"]
    x = gc.constant(numbers(case["inputs"]["x"]))
    functions: dict[str, Callable[[gc.Tensor], gc.Tensor]] = {
        "sigmoid": activations.as_activation("sigmoid"),
        "tanh": activations.as_activation("tanh"),
        "relu": activations.as_activation("relu"),
        "leaky": lambda x: activations.leaky_relu(x, 0.2),
        "elu": activations.as_activation("elu"),
    }
    for name, value in case["expect"].items():
        np.testing.assert_allclose(gc.evaluate(functions[name](x)), value, 1e-12)


def test_the_slope_of_leaky_relu_may_be_learned() -> None:
    case = GRAPHS["S4.act-leaky"]
    x = gc.input("x", (5,), "float64")
    slope = gc.grad(gc.sum(layers.PReLU(shared=True, initializer=0.2)(x)), x)
    assert isinstance(slope, gc.Tensor)
    right = numbers(case["grads"]["x"])
    fixed = ~np.isnan(right)
    found = gc.evaluate(slope, {"x": numbers(case["inputs"]["x"])})
    np.testing.assert_allclose(found[fixed], right[fixed], 1e-12)


def test_zero_one_counts_the_wrong_ones_of_three() -> None:
    case = GRAPHS["S0.zero-one"]
    answers = gc.constant(numbers(case["inputs"]["y"])).cast("int64")
    logits = gc.one_hot(numbers(case["inputs"]["yh"]).astype(np.int64), 3)
    assert gc.evaluate(metrics.zero_one(logits, answers)) == np.float32(np.mean(case["expect"]["L"]))


def test_dropout_with_probability_to_keep_scales_in_inference() -> None:
    case = GRAPHS["S1.dropout-test"]
    y = gc.input("y", (4,), "float64")
    dropped = layers.Dropout(0.5, inverted=False)(y)
    given = numbers(case["inputs"]["y"])
    np.testing.assert_array_equal(np.asarray(gc.function([y], dropped)(given)), case["expect"]["t"])
    training = np.asarray(gc.function([y], dropped, training=True)(given))
    assert ((training == given) | (training == 0)).all()


def test_losses_are_the_distances_of_the_notes() -> None:
    right = next(case["values"] for case in cases("counts") if case["id"] == "S2.distances")
    x, y = gc.constant([1, 0, 2, -1], "float64"), gc.constant([0, 1, 2, 1], "float64")
    found = [losses.l2_norm(x, y, "sum"), losses.mean_absolute_error(x, y, "sum"), 1 - losses.cosine(x, y)]
    expected = [right["euclidean"], right["manhattan"], right["cosine similarity"]]
    np.testing.assert_allclose(gc.evaluate(found), expected, 1e-12)


def test_a_residual_layer_has_the_worked_values() -> None:
    case = GRAPHS["S1.residual"]
    x = gc.input("x", (2,), "float64")
    weight = gc.input("F", (2, 2), "float64")
    y = layers.Residual(layers.Lambda(lambda value: gc.einsum("ij,j->i", weight, value)))(x)
    slopes = gc.grad(gc.sum(y), [x, weight])
    assert isinstance(slopes, list)
    feed = {name: numbers(value) for name, value in case["inputs"].items()}
    found = gc.evaluate([y, *slopes], feed)
    for mine, right in zip(found, (case["expect"]["y"], case["grads"]["x"], case["grads"]["F"]), strict=True):
        np.testing.assert_allclose(mine, right, 1e-12)
