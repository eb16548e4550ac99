"""Contractions as matrix products: which are, that what is found computes the same, and that taking others apart keeps
every bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.dims import Dim, Size, evaluate
from graphc.dtypes import FLOAT32, FLOAT64, INT64, DType
from graphc.frontend.tensor import Tensor
from graphc.passes.build import Program, build_program
from graphc.passes.gemm import Gemm, Matrix, as_gemm, split_products
from graphc.passes.loops import Axis, Buffer, Contraction, Kernel, Store
from graphc.passes.memory import check_plan, plan_memory
from graphc.passes.storage import Rounds
from graphc.passes.terms import Index, TermBuilder
from graphc.runtime.executable import Executable
from graphc.runtime.figures import flops_of
from graphc.scalar import Array
from tests.end_to_end.workloads import WORKLOADS
from tests.harness import same_bits
from tests.passes.building import kernel_names, optimised, program_of, training_program

X, Y = gc.input("x", shape=("batch", 8, 16)), gc.input("y", shape=("batch", 16, 5))
W, BIAS = gc.input("w", shape=(16, 4)), gc.input("b", shape=(4,))
U, V = gc.input("u", shape=(16,)), gc.input("v", shape=(24,))
ROWS, SLOPES = gc.input("rows", shape=("batch", 24)), gc.input("slopes", shape=("batch", 12))
IMAGE = gc.input("image", shape=("batch", 6, 6, 8))
MAPS = gc.input("maps", shape=("batch", 6, 6, 5))
POINTS, WHOLE = gc.input("points", shape=(1, 1, 8, 5)), gc.input("whole", shape=(6, 6, 8, 5))
Memory = Mapping[str, Array]


def split(program: Program, worth: int = 0) -> Program:
    """The program with its products as calls of their own."""
    calls = split_products(program.calls, worth)
    return replace(program, calls=tuple(calls), plan=plan_memory(calls))


def product_of(result: Tensor, relu: bool = False) -> Gemm | None:
    """What the last kernel for a result computes as a product."""
    return as_gemm(program_of({"result": result}).calls[-1].kernel, relu)


def matrices(memory: Array, matrix: Matrix, shape: Sequence[int], size: Callable[[Size], int]) -> Array:
    """The matrices of a batch, as a view of the flat array that they lie in."""
    along = (1, size(matrix.leading)) if matrix.transposed else (size(matrix.leading), 1)
    strides = [memory.itemsize * step for step in (size(matrix.step), *along)]
    return np.lib.stride_tricks.as_strided(memory, shape, strides)


def multiply(gemm: Gemm, memory: Memory, sizes: Mapping[str, int]) -> None:
    """Compute what a product says, from its fields alone."""

    def size(given: Size) -> int:
        return evaluate(given, sizes)

    batch, rows, columns, depth = map(size, (gemm.batch, gemm.rows, gemm.columns, gemm.depth))
    left = matrices(memory[gemm.left.buffer], gemm.left, (batch, rows, depth), size)
    right = matrices(memory[gemm.right.buffer], gemm.right, (batch, depth, columns), size)
    out = matrices(memory[gemm.out.buffer], gemm.out, (batch, rows, columns), size)
    value = left @ right + (out if gemm.accumulate else 0)
    value = value + memory[gemm.bias] if gemm.bias else value
    out[...] = np.maximum(value, 0) if gemm.epilogue.startswith("relu") else value


def slope(result: Tensor, wrt: Tensor) -> Tensor:
    found = gc.grad(gc.sum(result), wrt=wrt)
    assert isinstance(found, Tensor)
    return found


CASES: dict[str, Tensor] = {
    "rows of two axes": X @ W,
    "bias": X @ W + BIAS,
    "bias first": BIAS + X @ W,
    "relu": gc.relu(X @ W),
    "relu and bias": gc.relu(X @ W + BIAS),
    "matrix by vector": ROWS @ V,
    "vector by matrix": U @ W,
    "weight gradient": ROWS.T @ SLOPES,
    "batch": X @ Y,
    "with itself": ROWS.T @ ROWS,
    "convolution of points": gc.convolution(IMAGE, POINTS),
    "convolution with the whole image": gc.convolution(IMAGE, WHOLE),
    "gradient of a convolution of points": slope(gc.convolution(IMAGE, POINTS) * MAPS, POINTS),
}


@pytest.mark.parametrize("name", CASES)
def test_a_product_computes_what_its_kernel_does(name: str) -> None:
    program = program_of({"result": CASES[name]})
    rng, sizes = np.random.default_rng(0), {"batch": 3}
    memory = {
        storage: rng.normal(size=evaluate(storage.type.elements, sizes)).astype(np.float32)
        for storage in program.storages
    }
    inputs = {
        storage.name: array.reshape([evaluate(size, sizes) for size in storage.type.shape])
        for storage, array in memory.items()
        if storage.kind == "input"
    }
    expected = Executable(program, {}, 1).run(inputs, sizes)["result"]
    (call,) = program.calls
    gemm = as_gemm(call.kernel, relu=True)
    assert gemm is not None
    passed = zip(call.kernel.buffers, call.arguments, strict=True)
    known = {label: evaluate(size, sizes) for label, size in zip(call.kernel.sizes, call.sizes, strict=True)}
    multiply(gemm, {buffer.name: memory[storage] for buffer, storage in passed}, known)
    (output,) = (memory[storage] for storage in memory if storage.kind == "output")
    np.testing.assert_allclose(output.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_axes_that_memory_does_not_tell_apart_are_one() -> None:
    gemm = product_of(X @ W)
    rows = Dim(1, ("$rows",))
    assert gemm == Gemm(1, rows, 4, 16, Matrix("x0", 16), Matrix("x1", 4), Matrix("x2", 4), FLOAT32)
    (call,) = program_of({"result": X @ W}).calls
    assert dict(zip(call.kernel.sizes, call.sizes, strict=True)) == {"$rows": Dim(8, ("batch",))}


def test_the_left_operand_of_a_weight_gradient_is_read_transposed() -> None:
    gemm = product_of(ROWS.T @ SLOPES)
    assert gemm is not None
    assert (gemm.left, gemm.right) == (Matrix("x0", 24, transposed=True), Matrix("x1", 12))
    assert gemm.depth == Dim(1, ("$depth",))


def test_matrices_of_a_batch_lie_a_step_apart() -> None:
    gemm = product_of(X @ Y)
    assert gemm is not None
    assert gemm.batch == Dim(1, ("batch",))
    assert (gemm.left.step, gemm.right.step, gemm.out.step) == (128, 80, 40)


def test_a_sum_with_a_vector_of_the_columns_is_a_bias() -> None:
    gemm = product_of(X @ W + BIAS)
    assert gemm is not None
    assert (gemm.epilogue, gemm.bias) == ("bias", "x0")
    assert product_of(X @ W + gc.input("low", shape=(8, 1))) is None
    assert product_of(X @ W - BIAS) is None


def test_a_relu_is_part_of_a_product_only_on_request() -> None:
    result = gc.relu(X @ W + BIAS)
    assert product_of(result) is None
    gemm = product_of(result, relu=True)
    assert gemm is not None
    assert gemm.epilogue == "relu_bias"
    assert product_of(gc.leaky_relu(X @ W + BIAS), relu=True) is None
    assert product_of(gc.tanh(X @ W), relu=True) is None


def test_a_product_added_to_a_state_in_place_accumulates() -> None:
    total = gc.parameter((24, 12), gc.initializers.Zeros(), "sum of gradients")
    program = program_of({"seen": gc.sum(SLOPES)}, {total: total + ROWS.T @ SLOPES})
    (gemm,) = filter(None, (as_gemm(call.kernel) for call in program.calls))
    assert gemm.accumulate
    assert gemm.epilogue == "none"


def test_windows_of_more_than_one_place_are_no_product() -> None:
    assert product_of(gc.convolution(IMAGE, gc.input("window", shape=(3, 3, 8, 5)))) is None
    assert product_of(gc.convolution(IMAGE, gc.input("patch", shape=(2, 2, 8, 5)), strides=2)) is None
    assert product_of(gc.convolution(IMAGE, POINTS, strides=2)) is None


def test_other_kernels_and_integers_are_no_product() -> None:
    assert product_of(gc.exp(ROWS)) is None
    assert product_of(gc.sum(ROWS, axis=1)) is None
    numbers = gc.input("numbers", shape=("batch", 4), dtype="int64")
    assert product_of(numbers @ gc.input("factors", shape=(4, 4), dtype="int64")) is None


def by_hand(left: Index, right: Index, target: Index, dtype: DType = FLOAT32, rows: Size = 4) -> Kernel:
    """A kernel of i rows, j columns and k depths, in a batch of g."""
    builder = TermBuilder()
    axes = {name: Axis(name, extent) for name, extent in (("g", 3), ("i", rows), ("j", 5), ("k", 6))}
    stores = (Store("z", target, builder.variable("total", dtype)),)
    operands = builder.load("x", left, dtype), builder.load("y", right, dtype)
    body = Contraction(axes["g"], (axes["i"],), axes["j"], (axes["k"],), *operands, "total", stores)
    buffers = (Buffer("x", dtype), Buffer("y", dtype), Buffer("z", dtype, True))
    return Kernel("matmul_kernel", (), buffers, (body,))


def at(**strides: int) -> Index:
    return Index(tuple(strides.items()))


LEFT, RIGHT, TARGET = at(g=24, i=6, k=1), at(g=30, k=5, j=1), at(g=20, i=5, j=1)


def test_operands_may_be_transposed_apart_or_the_same_for_all() -> None:
    gemm = as_gemm(by_hand(at(i=1, k=4), at(g=60, k=1, j=12), TARGET, FLOAT64))
    left, right = Matrix("x", 4, 0, True), Matrix("y", 12, 60, True)
    assert gemm == Gemm(3, 4, 5, 6, left, right, Matrix("z", 5, 20), FLOAT64)


@pytest.mark.parametrize(
    ("left", "right", "target"),
    [
        (at(g=24, i=12, k=2), RIGHT, TARGET),  # no neighbours in memory
        (at(g=24, i=1, k=1), RIGHT, TARGET),  # lines that overlap
        (at(g=24, i=6), RIGHT, TARGET),  # one number for all depths
        (at(g=24, i=6, k=1, j=1), RIGHT, TARGET),  # depends on the column
        (Index((*LEFT.axes, ("k", Dim(1, ("n",))))), RIGHT, TARGET),  # two steps along one axis
        (LEFT, at(g=30, k=5), TARGET),  # one number for all columns
        (LEFT, RIGHT, at(g=20, i=1, j=4)),  # columns of the result are apart
        (LEFT, RIGHT, at(i=5, j=1)),  # all of the batch in one place
        (LEFT.plus(Index.constant(1)), RIGHT, TARGET),  # does not begin at the start
    ],
)
def test_what_no_matrix_holds_is_no_product(left: Index, right: Index, target: Index) -> None:
    assert as_gemm(by_hand(LEFT, RIGHT, TARGET)) is not None
    assert as_gemm(by_hand(left, right, target)) is None
    assert as_gemm(by_hand(LEFT, RIGHT, TARGET, INT64)) is None


def test_lines_of_a_size_known_only_at_run_time_overlap_if_they_are_a_part_of_it_apart() -> None:
    n = Dim(2, ("n",))
    assert as_gemm(by_hand(Index((("i", 1), ("k", n))), RIGHT, TARGET, rows=n)) is not None
    assert as_gemm(by_hand(at(i=1, k=2), RIGHT, TARGET, rows=n)) is None


def test_a_step_is_split_into_products_and_what_follows_them() -> None:
    program = training_program(optimizers.SGD(0.1))
    parts = split(program, worth=1 << 18)
    names = kernel_names(parts)
    assert names.count("matmul") == 3  # the small layer's weight gradient stays whole
    assert names[names.index("matmul") + 1] == "add_less_equal_select"
    assert names.count("matmul_multiply_subtract") == 1
    assert names.count("multiply_subtract") == 1
    found = [as_gemm(call.kernel) for call in parts.calls if "matmul" in call.kernel.name]
    assert sum(gemm is not None for gemm in found) == 3


def test_a_product_that_is_kept_anyway_needs_no_other_temporary() -> None:
    parts = split(training_program(optimizers.SGD(0.1)))
    product, rest = parts.calls[1:3]
    assert str(product.arguments[-1]) == "temporary t0"
    assert [str(storage) for storage in rest.arguments] == [
        "state mlp/dense/bias",
        "temporary t0",
        "temporary t1",
    ]
    assert [buffer.written for buffer in rest.kernel.buffers] == [False, False, True]


def test_temporaries_between_the_parts_have_names_of_their_own() -> None:
    parts = split(training_program(optimizers.SGD(0.1)))
    names = [allocation.storage.name for allocation in parts.plan.allocations]
    assert len(set(names)) == len(names)
    assert sorted(name for name in names if name.startswith("product")) == ["product0", "product1", "product2"]
    again = split(replace(parts, calls=(*parts.calls, *training_program(optimizers.SGD(0.1)).calls)))
    assert "product3" in {storage.name for storage in again.storages}


def test_splitting_twice_changes_nothing_more() -> None:
    once = split_products(training_program(optimizers.SGD(0.1)).calls, worth=0)
    assert split_products(once, worth=0) == once


def test_the_parts_count_the_same_operations() -> None:
    program = training_program(optimizers.Momentum(0.1))
    sizes = {"batch": 32}
    whole, parts = (sum(flops_of(call, sizes) for call in each.calls) for each in (program, split(program)))
    assert whole == parts


def test_small_products_and_other_contractions_stay_whole() -> None:
    program = training_program(optimizers.SGD(0.1))
    assert split_products(program.calls, worth=1 << 30) == list(program.calls)
    window = gc.input("window", shape=(3, 3, 8, 5))
    convolution = program_of({"y": gc.exp(gc.convolution(IMAGE, window))})
    assert split_products(convolution.calls, worth=0) == list(convolution.calls)


def test_a_program_is_split_when_it_is_built() -> None:
    graph = optimised({"y": (gc.input("x", ("batch", 64)) @ gc.input("w", (64, 64))) ** 2})
    assert kernel_names(build_program(graph)) == ["matmul_multiply"]
    assert kernel_names(build_program(graph, split=True)) == ["matmul", "multiply"]


def trained(executable: Executable, feeds: Sequence[Mapping[str, Array]]) -> list[Array]:
    """The loss and all states after a step on each batch; afterwards the states are as before."""
    found: list[Array] = []
    with executable.keeping_states():
        for feed in feeds:
            found.append(executable.run(*executable.feeder.prepare(feed))["loss"])
            found += [cell.array.copy() for cell in executable.cells.values()]
    return found


@pytest.mark.parametrize("name", ["mlp", "transformer", "lenet", "lstm"])
def test_splitting_does_not_change_a_bit_of_a_training_step(name: str) -> None:
    workload = WORKLOADS[name]
    whole = workload.compiled().executable()
    assert isinstance(whole, Executable)
    parts = split(whole.program)
    assert len(parts.calls) > len(whole.program.calls)
    feeds = workload.feeds(2)
    expected = trained(whole, feeds)
    for threads in (1, 2):
        found = trained(Executable(parts, whole.cells, threads), feeds)
        assert all(map(same_bits, found, expected))
    check_plan(parts.plan, parts.calls, {"batch": workload.batch})


def loop() -> gc.Function:
    """Rounds of a product with what follows it, and its gradient."""
    sequence, first = gc.input("sequence", shape=(9, "batch", 16)), gc.input("first", shape=("batch", 24))
    entering, again = gc.input("entering", shape=(16, 24)), gc.input("again", shape=(24, 24))

    def step(hidden: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
        after = gc.relu(now @ entering) * 0.5 + gc.maximum(hidden @ again, -0.5) * hidden
        return after, after

    last, values = gc.scan(step, first, sequence)
    assert isinstance(last, Tensor)
    assert isinstance(values, Tensor)
    loss = gc.sum(values * values) + gc.sum(last)
    inputs = [sequence, first, entering, again]
    slopes = gc.grad(loss, inputs)
    assert isinstance(slopes, list)
    return gc.function(inputs, {"loss": loss, **{f"slope{number}": slope for number, slope in enumerate(slopes)}})


def test_products_in_a_loop_keep_their_loop_and_their_bits() -> None:
    whole = loop().program
    parts = split(whole)
    added = {storage for storage in parts.storages if storage.name.startswith("product")}
    assert added
    inside = [call for call in parts.calls if call.loops and added & set(call.arguments)]
    assert inside
    for call in inside:
        (around,) = call.loops
        assert isinstance(around, Rounds)
        assert added & set(call.arguments) <= around.local
    rng = np.random.default_rng(0)
    shapes = {"sequence": (9, 5, 16), "first": (5, 24), "entering": (16, 24), "again": (24, 24)}
    feed = {name: rng.normal(size=shape).astype(np.float32) * 0.3 for name, shape in shapes.items()}
    expected = Executable(whole, {}, 1).run(feed, {"batch": 5})
    for threads in (1, 2):
        found = Executable(parts, {}, threads).run(feed, {"batch": 5})
        assert [name for name, value in expected.items() if not same_bits(value, found[name])] == []


def test_a_temporary_of_one_round_lives_no_longer_than_it() -> None:
    parts = split(loop().program)
    lives = {a.storage.name: (a.first, a.last) for a in parts.plan.allocations}
    spans = [last - first for name, (first, last) in lives.items() if name.startswith("product")]
    assert spans == [1, 1]
