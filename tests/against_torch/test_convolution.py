"""Convolutions and transposed convolutions with both gradients, over a grid of windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import graphc as gc
from graphc.scalar import Array
from tests.against_torch.peer import (
    assert_close,
    image_for_torch,
    image_of,
    kernel_for_torch,
    kernel_of,
    torch,
    with_gradients,
)


@dataclass(frozen=True)
class Case:
    """A convolution, alike along all spatial axes."""

    sizes: tuple[int, ...]
    window: int = 3
    strides: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    features: int = 4
    outputs: int = 8
    dtype: str = "float32"

    @property
    def options(self) -> tuple[int, int, int]:
        return self.strides, self.padding, self.dilation

    def data(self, transposed: bool = False) -> dict[str, Array]:
        rng = np.random.default_rng(0)
        share = self.features if transposed else self.features // self.groups
        shapes = {
            "x": (3, *self.sizes, self.features),
            "kernel": (*[self.window] * len(self.sizes), share, self.outputs),
        }
        return {name: rng.normal(size=shape).astype(self.dtype) for name, shape in shapes.items()}


SIZES = {1: (17,), 2: (9, 12), 3: (5, 4, 6)}
GRID = [
    Case(SIZES[axes], window, strides, padding, dilation, groups)
    for axes in (1, 2)
    for window, strides, padding, dilation in (
        (1, 1, 0, 1), (1, 2, 0, 1), (2, 2, 0, 1), (2, 3, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 1, 2, 1)
    )
    for groups in (1, 4)
]  # fmt: skip
ODD = [
    Case((32, 32), features=3, outputs=16, padding=1),
    Case((16, 16), features=16, outputs=16, padding=1),
    Case((16, 16), features=16, outputs=32, padding=1, strides=2),
    Case((11, 7), features=5, outputs=7, padding=1),
    Case((28, 28), 5, features=1, outputs=6, padding=2),
    Case((14, 14), 5, features=6, outputs=16),
    Case((13, 13), features=33, outputs=17, padding=4, dilation=4),
    Case((12, 12), features=32, outputs=32, padding=1, groups=32),
    Case((12, 12), features=24, outputs=48, padding=1, groups=24, strides=2),
    Case(SIZES[3], padding=1, strides=2),
    Case(SIZES[3], 2, groups=2, dilation=2),
    Case(SIZES[2], padding=1, strides=2, dtype="float64"),
    Case(SIZES[1], padding=3, dilation=3, groups=2, dtype="float64"),
]


@pytest.mark.parametrize("case", [*GRID, *ODD], ids=str)
def test_a_convolution_and_its_gradients(case: Case) -> None:
    data = case.data()
    x, kernel = image_for_torch(data["x"]), kernel_for_torch(data["kernel"])
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[len(case.sizes) - 1]
    result = function(x, kernel, None, *case.options, case.groups)
    expected = image_of(result)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype(case.dtype)
    (result * image_for_torch(weights)).sum().backward()
    found = with_gradients(lambda x, kernel: gc.convolution(x, kernel, *case.options, case.groups), data, weights)
    for mine, theirs in zip(found, [expected, image_of(x.grad), kernel_of(kernel.grad)], strict=True):
        assert_close(mine, theirs)


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize(("window", "padding", "dilation"), [(1, 0, 1), (2, 0, 1), (3, 1, 1), (4, 1, 1), (3, 0, 2)])
@pytest.mark.parametrize("axes", [1, 2])
def test_a_transposed_convolution_and_its_gradients(
    axes: int, window: int, padding: int, dilation: int, strides: int
) -> None:
    case = Case(SIZES[axes], window, strides, padding, dilation)
    data = case.data(transposed=True)
    x, kernel = image_for_torch(data["x"]), kernel_for_torch(data["kernel"], transposed=True)
    function = (torch.conv_transpose1d, torch.conv_transpose2d)[axes - 1]
    result = function(x, kernel, None, strides, padding, 0, 1, dilation)
    expected = image_of(result)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype(case.dtype)
    (result * image_for_torch(weights)).sum().backward()
    found = with_gradients(lambda x, kernel: gc.convolution_transpose(x, kernel, *case.options), data, weights)
    for mine, theirs in zip(found, [expected, image_of(x.grad), kernel_of(kernel.grad, True)], strict=True):
        assert_close(mine, theirs)
