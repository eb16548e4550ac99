"""Derivatives of pooling, compiled: slopes of smooth data, and the first of equal elements wherever windows lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import graphc as gc
from graphc.scalar import Array
from tests.frontend.slopes import assert_slopes

Numbers = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Windows:
    """How windows lie, with one number for each spatial axis; padding: zeros before and after."""

    sizes: Numbers
    window: Numbers
    strides: Numbers
    padding: Pairs
    dilation: Numbers

    def pooled(self, pool: Callable[..., gc.Tensor], x: gc.Tensor) -> gc.Tensor:
        return pool(x, self.window, self.strides, self.padding, self.dilation)

    def positions(self) -> Numbers:
        """How many windows there are along each axis."""
        reach = [(length - 1) * apart + 1 for length, apart in zip(self.window, self.dilation, strict=True)]
        rooms = [size + sum(zeros) for size, zeros in zip(self.sizes, self.padding, strict=True)]
        steps = zip(rooms, reach, self.strides, strict=True)
        return tuple((room - wide) // stride + 1 for room, wide, stride in steps)

    def places(self, position: Numbers) -> list[Numbers]:
        """The elements of a window, row by row, without padding."""
        found = []
        for offset in np.ndindex(*self.window):
            axes = zip(position, self.strides, offset, self.dilation, self.padding, strict=True)
            place = tuple(number * stride + step * apart - zeros[0] for number, stride, step, apart, zeros in axes)
            if all(0 <= at < size for at, size in zip(place, self.sizes, strict=True)):
                found.append(place)
        return found


CASES = {
    "pairs": Windows((6,), (2,), (2,), ((0, 0),), (1,)),
    "long windows that overlap": Windows((9,), (5,), (2,), ((2, 1),), (1,)),
    "gaps on a line": Windows((9,), (3,), (1,), ((1, 2),), (2,)),
    "strides longer than the window": Windows((7, 8), (2, 1), (3, 2), ((0, 0), (0, 0)), (1, 1)),
    "zeros on some sides": Windows((5, 4), (3, 2), (1, 2), ((2, 0), (0, 1)), (1, 1)),
    "gaps in images": Windows((6, 7), (2, 3), (2, 1), ((1, 1), (0, 2)), (3, 2)),
    "the whole image": Windows((3, 4), (3, 4), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "volumes": Windows((4, 3, 5), (2, 2, 3), (1, 1, 2), ((0, 1), (1, 0), (1, 1)), (1, 1, 1)),
    "gaps in volumes": Windows((5, 3, 4), (2, 2, 2), (2, 1, 1), ((1, 0), (0, 1), (0, 0)), (2, 1, 3)),
}


@pytest.mark.parametrize("pool", [gc.max_pool, gc.avg_pool])
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_are_slopes(name: str, pool: Callable[..., gc.Tensor]) -> None:
    case = CASES[name]
    shape = (2, *case.sizes, 2)
    # Far enough apart that the largest stays the largest on the way of the differences.
    data = np.random.default_rng(2).permutation(math.prod(shape)).reshape(shape) * 0.05
    assert_slopes(lambda x: case.pooled(pool, x), {"x": data})


def first_largest(case: Windows, data: Array, weights: Array) -> Array:
    """Each window's weight at the first of its largest elements, channel by channel."""
    result = np.zeros_like(data)
    for position in np.ndindex(*case.positions()):
        places = case.places(position)
        for image, channel in np.ndindex(data.shape[0], data.shape[-1]):
            values = [data[(image, *place, channel)] for place in places]
            result[(image, *places[int(np.argmax(values))], channel)] += weights[(image, *position, channel)]
    return result


@pytest.mark.parametrize("name", CASES)
def test_of_equal_elements_the_first_in_its_window_gets_the_gradient(name: str) -> None:
    case, rng = CASES[name], np.random.default_rng(3)
    data = rng.integers(-2, 1, (3, *case.sizes, 5)).astype(np.float64)
    weights = rng.integers(1, 100, (3, *case.positions(), 5)).astype(np.float64)
    x = gc.input("x", (3, *case.sizes, 5), "float64")
    gradient = gc.grad((case.pooled(gc.max_pool, x) * gc.constant(weights)).sum(), x)
    found = gc.function([x], gradient)(data)
    np.testing.assert_array_equal(np.asarray(found), first_largest(case, data, weights))
