"""Products by cuBLASLt inside programs: a library of the host stands for it, over the fake driver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.errors import DeviceError, MissingPackageError
from graphc.frontend.tensor import Tensor
from graphc.passes.build import build_program
from graphc.passes.cuda.grid import CudaKernel
from graphc.runtime.cuda import products
from graphc.runtime.cuda.compiler import Cubin
from graphc.runtime.cuda.cublaslt import CublasLt
from graphc.runtime.cuda.device import CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.cuda.products import library_for
from graphc.scalar import Array
from tests.cuda.cpu_kernels import executable_on
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.host_products import OnStreams
from tests.cuda.pairs import Pair, run
from tests.passes.building import program_of

ORDERS = [(), (0,), (1,), (0, 1)]
"""Which streams do everything at once; the others wait as long as they may."""


def wide() -> gc.Model:
    """A perceptron whose first layers are large enough for a library, and whose last is not."""
    image, label = gc.input("image", shape=("batch", 96)), gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential(
        [layers.Dense(128, activation="relu"), layers.Dense(64, activation="tanh"), layers.Dense(3)], name="wide"
    )
    return gc.compile(losses.softmax_cross_entropy(network(image), label), optimizers.Momentum(0.1), name="wide")


def wide_feed(count: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {"image": rng.random((count, 96)).astype(np.float32), "label": rng.integers(0, 3, count)}


def looping() -> gc.Model:
    """A loop with products in its rounds, some on a side of a choice; its elements are of 67 numbers."""
    x, y = gc.input("x", shape=(5, "batch", 67)), gc.input("y", shape=("batch", 64))
    enter, again = gc.parameter((67, 64), name="enter"), gc.parameter((64, 64), name="again")
    either = gc.parameter((64, 64), name="either")

    def step(state: Tensor, element: Tensor) -> tuple[Tensor, Tensor]:
        new = gc.tanh(element @ enter + state @ again)
        chosen = gc.cond(gc.mean(new) > 0, lambda: new @ either, lambda: new * 0.5)
        assert isinstance(chosen, Tensor)
        return chosen, new

    last, states = gc.scan(step, y * 0.0, x)
    assert isinstance(last, Tensor)
    assert isinstance(states, Tensor)
    loss = losses.mean_squared_error(last, y) + gc.mean(states * states)
    return gc.compile(loss, optimizers.SGD(0.05), name="looping")


def looping_feed(count: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((5, count, 67)).astype(np.float32) * 0.3,
        "y": rng.standard_normal((count, 64)).astype(np.float32),
    }


def names_of(executable: CudaExecutable, calls: frozenset[int]) -> set[str]:
    return {executable.program.calls[number].kernel.name for number in calls}


@pytest.mark.parametrize("eager", ORDERS)
def test_a_training_step_is_that_of_the_cpu_but_for_rounding(eager: tuple[int, ...]) -> None:
    fake = FakeDriver(eager)
    library = OnStreams(fake)
    pair = Pair(wide, fake, library=library)
    products_a_step = len(pair.gpu.library_calls)
    assert products_a_step == 5
    assert names_of(pair.gpu, pair.gpu.library_calls) == {"matmul_kernel"}
    counts = [40, 40, 24, 40, 24, 24]
    pair.check_near([wide_feed(count, seed) for seed, count in enumerate(counts)])
    assert library.computed == products_a_step * len(counts)
    assert fake.graphs_launched == 4
    own = [several for number, several in pair.gpu.kernels.items() if number not in pair.gpu.library_calls]
    assert len(fake.launched) == len(counts) * sum(map(len, own))


@pytest.mark.parametrize("eager", [(), (0, 1)])
def test_each_round_of_a_loop_has_its_own_operands(eager: tuple[int, ...]) -> None:
    fake = FakeDriver(eager)
    library = OnStreams(fake)
    pair = Pair(looping, fake, library=library)
    calls = [pair.gpu.program.calls[number] for number in pair.gpu.library_calls]
    assert any(call.loops for call in calls)
    feeds = [looping_feed(count, seed) for seed, count in enumerate([4, 4, 3, 4, 3])]
    pair.check_near(feeds)
    rounds = sum(5 if call.loops else 1 for call in calls)
    assert library.computed == rounds * len(feeds)
    # an element of 3 x 67 numbers of 4 bytes begins at a multiple of 4, one of 4 x 67 at a multiple of 16
    assert set(library.alignments) == {4, 16, 64}


def test_a_product_on_a_side_of_a_choice_is_not_given_to_the_library() -> None:
    def function(chosen: bool) -> gc.Function:
        x, w = gc.input("x", shape=("n", 64)), gc.parameter((64, 128), name="w")
        found = gc.cond(gc.mean(x) > 0, lambda: x @ w, lambda: x @ (w * 2.0)) if chosen else x @ w
        assert isinstance(found, Tensor)
        return gc.function([x], found)

    for chosen, expected in ((False, 1), (True, 0)):
        made = function(chosen)
        fake = FakeDriver()
        executable = executable_on(
            fake, build_program(made.graph, split=True), made._executable.cells, library=CublasLt(OnStreams(fake))
        )
        assert len(executable.library_calls) == expected


def test_a_product_of_one_element_lies_among_the_numbers_of_a_step() -> None:
    x, y = gc.input("x", shape=(1 << 18,)), gc.input("y", shape=(1 << 18,))
    function, fake = gc.function([x, y], [x @ y, y @ gc.exp(x)]), FakeDriver()
    library = OnStreams(fake)
    executable = executable_on(fake, function.program, {}, library=CublasLt(library))
    rng = np.random.default_rng(0)
    feed = {name: rng.random(1 << 18).astype(np.float32) for name in "xy"}
    for _ in range(3):
        found = list(run(executable, feed).values())
        assert [float(number) for number in found] == pytest.approx(np.asarray(function(**feed)), rel=1e-5)
    assert set(library.alignments) == {8}
    assert library.computed == 3 * len(executable.library_calls) > 0


def test_a_product_that_the_library_refuses_is_computed_by_the_kernel() -> None:
    fake = FakeDriver()
    library = OnStreams(fake)
    library.refuses["cublasLtMatmulAlgoGetHeuristic"] = 15
    pair = Pair(wide, fake, library=library)
    assert len(pair.gpu.library_calls) == 5
    pair.check_near([wide_feed(8), wide_feed(8)])
    assert pair.gpu.library_calls == frozenset()
    assert library.computed == 0
    library.refuses.clear()
    pair.check_near([wide_feed(6)])
    assert len(pair.gpu.library_calls) == 5
    assert library.computed == 5
    pair.check_near([wide_feed(8)])  # each size keeps what was found for it
    assert (len(pair.gpu.library_calls), library.computed) == (0, 5)


def test_a_library_that_cannot_use_the_gpu_is_an_error_and_not_passed_over() -> None:
    fake = FakeDriver()
    library = OnStreams(fake)
    library.refuses["cublasLtCreate"] = 1
    pair = Pair(wide, fake, library=library)
    with pytest.raises(DeviceError) as caught:
        pair.start(wide_feed(8))
    text = str(caught.value)
    assert "cuBLASLt does not compute the product f32[8, 96] @ f32[96, 128]" in text
    assert "CUBLAS_STATUS_NOT_INITIALIZED (1)" in text


def test_a_product_that_fails_is_named_with_its_line() -> None:
    fake = FakeDriver()
    library = OnStreams(fake)
    pair = Pair(wide, fake, library=library)
    library.refuses["cublasLtMatmul"] = 13
    with pytest.raises(DeviceError) as caught:
        pair.start(wide_feed(8))
    text = str(caught.value)
    assert text.startswith("the product f32[8, 96] @ f32[96, 128] failed on Fake GPU\n")
    assert "test_products.py:" in text.splitlines()[1]
    assert "computes   f32[batch, 128]  result of dot_general, declared at " in text
    assert "by         cuBLASLt" in text
    assert "got        CUBLAS_STATUS_EXECUTION_FAILED (13)" in text
    assert 'way out    compile with precision="exact", which leaves out the library' in text


def test_a_product_that_fails_while_a_step_is_recorded_leaves_the_stream_usable() -> None:
    fake = FakeDriver()
    library = OnStreams(fake)
    pair = Pair(wide, fake, library=library)
    pair.start(wide_feed(8))
    library.refuses["cublasLtMatmul"] = 13
    with pytest.raises(DeviceError, match="EXECUTION_FAILED"):
        pair.start(wide_feed(8))
    library.refuses.clear()
    assert np.isfinite(float(pair.start(wide_feed(8))["loss"]))


def test_products_are_planned_before_anything_is_recorded_and_once_for_each_size() -> None:
    fake = FakeDriver()
    library = OnStreams(fake)
    pair = Pair(wide, fake, library=library)
    for expected, count in ((5, 8), (5, 8), (5, 8), (10, 4), (10, 8), (10, 4)):
        pair.start(wide_feed(count))
        assert library.calls.count("cublasLtMatmulAlgoGetHeuristic") == expected


# Memory.
def test_the_workspace_is_told_with_the_memory_that_is_missing() -> None:
    fake = FakeDriver()
    library = OnStreams(fake, workspace=1 << 20)
    pair = Pair(wide, fake, library=library)
    fake.total = 1 << 20
    with pytest.raises(DeviceError) as caught:
        pair.start(wide_feed(8))
    text = str(caught.value)
    assert text.startswith("Fake GPU has too little free memory for this program\n")
    assert "workspace  1,048,576 bytes" in text
    assert fake.used == 0
    fake.total = 1 << 22
    pair.check_near([wide_feed(8), wide_feed(8)])


def test_one_workspace_grows_with_what_products_ask_for() -> None:
    fake = FakeDriver()
    library = OnStreams(fake, workspace=0)
    pair = Pair(wide, fake, library=library)
    pair.check_near([wide_feed(8, 0), wide_feed(8, 1)])
    sizes: list[list[int]] = []
    for workspace, count in ((1000, 8), (1000, 7), (5000, 6), (3000, 5)):
        library.workspace = workspace
        pair.check_near([wide_feed(count, seed) for seed in range(3)])
        sizes.append(sorted(memory.size for memory in fake.memory.values() if memory.size in (1000, 3000, 5000)))
    assert sizes == [[], [1000], [5000], [5000]]
    library.workspace = 5000
    pair.check_near([wide_feed(count, count) for count in (8, 7, 6, 5, 8)])


def test_kernels_that_the_library_replaces_need_no_scratch_memory() -> None:
    def long() -> gc.Model:
        x = gc.input("x", shape=("batch", 8192))
        w = gc.parameter((8192, 8), name="w")
        return gc.compile(gc.mean(gc.exp(x @ w * 1e-3)), optimizers.SGD(0.1))

    needed = []
    for status in (0, 15):
        fake = FakeDriver()
        library = OnStreams(fake, workspace=0)
        library.refuses.update({"cublasLtMatmulAlgoGetHeuristic": status} if status else {})
        pair = Pair(long, fake, library=library)
        feed = {"x": np.random.default_rng(0).random((4, 8192)).astype(np.float32)}
        pair.check_near([feed, feed])
        needed.append(fake.used)
    assert needed[0] < needed[1]


# Precisions.
def compile_nothing(kernels: Sequence[CudaKernel], capability: tuple[int, int]) -> list[Cubin]:
    raise AssertionError("the error comes before any kernel is compiled")


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_precisions_of_the_library_need_it(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    monkeypatch.setattr(products, "available", lambda: "cuBLASLt is not installed")
    program = program_of({"y": gc.input("x", ("batch", 64)) @ gc.input("w", (64, 64))})
    with pytest.raises(MissingPackageError) as caught:
        CudaExecutable(program, {}, precision, CudaDevice(Driver(FakeDriver())), compile_nothing)
    text = str(caught.value)
    assert text.startswith(f"products of precision '{precision}' are computed by cuBLASLt\n")
    assert "got        cuBLASLt is not installed" in text
    assert 'way out    pip install "graphc[cublas]", or precision="float32"' in text


def test_float32_does_without_the_library_and_exact_never_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    device = CudaDevice(Driver(FakeDriver()))
    monkeypatch.setattr(products, "available", lambda: "cuBLASLt is not installed")
    assert library_for("float32", device) is None
    monkeypatch.setattr(products, "available", lambda: None)
    monkeypatch.setattr(products, "CublasLt", lambda: CublasLt(OnStreams(FakeDriver())))
    assert library_for("exact", device) is None
    shared = library_for("float32", device)
    assert shared is not None
    assert library_for("tf32", device) is shared  # programs on one device share the library's memory
    assert library_for("float32", CudaDevice(Driver(FakeDriver()))) is not shared
