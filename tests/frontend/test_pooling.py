"""Pooling: values against loops over windows, gradients, ties, NaN, and windows that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.convolution import Padding
from graphc.scalar import Array
from tests.harness import same_bits, slope

Pool = Callable[..., gc.Tensor]


def pad_amounts(size: int, window: int, stride: int, dilation: int, padding: Padding, axis: int) -> tuple[int, int]:
    """Padding of one axis, by the definitions of Keras."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        positions = -(-size // stride)
        total = max(0, (positions - 1) * stride + (window - 1) * dilation + 1 - size)
        return total // 2, total - total // 2
    assert not isinstance(padding, (str, int))
    return padding[axis]


def windows_of(
    data: Array, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: Padding
) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """For each position of the result the places of its window's real elements, in row-major order."""
    lines = []
    for axis, size in enumerate(data.shape[1:-1]):
        low, high = pad_amounts(size, window[axis], strides[axis], dilation[axis], padding, axis)
        last = size + high - (window[axis] - 1) * dilation[axis] - 1
        starts = range(-low, last + 1, strides[axis])
        lines.append([[start + step * dilation[axis] for step in range(window[axis])] for start in starts])
    found = {}
    for position in product(*(range(len(line)) for line in lines)):
        places = product(*(line[number] for line, number in zip(lines, position, strict=True)))
        sizes = data.shape[1:-1]
        found[position] = [p for p in places if all(0 <= i < n for i, n in zip(p, sizes, strict=True))]
    return found


def by_loops(data: Array, windows: dict[tuple[int, ...], list[tuple[int, ...]]], pool: Callable[..., Array]) -> Array:
    shape = tuple(size + 1 for size in max(windows))
    result = np.empty((data.shape[0], *shape, data.shape[-1]), data.dtype)
    for position, places in windows.items():
        chosen: list[Array] = [np.moveaxis(data, 0, -2)[place] for place in places]
        np.moveaxis(result, 0, -2)[position] = pool(chosen, axis=0)
    return result


CASES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None, Padding, int]] = [
    ((7,), (2,), None, "valid", 1),
    ((7,), (3,), (2,), "same", 1),
    ((9,), (3,), (1,), "valid", 3),
    ((5,), (5,), None, "valid", 1),
    ((1,), (1,), None, "valid", 1),
    ((6, 5), (2, 2), None, "valid", 1),
    ((6, 5), (2, 2), None, "same", 1),
    ((7, 5), (3, 2), (2, 1), "same", 1),
    ((6, 7), (2, 3), (1, 2), [(1, 0), (2, 1)], 1),
    ((8, 7), (2, 3), (2, 1), "valid", 2),
    ((8, 7), (3, 3), (2, 3), "same", 2),
    ((3, 4), (3, 4), None, "valid", 1),
    ((3, 4), (3, 2), (1, 1), "valid", 1),
    ((11, 13), (7, 6), (3, 4), "same", 1),
    ((4, 3, 5), (2, 2, 3), (2, 1, 2), "same", 1),
    ((4, 3, 5), (1, 2, 2), None, "valid", 1),
]


@pytest.mark.parametrize(("sizes", "window", "strides", "padding", "dilation"), CASES, ids=str)
def test_pooling_is_a_loop_over_windows(
    sizes: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...] | None, padding: Padding, dilation: int
) -> None:
    data = np.random.default_rng(0).normal(size=(2, *sizes, 3))
    x = gc.input("x", ("batch", *sizes, 3), "float64")
    windows = windows_of(data, window, strides or window, (dilation,) * len(sizes), padding)
    largest, mean, whole = gc.evaluate(
        [
            gc.max_pool(x, window, strides, padding, dilation),
            gc.avg_pool(x, window, strides, padding, dilation),
            gc.avg_pool(x, window, strides, padding, dilation, count_include_pad=True),
        ],
        {"x": data},
    )
    np.testing.assert_array_equal(largest, by_loops(data, windows, np.max))
    np.testing.assert_allclose(mean, by_loops(data, windows, np.mean), 1e-12)
    total = by_loops(data, windows, np.sum)
    np.testing.assert_allclose(whole, total / np.prod(window), 1e-12)


@pytest.mark.parametrize("pool", [gc.max_pool, gc.avg_pool])
@pytest.mark.parametrize(
    ("window", "strides", "padding", "dilation"),
    [(2, None, "valid", 1), (3, 2, "same", 1), (2, 1, "valid", 2), ((4, 5), None, "valid", 1)],
)
def test_first_and_second_derivatives_are_slopes(
    pool: Pool, window: int | Sequence[int], strides: int | None, padding: str, dilation: int
) -> None:
    check_slopes((2, 4, 5, 2), lambda x: pool(x, window, strides, padding, dilation))


@pytest.mark.parametrize("pool", [gc.global_max_pool, gc.global_avg_pool])
def test_derivatives_of_global_pooling_are_slopes(pool: Pool) -> None:
    check_slopes((2, 3, 3, 2), pool)


def check_slopes(shape: tuple[int, ...], pool: Pool) -> None:
    """First and second derivative of the sum of cubes along a direction, against finite differences."""
    rng = np.random.default_rng(1)
    data, direction = rng.normal(size=shape), rng.normal(size=shape)
    x = gc.input("x", shape, "float64")
    loss = (pool(x) ** 3.0).sum()
    first = along(loss, x, direction)
    for value, derivative in ((loss, first), (first, along(first, x, direction))):

        def at(point: Array, value: gc.Tensor = value) -> float:
            return float(gc.evaluate(value, {"x": point}))

        found = float(gc.evaluate(derivative, {"x": data}))
        assert found == pytest.approx(slope(at, data, direction, 1e-5), rel=1e-8, abs=1e-8)


def along(loss: gc.Tensor, x: gc.Tensor, direction: Array) -> gc.Tensor:
    gradient = gc.grad(loss, x)
    assert isinstance(gradient, gc.Tensor)
    return (gradient * gc.constant(direction)).sum()


def gradient_of(pool: Pool, data: Array) -> Array:
    """The gradient of the sum of a compiled pooling."""
    x = gc.input("x", ("batch", *data.shape[1:]), "float64")
    return np.asarray(gc.function([x], gc.grad(pool(x).sum(), x))(data))


@pytest.mark.parametrize("pool", [lambda x: gc.max_pool(x, 2, 1), lambda x: gc.max_pool(x, 2), gc.global_max_pool])
def test_of_equal_elements_the_first_gets_the_gradient(pool: Pool) -> None:
    found = gradient_of(pool, np.array([[0.0, 5.0], [5.0, 5.0]]).reshape(1, 2, 2, 1))
    assert found.reshape(2, 2).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    "pool", [lambda x: gc.max_pool(x, 3), lambda x: gc.max_pool(x, 4, padding=[(0, 1), (1, 0)]), gc.global_max_pool]
)
def test_rows_come_before_columns(pool: Pool) -> None:
    data = np.array([[1.0, 2.0, 2.0], [2.0, 1.0, 3.0], [3.0, 0.0, 3.0]]).reshape(1, 3, 3, 1)
    assert gradient_of(pool, data)[0, :, :, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_ties_of_overlapping_windows_go_to_the_first_of_each_window() -> None:
    data = np.ones((1, 4, 1))
    assert gradient_of(lambda x: gc.max_pool(x, 2, 1), data).ravel().tolist() == [1, 1, 1, 0]
    assert gradient_of(lambda x: gc.max_pool(x, 3, 2, "same"), data).ravel().tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_nan_reaches_the_windows_that_hold_it_and_no_others(place: int) -> None:
    data = np.array([1.0, 3.0, 2.0, 4.0, 0.0, 5.0]).reshape(1, 6, 1)
    data[0, place] = np.nan
    x = gc.input("x", ("batch", 6, 1), "float64")
    function = gc.function([x], [gc.max_pool(x, 3), gc.max_pool(x, 6), gc.global_max_pool(x), gc.avg_pool(x, 3)])
    found = function(data)
    assert isinstance(found, list)
    assert [np.isnan(value).ravel().tolist() for value in found] == [[True, False], [True], [True], [True, False]]
    assert found[0].ravel()[1] == 5


@pytest.mark.parametrize("pool", [lambda x: gc.max_pool(x, 2, 1, "same"), lambda x: gc.max_pool(x, 3, padding="same")])
def test_padding_never_is_the_largest(pool: Pool) -> None:
    data = -np.arange(1.0, 10).reshape(1, 3, 3, 1)
    x = gc.input("x", ("batch", 3, 3, 1), "float64")
    assert gc.evaluate(pool(x), {"x": data}).max() == -1
    assert gradient_of(pool, data).sum() == np.asarray(gc.evaluate(pool(x), {"x": data})).size
    infinite = np.full((1, 3, 3, 1), -np.inf)
    assert np.all(gc.evaluate(pool(x), {"x": infinite}) == -np.inf)


def test_infinities_survive_global_pooling() -> None:
    x = gc.input("x", ("batch", 3, 2))
    data = [[[-np.inf, np.inf], [-np.inf, 1], [-np.inf, 2]]]
    assert gc.evaluate(gc.global_max_pool(x), {"x": data}).tolist() == [[-np.inf, np.inf]]


def test_global_pooling_takes_named_sizes() -> None:
    x = gc.input("x", ("batch", "time", 2))
    data = np.random.default_rng(2).normal(size=(3, 5, 2)).astype(np.float32)
    assert str(gc.global_avg_pool(x).type) == str(gc.global_max_pool(x).type) == "f32[batch, 2]"
    largest, mean = gc.evaluate([gc.global_max_pool(x), gc.global_avg_pool(x)], {"x": data})
    np.testing.assert_array_equal(largest, data.max(1))
    np.testing.assert_allclose(mean, data.mean(1), 1e-6)


def test_the_batch_may_be_empty() -> None:
    x = gc.input("x", ("batch", 4, 4, 2))
    values = gc.evaluate([gc.max_pool(x, 2), gc.avg_pool(x, 2), gc.global_max_pool(x)], {"x": np.zeros((0, 4, 4, 2))})
    assert [value.shape for value in values] == [(0, 2, 2, 2), (0, 2, 2, 2), (0, 2)]


def test_compiled_pooling_has_the_same_bits_with_any_threads_and_without_fusion() -> None:
    data = np.random.default_rng(3).normal(size=(9, 7, 6, 3)).astype(np.float32)
    x = gc.input("x", ("batch", 7, 6, 3))
    pooled = [gc.max_pool(x, 3, 2, "same"), gc.avg_pool(x, (2, 3), 1, "same"), gc.global_max_pool(x)]
    values = [*pooled, gc.grad(gc.sum(pooled[0] ** 2) + gc.sum(pooled[1] ** 2) + gc.sum(pooled[2] ** 2), x)]
    outputs = {str(number): value for number, value in enumerate(values) if isinstance(value, gc.Tensor)}
    named = {f"y{key}": value for key, value in outputs.items()}
    first, *others = [
        gc.function([x], named, threads=threads, fuse=fuse)(data)
        for threads, fuse in ((1, True), (2, True), (2, False))
    ]
    assert isinstance(first, dict)
    for other in others:
        assert isinstance(other, dict)
        assert all(same_bits(value, other[key]) for key, value in first.items())
    references = gc.evaluate(list(outputs.values()), {"x": data})
    for value, reference in zip(first.values(), references, strict=True):
        np.testing.assert_allclose(value, reference, 1e-5, 1e-6)


@pytest.mark.parametrize("pool", [gc.max_pool, gc.avg_pool])
def test_a_window_that_does_not_fit_is_refused(pool: Pool) -> None:
    name = pool.__name__
    x = gc.input("x", ("batch", 4, 3, 2))
    with pytest.raises(ShapeError) as caught:
        pool(x, 4)
    text = str(caught.value)
    assert text.startswith(f"{name}: a window is longer than the padded axis 2\n  at ")
    assert "test_pooling.py" in text
    assert "    pool(x, 4)\n" in text
    assert "  operand    f32[batch, 4, 3, 2]  input 'x', declared at " in text
    assert "  expected   at least one element of the operand in each window\n" in text
    assert "  got        size 3, window 4, dilation 1, padding (0, 0)\n" in text
    assert '  way out    take a smaller window, or padding="same"' in text
    with pytest.raises(ShapeError, match=f"{name}: a window lies on padding only along axis 1") as refused:
        pool(x, 2, 1, [(2, 0), (0, 0)])
    assert "got        size 4, window 2, dilation 1, padding (2, 0)" in str(refused.value)
    assert refused.value.way_out == "pad less"


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_a_size_known_only_at_run_time_is_refused(name: str) -> None:
    x = gc.input("x", ("batch", "time", 2))
    with pytest.raises(ShapeError, match=f"{name} pools 1, 2 or 3 spatial axes of fixed size") as caught:
        getattr(gc, name)(x, 2)
    text = str(caught.value)
    assert "    getattr(gc, name)(x, 2)\n" in text
    assert "  expected   [batch, *spatial, channels] with integers between the batch and the channels\n" in text
    assert "  got        f32[batch, time, 2]\n" in text
    assert caught.value.way_out == f"use gc.global_{name}, which takes any sizes"


@pytest.mark.parametrize("shape", [(), (4,), ("batch", 4), (1, 2, 2, 2, 2, 1)])
def test_another_number_of_axes_is_refused(shape: tuple[int | str, ...]) -> None:
    with pytest.raises(ShapeError, match="max_pool pools 1, 2 or 3 spatial axes") as caught:
        gc.max_pool(gc.input("x", shape), 1)
    assert caught.value.way_out is None
    if len(shape) < 3:
        for name in ("global_max_pool", "global_avg_pool"):
            with pytest.raises(ShapeError, match=f"{name} needs an axis between the batch and the channels"):
                getattr(gc, name)(gc.input("x", shape))


@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "global_max_pool", "global_avg_pool"])
def test_integers_are_refused(name: str) -> None:
    x = gc.input("x", ("batch", 4, 2), "int64")
    with pytest.raises(DTypeError, match=f"{name} does not take int64") as caught:
        getattr(gc, name)(x, *([2] if not name.startswith("global") else []))
    assert 'way out    convert it with gc.cast(x, "float32")' in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"window": 0}, "window does not fit 2 spatial axes"),
        ({"window": (2, 2, 2)}, "window does not fit 2 spatial axes"),
        ({"window": 2, "strides": 0}, "strides does not fit 2 spatial axes"),
        ({"window": 2, "dilation": (1,)}, "dilation does not fit 2 spatial axes"),
        ({"window": 2, "padding": "full"}, "this is no padding"),
    ],
)
def test_numbers_that_make_no_window_are_refused(arguments: dict[str, int], what: str) -> None:
    with pytest.raises(DeclarationError, match=what) as caught:
        gc.max_pool(gc.input("x", ("batch", 4, 4, 1)), **arguments)
    assert "test_pooling.py" in str(caught.value.at)
