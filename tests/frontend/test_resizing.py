"""Resizing: values against the formula position by position, derivatives, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array
from tests.harness import slope


def one_position(place: int, size: int, new: int, align_corners: bool) -> float:
    if align_corners:
        return place * (size - 1) / (new - 1) if new > 1 else 0.0
    return max(0.0, (place + 0.5) * size / new - 0.5)


def by_loops(data: Array, sizes: tuple[int, ...], method: str, align_corners: bool) -> Array:
    """Each element of the result as a weighted sum of its two neighbours, or the one element, along each axis."""
    for axis, new in enumerate(sizes, 1):
        size = data.shape[axis]
        rows = []
        for place in range(new):
            if method == "nearest":
                rows.append(data.take(math.floor(place * size / new), axis))
                continue
            at = one_position(place, size, new, align_corners)
            low = min(math.floor(at), size - 1)
            part = at - low
            rows.append((1 - part) * data.take(low, axis) + part * data.take(min(low + 1, size - 1), axis))
        data = np.stack(rows, axis)
    return data


SIZES = [
    ((4,), (8,)),
    ((5,), (3,)),
    ((1,), (4,)),
    ((7,), (1,)),
    ((3, 4), (6, 8)),
    ((5, 7), (8, 3)),
    ((1, 6), (3, 1)),
    ((6, 5), (6, 10)),
    ((3, 3), (3, 3)),
]


@pytest.mark.parametrize(("old", "new"), SIZES, ids=str)
@pytest.mark.parametrize(("method", "corners"), [("bilinear", False), ("bilinear", True), ("nearest", False)])
def test_values_are_those_of_the_formula(
    old: tuple[int, ...], new: tuple[int, ...], method: str, corners: bool
) -> None:
    data = np.random.default_rng(0).normal(size=(2, *old, 3))
    x = gc.input("x", ("batch", *old, 3), "float64")
    result = gc.resize(x, new, method=method, align_corners=corners)
    assert result.shape[1:] == (*new, 3)
    np.testing.assert_allclose(
        gc.evaluate(result, {"x": data}), by_loops(data, new, method, corners), 1e-12, 1e-14, strict=True
    )


def test_figures_of_a_small_image() -> None:
    x = gc.constant([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    centres, corners, nearest = gc.evaluate(
        [
            gc.resize(x, scale=2),
            gc.resize(x, (3, 3), align_corners=True),
            gc.resize(x, (3, 4), method="nearest"),
        ]
    )
    assert centres[0, :2, :, 0].tolist() == [[0, 0.25, 0.75, 1], [0.5, 0.75, 1.25, 1.5]]
    assert corners[0, ..., 0].tolist() == [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]
    assert nearest[0, ..., 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]


@pytest.mark.parametrize(("old", "new"), [((5,), (8,)), ((3, 4), (7, 3)), ((1, 2), (3, 4))], ids=str)
@pytest.mark.parametrize(("method", "corners"), [("bilinear", False), ("bilinear", True), ("nearest", False)])
def test_first_and_second_derivatives_are_slopes(
    old: tuple[int, ...], new: tuple[int, ...], method: str, corners: bool
) -> None:
    rng = np.random.default_rng(1)
    shape = (2, *old, 2)
    data, direction = rng.normal(size=shape), rng.normal(size=shape)
    x = gc.input("x", shape, "float64")
    result = gc.resize(x, new, method=method, align_corners=corners)
    total = gc.sum(result * result * result)
    (first,) = gc.grad(total, [x])
    along = gc.sum(first * direction)
    (second,) = gc.grad(along, [x])
    function = gc.function([x], {"total": total, "along": along, "second": second})

    def value(name: str, at: Array) -> Any:
        found = function(at)
        assert isinstance(found, dict)
        return found[name]

    assert value("along", data) == pytest.approx(slope(lambda at: float(value("total", at)), data, direction), rel=1e-6)
    curvature = float((value("second", data) * direction).sum())
    assert curvature == pytest.approx(slope(lambda at: float(value("along", at)), data, direction), rel=1e-6)
    assert abs(curvature) > 1e-2


def test_the_compiled_image_is_that_of_the_interpreter() -> None:
    x = gc.input("x", ("batch", 5, 6, 17))
    result = gc.resize(x, (9, 4))
    function = gc.function([x], {"result": result, "slope": gc.grad(gc.sum(result * result), [x])[0]})
    for batch in (3, 0):
        data = np.random.default_rng(2).normal(size=(batch, 5, 6, 17)).astype(np.float32)
        found = function(data)
        assert isinstance(found, dict)
        expected = gc.evaluate([result, gc.grad(gc.sum(result * result), [x])[0]], {"x": data})
        for left, right in zip(found.values(), expected, strict=True):
            np.testing.assert_allclose(left, right, 1e-4, 1e-5, strict=True)


def test_integers_are_taken_from_the_nearest_place() -> None:
    x = gc.constant([3, 5]).reshape(1, 2, 1)
    assert gc.evaluate(gc.resize(x, 3, method="nearest")).ravel().tolist() == [3, 3, 5]
    with pytest.raises(DTypeError, match="resize between elements does not take int64") as caught:
        gc.resize(x, 3)
    assert 'way out    convert it with gc.cast(x, "float32"), or take method="nearest"' in str(caught.value)


@pytest.mark.parametrize("axes", [1, 2])
def test_a_layer_declares_what_the_function_does(axes: int) -> None:
    x = gc.input("x", ("batch", *(6, 7)[:axes], 2))
    kind = getattr(layers, f"Upsample{axes}d")
    assert kind()(x).node is gc.resize(x, scale=2).node
    assert kind(1.5, "nearest")(x).node is gc.resize(x, scale=1.5, method="nearest").node
    assert kind(3, align_corners=True)(x).node is gc.resize(x, scale=3, align_corners=True).node
    with pytest.raises(ShapeError, match=f"Upsample{axes}d does not fit this input") as caught:
        kind()(gc.input("y", ("batch", *(6, 7, 5)[: axes % 2 + 1], 2)))
    assert f"expected   [batch, {'*, ' * axes}channels]" in str(caught.value)


@pytest.mark.parametrize("shape", [("batch", 3), ("batch", 2, 2, 2, 3), ("batch", "time", 3), ("batch", 0, 3)], ids=str)
def test_other_ranks_and_sizes_known_only_at_run_time_are_refused(shape: Any) -> None:
    with pytest.raises(ShapeError, match="resize takes 1 or 2 spatial axes of fixed size") as caught:
        gc.resize(gc.input("x", shape), 4)
    assert "operand    f32[" in str(caught.value)


def test_sizes_scale_and_method_are_checked_where_they_are_given() -> None:
    x = gc.input("x", ("batch", 4, 4, 3))
    refused: list[tuple[dict[str, Any], str]] = [
        ({}, "resize takes either sizes or a scale"),
        ({"sizes": 8, "scale": 2}, "resize takes either sizes or a scale"),
        ({"sizes": (8, 8, 8)}, "sizes does not fit 2 spatial axes"),
        ({"sizes": 0}, "sizes does not fit 2 spatial axes"),
        ({"scale": 0.1}, "sizes does not fit 2 spatial axes"),
        ({"scale": -1}, "scale does not fit 2 spatial axes"),
        ({"scale": (2, 2, 2)}, "scale does not fit 2 spatial axes"),
        ({"sizes": 8, "method": "cubic"}, "resize: there is no method 'cubic'"),
        ({"sizes": 8, "method": "nearest", "align_corners": True}, 'resize: "nearest" aligns no corners'),
    ]
    for options, message in refused:
        with pytest.raises(DeclarationError) as caught:
            gc.resize(x, **options)
        assert str(caught.value).startswith(f"{message}\n  at "), options
    with pytest.raises(DeclarationError, match="there is no method 'cubic'"):
        layers.Upsample2d(method="cubic")
