"""Products on the GPU: how far each precision may be from the exact result, and NaN through activations."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.runtime.cuda.cublaslt import available
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.scalar import Array

pytestmark = pytest.mark.gpu

ROWS, DEPTH, COLUMNS = 72, 256, 48
ROUNDING = {"exact": 0.0, "float32": 0.0, "tf32": 2.0**-11, "bfloat16": 2.0**-8}
"""The largest relative error of an operand that is rounded."""


def factors() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((ROWS, DEPTH)), rng.standard_normal((DEPTH, COLUMNS))
    return left.astype(np.float32), right.astype(np.float32), rng.standard_normal(COLUMNS).astype(np.float32)


def product(precision: str, activation: bool = True) -> gc.Function:
    """A dense layer as a function; cuBLASLt computes the product if it is there, unless that is to be exact."""
    missing = available()
    if missing is not None and precision in ("tf32", "bfloat16"):
        pytest.skip(missing)
    x, w, b = gc.input("x", shape=("n", DEPTH)), gc.input("w", shape=(DEPTH, COLUMNS)), gc.input("b", shape=(COLUMNS,))
    value = x @ w + b
    value = gc.relu(value) if activation else value
    function = gc.function([x, w, b], value, target="cuda", precision=precision)
    assert isinstance(function._executable, CudaExecutable)
    assert len(function._executable.library_calls) == int(missing is None and precision != "exact")
    return function


@pytest.mark.parametrize("activation", [False, True], ids=["linear", "relu"])
@pytest.mark.parametrize("precision", ROUNDING)
def test_a_product_is_as_exact_as_its_precision_says(precision: str, activation: bool) -> None:
    left, right, bias = factors()
    function = product(precision, activation)
    wanted = left.astype(np.float64) @ right.astype(np.float64) + bias
    wanted = np.maximum(wanted, 0) if activation else wanted
    size = np.abs(left).astype(np.float64) @ np.abs(right) + np.abs(bias)
    # Each factor is rounded once; then sums of DEPTH numbers are rounded in float32, in any order.
    limit = (2 * ROUNDING[precision] + ROUNDING[precision] ** 2 + (DEPTH + 2) * 2.0**-24) * size
    for _ in range(2):
        found = np.asarray(function(left, right, bias))
        assert found.dtype == np.float32
        assert (np.abs(found - wanted) <= limit).all(), np.max(np.abs(found - wanted) / size)


@pytest.mark.parametrize("precision", ROUNDING)
def test_nan_and_infinity_pass_a_product_with_relu(precision: str) -> None:
    left, right, bias = factors()
    left[3, 5], bias[7] = np.nan, np.nan
    left[4] = np.abs(left[4])
    right[:, 8] = np.abs(right[:, 8])
    left[4, 5] = np.inf
    found = np.asarray(product(precision)(left, right, bias))
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 7]).all()
    assert found[4, 8] == np.inf
    assert np.isfinite(np.delete(np.delete(found, [3, 4], 0), 7, 1)).all()
