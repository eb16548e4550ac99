"""Worked examples of lecture notes: numbers of parameters and operations, bounds, distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses
from graphc.dims import evaluate
from graphc.frontend.initializers import Stream, as_initializer
from graphc.frontend.optimizers import SGD, Adam, Momentum
from graphc.passes.build import build_program
from graphc.passes.fuse import Fuse
from graphc.passes.loops import Contraction
from graphc.runtime.data.arrays import ArrayData
from graphc.scalar import Array
from tests.end_to_end.seed_cases import cases

COUNTS: dict[str, dict[str, Any]] = {case["id"]: case["values"] for case in cases("counts")}


def drawn(initializer: str, shape: tuple[int, ...]) -> Array:
    return as_initializer(initializer)(shape, Stream(0, "w"))


def values(**tensors: gc.Tensor) -> dict[str, float]:
    found = gc.evaluate(list(tensors.values()))
    return {name: float(value) for name, value in zip(tensors, found, strict=True)}


def vector(*numbers: float) -> gc.Tensor:
    return gc.constant(numbers, "float64")


def multiply_adds(model: gc.Model, mode: str) -> int:
    """What the matrix products of one sample cost; a multiplication and an addition are two operations."""
    calls = build_program(model.graph(mode), Fuse()).calls
    work = [call.flops[0] for call in calls if isinstance(call.kernel.body[0], Contraction)]
    total = sum(evaluate(size, {"batch": 1}) for size in work)
    assert total % 2 == 0
    return total // 2


@pytest.mark.parametrize(("sizes", "name"), [((784, 300), "S0.cost-784-300-10"), ((3072, 100), "S0.cost-3072-100-10")])
def test_backward_costs_as_much_as_forward_but_for_the_first_input(sizes: tuple[int, int], name: str) -> None:
    image = gc.input("image", shape=("batch", sizes[0]))
    label = gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential([layers.Dense(sizes[1], activation="sigmoid"), layers.Dense(10)])
    model = gc.compile(losses.softmax_cross_entropy(network(image), label), SGD(0.1))
    forward = multiply_adds(model, "evaluate")
    backward = multiply_adds(model, "train") - forward
    assert {"forward MAC": forward, "backward MAC": backward, "ratio": backward / forward} == COUNTS[name]
    rows = [line.split() for line in model.report(batch=1, timed=False).splitlines() if "matmul" in line]
    reported = sum(int(row[2].replace(",", "")) for row in rows)  # with what is done to products before they are stored
    assert 2 * (forward + backward) <= reported < 4 * (forward + backward)


@pytest.mark.parametrize(
    ("inputs", "units", "bias", "expected"),
    [
        (4608, 128, True, COUNTS["S3.keras-model"]["dense 128"]),
        (128, 10, True, COUNTS["S3.keras-model"]["dense 10"]),
        (25, 32, False, COUNTS["S3.conv-counts"]["dense weights"]),
    ],
)
def test_a_dense_layer_has_the_worked_number_of_parameters(inputs: int, units: int, bias: bool, expected: int) -> None:
    layer = layers.Dense(units, use_bias=bias)
    layer(gc.input("x", shape=("batch", inputs)))
    assert sum(int(parameter.value.size) for parameter in layer.parameters) == expected


def test_the_last_partial_batch_is_a_step() -> None:
    assert ArrayData({}, 50_000).batch_count(32) == COUNTS["S3.keras-model"]["steps per epoch"]


@pytest.mark.parametrize(
    ("shape", "name"),
    [((3072, 10), "bound(3072,10)"), ((4608, 128), "bound(4608,128)"), ((3, 3, 16, 32), "conv 3x3, 16->32: bound")],
)
def test_glorot_uniform_fills_the_worked_interval(shape: tuple[int, ...], name: str) -> None:
    bound = COUNTS["S3.glorot"][name]
    weights = drawn("glorot_uniform", shape)
    assert 0.999 * bound < np.abs(weights).max() <= bound


@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal"])
def test_glorot_has_the_worked_variance(name: str) -> None:
    assert drawn(name, (3072, 10)).var() == pytest.approx(COUNTS["S3.glorot"]["variance"], rel=0.02)


def test_orthogonal_weights_have_singular_values_of_one() -> None:
    case = COUNTS["S3.orthogonal"]
    weights = drawn("orthogonal", (20, 20))
    np.testing.assert_allclose(np.linalg.svd(weights, compute_uv=False), case["singular values"], 1e-12)
    assert np.abs(weights.T @ weights - np.eye(20)).max() == pytest.approx(case["max |W^T W - I|"], abs=1e-12)


def test_defaults_of_optimizers_are_those_of_the_notes() -> None:
    adam = Adam()
    found = {"momentum beta": Momentum(0.1).momentum, "Adam rho1": adam.beta1, "Adam rho2": adam.beta2}
    assert found == COUNTS["S2.defaults"]


def test_distances() -> None:
    a, b = vector(1, 0, 2, -1), vector(0, 1, 2, 1)
    bits, others = vector(1, 0, 1, 1), vector(1, 1, 0, 1)
    first, second = vector(1, 1, 1, 0), vector(0, 1, 1, 1)  # the sets {1, 2, 3} and {2, 3, 4}
    common = gc.sum(first * second)
    case = dict(COUNTS["S2.distances"])
    found = values(
        euclidean=gc.norm(a - b),
        manhattan=gc.norm(a - b, 1),
        chebyshev=gc.max(abs(a - b)),
        minkowski=gc.norm(a - b, 3),
        cosine=(a @ b) / (gc.norm(a) * gc.norm(b)),
        hamming=gc.sum(bits != others),
        jaccard=common / gc.sum(gc.maximum(first, second)),
        dice=2 * common / (gc.sum(first) + gc.sum(second)),
    )
    assert list(found.values()) == pytest.approx(list(case.values()), rel=1e-12)


def test_a_sampled_gaussian_does_not_sum_to_one() -> None:
    places = gc.iota((7,), dtype="float64") - 3
    squares = places * places
    kernel = gc.exp(-(squares[:, None] + squares) / 2) / (2 * np.pi)
    found = values(
        box=gc.mean(vector(*[0] * 8, 1)), g00=kernel[3, 3], g10=kernel[3, 4], g11=kernel[4, 4], total=gc.sum(kernel)
    )
    assert list(found.values()) == pytest.approx(list(COUNTS["S1.filters"].values()), rel=1e-12)


def test_a_committee_of_uncorrelated_models_halves_the_error() -> None:
    errors = gc.constant([[1, 1, -1, -1], [1, -1, 1, -1]], "float64")
    together = gc.mean(errors, axis=0)
    found = values(E_AV=gc.mean(errors * errors), E_COM=gc.mean(together * together))
    assert found == COUNTS["S1.committee"]


def test_nearly_perfect_stages_multiply() -> None:
    powers = gc.evaluate(gc.constant(0.99, "float64") ** vector(2, 4, 10))
    assert powers.tolist() == pytest.approx(list(COUNTS["S3.pipeline"].values()), rel=1e-12)


def test_a_wiggle_follows_the_sign_of_the_change() -> None:
    w, step = gc.constant(0.5, "float64"), 1e-6
    before, after = ((3 * place - 2) ** 2 for place in (w, w + step))
    found = values(before=before, after=after, moved=w + step * gc.sign(before - after))
    assert list(found.values()) == pytest.approx(list(COUNTS["S0.wiggle"].values()), rel=1e-12)
