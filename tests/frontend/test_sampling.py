"""Random tensors: their distributions, and that seed, step and name determine them."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError
from graphc.scalar import Array

MANY = (200, 500)


def drawn(function: gc.Function) -> Array:
    return np.asarray(function())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_fill_their_range(dtype: str) -> None:
    values = gc.evaluate(gc.random.uniform(MANY, -1, 3, dtype))
    assert values.dtype.name == dtype
    assert -1 <= values.min() < -0.999
    assert 2.999 < values.max() < 3
    assert values.mean() == pytest.approx(1, abs=0.02)
    assert values.var() == pytest.approx(16 / 12, rel=0.02)
    shares, _ = np.histogram(values, 10, (-1, 3))
    np.testing.assert_allclose(shares / values.size, np.full(10, 0.1), atol=0.005)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_have_their_moments(dtype: str) -> None:
    values = gc.evaluate(gc.random.normal(MANY, 2, 0.5, dtype))
    standard = (values - 2) / 0.5
    assert values.dtype.name == dtype
    assert standard.mean() == pytest.approx(0, abs=0.02)
    assert standard.std() == pytest.approx(1, rel=0.02)
    assert (standard**3).mean() == pytest.approx(0, abs=0.05)
    assert (abs(standard) < 1).mean() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_truth_values_are_true_with_their_probability(probability: float) -> None:
    values = gc.evaluate(gc.random.bernoulli(MANY, probability))
    assert values.dtype == np.bool_
    assert values.mean() == pytest.approx(probability, abs=0.01 if 0 < probability < 1 else 0)


def test_neighbours_are_independent() -> None:
    values = gc.evaluate(gc.random.normal(MANY))
    assert abs(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]) < 0.01


def test_a_named_size_is_known_when_data_comes() -> None:
    x = gc.input("x", ("batch", 2))
    values = gc.evaluate(x * 0 + gc.random.uniform(x.shape, name="rows"), {"x": np.zeros((7, 2))})
    assert values.shape == (7, 2)
    fewer = gc.evaluate(x * 0 + gc.random.uniform(x.shape, name="rows"), {"x": np.zeros((3, 2))})
    np.testing.assert_array_equal(fewer, values[:3])


def test_seed_and_call_determine_the_numbers() -> None:
    def compiled(seed: int) -> gc.Function:
        return gc.function([], gc.random.uniform((50,), name="noise"), seed=seed)

    function = compiled(1)
    first, second = drawn(function), drawn(function)
    again = compiled(1)
    np.testing.assert_array_equal([drawn(again), drawn(again)], [first, second])
    assert (first != second).all()
    assert (drawn(compiled(2)) != first).all()


def test_evaluation_draws_what_a_function_of_seed_zero_draws_first() -> None:
    noise = [gc.random.normal((20,), name="twice"), gc.random.normal((20,), name="twice")]
    compiled = gc.function([], noise, seed=0)()
    assert isinstance(compiled, list)
    np.testing.assert_allclose(gc.evaluate(noise), compiled, 1e-5, 1e-6)


def test_two_draws_of_one_name_differ() -> None:
    first, second = gc.evaluate([gc.random.uniform((50,), name="same"), gc.random.uniform((50,), name="same")])
    assert (first != second).all()


def test_one_tensor_used_twice_is_drawn_once() -> None:
    noise = gc.random.uniform((50,))
    np.testing.assert_array_equal(gc.evaluate(noise - noise), np.zeros(50))


def test_scopes_key_the_stream() -> None:
    with gc.scope("encoder"):
        inner = gc.random.uniform((50,), name="noise")
    found = gc.evaluate([inner, gc.random.uniform((50,), name="encoder/noise"), gc.random.uniform((50,), name="noise")])
    np.testing.assert_array_equal(gc.evaluate(inner), gc.evaluate(gc.random.uniform((50,), name="encoder/noise")))
    assert (found[0] != found[2]).all()


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_a_probability_lies_between_zero_and_one(probability: float) -> None:
    with pytest.raises(DeclarationError, match="a probability lies between 0 and 1") as caught:
        gc.random.bernoulli((2,), probability)
    assert f"expected   0 to 1\n  got        {probability}" in str(caught.value)
    assert "test_sampling.py" in str(caught.value)


def test_random_integers_are_refused() -> None:
    with pytest.raises(DTypeError, match="random_uniform does not take int64") as caught:
        gc.random.uniform((2,), dtype="int64")
    assert "expected   float32 or float64" in str(caught.value)
