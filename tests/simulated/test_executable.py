"""Whole programs on a simulated GPU, against the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

import graphc as gc
from graphc.passes.build import build_program
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.scalar import Array
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.networks import perceptron, perceptron_feed, recurrent, recurrent_feed
from tests.cuda.pairs import run
from tests.harness import same_bits
from tests.simulated.device import simulated

Feed = Mapping[str, Array]


def of_model(model: gc.Model, mode: str = "train", precision: str = "exact") -> CudaExecutable:
    graph = model.graph(mode)
    cells = {node: model.cells[str(getattr(node.op, "label", ""))] for node in graph.states}
    return simulated(build_program(graph), cells, precision, FakeDriver())


def check_training(make: Callable[[], gc.Model], feeds: Sequence[Feed]) -> None:
    """Steps on the CPU and on the simulated GPU have the same outputs, and leave the same states, to the bit."""
    cpu, other = make(), make()
    gpu = of_model(other)
    for feed in feeds:
        wanted, found = run(cpu.executable("train"), feed), run(gpu, feed)
        for name, value in wanted.items():
            assert same_bits(value, np.asarray(found[name])), name
    for name, cell in cpu.cells.items():
        assert same_bits(cell.read(), other.cells[name].read()), name


def test_a_perceptron_with_dropout_and_momentum_trains_to_the_same_bits_with_two_sizes() -> None:
    check_training(perceptron, [perceptron_feed(count, seed) for seed, count in enumerate([4, 3, 4, 4, 3])])


def test_a_loop_with_choices_trains_to_the_same_bits() -> None:
    check_training(recurrent, [recurrent_feed(count, seed) for seed, count in enumerate([2, 2, 3])])


def test_predictions_have_the_same_bits() -> None:
    model = perceptron()
    feed = {"image": perceptron_feed(5)["image"]}
    found = run(of_model(model, "predict"), feed)["logits"]
    assert same_bits(found, run(model.executable("predict"), feed)["logits"])


def test_products_in_parts_give_the_same_numbers_up_to_rounding_and_again_the_same_bits() -> None:
    x, y = gc.input("x", shape=(600, 8)), gc.input("y", shape=(600, 8))
    function = gc.function([x, y], gc.exp(x.transpose((1, 0)) @ y))
    rng = np.random.default_rng(0)
    feed = {name: rng.standard_normal((600, 8)).astype(np.float32) * 0.1 for name in "xy"}
    gpu = simulated(function.program, {}, "float32", FakeDriver())
    assert [kernel.scratch[0] for several in gpu.kernels.values() for kernel in several] == [2, 2]
    found = [run(gpu, feed)["output"] for _ in range(3)]
    np.testing.assert_allclose(found[0], np.exp(feed["x"].T @ feed["y"]), rtol=1e-5)
    assert all(same_bits(found[0], other) for other in found[1:])
