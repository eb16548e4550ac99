"""Winograd's convolution: values, the same bits from every printer, unit and split, and where it is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.frontend.convolution import Padding
from graphc.node import apply
from graphc.ops.convolution import ConvGeneral
from graphc.ops.winograd import WinogradConvolution
from graphc.passes.lane_terms import VectorUnit
from graphc.passes.loops import Winograd
from graphc.passes.threads import plan_commands
from graphc.passes.winograd_tile import print_winograd, winograd_applies
from graphc.scalar import Array
from tests.harness import same_bits
from tests.passes.building import kernel_names, optimised, program_of
from tests.passes.printers import different, results_of, run_source

TOLERANCE = 2e-6
"""Of the largest element, against sums in float64."""


@dataclass(frozen=True)
class Case:
    """A convolution of images with a window of 3 x 3."""

    rows: int
    columns: int
    channels: int
    filters: int
    padding: Padding = "same"
    dtype: str = "float32"
    window: int = 3
    stride: int = 1
    dilation: int = 1
    images: int | str = "batch"

    def data(self, images: int = 3) -> dict[str, Array]:
        rng = np.random.default_rng(1)
        image = rng.normal(size=(images, self.rows, self.columns, self.channels))
        kernel = rng.normal(size=(self.window, self.window, self.channels, self.filters))
        return {"image": image.astype(self.dtype), "kernel": kernel.astype(self.dtype)}

    def declared(self) -> tuple[list[gc.Tensor], dict[str, gc.Tensor]]:
        """Image and window; the convolution, and the gradients of half its sum of squares."""
        image = gc.input("image", (self.images, self.rows, self.columns, self.channels), self.dtype)
        kernel = gc.input("kernel", (self.window, self.window, self.channels, self.filters), self.dtype)
        result = gc.convolution(image, kernel, self.stride, self.padding, self.dilation)
        by_image, by_kernel = gc.grad(gc.sum(result * result) * 0.5, [image, kernel])
        return [image, kernel], {"result": result, "by_image": by_image, "by_kernel": by_kernel}

    def compiled(self, threads: int | None = None, winograd: bool = True) -> gc.Function:
        return gc.function(*self.declared(), threads=threads, winograd=winograd)


CASES = {
    "even": Case(12, 10, 16, 16),
    "odd": Case(11, 13, 16, 32),
    "no zeros around": Case(14, 11, 32, 16, "valid"),
    "three vectors": Case(10, 9, 48, 48),
    "a vector over": Case(8, 10, 16, 80),
    "uneven zeros": Case(13, 12, 16, 16, [(0, 2), (2, 1)]),
}


def exact(case: Case, feed: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs in float64."""
    _, outputs = replace(case, dtype="float64").declared()
    wide = {name: array.astype(np.float64) for name, array in feed.items()}
    return dict(zip(outputs, gc.evaluate(list(outputs.values()), wide), strict=True))


def error(found: Array, expected: Array) -> float:
    """The largest difference as a part of the largest element."""
    return float(np.abs(found - expected).max(initial=0.0)) / float(np.abs(expected).max(initial=1e-30))


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_sums_in_float64(name: str) -> None:
    case = CASES[name]
    function = case.compiled()
    assert sum("winograd" in name for name in kernel_names(function.program)) == 2
    for images in (3, 1, 0):
        feed = case.data(images)
        found, expected = results_of(function, feed), exact(case, feed)
        assert {name: array.shape for name, array in found.items()} == {n: a.shape for n, a in expected.items()}
        assert max(error(found[name], expected[name]) for name in expected) < TOLERANCE


def test_the_convolution_and_its_gradient_by_the_image_are_transformed_and_that_by_the_window_is_not() -> None:
    _, outputs = CASES["even"].declared()
    nodes = optimised(outputs).nodes
    assert len([node for node in nodes if isinstance(node.op, WinogradConvolution)]) == 2
    (direct,) = (node for node in nodes if isinstance(node.op, ConvGeneral))
    assert direct.type.shape == (3, 3, 16, 16)


@pytest.mark.parametrize("name", ["even", "odd"])
def test_the_python_printer_and_vectors_have_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    vectors = case.compiled()
    printed = [winograd_applies(call.kernel) for call in vectors.program.calls]
    assert sum(printed) == 2
    monkeypatch.setattr("graphc.runtime.executable.winograd_applies", lambda kernel: False)
    plain = case.compiled()
    assert different(results_of(vectors, case.data()), results_of(plain, case.data())) == []


@pytest.mark.parametrize("name", ["even", "odd"])
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    case = CASES[name]
    functions = [case.compiled(threads) for threads in (1, 2, 3, 5)]
    program = functions[0].program
    commands = plan_commands(program.calls, program.plan, {"batch": 7}, 2)
    shared = [command.split for command in commands if winograd_applies(program.calls[command.call].kernel)]
    assert shared == [True, True]
    one, *others = (results_of(function, case.data(images=7)) for function in functions)
    for other in others:
        assert different(one, other) == []


def test_an_image_has_the_same_bits_whatever_the_others_are() -> None:
    case = CASES["odd"]
    function, feed = case.compiled(), case.data(images=5)
    together = results_of(function, feed)
    for number in range(5):
        alone = results_of(function, feed | {"image": feed["image"][number : number + 1]})
        for name in ("result", "by_image"):
            assert same_bits(alone[name], together[name][number : number + 1])


def alone(rows: int, columns: int, channels: int, features: int) -> gc.Tensor:
    """The op itself, on random points that are no window's."""
    x = gc.input("x", ("batch", rows, columns, channels))
    u = gc.input("u", (16, channels, features))
    return gc.Tensor(apply(WinogradConvolution(), x.node, u.node))


def chain(left: Array, right: Array) -> Array:
    """Rows of products as chains of fused multiply-adds in float32; products of two float32 are exact in float64."""
    total = np.zeros((len(left), right.shape[1]), np.float32)
    for position in range(left.shape[1]):
        total = (left[:, position, None].astype(np.float64) * right[position] + total).astype(np.float32)
    return total


def in_order(x: Array, u: Array) -> Array:
    """One image with an even number of rows and columns, every operation in the order of the documentation."""

    def turn(d: Array) -> Array:
        return np.stack([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])

    def turn_back(m: Array) -> Array:
        return np.stack([(m[0] + m[1]) + m[2], (m[1] - m[2]) - m[3]])

    rows, columns = x.shape[0] - 2, x.shape[1] - 2
    result = np.zeros((rows, columns, u.shape[2]), np.float32)
    for y in range(0, rows, 2):
        for z in range(0, columns, 2):
            points = turn(turn(x[y : y + 4, z : z + 4]).swapaxes(0, 1)).swapaxes(0, 1)
            flat = points.reshape(16, 1, x.shape[2])
            sums = np.stack([chain(flat[point], u[point])[0] for point in range(16)]).reshape(4, 4, -1)
            result[y : y + 2, z : z + 2] = turn_back(turn_back(sums).swapaxes(0, 1)).swapaxes(0, 1)
    return result


UNITS = [VectorUnit(16, 16), VectorUnit(16, 32), VectorUnit(32, 16), VectorUnit(64, 32)]


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_every_vector_unit_and_split_sums_in_the_written_order(unit: VectorUnit) -> None:
    (call,) = program_of({"y": alone(8, 10, 16, 48)}).calls
    rng = np.random.default_rng(0)
    data = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in (("x", (5, 8, 10, 16)), ("u", (16, 16, 48)))
    }
    expected = np.stack([in_order(image, data["u"]) for image in data["x"]])
    source = print_winograd(call.kernel, unit)
    for parts in (1, 2, 7):
        found = run_source(call, source, data, {"batch": 5}, parts, f"{unit.bytes}x{unit.registers}")
        assert same_bits(found, expected), parts


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (5, 4), (4, 7), (7, 5)])
def test_odd_ends_are_stored_once_and_nothing_behind_them(rows: int, columns: int) -> None:
    result = alone(rows, columns, 16, 16)
    (call,) = program_of({"y": result}).calls
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(2, rows, columns, 16)).astype(np.float32),
        "u": rng.normal(size=(16, 16, 16)).astype(np.float32),
    }
    found = run_source(call, print_winograd(call.kernel, VectorUnit(16, 16)), data, {"batch": 2}, 2, "odd_ends")
    assert error(found, np.asarray(gc.evaluate(result, data))) < TOLERANCE


def test_what_follows_is_computed_before_elements_are_stored() -> None:
    image, kernel = gc.input("image", ("batch", 13, 12, 16)), gc.input("kernel", (3, 3, 16, 16))
    bias = gc.input("bias", (16,))
    y = gc.relu(gc.convolution(image, kernel, padding="same") + bias + image)
    names = kernel_names(program_of({"y": y}))
    assert names[-1].startswith("winograd_add")
    feed = {**Case(13, 12, 16, 16).data(), "bias": np.linspace(-1, 1, 16, dtype=np.float32)}
    function = gc.function([image, kernel, bias], y)
    unfused = gc.function([image, kernel, bias], y, fuse=False)
    found = np.asarray(function(**feed))
    assert same_bits(found, np.asarray(unfused(**feed)))
    assert error(found, np.asarray(gc.evaluate(y, feed))) < TOLERANCE


def chosen(case: Case, winograd: bool = True) -> bool:
    """Whether the convolution is transformed."""
    operands, outputs = case.declared()
    function = gc.function(operands, {"result": outputs["result"]}, winograd=winograd)
    return any(isinstance(call.kernel.body[0], Winograd) for call in function.program.calls)


@pytest.mark.parametrize(
    "case",
    [
        Case(8, 8, 16, 16, dtype="float64"),
        Case(8, 8, 16, 16, window=5),
        Case(8, 8, 16, 16, stride=2),
        Case(8, 8, 16, 16, dilation=2),
        Case(8, 8, 3, 16),
        Case(8, 8, 16, 20),
        Case(8, 1, 16, 16),
        Case(3, 3, 64, 64, "same"),
        Case(8, 8, 64, 64, images=1),
    ],
    ids=str,
)
def test_where_little_is_saved_the_sums_are_computed_as_declared(case: Case) -> None:
    assert not chosen(case)


def test_it_is_chosen_by_shape_and_can_be_switched_off() -> None:
    assert chosen(Case(8, 8, 64, 64))
    assert chosen(Case(16, 16, 16, 16, images=1))
    assert not chosen(Case(8, 8, 64, 64), winograd=False)


def test_a_window_may_lie_in_memory_with_its_features_first() -> None:
    case = CASES["even"]
    image, kernel = gc.input("image", ("batch", 12, 10, 16)), gc.input("kernel", (16, 16, 3, 3))
    last, once = (0, 3, 1, 2), (1, 1)
    y = image.conv_general(kernel, (last, (1, 0, 2, 3), last), once, (once, once), (once, once))
    function = gc.function([image, kernel], {"result": y})
    assert kernel_names(function.program)[-1] == "winograd"
    feed = case.data()
    found = results_of(function, feed | {"kernel": np.ascontiguousarray(feed["kernel"].transpose(3, 2, 0, 1))})
    assert same_bits(found["result"], results_of(case.compiled(), feed)["result"])


def test_direct_sums_and_transformed_ones_differ_by_rounding_only() -> None:
    case = CASES["even"]
    feed = case.data()
    expected = exact(case, feed)
    direct, transformed = (results_of(case.compiled(winograd=on), feed) for on in (False, True))
    assert not same_bits(direct["result"], transformed["result"])
    assert error(direct["result"], expected["result"]) < 1e-6
    assert error(transformed["result"], expected["result"]) < 5e-7


def test_an_infinity_spreads_over_the_tiles_that_read_it_and_no_further() -> None:
    case = CASES["even"]
    function, feed = case.compiled(), case.data()
    usual = results_of(function, feed)["result"]
    feed["image"][1, 4, 3, 5] = np.inf
    found = results_of(function, feed)["result"]
    touched = np.zeros(found.shape[:3], bool)
    touched[1, 2:6, 2:6] = True  # two tiles of rows and two of columns read it
    assert same_bits(found[~touched], usual[~touched])
    assert not np.isfinite(found[1, 3:6, 2:5]).any()  # elements whose own window holds it


def test_operations_are_those_that_are_done() -> None:
    _, outputs = Case(8, 6, 32, 32, images=5).declared()
    calls = program_of({"result": outputs["result"]}).calls
    (call,) = (call for call in calls if isinstance(call.kernel.body[0], Winograd))
    tiles = 5 * 4 * 3
    assert sum(int(str(size)) for size in call.flops) == tiles * (2 * 16 * 32 * 32 + 32 * 32 + 24 * 32)


def network(winograd: bool) -> gc.Model:
    image, label = gc.input("image", ("batch", 12, 12, 16)), gc.input("label", ("batch",), "int64")
    net = layers.Sequential(
        [
            layers.Conv2d(16, kernel_size=3, padding="same", activation="relu"),
            layers.BatchNorm(),
            layers.Conv2d(32, kernel_size=3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ],
        name="net",
    )
    loss = losses.softmax_cross_entropy(net(image), label)
    return gc.compile(loss, optimizers.SGD(0.02), winograd=winograd)


def test_a_network_trains_alike_with_and_without() -> None:
    rng = np.random.default_rng(0)
    feed = {"image": rng.normal(size=(9, 12, 12, 16)).astype(np.float32), "label": np.arange(9) % 3}
    plain, transformed = network(winograd=False), network(winograd=True)
    names = [call.kernel.name for call in transformed.executable().program.calls]
    assert sum("winograd" in name for name in names) == 3
    losses_of = [[model.step(feed)["loss"] for _ in range(6)] for model in (plain, transformed)]
    np.testing.assert_allclose(losses_of[0], losses_of[1], 1e-4)
    assert losses_of[1][-1] < 0.6 * losses_of[1][0]


def test_a_check_compares_what_the_model_was_compiled_with() -> None:
    rng = np.random.default_rng(0)
    feed = {"image": rng.normal(size=(4, 12, 12, 16)).astype(np.float32), "label": np.arange(4) % 3}
    passed = network(winograd=True).check(feed)
    assert any("UseWinograd" in line for line in passed)
