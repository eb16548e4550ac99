"""Times of single calls on a device, over the fake driver."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import graphc as gc
from graphc.dims import evaluate
from graphc.errors import FeedError
from graphc.passes.build import checks_inputs
from graphc.runtime.cuda.executable import CudaExecutable
from tests.cuda.fake_driver import FakeDriver
from tests.cuda.host_products import OnStreams
from tests.cuda.networks import perceptron, perceptron_feed, recurrent, recurrent_feed
from tests.cuda.pairs import Feed, Pair, on_device


def profile(executable: CudaExecutable, feed: Feed, repeats: int = 2) -> list[float]:
    arrays, sizes = executable.feeder.prepare(feed)
    return executable.profile(arrays, sizes, repeats)


def states(model: gc.Model) -> dict[str, bytes]:
    return {name: cell.read().tobytes() for name, cell in model.cells.items()}


@pytest.mark.parametrize("eager", [(), (0, 1)])
def test_each_call_has_a_time_and_those_checked_on_the_host_none(eager: tuple[int, ...]) -> None:
    pair = Pair(perceptron, FakeDriver(eager))
    times = profile(pair.gpu, perceptron_feed(4))
    on_host = [checks_inputs(call) for call in pair.gpu.program.calls]
    assert on_host.count(True) == 1
    assert [seconds == 0.0 for seconds in times] == on_host


def test_states_are_as_before_and_training_goes_on_with_the_same_bits() -> None:
    pair = Pair(perceptron, FakeDriver())
    pair.check([perceptron_feed(4, 0)])
    for seed in range(1, 4):
        before = states(pair.model)
        profile(pair.gpu, perceptron_feed(4 + seed % 2, 7))
        assert states(pair.model) == before
        pair.check([perceptron_feed(4, seed), perceptron_feed(5, seed)])


def test_a_call_in_a_loop_is_measured_for_one_round() -> None:
    pair = Pair(recurrent, FakeDriver())
    feed = recurrent_feed(2)
    profile(pair.gpu, feed, repeats=3)
    launched = Counter(one.name.rpartition("_")[0] for one in pair.fake.launched)
    expected: Counter[str] = Counter()
    _, sizes = pair.gpu.feeder.prepare(feed)
    for number in pair.gpu.kernels:
        call = pair.gpu.program.calls[number]
        expected[call.kernel.name] += evaluate(call.rounds, sizes) + 10 * 3
    assert launched == expected
    assert 5 in {evaluate(call.rounds, sizes) for call in pair.gpu.program.calls}


def test_products_of_the_library_are_measured_like_kernels() -> None:
    def product() -> gc.Model:
        x, w = gc.input("x", shape=("batch", 64)), gc.parameter((64, 128), name="w")
        return gc.compile(gc.mean((x @ w) ** 2), gc.optimizers.SGD(0.1))

    fake = FakeDriver()
    library = OnStreams(fake)
    pair = Pair(product, fake, library=library)
    feed = {"x": np.ones((3, 64), np.float32)}
    times = profile(pair.gpu, feed, repeats=4)
    assert all(seconds > 0 for seconds in times)
    assert library.computed == len(pair.gpu.library_calls) * (1 + 10 * 4) > 0
    pair.check_near([feed])


def test_a_call_with_nothing_to_do_takes_no_time() -> None:
    x = gc.input("x", shape=("n",))
    executable = on_device(gc.function([x], {"double": x * 2.0, "total": gc.sum(x)}, fuse=False), FakeDriver())
    times = profile(executable, {"x": np.zeros(0, np.float32)})
    assert sorted(seconds > 0 for seconds in times) == [False, True]


def test_a_wrong_label_is_refused_before_anything_runs() -> None:
    pair = Pair(perceptron, FakeDriver())
    with pytest.raises(FeedError, match="input 'label'"):
        profile(pair.gpu, perceptron_feed(3) | {"label": np.array([0, 1, 9])})
    assert pair.fake.launched == []
