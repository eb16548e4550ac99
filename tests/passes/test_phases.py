"""Convolutions over inserted zeros, phase by phase."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.interpret import run_graph
from graphc.node import apply
from graphc.ops.convolution import ConvGeneral
from graphc.passes.phases import SplitPhases
from graphc.passes.spaces import by_channels

KERNELS = [1, 2, 3, 4, 5]
PADDINGS = list(itertools.product([-2, -1, 0, 1, 3], [-1, 0, 2]))


def spread(x: Tensor, kernel: Tensor, step: int, low: int, high: int) -> Tensor:
    """A convolution along a line with zeros between the elements."""
    op = ConvGeneral((0, 2, 1), (1, 2, 0), (0, 2, 1), (1,), (low,), (high,), (step,), (1,))
    return Tensor(apply(op, x.node, kernel.node))


@pytest.mark.parametrize("step", [2, 3])
def test_phases_have_the_values_of_the_whole(step: int) -> None:
    rng = np.random.default_rng(0)
    split = 0
    for size, (low, high), width in itertools.product([1, 3, 4], PADDINGS, KERNELS):
        x, kernel = gc.input("x", (2, size, 3), "float64"), gc.input("kernel", (width, 3, 4), "float64")
        graph = gc.graph_of({"result": spread(x, kernel, step, low, high)})
        phases = SplitPhases()(graph)
        feed = {"x": rng.normal(size=(2, size, 3)), "kernel": rng.normal(size=(width, 3, 4))}
        (expected, _), (found, _) = run_graph(graph, feed, {}), run_graph(phases, feed, {})
        np.testing.assert_allclose(found["result"], expected["result"], 0, 1e-12, strict=True)
        left = [node.op for node in phases.nodes if isinstance(node.op, ConvGeneral)]
        split += all(op.lhs_dilation == (1,) for op in left)
    assert split > 50


@pytest.mark.parametrize(("size", "stride", "count"), [(8, 2, 4), (9, 3, 9), (7, 2, 1)])
def test_the_gradient_of_a_strided_convolution_has_a_convolution_for_each_phase(
    size: int, stride: int, count: int
) -> None:
    x, kernel = gc.input("x", ("batch", size, size, 3)), gc.input("kernel", (3, 3, 3, 5))
    (gradient,) = gc.grad(gc.sum(gc.convolution(x, kernel, stride, "same")), [x])
    graph = SplitPhases()(gc.graph_of({"gradient": gradient}))
    assert sum(isinstance(node.op, ConvGeneral) for node in graph.nodes) == count


def test_convolutions_by_channels_stay_whole() -> None:
    x, kernel = gc.input("x", ("batch", 8, 8, 6)), gc.input("kernel", (3, 3, 1, 6))
    (gradient,) = gc.grad(gc.sum(gc.convolution(x, kernel, 2, "same", groups=6)), [x])
    graph = gc.graph_of({"gradient": gradient})
    assert any(by_channels(node) for node in graph.nodes)
    assert SplitPhases()(graph).nodes == graph.nodes
