"""Reductions in two steps: which are split, and that values stay."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.ops.reduction import Reduce
from graphc.passes.loops import Loop
from graphc.passes.split import SplitReductions
from tests.passes.building import program_of
from tests.passes.printers import results_of


def reductions(result: Tensor) -> list[tuple[object, tuple[int, ...]]]:
    """What is reduced, and the axes, after the pass."""
    graph = SplitReductions()(gc.graph_of({"result": result}))
    return [(node.inputs[0].type.shape, node.op.axes) for node in graph.nodes if isinstance(node.op, Reduce)]


def axes_of(result: Tensor) -> list[tuple[int, ...]]:
    return [axes for _, axes in reductions(result)]


def test_sums_over_images_and_pixels_run_within_each_image_first() -> None:
    x = gc.input("x", ("batch", 32, 32, 16))
    assert axes_of(gc.sum(x * x, axis=(0, 1, 2))) == [(1, 2), (0,)]


def test_an_axis_of_one_image_is_passed_over() -> None:
    assert axes_of(gc.sum(gc.input("x", (1, 64, 64, 16)), axis=(0, 1, 2))) == [(0, 2), (0,)]


def test_short_and_wide_reductions_stay_whole() -> None:
    small, wide = gc.input("small", (8, 8, 8, 4)), gc.input("wide", (64, 8, 512))
    assert axes_of(gc.sum(small, axis=(0, 1, 2))) == [(0, 1, 2)]
    assert axes_of(gc.sum(wide, axis=(0, 1))) == [(0, 1)]
    assert axes_of(gc.sum(wide, axis=0)) == [(0,)]


def test_a_sum_over_a_parameter_runs_along_rows_of_its_memory() -> None:
    weight = gc.parameter((3072, 10), gc.initializers.Zeros(), "weight")
    assert reductions(gc.sum(weight * weight)) == [((15, 2048), (1,)), ((15,), (0,))]
    odd = gc.parameter((131, 127), gc.initializers.Zeros(), "odd")
    assert reductions(gc.sum(odd * odd)) == [((131 * 127,), (0,))]


def test_elements_that_would_have_to_be_moved_keep_their_order() -> None:
    weight = gc.parameter((3072, 10), gc.initializers.Zeros(), "weight")
    assert axes_of(gc.sum(gc.transpose(weight, (1, 0)) * 2.0)) == [(0, 1)]


@pytest.mark.parametrize("shape", [(3072, 10), (131, 127), (64, 28, 28, 6), (2, 96, 96, 3), (1, 96, 96, 16)])
def test_values_are_those_of_numpy_on_any_number_of_threads(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).uniform(0.5, 1.5, shape)
    x = gc.input("x", shape, "float64")
    columns = tuple(range(len(shape) - 1))
    outputs = {"total": gc.sum(x * x), "columns": gc.sum(x * x, axis=columns), "largest": gc.max(x, axis=columns)}
    one, three = (results_of(gc.function([x], outputs, threads=threads), {"x": array}) for threads in (1, 3))
    np.testing.assert_allclose(one["total"], (array * array).sum(), 1e-12)
    np.testing.assert_allclose(one["columns"], (array * array).sum(columns), 1e-12)
    np.testing.assert_array_equal(one["largest"], array.max(columns))
    for name, value in one.items():
        np.testing.assert_array_equal(three[name], value)


def test_threads_share_the_sum_within_images() -> None:
    x = gc.input("x", (64, 32, 32, 16))
    first, second = program_of({"sum": gc.sum(gc.tanh(x), axis=(0, 1, 2))}).calls
    assert isinstance(first.kernel.body[0], Loop)
    assert first.sizes == (64,)
    assert not isinstance(second.kernel.body[0], Loop)
