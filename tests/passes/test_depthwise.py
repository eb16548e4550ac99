"""Compiled depthwise convolutions: values and derivatives, the same bits from every printer, one kernel for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.convolution import Padding
from graphc.passes.fuse import Fuse
from graphc.passes.loops import ColumnFold, Contraction, Loop, Statement
from graphc.passes.lower import KernelCall
from graphc.scalar import Array
from tests.passes.building import kernel_names, program_of
from tests.passes.printers import different, function_in_python, function_in_vectors, results_of

TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


@dataclass(frozen=True)
class Case:
    """A depthwise convolution. sizes, window: along the spatial axes."""

    sizes: tuple[int, ...]
    window: tuple[int, ...]
    channels: int
    strides: int | tuple[int, ...] = 1
    padding: Padding = "same"
    dilation: int = 1
    multiplier: int = 1
    dtype: str = "float32"

    def data(self, batch: int = 3) -> dict[str, Array]:
        rng = np.random.default_rng(4)
        shapes = {
            "image": (batch, *self.sizes, self.channels),
            "kernel": (*self.window, 1, self.channels * self.multiplier),
        }
        return {name: rng.normal(size=shape).astype(self.dtype) for name, shape in shapes.items()}

    def inputs(self) -> list[gc.Tensor]:
        image, kernel = self.data().values()
        named = gc.input("image", ("batch", *image.shape[1:]), self.dtype)
        return [named, gc.input("kernel", kernel.shape, self.dtype)]

    def convolve(self, operands: Sequence[gc.Tensor]) -> gc.Tensor:
        image, kernel = operands
        return gc.convolution(image, kernel, self.strides, self.padding, self.dilation, self.channels)

    def declared(self) -> tuple[list[gc.Tensor], dict[str, gc.Tensor]]:
        """Image and kernel; the convolution, both gradients, and the second derivatives along those gradients."""
        operands = self.inputs()
        result = self.convolve(operands)
        first = gc.grad(gc.sum(gc.tanh(result)), operands)
        second = gc.grad(sum((gc.sum(part * part) for part in first), gc.constant(0.0, self.dtype)), operands)
        names = ("result", "by_image", "by_kernel", "image_again", "kernel_again")
        return operands, dict(zip(names, [result, *first, *second], strict=True))


CASES = {
    "lines": Case((19,), (4,), 17),
    "images": Case((7, 6), (3, 3), 32),
    "volumes": Case((4, 3, 5), (2, 3, 2), 5, padding="valid"),
    "strides": Case((9, 8), (3, 3), 24, 2),
    "uneven strides": Case((9, 8), (2, 3), 8, (3, 1), "valid"),
    "dilation": Case((9, 9), (3, 3), 16, padding=2, dilation=2),
    "uneven zeros": Case((6, 5), (3, 2), 9, 2, [(0, 2), (3, 1)]),
    "few channels": Case((6, 6), (3, 3), 3),
    "one position": Case((3, 3), (3, 3), 20, padding="valid"),
    "no positions": Case((2, 3), (3, 3), 8, padding="valid"),
    "a kernel of one number": Case((4, 4), (1, 1), 18),
    "a kernel that is read as it is summed": Case((10, 10), (9, 9), 33),
    "many places of the kernel": Case((8, 9), (7, 7), 16, dtype="float64"),
    "several filters a channel": Case((6, 6), (3, 3), 8, multiplier=2),
    "wide numbers": Case((6, 7), (3, 3), 17, 2, dtype="float64"),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_the_interpreter(name: str) -> None:
    case = CASES[name]
    operands, outputs = case.declared()
    function = gc.function(operands, outputs)
    for batch in (3, 1, 0):
        data = case.data(batch)
        expected = dict(zip(outputs, gc.evaluate(list(outputs.values()), data), strict=True))
        found = results_of(function, data)
        for key, right in expected.items():
            scale = max(1.0, float(np.abs(right).max(initial=0.0)))
            np.testing.assert_allclose(found[key], right, 0, TOLERANCE[case.dtype] * scale, err_msg=key, strict=True)


EVERY_WAY = ["images", "uneven zeros", "one position", "a kernel that is read as it is summed"]


@pytest.mark.parametrize("name", EVERY_WAY)
def test_printers_threads_and_fusion_do_not_change_a_bit(name: str) -> None:
    case = CASES[name]
    operands, outputs = case.declared()
    data = case.data()
    expected = results_of(function_in_vectors(operands, outputs, threads=1), data)
    others = [
        function_in_python(operands, outputs),
        function_in_vectors(operands, outputs, threads=3),
        gc.function(operands, outputs, training=True, fuse=False),
    ]
    for other in others:
        assert different(expected, results_of(other, data)) == []


def innermost(call: KernelCall) -> Statement:
    (statement,) = call.kernel.body
    while isinstance(statement, Loop):
        statement = statement.body[0]
    return statement


def test_lanes_run_over_the_channels() -> None:
    operands = CASES["images"].inputs()
    result = CASES["images"].convolve(operands)
    by_image, by_kernel = gc.grad(gc.sum(result * result) * 0.5, operands)
    (forward,) = map(innermost, program_of({"result": result}).calls)
    assert isinstance(forward, ColumnFold)
    assert (forward.column.extent, [axis.extent for axis in forward.axes], forward.items) == (32, [6], ())
    statements = [innermost(call) for call in program_of({"by_image": by_image, "by_kernel": by_kernel}).calls]
    assert not any(isinstance(statement, Contraction) for statement in statements)
    (totals,) = (statement for statement in statements if isinstance(statement, ColumnFold) and statement.items)
    assert (totals.column.extent, len(totals.items), len(totals.axes)) == (16, 9, 3)


def test_several_filters_a_channel_are_products_in_tiles() -> None:
    operands = CASES["several filters a channel"].inputs()
    result = CASES["several filters a channel"].convolve(operands)
    assert any(isinstance(innermost(call), Contraction) for call in program_of({"result": result}).calls)


def test_bias_and_activation_are_computed_by_the_kernel_of_the_convolution() -> None:
    case = CASES["images"]
    operands = case.inputs()
    bias = gc.input("bias", (32,))
    program = program_of({"result": gc.relu(case.convolve(operands) + bias)})
    assert len(program.calls) == 1
    assert "convolution" in program.calls[0].kernel.name
    apart = program_of({"result": gc.relu(case.convolve(operands) + bias)}, fuse=Fuse(enabled=False))
    assert len(apart.calls) > 3


def test_padding_is_memory_only_where_elements_are_read_often() -> None:
    few, many = CASES["images"], CASES["many places of the kernel"]
    assert kernel_names(program_of({"result": few.convolve(few.inputs())})) == ["pad_convolution"]
    *pads, last = kernel_names(program_of({"result": many.convolve(many.inputs())}))
    assert (set(pads), last) == ({"pad"}, "convolution")


def test_an_update_by_the_gradient_happens_in_place() -> None:
    case = CASES["images"]
    image, _ = case.inputs()
    weight = gc.parameter((3, 3, 1, 32), "ones")
    loss = gc.sum(case.convolve([image, weight]))
    (slope,) = gc.grad(loss, [weight])
    program = program_of({}, {weight: weight - 0.5 * slope})
    assert len([call for call in program.calls if any(s.kind == "state" for s in call.arguments)]) == 1
    function = gc.function([image], {"slope": slope}, {weight: weight - 0.5 * slope})
    found = results_of(function, {"image": case.data()["image"]})["slope"]
    np.testing.assert_array_equal(gc.evaluate(weight), 1 - np.float32(0.5) * found)


def test_the_program_for_cuda_is_printed() -> None:
    case = CASES["images"]
    operands, outputs = case.declared()
    source = gc.function(operands, outputs["result"]).source("cuda")
    assert "def pad_convolution_kernel" in source
