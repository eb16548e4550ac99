"""Random graphs, values and gradients: compiled against the interpreter, and to the bit among ways of compiling."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

import graphc as gc
from graphc.scalar import Array
from tests.end_to_end.random_graphs import Recipe, build, recipes
from tests.harness import same_bits

ROWS = 600  # enough for most kernels to be shared by both threads


def compiled_in_three_ways(recipe: Recipe, dtype: str) -> tuple[list[Array], list[Array]]:
    """The values by the interpreter, and by the compiled graph, whose bits must not depend on how it runs."""
    pool, outputs = build(recipe, dtype)
    feed = pool.data(ROWS)
    with np.errstate(all="ignore"):
        expected = gc.evaluate([*outputs, *pool.inputs], feed)[: len(outputs)]
    results = [
        gc.function(pool.inputs, outputs, threads=threads, fuse=fuse)(**feed)
        for threads, fuse in ((2, True), (1, True), (1, False))
    ]
    shared, alone, unfused = (result for result in results if isinstance(result, list))
    for two, one, plain in zip(shared, alone, unfused, strict=True):
        assert same_bits(two, one), "two threads and one differ"
        assert same_bits(two, plain), "fused and unfused kernels differ"
    return expected, shared


@settings(max_examples=300)
@given(recipes())
def test_random_graphs_compute_what_the_interpreter_does(recipe: Recipe) -> None:
    for expected, got in zip(*compiled_in_three_ways(recipe, "float64"), strict=True):
        np.testing.assert_allclose(got, expected, 1e-9, 1e-11)


@settings(max_examples=60)
@given(recipes())
def test_random_graphs_in_single_precision(recipe: Recipe) -> None:
    for expected, got in zip(*compiled_in_three_ways(recipe, "float32"), strict=True):
        np.testing.assert_allclose(got, expected, 1e-3, 1e-4)
