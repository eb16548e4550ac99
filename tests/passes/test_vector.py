"""Both CPU printers give the same bits, for every op and for sizes at which whole vectors end."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError
from graphc.frontend.tensor import Tensor
from graphc.node import Node, apply
from graphc.op import Draw
from graphc.ops.leaves import Input
from graphc.scalar import Array
from tests.harness import BATCH, SIZES, all_samples, operands
from tests.passes.printers import (
    Feed,
    assert_same_bits,
    different,
    function_in_python,
    function_in_vectors,
    kernels_in_python,
    results_of,
)

COLUMNS = [0, 1, 2, 15, 16, 17, 31, 33, 100, 4096, 4097, 9000]
SOME_COLUMNS = [0, 1, 2, 16, 33, 4097]
ROWS = [0, 1, 5, 100]
Build = Callable[[Tensor, Tensor], dict[str, Tensor]]


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def label_of(node: Node) -> str:
    assert isinstance(node.op, Input)
    return node.op.label


def test_every_sample_of_every_op_has_the_same_bits() -> None:
    # Samples of the same operands share inputs, and thereby kernels: most of the time goes into compiling Python.
    inputs: dict[tuple[Draw, ...], list[Node]] = {}
    outputs: dict[str, Tensor] = {}
    feed: dict[str, Array] = {"sizes": np.zeros(SIZES["batch"], np.float32)}
    for name, sample in all_samples():
        if sample.args not in inputs:
            nodes = [apply(Input(f"x{len(inputs)}_{place}", arg.type)) for place, arg in enumerate(sample.args)]
            inputs[sample.args] = nodes
            feed |= zip(map(label_of, nodes), operands(sample), strict=True)
        outputs[name] = Tensor(apply(sample.op, *inputs[sample.args]))
    tensors = [Tensor(node) for node in (BATCH, *itertools.chain(*inputs.values()))]
    narrow = ["winograd_kernel"] * 2  # of few channels, which only samples have
    assert_same_bits(tensors, outputs, [feed], python=["matmul_kernel", "scatter_add_kernel", *narrow])


def chains(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {
        "chain": gc.tanh(x * 3.0 - y) / (gc.abs(y) + 0.5),
        "branches": gc.where(x < y, gc.sin(x), y * gc.floor(x)),
        "softmax": gc.softmax(x * 2.0, axis=1),
        "turned_softmax": gc.softmax(y, axis=0),
    }


def reductions(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    found = {}
    for axis, name in ((0, "columns"), (1, "rows"), (None, "all")):
        found[f"masked_{name}"] = gc.sum(gc.where(x < y, x, y * 0.5), axis)
        found[f"product_of_{name}"] = gc.prod(x * 0.1 + 1.0, axis)
        if x.shape[1] != 0:
            found[f"largest_{name}"] = gc.max(x - y, axis) * 2.0
    return found


def broadcasts(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    row, column = gc.sum(y, axis=0, keepdims=True), gc.sum(x, axis=1, keepdims=True)
    return {
        "row": x - row,
        "column": x * column + y,
        "both": gc.exp(gc.tanh(row) - gc.tanh(column)),
        "centred": (x - gc.mean(x, axis=1, keepdims=True)) / (gc.var(x, axis=1, keepdims=True) + 1.0),
    }


def movements(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {
        "turned": x.T + y.T * 2.0,
        "turned_sums": gc.sum((x - y).T, axis=0),
        "backwards": x[:, ::-1] + y[::-1],
        "joined": gc.concatenate([x, y[:, ::-1] + 1.0], axis=1),
        "stacked": gc.stack([x, y * 0.5], axis=2),
    }


def slices(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {
        "every_third": x[:, ::3] * y[:, ::3],
        "shifted": x[:, :-1] - y[:, 1:],
        "middle": gc.sum(x[:, 1:-1], axis=1),
        "padded": gc.pad(x, [(0, 0), (3, 2)], 7.0),
    }


@pytest.mark.parametrize("build", [chains, reductions, broadcasts, movements], ids=lambda build: str(build.__name__))
def test_programs_with_sizes_known_at_run_time(build: Build) -> None:
    x, y = gc.input("x", shape=("rows", "columns")), gc.input("y", shape=("rows", "columns"))
    sizes = [(rows, columns) for rows in ROWS for columns in COLUMNS if rows or columns < 100]
    if build is chains:
        sizes.append((5000, 33))
    feeds: list[Feed] = [{"x": numbers(*size), "y": numbers(*size, seed=1)} for size in sizes]
    assert_same_bits([x, y], build(x, y), feeds)


@pytest.mark.parametrize(
    ("build", "widths"), [(reductions, COLUMNS), (movements, SOME_COLUMNS), (slices, SOME_COLUMNS)]
)
def test_programs_with_columns_of_a_known_number(build: Build, widths: list[int]) -> None:
    # One program for all numbers of columns, so that the Python kernels are compiled side by side.
    inputs: list[Tensor] = []
    outputs: dict[str, Tensor] = {}
    feeds: list[dict[str, Array]] = [{} for _ in ROWS]
    for columns in widths:
        x, y = (gc.input(f"{name}{columns}", shape=("rows", columns)) for name in ("x", "y"))
        inputs += [x, y]
        outputs |= {f"{name}_of_{columns}": value for name, value in build(x, y).items()}
        for rows, feed in zip(ROWS, feeds, strict=True):
            feed |= {f"x{columns}": numbers(rows, columns), f"y{columns}": numbers(rows, columns, seed=1)}
    assert_same_bits(inputs, outputs, feeds)


@pytest.mark.parametrize("columns", [1, 16, 33, 100])
def test_reading_and_adding_at_computed_places(columns: int) -> None:
    table, updates = gc.input("table", shape=(7, columns)), gc.input("updates", shape=("picks", columns))
    pick = gc.input("pick", shape=("picks",), dtype="int64")
    outputs = {
        "taken": gc.take(table, pick % 7) * 2.0,
        "out_of_range": gc.take(table, pick * 3 - 8),
        "columns": gc.take(table, pick % columns, axis=1),
        "added": gc.scatter_add(table, pick // 2, updates),
        "one_hot": gc.one_hot(pick, 5),
        "best": gc.argmax(updates, axis=1),
        "worst": gc.argmax(-table, axis=0),
        "equal": gc.sum(gc.cast(gc.argmax(table, axis=0)[None] == pick[:, None], "float32"), axis=1),
    }
    feeds = [
        {"table": numbers(7, columns), "updates": numbers(picks, columns), "pick": np.arange(picks) % 6}
        for picks in (0, 1, 15, 40)
    ]
    one_by_one = ["floor_divide_scatter_add_kernel"] if columns == 1 else []
    found = assert_same_bits([table, updates, pick], outputs, feeds, one_by_one)
    expected = feeds[3]["table"].copy()
    np.add.at(expected, feeds[3]["pick"] // 2, feeds[3]["updates"])
    np.testing.assert_allclose(found[3]["added"], expected, 1e-5, 1e-5)


def test_reading_and_adding_along_inner_axes() -> None:
    x, updates = gc.input("x", shape=("rows", 5, "columns")), gc.input("updates", shape=("rows", "picks", "columns"))
    pick = gc.input("pick", shape=("picks",), dtype="int32")
    outputs = {
        "added": gc.scatter_add(x, pick, updates, axis=1),
        "taken": gc.take(x, pick, axis=1),
        "last": gc.take(x, pick, axis=2),
    }
    feeds: list[Feed] = [
        {
            "x": numbers(rows, 5, columns),
            "updates": numbers(rows, picks, columns, seed=1),
            "pick": np.arange(-7, picks - 7, dtype=np.int32) // 2,
        }
        for rows, columns, picks in ((3, 17, 20), (1, 1, 1), (0, 5, 4), (2, 0, 3), (40, 33, 9))
    ]
    assert_same_bits([x, updates, pick], outputs, feeds)


def test_reductions_over_several_axes() -> None:
    x = gc.input("x", shape=("first", 3, "last"))
    axes: dict[str, tuple[int, ...]] = {"ends": (0, 2), "start": (0, 1), "end": (1, 2), "middle": (1,)}
    outputs = {f"sum_over_{name}": gc.sum(x, which) for name, which in axes.items()}
    outputs |= {f"largest_over_{name}": gc.max(gc.sin(x), which) for name, which in axes.items()}
    feeds: list[Feed] = [{"x": numbers(*shape)} for shape in ((1, 3, 1), (2, 3, 17), (40, 3, 16), (3, 3, 4100))]
    assert_same_bits([x], outputs, feeds)


def test_the_first_of_equal_elements_and_the_first_nan_are_found() -> None:
    x = gc.input("x", shape=("rows", "columns"))
    rows = np.zeros((4, 37), np.float32)
    rows[1, [5, 30]] = 2.0
    rows[2, [33, 36]] = np.nan
    rows[3] = -np.inf
    (found,) = assert_same_bits([x], {"best": gc.argmax(x, axis=1)}, [{"x": rows}])
    assert found["best"].tolist() == [0, 5, 33, 0]


def test_truth_values_lie_in_bytes() -> None:
    flag, x = gc.input("flag", shape=("rows", 19), dtype="bool"), gc.input("x", shape=("rows", 19))
    outputs = {
        "both": flag & (x < 0.5),
        "either": flag[:, ::-1] | (x == x.T.T),
        "differ": flag ^ gc.isfinite(x),
        "not": ~flag.T,
        "count": gc.sum(gc.cast(flag, "int32"), axis=0),
        "chosen": gc.where(flag, x, -x),
        "as_float": gc.cast(flag, "float64"),
    }
    feeds: list[Feed] = [{"flag": numbers(rows, 19, seed=2) > 0, "x": numbers(rows, 19)} for rows in (0, 1, 5, 100)]
    found = assert_same_bits([flag, x], outputs, feeds)
    np.testing.assert_array_equal(found[2]["not"], ~feeds[2]["flag"].T)
    assert found[3]["both"].view(np.uint8).max() == 1


def test_random_numbers() -> None:
    x = gc.input("x", shape=("rows", 21))
    outputs = {
        "uniform": gc.random.uniform(("rows", 21), name="u"),
        "wide": gc.random.uniform(("rows", 21), dtype="float64", name="v"),
        "normal": gc.random.normal(("rows", 21), name="n") + x,
        "wide_normal": gc.random.normal(("rows", 21), dtype="float64", name="m"),
    }
    feeds: list[Feed] = [{"x": numbers(rows, 21)} for rows in (0, 1, 5, 300)]
    found = assert_same_bits([x], outputs, feeds)
    assert abs(float(found[3]["wide_normal"].mean())) < 0.05


def test_updates_in_place() -> None:
    weight, moment = gc.parameter((9, 23), name="weight"), gc.parameter((9, 23), name="moment")
    bias, turned = gc.parameter((23,), name="bias"), gc.parameter((37,), name="turned")
    gradient = gc.input("gradient", shape=(9, 23))
    velocity = moment * 0.9 + gradient
    updates: dict[Tensor, Tensor] = {
        moment: velocity,
        weight: weight - velocity / (gc.sqrt(gc.abs(gradient)) + 1e-3),
        bias: bias + gc.sum(weight, axis=0),
        turned: turned[::-1] * 2.0,
    }
    states = {"weight": weight, "moment": moment, "bias": bias, "turned": turned}
    outputs = {"old": gc.sum(weight * moment, axis=1)}
    runs = []
    for compile_function in (function_in_vectors, function_in_python):
        step = compile_function([gradient], outputs, updates)
        for number, state in enumerate(states.values()):
            state.value = numbers(*state.value.shape, seed=number)
        results = [results_of(step, {"gradient": numbers(9, 23, seed=seed)})["old"] for seed in range(3)]
        runs.append({f"old{step}": array for step, array in enumerate(results)})
        runs[-1] |= {name: state.value for name, state in states.items()}
    assert different(*runs) == []
    np.testing.assert_array_equal(runs[0]["turned"], numbers(37, seed=3)[::-1] * 8)


@pytest.mark.parametrize("wrong", [0, 15, 16, 18, None])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_wrong_label_is_found_in_any_lane(dtype: str, wrong: int | None) -> None:
    label = gc.input("label", shape=("rows",), dtype=dtype)
    checked = gc.function([label], gc.check_range(label, 5, 15))
    assert kernels_in_python(checked) == []
    labels = np.arange(19, dtype=dtype) % 10 + 5
    if wrong is None:
        np.testing.assert_array_equal(np.asarray(checked(labels)), labels)
        return
    for value in (15, 4):
        labels[wrong] = value
        with pytest.raises(FeedError, match="input 'label'") as caught:
            checked(labels)
        assert "5 <= value < 15" in str(caught.value)
        assert f"got        {value}" in str(caught.value)


def test_a_wrong_computed_integer_is_found_in_a_transposed_matrix() -> None:
    label = gc.input("label", shape=("rows", 18), dtype="int64")
    checked = gc.function([label], gc.check_range(label.T * 2, 0, 100) + 1)
    labels = np.full((3, 18), 49)
    assert int(np.asarray(checked(labels)).max()) == 99
    labels[2, 17] = 50
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        checked(labels)


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    x, y = gc.input("x", shape=("rows", 133)), gc.input("y", shape=("rows", 133))
    outputs = {**chains(x, y), **reductions(x, y), **movements(x, y)}
    feed = {"x": numbers(301, 133), "y": numbers(301, 133, seed=1)}
    alone = results_of(function_in_python([x, y], outputs, threads=1), feed)
    for threads in (1, 2, 3, 5):
        function = function_in_vectors([x, y], outputs, threads=threads)
        assert different(alone, results_of(function, feed)) == [], threads
