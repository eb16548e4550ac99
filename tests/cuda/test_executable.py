"""Whole programs through the CUDA executable: the same bits as on the CPU, whatever the streams do first."""

from __future__ import annotations

import gc as garbage
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeviceError, FeedError
from graphc.frontend.tensor import Tensor
from graphc.passes.build import build_program
from graphc.passes.cuda.grid import CudaKernel
from graphc.runtime.cuda.compiler import Cubin, compile_cuda
from graphc.runtime.cuda.device import COPIES, CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.cuda.pending import PLACES, Pending
from graphc.scalar import Array
from tests.cuda.fake_driver import FakeDriver, Kernel
from tests.cuda.networks import perceptron, perceptron_feed, recurrent, recurrent_feed
from tests.cuda.pairs import Pair, on_device, run

ORDERS = [(), (0,), (1,), (0, 1)]
"""Which streams do everything at once; the others wait as long as they may."""


@pytest.mark.parametrize("eager", ORDERS)
def test_training_gives_the_bits_of_the_cpu_for_batches_of_two_sizes(eager: tuple[int, ...]) -> None:
    pair = Pair(perceptron, FakeDriver(eager))
    pair.check([perceptron_feed(count, seed) for seed, count in enumerate([8, 8, 3, 8, 3, 3, 8, 8, 8, 3])])


@pytest.mark.parametrize("eager", [(), (0, 1)])
def test_loops_and_choices_give_the_bits_of_the_cpu(eager: tuple[int, ...]) -> None:
    pair = Pair(recurrent, FakeDriver(eager))
    pair.check([recurrent_feed(count, seed) for seed, count in enumerate([4, 4, 2, 4, 4, 4, 4, 2, 2, 2])])


@pytest.mark.parametrize("mode", ["evaluate", "predict"])
def test_other_modes_give_the_bits_of_the_cpu(mode: str) -> None:
    pair = Pair(perceptron, FakeDriver(), mode)
    labels = pair.gpu.feeder.labels
    feeds = [perceptron_feed(count, seed) for seed, count in enumerate([4, 2, 4, 4, 2])]
    pair.check([{name: feed[name] for name in labels} for feed in feeds])


def test_the_first_step_of_each_size_runs_kernel_by_kernel_and_later_ones_as_graphs() -> None:
    pair = Pair(perceptron, FakeDriver())
    for expected, count in enumerate([8, 8, 8, 8]):
        pair.start(perceptron_feed(count))
        assert pair.fake.graphs_launched == expected
    pair.start(perceptron_feed(2))
    assert pair.fake.graphs_launched == 3
    pair.start(perceptron_feed(2))
    assert pair.fake.graphs_launched == 4


def test_the_variable_keeps_running_kernel_by_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CUDA_ONE_BY_ONE", "1")
    pair = Pair(perceptron, FakeDriver())
    pair.check([perceptron_feed(4, seed) for seed in range(4)])
    assert pair.fake.graphs_launched == 0


def test_kernels_get_the_grid_that_they_were_printed_for() -> None:
    pair = Pair(perceptron, FakeDriver())
    pair.start(perceptron_feed(4))
    kernels = pair.gpu.kernels
    assert len(pair.fake.launched) == len(kernels)
    for launched, (kernel,) in zip(pair.fake.launched, kernels.values(), strict=True):
        sizes = launched.arguments[: len(kernel.kernel.sizes)]
        assert (launched.threads, launched.blocks) == (kernel.threads, kernel.blocks(sizes))


def test_a_kernel_with_nothing_to_do_is_not_launched() -> None:
    x = gc.input("x", shape=("n",))
    fake = FakeDriver()
    executable = on_device(gc.function([x], {"double": x * 2.0, "total": gc.sum(x)}), fake)
    for _ in range(3):
        found = run(executable, {"x": np.zeros(0, np.float32)})
        assert found["double"].shape == (0,)
        assert float(found["total"]) == 0
    assert {launched.blocks for launched in fake.launched} == {1}


def test_equal_kernels_are_loaded_once() -> None:
    x = gc.input("x", shape=("n", 4))
    fake = FakeDriver()
    total = gc.sum(x)
    executable = on_device(gc.function([x], [x[:, 0] * total, x[:, 0] * total * 2.0], fuse=False), fake)
    assert fake.loaded == len({id(kernel) for (kernel,) in executable.kernels.values()})


@pytest.mark.usefixtures("compiler")
def test_kernels_are_compiled_for_the_capability_of_the_device_and_loaded_by_their_names() -> None:
    model, fake, capabilities = perceptron(), FakeDriver(), []

    def compile(kernels: Sequence[CudaKernel], capability: tuple[int, int]) -> list[Cubin]:
        capabilities.append(capability)
        cubins = compile_cuda(kernels, capability)
        for cubin in cubins:
            fake.kernels[cubin.data] = {cubin.entry: Kernel(0, lambda arguments: None)}
        return cubins

    graph = model.graph("predict")
    cells = {node: model.cells[str(getattr(node.op, "label", ""))] for node in graph.states}
    executable = CudaExecutable(build_program(graph), cells, "exact", CudaDevice(Driver(fake)), compile)
    assert capabilities == [(9, 0)]
    assert fake.loaded == len(executable.kernels) > 0
    assert all(name.encode() in data for data, (name,) in fake.kernels.items())


# Numbers that are still being computed.
def test_outputs_of_one_element_wait_until_they_are_read() -> None:
    pair = Pair(perceptron, FakeDriver())
    pair.start(perceptron_feed(4))
    before = len(pair.fake.launched)
    number = pair.start(perceptron_feed(4))["loss"]
    assert isinstance(number, Pending)
    assert (number.shape, number.dtype, number.ndim, number.size) == ((), np.dtype("float32"), 0, 1)
    assert len(pair.fake.launched) == before
    value = float(number)
    assert len(pair.fake.launched) > before
    assert value == number.item() == float(number.copy()) == float(np.asarray(number, np.float64))
    assert np.asarray(number).dtype == np.float32
    assert repr(number) == f"Pending({value!r})"
    assert np.isfinite(number)


def test_integers_and_truth_values_come_as_what_they_are() -> None:
    x = gc.input("x", shape=("n",), dtype="int64")
    executable = on_device(gc.function([x], {"total": gc.sum(x), "any": gc.sum(x) > 7}), FakeDriver())
    found = run(executable, {"x": np.array([1, 2, 3])})
    assert int(found["total"]) == 6
    assert bool(found["any"]) is False
    assert np.asarray(found["any"]).dtype == np.bool_


def test_numbers_of_many_steps_stay_what_they_were_when_they_are_read_late() -> None:
    x = gc.input("x", shape=("n",))
    executable = on_device(gc.function([x], gc.sum(x)), FakeDriver())
    found = [run(executable, {"x": np.full(3, step, np.float32)})["output"] for step in range(200)]
    assert [float(number) for number in reversed(found)] == [3.0 * step for step in reversed(range(200))]


def test_steps_read_out_of_order_do_not_disturb_each_other() -> None:
    x = gc.input("x", shape=("n",))
    executable = on_device(gc.function([x], gc.sum(x)), FakeDriver())
    first, second, third = (run(executable, {"x": np.full(1, step, np.float32)})["output"] for step in range(3))
    assert [float(second), float(first), float(third), float(first)] == [1.0, 0.0, 2.0, 0.0]


# Range checks.
def lookup() -> gc.Function:
    """Look-ups by fed indices, by indices computed from those alone, and by indices that a state moves."""
    table = gc.parameter((4,), np.arange(4.0, dtype=np.float32), name="table")
    index = gc.input("index", shape=("n",), dtype="int64")
    shift = gc.state(1, name="shift")
    near = gc.take(table, gc.check_range(index, 0, 4)) + gc.take(table, gc.check_range(index * index, 0, 4))
    far = gc.take(table, gc.check_range(index + shift, 0, 4))
    return gc.function([index], {"near": near.sum(), "far": far.sum()}, {shift: shift + 0})


def shifted() -> tuple[Tensor, Tensor]:
    """Indices, and the elements at them after a state has moved them by one."""
    index = gc.input("index", shape=("n",), dtype="int64")
    moved = gc.check_range(index + gc.state(1, name="shift"), 0, 4)
    return index, gc.take(gc.constant(np.arange(4.0, dtype=np.float32)), moved)


GOOD, BAD = {"index": [0, 1]}, {"index": [1, 3]}


def message(function: gc.Function, feed: Mapping[str, object]) -> str:
    with pytest.raises(FeedError) as caught:
        function(**feed)
    return str(caught.value)


@pytest.mark.parametrize("index", [[0, -1], [0, 2]])
def test_a_wrong_index_in_an_input_is_refused_before_anything_is_uploaded(index: list[int]) -> None:
    function, fake = lookup(), FakeDriver()
    executable = on_device(function, fake)
    expected = message(function, {"index": index})
    with pytest.raises(FeedError) as caught:
        run(executable, {"index": index})
    assert str(caught.value) == expected
    assert ("input 'index': 1 of 2 integers are out of range" in expected) == (index == [0, -1])
    assert (fake.launched, fake.used) == ([], 0)
    checks = [one.kernel.name for (one,) in executable.kernels.values() if "check" in one.kernel.name]
    assert checks == ["check_range_kernel"]  # of the indices that a state moves


def test_a_computed_index_out_of_range_is_reported_when_an_output_is_read() -> None:
    index, x = shifted()
    function = gc.function([index], {"sum": x.sum(), "mean": x.mean()})
    executable = on_device(function, FakeDriver())
    expected = message(function, BAD)
    for _ in range(2):
        assert float(run(executable, GOOD)["sum"]) == 3.0
        found = run(executable, BAD)
        for name in ("sum", "mean", "sum"):
            with pytest.raises(FeedError) as caught:
                float(found[name])
            assert str(caught.value) == expected


def test_a_failed_check_that_nobody_read_is_reported_by_a_later_step() -> None:
    index, x = shifted()
    executable = on_device(gc.function([index], x.sum()), FakeDriver())
    run(executable, BAD)
    later = run(executable, GOOD)
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        float(later["output"])
    assert float(later["output"]) == 3.0
    run(executable, BAD)
    for _ in range(PLACES - 1):
        run(executable, GOOD)
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        run(executable, GOOD)
    assert float(run(executable, GOOD)["output"]) == 3.0


def test_an_array_is_not_given_out_if_a_check_failed() -> None:
    index, x = shifted()
    executable = on_device(gc.function([index], x), FakeDriver())
    assert run(executable, GOOD)["output"].tolist() == [1.0, 2.0]
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        run(executable, BAD)


def test_a_program_without_outputs_reports_a_failed_check_at_once() -> None:
    (index, x), total = shifted(), gc.state(0.0, name="total")
    executable = on_device(gc.function([index], {}, {total: total + x.sum()}), FakeDriver())
    assert run(executable, GOOD) == {}
    with pytest.raises(FeedError, match="a computed integer is out of range"):
        run(executable, BAD)


# Failures and memory.
def test_a_kernel_that_fails_in_the_first_step_is_named_with_the_line_behind_it() -> None:
    x = gc.input("x", shape=("n",))
    fake = FakeDriver()
    executable = on_device(gc.function([x], gc.exp(x) * 3.0), fake)
    fake.fails_at = 1
    with pytest.raises(DeviceError) as caught:
        run(executable, {"x": [1.0]})
    text = str(caught.value)
    assert text.startswith("kernel exp_multiply_kernel failed on Fake GPU\n")
    assert f"at         {__file__}:" in text
    assert "executable = on_device(gc.function([x], gc.exp(x) * 3.0), fake)" in text
    assert "computes   f32[n]  result of multiply, declared at" in text
    assert "launched as 1 blocks of" in text
    assert "got        CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered" in text
    with pytest.raises(DeviceError, match="the GPU has failed"):
        run(executable, {"x": [1.0]})


def test_a_graph_that_fails_says_how_to_find_the_kernel() -> None:
    pair = Pair(perceptron, FakeDriver())
    pair.start(perceptron_feed(4))
    pair.fake.fails_at = len(pair.fake.launched) + 3
    loss = pair.start(perceptron_feed(4))["loss"]
    with pytest.raises(DeviceError) as caught:
        float(loss)
    assert "with GRAPHC_CUDA_ONE_BY_ONE=1 to learn which kernel failed" in str(caught.value)


def test_too_little_memory_is_told_before_any_is_taken() -> None:
    w = gc.parameter((1000,), "ones", name="w")
    x = gc.input("x", shape=("n", 1000))
    fake = FakeDriver()
    fake.total = 100_000
    executable = on_device(gc.function([x], gc.exp(x + w)), fake)
    with pytest.raises(DeviceError) as caught:
        run(executable, {"x": np.zeros((100, 1000), np.float32)})
    text = str(caught.value)
    assert text.startswith("Fake GPU has too little free memory for this program\n")
    assert "states     4,000 bytes" in text
    assert "inputs     800,256 bytes" in text
    assert "outputs    400,128 bytes" in text
    assert "expected   at most 100,000 bytes, which are free of 100,000" in text
    assert "got        1,204,384 bytes" in text
    assert "way out    a smaller batch" in text
    assert fake.used == 0
    assert run(executable, {"x": np.zeros((2, 1000), np.float32)})["output"].shape == (2, 1000)


def test_memory_of_other_sizes_is_given_back_where_it_is_needed() -> None:
    x = gc.input("x", shape=("n", 256))
    fake = FakeDriver()
    executable = on_device(gc.function([x], gc.exp(x)), fake)
    fake.total = 16 * 1024
    for rows in (1, 2, 3, 4, 1, 5, 2):
        found = run(executable, {"x": np.zeros((rows, 256), np.float32)})["output"]
        assert found.shape == (rows, 256)
        assert (found == 1).all()


def test_many_sizes_keep_no_more_than_the_last_of_them() -> None:
    x = gc.input("x", shape=("n",))
    fake = FakeDriver()
    executable = on_device(gc.function([x], gc.cumsum(x)), fake)
    for size in range(1, 60):
        assert run(executable, {"x": np.ones(size, np.float32)})["output"][-1] == size
    assert len(fake.memory) < 120


def test_everything_is_given_back_with_the_executable() -> None:
    fake = FakeDriver()
    pair = Pair(perceptron, fake)
    pair.check([perceptron_feed(4), perceptron_feed(2), perceptron_feed(4)])
    assert fake.used > 0
    del pair
    garbage.collect()
    assert (fake.used, fake.pinned, fake.loaded, fake.graphs, fake.events) == (0, {}, 0, 0, 0)


def test_the_arena_counts_as_on_the_cpu() -> None:
    pair = Pair(perceptron, FakeDriver())
    cpu = pair.cpu.executable("train")
    assert pair.gpu.memory({"batch": 7}) == cpu.memory({"batch": 7}) > 0
    assert pair.gpu.threads == 1


def test_inputs_may_be_overwritten_as_soon_as_a_step_has_been_started() -> None:
    x = gc.input("x", shape=("n",))
    for eager in ORDERS:
        executable = on_device(gc.function([x], gc.sum(x)), FakeDriver(eager))
        batch: Array = np.zeros(4, np.float32)
        found = []
        for step in range(6):
            batch[:] = step
            found.append(run(executable, {"x": batch})["output"])
        assert [float(number) for number in found] == [4.0 * step for step in range(6)]


def test_a_step_that_is_interrupted_keeps_its_inputs_until_its_kernels_have_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, total = gc.input("x", shape=("n",)), gc.state(0.0, name="total")
    executable = on_device(gc.function([x], {}, {total: total + gc.sum(x)}), FakeDriver((COPIES,)))
    device = executable.device
    run(executable, {"x": np.full(1, 1, np.float32)})
    run(executable, {"x": np.full(1, 2, np.float32)})
    replay = device.replay

    def interrupted(recording: object) -> None:
        replay(recording)
        raise KeyboardInterrupt

    monkeypatch.setattr(device, "replay", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(executable, {"x": np.full(1, 4, np.float32)})
    monkeypatch.setattr(device, "replay", replay)
    run(executable, {"x": np.full(1, 8, np.float32)})
    assert float(total.value) == 15.0
