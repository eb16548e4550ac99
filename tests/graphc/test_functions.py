"""The scalar functions over all of float32: errors in units in the last place against float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from graphc import functions
from graphc.dtypes import FLOAT32
from graphc.scalar import Array, CountedScalars, NumpyScalars

S = NumpyScalars()


def everything(count: int = 400_000) -> Array:
    """Random bit patterns: all exponents, both signs, subnormals, infinities, NaNs; and the values that matter most."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = rng.uniform(-12, 12, count).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, -1e-45], np.float32)
    return np.concatenate([bits, near, near * np.float32(0.01), near * np.float32(8), special])


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1 + e))


EXACT: dict[str, tuple[Callable[..., Array], float]] = {
    "exp": (np.exp, 1.0),
    "expm1": (np.expm1, 2.0),
    "log": (np.log, 1.0),
    "log1p": (np.log1p, 2.0),
    "sigmoid": (sigmoid, 2.0),
    "softplus": (lambda x: np.logaddexp(x, 0.0), 2.0),
    "tanh": (np.tanh, 2.0),
    "sin": (np.sin, 1.0),
    "cos": (np.cos, 1.0),
}


def worst_error(got: Array, exact: Array) -> float:
    """The largest error in ulp, where the exact value is a finite float32; NaNs must agree."""
    assert np.array_equal(np.isnan(got), np.isnan(exact))
    rounded = exact.astype(np.float32)
    finite = np.isfinite(rounded)
    unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    return float((np.abs(got[finite].astype(np.float64) - exact[finite]) / unit).max())


@pytest.mark.parametrize("name", EXACT)
def test_float32_function_is_within_its_stated_error(name: str) -> None:
    x = everything()
    reference, limit = EXACT[name]
    with np.errstate(all="ignore"):
        got = functions.FUNCTIONS[name](S, x)
        exact = np.asarray(reference(x.astype(np.float64)))
        assert isinstance(got, np.ndarray)
        assert got.dtype == np.float32
        assert worst_error(got, exact) <= limit


def test_erf_is_within_its_stated_error() -> None:
    x = everything(20_000)
    with np.errstate(all="ignore"):
        got = functions.erf(S, x)
        exact = np.vectorize(math.erf)(x.astype(np.float64))
        assert worst_error(got, exact) <= 2.0


def test_power_is_within_its_stated_error() -> None:
    rng = np.random.default_rng(2)
    x = np.abs(everything(100_000))
    y = rng.uniform(-20, 20, x.size).astype(np.float32)
    negative, whole = -np.abs(everything(10_000)), rng.integers(-9, 9, 1)[0]
    with np.errstate(all="ignore"):
        assert worst_error(functions.power(S, x, y), np.power(x.astype(np.float64), y.astype(np.float64))) <= 1.0
        powers = np.full(negative.shape, whole, np.float32)
        exact = np.power(negative.astype(np.float64), powers.astype(np.float64))
        assert worst_error(functions.power(S, negative, powers), exact) <= 1.0


def test_power_has_the_special_values_of_c() -> None:
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2, -2, 3, -3, 0.5, -0.5], np.float32)
    x, y = (part.ravel() for part in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(functions.power(S, x, y), np.power(x, y), 2e-7)


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus"])
def test_float64_function_is_precise(name: str) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-10, 10, 50_000), rng.uniform(-0.1, 0.1, 50_000), rng.uniform(-700, 700, 50_000)])
    with np.errstate(all="ignore"):
        got = functions.FUNCTIONS[name](S, x)
        exact = np.asarray(EXACT[name][0](x.astype(np.longdouble)))
    assert isinstance(got, np.ndarray)
    finite = np.isfinite(exact)
    error = np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(exact[finite].astype(np.float64)))
    assert float(error.max()) <= 2.5


@pytest.mark.parametrize("name", ["tanh", "sin", "erf", "expm1", "log1p"])
def test_odd_functions_keep_the_sign_of_zero(name: str) -> None:
    got = functions.FUNCTIONS[name](S, np.array([0.0, -0.0], np.float32))
    assert np.signbit(np.asarray(got)).tolist() == [False, True]


def test_turns_are_exact_at_quarters() -> None:
    u = np.array([0.0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(functions.cos_of_turn(S, u), [1, 0, -1, 0], atol=1e-15)
    np.testing.assert_allclose(functions.sin_of_turn(S, u), [0, 1, 0, -1], atol=1e-15)


def test_operations_are_counted() -> None:
    counter = CountedScalars()
    counter.add(counter.multiply(FLOAT32, FLOAT32), FLOAT32)
    assert counter.flops == 2
