"""States that live on a device: who has the newest value, and when it is copied."""

from __future__ import annotations

import gc as garbage
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.state import Cell, cell_of
from graphc.passes.build import build_program
from graphc.runtime.cuda.device import CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.scalar import Array
from tests.cuda.cpu_kernels import executable_on
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.networks import perceptron, perceptron_feed
from tests.cuda.pairs import Pair, on_device, run


class Traffic:
    """Counts the copies of a driver from here on."""

    def __init__(self, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts = {"upload": 0, "download": 0}
        for name in self.counts:
            self._watch(fake, name, monkeypatch)

    def _watch(self, fake: FakeDriver, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        known = getattr(fake, name)

        def counted(*arguments: object) -> object:
            self.counts[name] += 1
            return known(*arguments)

        monkeypatch.setattr(fake, name, counted)

    def since(self) -> tuple[int, int]:
        """Uploads and downloads since the last look."""
        found = self.counts["upload"], self.counts["download"]
        self.counts.update(upload=0, download=0)
        return found


def counter() -> tuple[gc.Function, gc.Parameter, Cell]:
    """A function that adds to a state and returns nothing."""
    x = gc.input("x", shape=())
    total = gc.state(0.0, name="total")
    return gc.function([x], {}, {total: total + x}), total, cell_of(total.node)


def test_a_state_is_copied_only_when_the_other_side_has_a_newer_value(monkeypatch: pytest.MonkeyPatch) -> None:
    function, total, cell = counter()
    fake = FakeDriver()
    executable = on_device(function, fake)
    run(executable, {"x": 1.0})
    traffic = Traffic(fake, monkeypatch)
    for _ in range(3):
        run(executable, {"x": 1.0})
    assert traffic.since() == (3, 0)  # the inputs
    assert cell.read() == 4
    assert total.value == 4
    assert traffic.since() == (0, 1)
    run(executable, {"x": 1.0})
    assert traffic.since() == (1, 0)  # a look leaves the state there
    assert cell.array == 5
    assert traffic.since() == (0, 1)
    cell.array[...] = 10.0
    run(executable, {"x": 1.0})
    assert traffic.since() == (2, 0)  # whoever asks for the array may have written into it
    assert total.value == 11


def test_a_state_that_is_only_read_stays_valid_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = gc.input("x", shape=()), gc.parameter((), 3.0, name="w")
    fake = FakeDriver()
    executable = on_device(gc.function([x], x * w), fake)
    assert float(run(executable, {"x": 2.0})["output"]) == 6.0
    traffic = Traffic(fake, monkeypatch)
    assert w.value == 3.0
    assert traffic.since() == (0, 0)
    w.value = 5.0
    assert float(run(executable, {"x": 2.0})["output"]) == 10.0
    assert traffic.since() == (2, 1)


def test_a_value_that_is_set_counts_even_if_the_device_had_a_newer_one() -> None:
    function, total, _ = counter()
    executable = on_device(function, FakeDriver())
    run(executable, {"x": 1.0})
    total.value = 100.0
    run(executable, {"x": 1.0})
    assert total.value == 101.0


def test_programs_on_one_device_share_the_copies_of_states(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    pair = Pair(perceptron, fake)
    pair.start(perceptron_feed(4))
    device = pair.gpu.device
    assert isinstance(device, CudaDevice)
    graph = pair.model.graph("evaluate")
    cells = {node: pair.model.cells[str(getattr(node.op, "label", ""))] for node in graph.states}
    evaluation = executable_on(fake, build_program(graph), cells, device)
    traffic = Traffic(fake, monkeypatch)
    found = run(evaluation, perceptron_feed(6))["loss"]
    assert traffic.since()[0] == 1  # the inputs, but no state
    pair.cpu.step(perceptron_feed(4))
    assert float(found) == pair.cpu.evaluate(perceptron_feed(6), batch_size=6)["loss"]
    pair.check([perceptron_feed(4), perceptron_feed(4)])


def test_a_program_on_the_cpu_takes_up_where_the_device_stopped_and_back() -> None:
    function, total, _ = counter()
    executable = on_device(function, FakeDriver())
    for _ in range(3):
        run(executable, {"x": 1.0})
        function(10.0)
    assert total.value == 33.0


def test_a_state_moves_from_device_to_device() -> None:
    function, total, _ = counter()
    first, second = on_device(function, FakeDriver()), on_device(function, FakeDriver())
    for _ in range(4):
        run(first, {"x": 1.0})
        run(first, {"x": 1.0})
        run(second, {"x": 10.0})
        run(second, {"x": 10.0})
    assert total.value == 88.0


def test_what_is_kept_comes_back_to_the_device() -> None:
    function, total, _ = counter()
    executable = on_device(function, FakeDriver())
    run(executable, {"x": 1.0})
    with executable.keeping_states():
        run(executable, {"x": 5.0})
        assert total.value == 6.0
    run(executable, {"x": 1.0})
    assert total.value == 2.0


def test_the_memory_of_a_state_is_given_back_with_its_cell() -> None:
    fake = FakeDriver()
    device = CudaDevice(Driver(fake))

    def use() -> int:
        function, total, _ = counter()
        run(executable_on(fake, function.program, function._executable.cells, device), {"x": 1.0})
        assert total.value == 1.0
        return fake.used

    assert use() > 0
    garbage.collect()
    assert fake.used == 0


def test_a_checkpoint_has_the_values_of_the_device_and_loading_replaces_them(tmp_path: Path) -> None:
    pair = Pair(perceptron, FakeDriver())
    pair.check([perceptron_feed(4, seed) for seed in range(3)])
    pair.start(perceptron_feed(4, 3))
    pair.model.save(tmp_path / "model.safetensors")
    saved = states(pair.model)
    pair.start(perceptron_feed(4, 4))
    assert any((saved[name] != value).any() for name, value in states(pair.model).items())
    pair.model.load(tmp_path / "model.safetensors")
    pair.cpu.load(tmp_path / "model.safetensors")
    assert all((saved[name] == value).all() for name, value in states(pair.model).items())
    pair.check([perceptron_feed(4, 5), perceptron_feed(4, 6)])


def states(model: gc.Model) -> dict[str, Array]:
    return {name: cell.read() for name, cell in model.cells.items()}


def test_what_is_read_is_the_readers_own() -> None:
    cell = cell_of(gc.parameter((2,), "zeros", name="w").node)
    mine = cell.read()
    mine[0] = 1.0
    assert cell.read().tolist() == [0.0, 0.0]
    assert cell.nbytes == 8
    assert np.shares_memory(cell.array, cell.array)
