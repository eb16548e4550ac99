"""Operations that the CUDA target composes of others, run on the CPU against its own."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from graphc.runtime.cuda.functions import operations
from graphc.scalar import Array

njit: Any = numba.njit


def values(dtype: type[np.floating[Any]]) -> Array:
    """Numbers of all sizes, subnormal ones and neighbours of powers of two among them."""
    limits = np.finfo(dtype)
    powers = np.ldexp(dtype(1), np.arange(limits.minexp - limits.nmant, limits.maxexp))
    special = np.array([0.0, np.inf, np.nan, limits.max, limits.tiny, 1 / 3], dtype)
    positive = np.concatenate([powers, np.nextafter(powers, dtype(np.inf)), powers * dtype(1.37), special])
    return np.concatenate([positive, -positive]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ldexp_rounds_once_also_into_subnormal_numbers(dtype: type[np.floating[Any]]) -> None:
    ldexp = operations()["ldexp"]

    def scale(x: Array, n: Array, out: Array) -> None:
        for i in range(x.size):
            for j in range(n.size):
                out[i, j] = ldexp(x[i], n[j])

    scaled = njit(scale)
    x = values(dtype)
    span = 2 * np.finfo(dtype).maxexp + 60
    near = np.arange(-span, span, 1 if dtype == np.float32 else 7)
    n = np.concatenate([near, [-(2**31), 2**31 - 1]]).astype(np.int32)
    got = np.empty((x.size, n.size), dtype)
    scaled(x, n, got)
    with np.errstate(all="ignore"):
        expected = np.ldexp(x[:, None], n[None, :]).astype(dtype)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    held = ~np.isnan(expected)
    integer = np.int32 if dtype == np.float32 else np.int64
    assert np.array_equal(got[held].view(integer), expected[held].view(integer))
