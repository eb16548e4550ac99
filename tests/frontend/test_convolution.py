"""Convolutions against loops over positions, transposed convolutions against gradients, and what both refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.convolution import Padding
from graphc.scalar import Array

IMAGE = gc.input("image", ("batch", 6, 6, 3))
KERNEL = gc.input("kernel", (3, 3, 3, 4))


@dataclass(frozen=True)
class Case:
    """A convolution; sizes, window, strides and dilation have one number for each spatial axis."""

    sizes: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding = "valid"
    groups: int = 1
    features: int = 1
    outputs: int = 1
    batch: int = 1

    @property
    def wide(self) -> list[int]:
        """How far the window reaches."""
        return [(length - 1) * apart + 1 for length, apart in zip(self.window, self.dilation, strict=True)]

    def operands(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.batch, *self.sizes, self.features))
        return x, rng.normal(size=(*self.window, self.features // self.groups, self.outputs))

    def declared(self) -> tuple[gc.Tensor, gc.Tensor, gc.Tensor]:
        """Image, kernel and result; the size of the batch is a name."""
        x, kernel = self.operands()
        image = gc.input("image", ("batch", *x.shape[1:]), "float64")
        weight = gc.input("weight", kernel.shape, "float64")
        result = gc.convolution(image, weight, self.strides, self.padding, self.dilation, self.groups)
        return image, weight, result


def zeros_around(case: Case) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis; "same" has as few as give ceil(size / stride) positions."""
    if case.padding == "valid":
        return [(0, 0)] * len(case.sizes)
    if isinstance(case.padding, int):
        return [(case.padding, case.padding)] * len(case.sizes)
    if not isinstance(case.padding, str):
        return list(case.padding)
    pairs = []
    for size, wide, stride in zip(case.sizes, case.wide, case.strides, strict=True):
        fewest = next(zeros for zeros in count() if (size + zeros - wide) // stride + 1 >= -(-size // stride))
        pairs.append((fewest // 2, fewest - fewest // 2))
    return pairs


def by_loops(case: Case) -> Array:
    """Every element of the result as one sum over the window."""
    x, kernel = case.operands()
    x = np.pad(x, [(0, 0), *zeros_around(case), (0, 0)])
    sizes = zip(x.shape[1:-1], case.wide, case.strides, strict=True)
    positions = [max(0, (size - wide) // stride + 1) for size, wide, stride in sizes]
    result = np.zeros((case.batch, *positions, case.outputs))
    share = case.features // case.groups
    for place in np.ndindex(*positions):
        for offset in np.ndindex(*case.window):
            steps = zip(place, case.strides, offset, case.dilation, strict=True)
            at = [position * stride + element * apart for position, stride, element, apart in steps]
            for output in range(case.outputs):
                first = output * case.groups // case.outputs * share
                seen = x[(slice(None), *at, slice(first, first + share))]
                result[(slice(None), *place, output)] += seen @ kernel[(*offset, slice(None), output)]
    return result


def numbers(axes: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * axes)


@st.composite
def cases(draw: st.DrawFn, most_groups: int = 3) -> Case:
    axes = draw(st.integers(1, 3))
    most = 7 if axes < 3 else 4
    pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=axes, max_size=axes)
    groups = draw(st.integers(1, most_groups))
    return Case(
        sizes=draw(numbers(axes, 1, most)),
        window=draw(numbers(axes, 1, 4 if axes < 3 else 2)),
        strides=draw(numbers(axes, 1, 3)),
        dilation=draw(numbers(axes, 1, 3 if axes < 3 else 2)),
        padding=draw(st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 2), pairs)),
        groups=groups,
        features=groups * draw(st.integers(1, 3)),
        outputs=groups * draw(st.integers(1, 3)),
        batch=draw(st.integers(0, 2)),
    )


@settings(max_examples=150)
@given(cases())
@example(Case((2, 3), (3, 5), (1, 1), (1, 1)))
@example(Case((5,), (2,), (2,), (1,), "same", groups=4, features=4, outputs=8))
@example(Case((3, 3), (2, 2), (3, 3), (3, 3), "same", batch=0))
def test_a_convolution_is_a_sum_over_windows(case: Case) -> None:
    _, _, result = case.declared()
    x, kernel = case.operands()
    expected = by_loops(case)
    assert result.shape[1:] == expected.shape[1:]
    found = gc.evaluate(result, {"image": x, "weight": kernel})
    np.testing.assert_allclose(found, expected, 1e-12, 1e-13, strict=True)


def test_the_kernel_is_not_flipped_and_lies_window_first() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1)
    kernel = np.array([[1.0, 0.5], [10.0, 0.0]]).reshape(2, 1, 2)
    found = gc.evaluate(gc.convolution(x, kernel))
    np.testing.assert_array_equal(found[0], [[21, 0.5], [42, 1], [84, 2]])


@pytest.mark.parametrize(
    ("size", "window", "stride", "zeros"),
    [(5, 3, 1, (1, 1)), (6, 3, 2, (0, 1)), (5, 3, 2, (1, 1)), (6, 2, 1, (0, 1)), (7, 1, 3, (0, 0)), (4, 5, 4, (0, 1))],
)
def test_same_puts_the_odd_zero_after_as_keras_does(
    size: int, window: int, stride: int, zeros: tuple[int, int]
) -> None:
    x, kernel = np.arange(1.0, size + 1).reshape(1, size, 1), np.arange(1.0, window + 1).reshape(window, 1, 1)
    same, pairs = (gc.evaluate(gc.convolution(x, kernel, stride, padding)) for padding in ("same", [zeros]))
    np.testing.assert_array_equal(same, pairs, strict=True)
    assert same.shape == (1, -(-size // stride), 1)


@pytest.mark.parametrize("padding", ["valid", "same", 1])
def test_a_window_larger_than_the_input_has_no_positions_and_gradients_of_zeros(padding: Padding) -> None:
    case = Case((2, 3), (5, 2), (1, 1), (2, 1), padding, features=2, outputs=3, batch=2)
    image, weight, result = case.declared()
    assert result.shape[1] == (2 if padding == "same" else 0)
    x, kernel = case.operands()
    gradients = gc.grad(gc.sum(result), [image, weight])
    for gradient, operand in zip(gc.evaluate(gradients, {"image": x, "weight": kernel}), (x, kernel), strict=True):
        assert gradient.shape == operand.shape
        assert gradient.any() == (padding == "same")


@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_convolution_keeps_channels_apart(multiplier: int) -> None:
    case = Case((5, 4), (3, 2), (1, 1), (1, 1), groups=3, features=3, outputs=3 * multiplier, batch=2)
    _, _, result = case.declared()
    x, kernel = case.operands()
    x[..., 1] = 0
    found = gc.evaluate(result, {"image": x, "weight": kernel})
    assert [bool(found[..., channel].any()) for channel in range(3 * multiplier)] == (
        [True] * multiplier + [False] * multiplier + [True] * multiplier
    )


def test_lists_are_taken_as_operands_and_take_the_type_of_the_input() -> None:
    x = gc.input("x", ("batch", 3, 1), "float64")
    result = gc.convolution(x, [[[1.0]], [[10.0]]])
    assert str(result.type) == "f64[batch, 2, 1]"
    np.testing.assert_array_equal(gc.evaluate(result, {"x": [[[1], [2], [3]]]}), [[[21], [32]]])


def swapped(kernel: gc.Tensor) -> gc.Tensor:
    """The kernel with its features and outputs exchanged."""
    axes = range(kernel.ndim - 2)
    return gc.transpose(kernel, (*axes, kernel.ndim - 1, kernel.ndim - 2))


@settings(max_examples=80)
@given(cases(most_groups=1))
@example(Case((3, 2), (2, 3), (3, 2), (1, 1), "same"))
def test_a_transposed_convolution_is_the_gradient_by_the_input(case: Case) -> None:
    x, kernel = case.operands()
    signal, weight = gc.constant(x), gc.constant(kernel)
    options = (case.strides, case.padding, case.dilation)
    grown = gc.convolution_transpose(signal, weight, *options)
    assume(all(grown.shape[1:-1]))
    source = gc.input("source", (case.batch, *grown.shape[1:]), "float64")
    forward = gc.convolution(source, swapped(weight), *options)
    assert forward.shape == signal.shape
    (gradient,) = gc.grad(gc.sum(forward * signal), [source])
    found, expected = gc.evaluate([grown, gradient])
    np.testing.assert_allclose(found, expected, 1e-12, 1e-13, strict=True)


@pytest.mark.parametrize(
    ("padding", "size"), [("valid", [11, 14]), ("same", [8, 12]), (1, [9, 12]), ([(0, 2), (3, 0)], [9, 11])]
)
def test_the_sizes_of_a_transposed_convolution(padding: Padding, size: Sequence[int]) -> None:
    x, kernel = gc.input("x", ("batch", 4, 4, 2)), gc.input("kernel", (3, 3, 2, 5))
    result = gc.convolution_transpose(x, kernel, (2, 3), padding, (2, 2))
    assert result.shape[1:] == (*size, 5)


def test_a_transposed_convolution_stamps_the_kernel() -> None:
    x, kernel = [[[1.0], [2.0], [3.0]]], [[[1.0]], [[10.0]]]
    spread = {
        "valid": [1, 10, 2, 20, 3, 30],
        "overlapping": [1, 12, 23, 30],
        "cut": [10, 2, 20, 3],
        "gaps": [1, 10, 0, 2, 20, 0, 3, 30, 0],
    }
    results = [
        gc.convolution_transpose(x, kernel, 2),
        gc.convolution_transpose(x, kernel),
        gc.convolution_transpose(x, kernel, 2, 1),
        gc.convolution_transpose(x, kernel, 3, "same"),
    ]
    for found, (name, expected) in zip(gc.evaluate(results), spread.items(), strict=True):
        assert found.ravel().tolist() == expected, name


def refusal(error: type[Exception], function: Callable[..., object], *operands: object, **options: object) -> str:
    """What the error says that a call raises; it names the line of the call."""
    with pytest.raises(error) as caught:
        function(*operands, **options)
    text = str(caught.value)
    assert re.search(r"^  at +.*test_convolution.py:\d+ +function\(\*operands, \*\*options\)$", text, re.MULTILINE)
    return text


def test_a_kernel_of_other_channels_is_refused() -> None:
    other = gc.input("other", (3, 3, 4, 8))
    for function in (gc.convolution, gc.convolution_transpose):
        text = refusal(ShapeError, function, IMAGE, other)
        assert text.startswith("the kernel takes 4 input features, the input has 3\n  at ")
        assert "operand 1  f32[batch, 6, 6, 3]  input 'image', declared at " in text
        assert "expected   3 at axis 2 of the kernel\n  got        f32[3, 3, 4, 8]" in text
        assert "way out    the features are the last axis of the input and the last but one of the kernel" in text


@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        (("batch", 6, 6, 3), (3, 3, 8)),
        (("batch", 6, 3), (3, 3, 3, 8)),
        (("batch", 3), (3, 8)),
        (("batch", "height", 6, 3), (3, 3, 3, 8)),
        (("batch", 6, 6, 3), (3, "width", 3, 8)),
        (("batch", 6, 6, 3), (3, 3, 3, "outputs")),
    ],
    ids=str,
)
def test_operands_of_other_ranks_and_named_spatial_sizes_are_refused(image: Any, kernel: Any) -> None:
    x, weight = gc.input("x", image), gc.input("weight", kernel)
    for function in (gc.convolution, gc.convolution_transpose):
        text = refusal(ShapeError, function, x, weight)
        assert text.startswith(f"{function.__name__}: the operands do not fit\n  at ")
        assert f"input      {x.type}  input 'x', declared at " in text
        assert f"kernel     {weight.type}  input 'weight', declared at " in text
        wanted = "[batch, *spatial, features] and [*window, input features, output features], of integers but for the"
        assert f"expected   {wanted} batch\n  got        {x.type} and {weight.type}" in text


@pytest.mark.parametrize(
    ("kernel", "groups", "got"),
    [
        ((3, 3, 3, 4), 2, "3 features, 3 input features and 4 outputs"),
        ((3, 3, 1, 4), 3, "3 features, 1 input features and 4 outputs"),
        ((3, 3, 3, 4), 0, "3 features, 3 input features and 4 outputs"),
        ((3, 3, 3, 4), -1, "3 features, 3 input features and 4 outputs"),
    ],
    ids=str,
)
def test_groups_that_do_not_divide_features_and_outputs_are_refused(kernel: Any, groups: int, got: str) -> None:
    weight = gc.input("weight", kernel)
    text = refusal(ShapeError, gc.convolution, IMAGE, weight, groups=groups)
    assert text.startswith(f"{groups} groups do not fit the kernel\n  at ")
    assert "kernel     f32[3, 3, " in text
    assert "expected   features = groups * the kernel's input features, outputs a multiple of groups" in text
    assert f"got        {got} of the kernel" in text


@pytest.mark.parametrize("value", [0, -1, (1, 0), (1, 2, 3), (2,), 1.5, (1, 1.5), None, "2"], ids=str)
@pytest.mark.parametrize("what", ["strides", "dilation"])
def test_strides_and_dilation_are_positive_integers(what: str, value: Any) -> None:
    for function in (gc.convolution, gc.convolution_transpose):
        options: dict[str, Any] = {what: value}
        text = refusal(DeclarationError, function, IMAGE, KERNEL, **options)
        assert text.startswith(f"{what} does not fit 2 spatial axes\n  at ")
        assert f"expected   an integer of at least 1, or 2 of them\n  got        {value!r}" in text


@pytest.mark.parametrize(
    "padding",
    ["full", -1, 1.5, None, (1, 1), [(1, 1)], [(1, 1), (1, -1)], [(1, 1), (0.5, 1)], [(1, 1), (1, 1, 1)]],
    ids=str,
)
def test_an_unknown_padding_is_refused(padding: Any) -> None:
    for function in (gc.convolution, gc.convolution_transpose):
        text = refusal(DeclarationError, function, IMAGE, KERNEL, padding=padding)
        assert text.startswith("this is no padding\n  at ")
        assert f'expected   "valid", "same", a number, or 2 pairs of numbers\n  got        {padding!r}' in text


def test_operands_are_floats_of_one_type() -> None:
    text = refusal(DTypeError, gc.convolution, IMAGE, gc.input("wide", (3, 3, 3, 4), "float64"))
    assert text.startswith("conv_general of float32 and float64\n")
    assert "expected   f32\n  got        f64[3, 3, 3, 4]" in text
    whole = gc.input("whole", ("batch", 6, 6, 3), "int64")
    for function in (gc.convolution, gc.convolution_transpose):
        text = refusal(DTypeError, function, whole, KERNEL)
        assert text.startswith(f"{function.__name__} does not take int64\n")
        assert "expected   float32 or float64\n  got        i64[batch, 6, 6, 3]" in text
        assert 'way out    convert the input with gc.cast(x, "float32")' in text
