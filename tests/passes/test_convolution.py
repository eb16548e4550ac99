"""Compiled convolutions and their gradients: values, the same bits from every printer and split, layout and loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.convolution import Padding
from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.assembly import Pad
from graphc.ops.convolution import ConvGeneral
from graphc.ops.movement import Slice
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Contraction
from graphc.passes.threads import plan_commands
from graphc.passes.tile import tiles_apply
from graphc.scalar import Array
from tests.harness import slope
from tests.passes.building import optimised, program_of
from tests.passes.printers import different, results_of

TOLERANCE = {"float32": 1e-4, "float64": 1e-12}


@dataclass(frozen=True)
class Case:
    """A convolution of square images."""

    channels: int
    filters: int
    size: int
    window: int
    stride: int = 1
    padding: Padding = "valid"
    dilation: int = 1
    groups: int = 1
    dtype: str = "float32"

    def data(self, batch: int = 2) -> dict[str, Array]:
        rng = np.random.default_rng(1)
        image = rng.normal(size=(batch, self.size, self.size, self.channels))
        kernel = rng.normal(size=(self.window, self.window, self.channels // self.groups, self.filters))
        return {"image": image.astype(self.dtype), "kernel": kernel.astype(self.dtype)}

    def convolve(self, image: gc.Tensor, kernel: gc.Tensor) -> gc.Tensor:
        return gc.convolution(image, kernel, self.stride, self.padding, self.dilation, self.groups)

    def declared(self) -> tuple[list[gc.Tensor], dict[str, gc.Tensor]]:
        """Image and kernel; the convolution, and the gradients of half its sum of squares."""
        data = self.data()
        image = gc.input("image", ("batch", *data["image"].shape[1:]), self.dtype)
        kernel = gc.input("kernel", data["kernel"].shape, self.dtype)
        result = self.convolve(image, kernel)
        by_image, by_kernel = gc.grad(gc.sum(result * result) * 0.5, [image, kernel])
        return [image, kernel], {"result": result, "by_image": by_image, "by_kernel": by_kernel}

    def outputs(self, *names: str) -> dict[str, gc.Tensor]:
        """Those of these names."""
        _, outputs = self.declared()
        return {name: outputs[name] for name in names}

    def compiled(self, threads: int | None = None) -> gc.Function:
        return gc.function(*self.declared(), threads=threads)


CASES = {
    "first layer": Case(1, 6, 28, 5, padding="same"),
    "second layer": Case(6, 16, 14, 5),
    "strides": Case(3, 20, 14, 3, 2, "same"),
    "dilation": Case(16, 5, 8, 3, padding=1, dilation=2),
    "strides as long as the window": Case(17, 40, 8, 2, 2),
    "strides that skip": Case(6, 20, 14, 2, 3),
    "more channels than pixels": Case(33, 16, 5, 3, padding="same"),
    "one by one": Case(16, 40, 14, 1),
    "one by one with strides": Case(17, 1, 8, 1, 2),
    "one number": Case(1, 1, 5, 5),
    "depthwise": Case(6, 6, 14, 3, padding="same", groups=6),
    "two groups": Case(16, 20, 8, 2, 2, groups=2),
    "uneven zeros": Case(3, 6, 8, 3, 3, [(0, 2), (3, 1)], 2),
    "more zeros than the window covers": Case(3, 5, 5, 2, padding=4),
    "no positions": Case(3, 5, 5, 3, dilation=3),
    "wide numbers": Case(6, 20, 8, 3, 2, "same", dtype="float64"),
    "wide numbers in groups": Case(6, 33, 5, 2, padding=1, dilation=2, groups=3, dtype="float64"),
    "wide numbers, one by one": Case(33, 17, 5, 1, dtype="float64"),
}


def assert_close(found: Mapping[str, Array], expected: Mapping[str, Array], tolerance: float) -> None:
    """Equal within a part of the largest element, since sums of many products may cancel."""
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        scale = float(np.abs(right).max(initial=0.0))
        np.testing.assert_allclose(found[name], right, 0, tolerance * scale, err_msg=name, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_interpreter(name: str) -> None:
    case = CASES[name]
    operands, outputs = case.declared()
    function = gc.function(operands, outputs)
    for batch in (2, 1, 0):
        data = case.data(batch)
        expected = dict(zip(outputs, gc.evaluate(list(outputs.values()), data), strict=True))
        assert_close(results_of(function, data), expected, TOLERANCE[case.dtype])


@pytest.mark.parametrize("sizes", [(19,), (5, 4, 6)], ids=str)
def test_lines_and_volumes(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    feed = {"x": rng.normal(size=(2, *sizes, 3)), "kernel": rng.normal(size=(*[3] * len(sizes), 3, 17))}
    x, kernel = (gc.input(name, array.shape, "float64") for name, array in feed.items())
    result = gc.convolution(x, kernel, 2, "same")
    grown = gc.convolution_transpose(result, gc.transpose(kernel, (*range(len(sizes)), -1, -2)), 2, "same")
    outputs = {"result": result, "grown": grown, "by_kernel": gc.grad(gc.sum(grown * grown), [kernel])[0]}
    expected = dict(zip(outputs, gc.evaluate(list(outputs.values()), feed), strict=True))
    assert_close(results_of(gc.function([x, kernel], outputs), feed), expected, 1e-12)


@pytest.mark.parametrize("padding", [2, 3])
def test_a_transposed_convolution_may_cut_off_more_than_there_is(padding: int) -> None:
    x = gc.input("x", ("batch", 2, 2, 1))
    nothing = gc.convolution_transpose(x, [[[[1.0]]]], padding=padding)
    assert np.asarray(gc.function([x], nothing)(np.ones((3, 2, 2, 1)))).shape == (3, 0, 0, 1)


PHASES = {"strides": 4, "two groups": 4, "wide numbers": 4}
"""Convolutions that make the gradient by the image where it is computed phase by phase."""
EVERY_PATH = ["strides", "dilation", "two groups", "one by one", "wide numbers"]


@pytest.mark.parametrize("name", EVERY_PATH)
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    case = CASES[name]
    functions = [case.compiled(threads) for threads in (1, 2, 3, 5)]
    program = functions[0].program
    assert any(command.split for command in plan_commands(program.calls, program.plan, {"batch": 7}, 2))
    one, *others = (results_of(function, case.data(batch=7)) for function in functions)
    for other in others:
        assert different(one, other) == []


def test_a_chain_of_convolutions_has_the_same_bits_for_any_number_of_threads() -> None:
    shapes = {"x": (9, 12, 12, 3), "first": (3, 3, 3, 16), "second": (2, 2, 16, 20)}
    x, first, second = inputs = [gc.input(name, shape) for name, shape in shapes.items()]
    y = gc.convolution(gc.relu(gc.convolution(x, first, padding="same")), second, 2)
    outputs = [y, *gc.grad(gc.sum(y * y), inputs)]
    rng = np.random.default_rng(0)
    feed = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    named = dict(zip(("y", *shapes), outputs, strict=True))
    one, *others = (results_of(gc.function(inputs, named, threads=threads), feed) for threads in (1, 2, 3, 5))
    for other in others:
        assert different(one, other) == []


@contextmanager
def tiles_for(unit: VectorUnit | None) -> Iterator[None]:
    """Compile products in tiles for a vector unit; for None, from Python source."""
    with pytest.MonkeyPatch.context() as patch:
        if unit is None:
            patch.setattr("graphc.runtime.executable.tiles_apply", lambda kernel: False)
        else:
            patch.setattr(VectorUnit, "of", staticmethod(lambda features: unit))
        yield


@pytest.mark.parametrize("name", EVERY_PATH)
def test_the_python_printer_and_tiles_have_the_same_bits(name: str) -> None:
    case = CASES[name]
    tiled = case.compiled()
    products = [call.kernel for call in tiled.program.calls if isinstance(call.kernel.body[0], Contraction)]
    assert len(products) == 2 + PHASES.get(name, 1)
    assert all(map(tiles_apply, products))
    with tiles_for(None):
        plain = case.compiled()
    assert different(results_of(tiled, case.data()), results_of(plain, case.data())) == []


@pytest.mark.parametrize("unit", [VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32)], ids=str)
@pytest.mark.parametrize("name", ["strides", "two groups"])
def test_every_vector_unit_has_the_same_bits(name: str, unit: VectorUnit) -> None:
    case = CASES[name]
    expected = results_of(case.compiled(), case.data())
    with tiles_for(unit):
        found = results_of(case.compiled(), case.data())
    assert different(expected, found) == []


@pytest.mark.parametrize(
    "case", [Case(2, 3, 5, 3, 2, "same", dtype="float64"), Case(4, 4, 4, 2, 1, 1, 2, 2, "float64")]
)
def test_second_derivatives_are_those_of_finite_differences(case: Case) -> None:
    data, rng = case.data(), np.random.default_rng(2)
    image, kernel = (gc.input(name, array.shape, "float64") for name, array in data.items())
    result = case.convolve(image, kernel)
    by_image, by_kernel = gc.grad(gc.sum(gc.tanh(result)), [image, kernel])
    along = gc.sum(by_image * rng.normal(size=data["image"].shape))
    along += gc.sum(by_kernel * rng.normal(size=data["kernel"].shape))
    second = gc.grad(along, [image, kernel])
    function = gc.function([image, kernel], dict(zip(("along", "image", "kernel"), [along, *second], strict=True)))
    found = results_of(function, data)

    def moved(name: str, at: Array) -> float:
        return float(results_of(function, data | {name: at})["along"])

    for name, array in data.items():
        direction = rng.normal(size=array.shape)
        curvature = float((found[name] * direction).sum())
        assert curvature == pytest.approx(slope(partial(moved, name), array, direction, 1e-4), rel=1e-7)
        assert abs(curvature) > 1e-2


def nodes_of(graph: Graph, kind: type[object]) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node.op, kind)]


@pytest.mark.parametrize("name", ["first layer", "strides", "dilation", "uneven zeros", "two groups"])
def test_zeros_are_written_into_memory_and_none_are_left_to_the_op(name: str) -> None:
    graph = optimised(CASES[name].outputs("result", "by_image", "by_kernel"))
    convolutions = nodes_of(graph, ConvGeneral)
    assert len(convolutions) == 2 + PHASES.get(name, 1)
    for node in convolutions:
        assert isinstance(node.op, ConvGeneral)
        assert (node.op.low, node.op.high, node.op.lhs_dilation) == ((0, 0), (0, 0), (1, 1))
        assert node.op.rhs[1] == node.op.out[1] == node.type.rank - 1
    assert bool(nodes_of(graph, Pad)) == (name != "two groups")  # which has phases that meet no zeros


def test_the_same_zeros_serve_the_convolution_and_the_gradient_by_its_kernel() -> None:
    case = Case(3, 6, 8, 3, padding="same")
    forward, backward = nodes_of(optimised(case.outputs("result", "by_image", "by_kernel")), Pad)
    assert (str(forward.type), str(backward.type)) == ("f32[batch, 10, 10, 3]", "f32[batch, 10, 10, 6]")
    assert len(nodes_of(optimised(case.outputs("result", "by_kernel")), Pad)) == 1


def test_what_strides_skip_is_zeros_between_and_what_they_leave_over_is_cut_off() -> None:
    (pad,) = nodes_of(optimised(Case(3, 6, 8, 2, 3).outputs("by_image", "by_kernel")), Pad)
    assert isinstance(pad.op, Pad)
    assert (pad.op.low, pad.op.interior) == ((0, 1, 1, 0), (0, 2, 2, 0))
    (cut,) = nodes_of(optimised(Case(3, 6, 9, 2, 3).outputs("by_kernel")), Slice)
    assert str(cut.type) == "f32[batch, 8, 8, 3]"


def contraction_of(case: Case) -> Contraction:
    first, *_ = program_of(case.outputs("result")).calls
    (statement,) = first.kernel.body
    assert isinstance(statement, Contraction)
    return statement


def test_a_one_by_one_convolution_is_a_product_of_all_pixels_with_a_matrix() -> None:
    found = contraction_of(CASES["one by one"])
    assert (len(found.rows), len(found.depths)) == (1, 1)
    assert (found.depths[0].extent, found.column.extent, found.batch.extent) == (16, 40, 1)


def test_depths_that_lie_side_by_side_in_both_operands_are_counted_as_one() -> None:
    found = contraction_of(CASES["second layer"])
    assert [axis.extent for axis in found.rows[1:]] == [10, 10]
    assert [axis.extent for axis in found.depths] == [5, 5 * 6]
    apart = contraction_of(Case(6, 16, 14, 5, dilation=2))
    assert [axis.extent for axis in apart.depths] == [5, 5, 6]


def test_groups_are_the_batch_of_a_contraction() -> None:
    found = contraction_of(CASES["two groups"])
    assert (found.batch.extent, found.column.extent) == (2, 10)
    assert [axis.extent for axis in found.depths] == [2, 2, 8]
