"""Initial values: ranges, moments, orthogonality, and the same bits for the same seed."""

from __future__ import annotations

from math import sqrt
from typing import Any, cast

import numpy as np
import pytest

import graphc as gc
from graphc import initializers, optimizers
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.initializers import Initializer, Stream
from graphc.scalar import Array


def drawn(initializer: Initializer, *shape: int, seed: int = 0) -> Array:
    return initializer(shape, Stream(seed, "weight"))


@pytest.mark.parametrize(
    ("shape", "bound"),
    [((3072, 10), 0.0441224), ((4608, 128), 0.0355934), ((3, 3, 16, 32), 0.1178511), ((30000,), 0.01)],
    ids=str,
)
def test_glorot_uniform_fills_its_range(shape: tuple[int, ...], bound: float) -> None:
    values = drawn(initializers.GlorotUniform(), *shape)
    assert 0.998 * bound < abs(values).max() <= bound * (1 + 1e-6)
    assert values.mean() == pytest.approx(0, abs=0.03 * bound)
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.05)


def test_he_uniform_depends_on_the_inputs_only() -> None:
    values = drawn(initializers.HeUniform(), 600, 100)
    assert 0.0999 < abs(values).max() <= 0.1


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [
        (initializers.HeNormal(), sqrt(2 / 200)),
        (initializers.GlorotNormal(), sqrt(2 / 500)),
        (initializers.Normal(0.3), 0.3),
    ],
    ids=str,
)
def test_normal_initializers_have_their_deviation(initializer: Initializer, deviation: float) -> None:
    values = drawn(initializer, 200, 300)
    assert values.mean() == pytest.approx(0, abs=0.02 * deviation)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert ((values / deviation) ** 4).mean() == pytest.approx(3, abs=0.15)


def test_uniform_and_normal_take_their_place() -> None:
    values = drawn(initializers.Uniform(2, 3), 10_000)
    assert 2 <= values.min() < 2.001
    assert 2.999 < values.max() < 3
    assert drawn(initializers.Normal(0.1, mean=5), 10_000).mean() == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (12, 5), (5, 12), (3, 4, 6)], ids=str)
def test_orthogonal_matrices_are_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = drawn(initializers.Orthogonal(gain=3), *shape).reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, 9 * np.eye(min(rows, columns)), atol=1e-12)


def test_an_orthogonal_vector_is_refused() -> None:
    with pytest.raises(DeclarationError, match="an orthogonal matrix has two dimensions") as caught:
        drawn(initializers.Orthogonal(), 3)
    assert "got        (3,)" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("zeros", 0.0), ("ones", 1.0), (0.25, 0.25), (3, 3.0), (initializers.Constant(-1), -1.0), (True, 1.0)],
    ids=str,
)
def test_constants_fill_the_parameter(given: Any, expected: float) -> None:
    np.testing.assert_array_equal(gc.parameter((2, 3), given).value, np.full((2, 3), expected, np.float32), strict=True)


def test_an_array_is_an_initial_value() -> None:
    parameter = gc.parameter((1, 2), np.array([[1.0, 2.0]]))
    value = parameter.value
    value[:] = 8
    np.testing.assert_array_equal(parameter.value, [[1.0, 2.0]])


def test_an_initial_value_does_not_follow_its_array() -> None:
    array = np.array([1.0, 2.0], np.float32)
    parameters = [
        gc.parameter((2,), array),
        gc.parameter((2,), initializers.Constant(array)),
        gc.state(array, dtype="float32"),
    ]
    array[:] = 9
    assert [parameter.value.tolist() for parameter in parameters] == [[1.0, 2.0]] * 3


@pytest.mark.parametrize("given", [[1.0, 2.0, 3.0], np.ones((1, 2)), initializers.Constant(np.ones(3))], ids=str)
def test_an_array_of_another_shape_is_refused_where_it_is_declared(given: Any) -> None:
    with pytest.raises(ShapeError, match="the initial value has another shape than the parameter") as caught:
        gc.parameter((2,), given)
    text = str(caught.value)
    assert "test_initializers.py" in text
    assert "gc.parameter((2,), given)" in text
    assert f"expected   [2]\n  got        {list(np.shape(getattr(given, 'value', given)))}" in text


def test_rows_of_different_lengths_are_no_initial_value() -> None:
    with pytest.raises(DeclarationError, match="this is no initial value") as caught:
        gc.parameter((2,), cast(Any, [[1], [1, 2]]))
    assert "got        [[1], [1, 2]]" in str(caught.value)


def test_an_own_initializer_gets_the_shape_and_the_stream() -> None:
    class Ramp(Initializer):
        def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
            assert stream == Stream(0, "ramp")
            return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)

    assert gc.parameter((2, 2), Ramp(), name="ramp").value.tolist() == [[0, 1], [2, 3]]


RANDOM = ["uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal"]


@pytest.mark.parametrize("name", RANDOM)
def test_values_depend_on_the_seed_and_the_name_alone(name: str) -> None:
    initializer = initializers.as_initializer(name)
    first = initializer((4, 3), Stream(1, "w"))
    np.testing.assert_array_equal(first, initializer((4, 3), Stream(1, "w")), strict=True)
    assert (first != initializer((4, 3), Stream(2, "w"))).all()
    assert (first != initializer((4, 3), Stream(1, "v"))).all()


def values_of_a_model(seed: int) -> list[Array]:
    first, second = gc.parameter((4, 3), name="same"), gc.parameter((4, 3), name="same")
    gc.compile(gc.sum(first * second), optimizers.SGD(0.1), seed=seed)
    return [first.value, second.value]


def test_models_of_one_seed_start_from_the_same_bits() -> None:
    one, again, other = values_of_a_model(5), values_of_a_model(5), values_of_a_model(6)
    np.testing.assert_array_equal(one, again)
    assert (one[0] != other[0]).all()
    assert (one[0] != one[1]).all()


def test_evaluation_starts_from_the_values_of_a_model_of_seed_zero() -> None:
    first, second = gc.parameter((4, 3), name="same"), gc.parameter((4, 3), name="same")
    np.testing.assert_array_equal(gc.evaluate([first, second]), values_of_a_model(0))


def test_unknown_initializers_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no initializer 'glorot'") as caught:
        gc.parameter((2,), "glorot")
    assert "expected   one of zeros, ones, uniform, normal, glorot_uniform, " in str(caught.value)
    assert "test_initializers.py" in str(caught.value)


@pytest.mark.parametrize("value", [None, np.zeros, 1j, [None]], ids=str)
def test_what_is_no_number_is_no_initial_value(value: Any) -> None:
    with pytest.raises(DeclarationError, match="this is no initial value") as caught:
        gc.parameter((2,), value)
    assert "expected   a number, an array, a name or an initializer from gc.initializers" in str(caught.value)
    assert "test_initializers.py" in str(caught.value)


def test_an_own_initializer_that_makes_another_shape_is_refused() -> None:
    class Three(Initializer):
        def __call__(self, shape: tuple[int, ...], stream: Stream) -> Array:
            return np.ones(3)

    with pytest.raises(ShapeError, match="the value has another shape than the state") as caught:
        gc.evaluate(gc.parameter((2, 2), Three()))
    assert "expected   [2, 2]\n  got        [3]" in str(caught.value)
