"""First and second derivatives of every kind of convolution, compiled, against finite differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import graphc as gc
from tests.frontend.slopes import Feed, assert_slopes

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """A convolution with everything that the language's own may have.

    Numbers are for each spatial axis, one stands for all. spread: distance between elements of the input. apart:
    between those of the window. low, high: zeros around the input; negative ones cut it.
    """

    axes: int
    sizes: int | Numbers = 5
    window: int | Numbers = 2
    strides: int | Numbers = 1
    low: int | Numbers = 0
    high: int | Numbers = 0
    spread: int | Numbers = 1
    apart: int | Numbers = 1
    groups: int = 1
    features: int = 2
    outputs: int = 3

    def each(self, value: int | Numbers) -> Numbers:
        return (value,) * self.axes if isinstance(value, int) else value

    def data(self) -> Feed:
        """Image and kernel, with an axis of groups last."""
        rng = np.random.default_rng(0)
        return {
            "x": rng.normal(size=(2, *self.each(self.sizes), self.features, self.groups)),
            "kernel": rng.normal(size=(*self.each(self.window), self.features, self.outputs, self.groups)),
        }

    def convolve(self, x: gc.Tensor, kernel: gc.Tensor) -> gc.Tensor:
        inner = tuple(range(1, self.axes + 1))
        roles = (0, self.axes + 1, *inner, self.axes + 2)
        kernel_roles = (self.axes, self.axes + 1, *range(self.axes), self.axes + 2)
        if self.groups == 1:
            x, kernel = x[..., 0], kernel[..., 0]
            roles, kernel_roles = roles[:-1], kernel_roles[:-1]
        return x.conv_general(
            kernel,
            (roles, kernel_roles, roles),
            self.each(self.strides),
            (self.each(self.low), self.each(self.high)),
            (self.each(self.spread), self.each(self.apart)),
        )


CASES = {
    "strides that leave some over": Windows(1, window=3, strides=4, low=1),
    "depthwise": Windows(1, window=3, low=1, high=1, groups=4, features=1, outputs=1),
    "gaps in both": Windows(1, spread=3, apart=2, low=2, strides=2),
    "cut off": Windows(1, sizes=9, window=3, low=-2, high=-1, strides=2),
    "strides longer than the window": Windows(2, strides=(3, 4)),
    "uneven zeros and gaps": Windows(2, window=(3, 2), low=(2, 0), high=(0, 3), strides=(2, 1), apart=(1, 3)),
    "spread": Windows(2, window=3, spread=(2, 3), low=(2, 1), high=(1, 0)),
    "spread with strides": Windows(2, sizes=(4, 5), window=(3, 2), spread=(3, 2), strides=(2, 3), low=1, high=1),
    "depthwise with two outputs": Windows(2, window=3, strides=2, low=1, high=1, groups=3, features=1, outputs=2),
    "groups with gaps": Windows(2, apart=2, low=1, high=(2, 0), groups=2),
    "groups that are spread": Windows(2, sizes=(3, 4), spread=2, strides=(1, 3), low=1, groups=2),
    "cut on one side": Windows(2, low=(-1, 2), high=(1, -2), window=(2, 3)),
    "one pixel": Windows(2, window=1, strides=2, features=3, outputs=1),
    "as long as the input": Windows(2, sizes=(5, 3), window=(5, 3), low=(1, 0), high=(0, 1)),
    "volumes": Windows(3, sizes=(5, 4, 3), strides=(2, 1, 2), low=1, high=(0, 1, 0)),
    "volumes with gaps": Windows(3, sizes=(4, 3, 5), apart=(2, 1, 3), high=(1, 0, 1), features=1),
    "volumes that are spread": Windows(3, sizes=(2, 3, 2), spread=2, strides=(1, 2, 1), low=1, outputs=2),
    "depthwise volumes": Windows(3, sizes=(3, 4, 3), low=1, strides=2, groups=2, features=1, outputs=1),
}


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_are_slopes(name: str) -> None:
    assert_slopes(CASES[name].convolve, CASES[name].data())


@pytest.mark.parametrize(
    ("shape", "strides", "padding", "dilation"),
    [((5,), 3, "same", 1), ((4, 3), (2, 3), "valid", (1, 2)), ((4, 3), 2, 1, 1), ((2, 3, 2), 2, "same", 1)],
    ids=str,
)
def test_derivatives_of_transposed_convolutions_are_slopes(
    shape: Numbers, strides: int | Numbers, padding: str | int, dilation: int | Numbers
) -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(2, *shape, 2)), "kernel": rng.normal(size=(*[3] * len(shape), 2, 3))}
    assert_slopes(lambda x, kernel: gc.convolution_transpose(x, kernel, strides, padding, dilation), data)


@pytest.mark.parametrize("groups", [2, 4])
def test_derivatives_of_convolutions_in_groups_are_slopes(groups: int) -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(2, 5, 6, 4)), "kernel": rng.normal(size=(3, 2, 4 // groups, 8))}
    assert_slopes(lambda x, kernel: gc.convolution(x, kernel, (2, 1), "same", (1, 2), groups), data)
