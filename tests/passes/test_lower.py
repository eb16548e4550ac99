"""The order in which kernels walk over what they compute."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.passes.loops import axes_of
from tests.passes.building import program_of


def walked(x: gc.Tensor) -> list[str]:
    """The sizes that the one kernel of a value counts to, the outermost first."""
    (call,) = program_of({"z": x}).calls
    return [str(axis.extent) for statement in call.kernel.body for axis in axes_of(statement)]


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((48, 20), (1, 0), ["$rows", "20", "16"]),
        ((5, 32, 7), (0, 2, 1), ["$rows", "2", "7", "16"]),
        ((20, 48), (1, 0), ["$rows", "20"]),
        ((16, 3), (1, 0), ["$rows", "16"]),
        ((3, 5, 32), (1, 0, 2), ["$rows", "3", "32"]),
    ],
)
def test_a_transposition_walks_down_blocks_of_columns(
    shape: tuple[int, ...], axes: tuple[int, ...], expected: list[str]
) -> None:
    x = gc.input("x", shape=shape)
    assert walked(gc.transpose(x, axes)) == expected
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for threads in (1, 2):
        found = gc.function([x], gc.transpose(x, axes), threads=threads)(data)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, data.transpose(axes))


def test_columns_of_a_size_known_at_run_time_are_walked_row_by_row() -> None:
    assert walked(gc.transpose(gc.input("x", shape=("n", 20)), (1, 0))) == ["$rows", "n"]
