"""Traces of a training step: events for every kernel call, in order, with what the kernel is."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.errors import DeclarationError, FeedError
from graphc.runtime.executable import Executable
from graphc.runtime.timeline import timeline
from tests.harness import same_bits
from tests.runtime.networks import digits_data, digits_model

FEED = digits_data(64)


def wide_model(threads: int) -> gc.Model:
    """A product and an update that are worth sharing."""
    x, y = gc.input("x", shape=("batch", 64)), gc.input("y", shape=("batch", 64))
    loss = losses.mean_squared_error(layers.Dense(64, name="wide")(x), y)
    return gc.compile(loss, optimizers.SGD(0.1), threads=threads, name="wide")


def wide_feed() -> dict[str, object]:
    return {name: np.ones((96, 64), np.float32) for name in ("x", "y")}


def events_of(path: Path, kind: str = "X") -> list[dict[str, Any]]:
    content = json.loads(path.read_text("utf-8"))
    assert content.keys() == {"traceEvents", "displayTimeUnit"}
    return [event for event in content["traceEvents"] if event["ph"] == kind]


def test_every_call_has_an_event_on_the_first_thread_in_order(tmp_path: Path) -> None:
    model = digits_model()
    model.trace(FEED, tmp_path / "trace.json")
    events = [event for event in events_of(tmp_path / "trace.json") if event["tid"] == 0]
    calls = model.executable().program.calls
    assert [event["name"] for event in events] == [call.kernel.name for call in calls]
    assert [event["args"]["call"] for event in events] == list(range(1, len(calls) + 1))
    for event, following in pairwise(events):
        assert event["ts"] >= 0.0
        assert event["dur"] >= 0.0
        assert event["ts"] + event["dur"] <= following["ts"] + 1e-6


def test_an_event_says_what_the_kernel_is(tmp_path: Path) -> None:
    digits_model().trace(FEED, tmp_path / "trace.json")
    event = next(event for event in events_of(tmp_path / "trace.json") if event["name"] == "matmul_kernel")
    assert event["cat"] == "kernel"
    assert event["args"]["operations"] == 2 * 64 * 16 * 10
    assert event["args"]["bytes"] == 4 * (64 * 16 + 16 * 10 + 64 * 10)
    assert event["args"]["lines"].startswith("networks.py:")
    assert any("= dot_general" in text and text.endswith(": f32[batch, 10]") for text in event["args"]["computes"])


def test_the_process_and_its_threads_have_names(tmp_path: Path) -> None:
    wide_model(2).trace(wide_feed(), tmp_path / "trace.json")
    titles = [(event["name"], event["tid"], event["args"]["name"]) for event in events_of(tmp_path / "trace.json", "M")]
    assert titles == [
        ("process_name", 0, "wide: one training step, batch = 96"),
        ("thread_name", 0, "thread 0"),
        ("thread_name", 1, "thread 1"),
    ]


def test_threads_have_a_part_in_the_calls_that_they_share() -> None:
    for threads in (1, 3):
        executable = wide_model(threads).executable()
        assert isinstance(executable, Executable)
        arrays, sizes = executable.feeder.prepare(wide_feed())
        times = timeline(executable, arrays, sizes)
        assert times.shape == (threads, len(executable.program.calls), 2)
        assert times[times >= 0].min() == 0
        shared = np.all(times >= 0, axis=(0, 2))
        names = [call.kernel.name for call in executable.program.calls]
        assert all(shared[number] for number, name in enumerate(names) if name.startswith("matmul"))
        assert (times[0] >= 0).all()
        assert (times[1:, ~shared] == -1).all()
        took_part = times[times[..., 0] >= 0]
        assert (took_part[:, 0] <= took_part[:, 1]).all()


def test_tracing_leaves_the_states_as_they_were(tmp_path: Path) -> None:
    model = digits_model()
    before = {name: cell.array.copy() for name, cell in model.cells.items()}
    model.trace(FEED, tmp_path / "trace.json")
    assert all(same_bits(cell.array, before[name]) for name, cell in model.cells.items())
    loss = model.step(FEED)["loss"]
    assert loss == digits_model().step(FEED)["loss"]


def test_a_wrong_feed_leaves_no_file(tmp_path: Path) -> None:
    model = digits_model()
    with pytest.raises(FeedError, match="input 'label' is missing"):
        model.trace({"image": FEED["image"]}, tmp_path / "trace.json")
    with pytest.raises(FeedError, match="input 'label': 64 of 64 integers are out of range"):
        model.trace({**FEED, "label": FEED["label"] + 10}, tmp_path / "trace.json")
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_the_clock_is_told_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "clock_gettime")
    with pytest.raises(DeclarationError, match="this system has no clock that kernels can read") as caught:
        wide_model(1).trace(wide_feed(), tmp_path / "trace.json")
    assert caught.value.way_out == "model.report() times each kernel by itself"
