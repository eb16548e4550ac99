"""``graphc bench``: what it measures in fresh processes, prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphc.errors import DeclarationError, GraphcError
from graphc.runtime.bench import Bench, bench
from graphc.runtime.cli import main
from tests.runtime.tasks import TASK, write_task

MEASURED = Bench(
    "digits", 32, {1: [float(number) for number in range(101)], 2: [50.0]}, {"cold": 2.5, "warm": 0.75}, 101.4
)


def test_the_figures_are_percentiles_of_the_steps() -> None:
    assert MEASURED.spread() == {
        1: {"median": 50.0, "p10": 10.0, "p90": 90.0},
        2: {"median": 50.0, "p10": 50.0, "p90": 50.0},
    }


def test_the_figures_print_as_a_table() -> None:
    assert str(MEASURED).splitlines() == [
        "digits: 101 training steps of 32 samples",
        "",
        "  microseconds a step    median       p10       p90",
        "  1 thread                 50.0      10.0      90.0",
        "  2 threads                50.0      50.0      50.0",
        "",
        "  first step   2.50 s with nothing compiled before, 0.75 s with the kernels in the cache",
        "  peak memory  101 MB",
    ]


def test_the_command_times_a_task_file_on_one_thread_and_on_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_task(tmp_path, TASK.replace("x, y = ", 'print("building")\n    x, y = '))
    figures = tmp_path / "figures.json"
    assert main(["bench", task, "--steps", "3", "--batch-size", "8", "--set", "hidden=3", "--json", str(figures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{task}: 3 training steps of 8 samples"
    assert [line.split()[:2] for line in lines[3:5]] == [["1", "thread"], ["2", "threads"]]
    assert lines[-1] == "Side by side with numpy, PyTorch and JAX: benchmarks/run.py in graphc's repository."
    content = json.loads(figures.read_text("utf-8"))
    assert (content["task"], content["steps"], content["batch_size"]) == (task, 3, 8)
    assert content["microseconds"].keys() == {"1", "2"}
    for row in content["microseconds"].values():
        assert 0 < row["p10"] <= row["median"] <= row["p90"]
    assert content["first_step_seconds"].keys() == {"cold", "warm"}
    assert min(content["first_step_seconds"].values()) > 0
    assert content["peak_megabytes"] > 10
    assert content["machine"].keys() == {"system", "processors", "numpy"}


def test_a_batch_is_no_larger_than_the_data(tmp_path: Path) -> None:
    found = bench(write_task(tmp_path), {}, [1], steps=2, batch_size=1000)
    assert found.batch_size == 48
    assert [len(times) for times in found.microseconds.values()] == [2]


def test_an_error_of_the_task_is_the_error_of_the_command(tmp_path: Path) -> None:
    task = write_task(tmp_path, TASK.replace("points.sum(axis=1, keepdims=True)", "points.sum(axis=1)"))
    with pytest.raises(GraphcError, match="input 'y' does not take an array of this shape") as caught:
        bench(task, {}, [1], steps=1, batch_size=None)
    assert "Traceback" not in str(caught.value)


def test_a_process_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    task = write_task(tmp_path, TASK.replace("x, y = ", 'raise MemoryError("no room")\n    x, y = '))
    with pytest.raises(GraphcError, match="the process that takes steps ended early") as caught:
        bench(task, {}, [1], steps=1, batch_size=None)
    assert caught.value.got == "exit 1: MemoryError: no room"


@pytest.mark.parametrize(("steps", "batch_size"), [(0, None), (3, 0)])
def test_no_steps_or_samples_are_refused(steps: int, batch_size: int | None) -> None:
    with pytest.raises(DeclarationError, match="bench needs at least one step") as caught:
        bench("digits", {}, [1], steps, batch_size)
    assert caught.value.got == f"steps {steps}, batch size {batch_size}"


def test_an_unknown_task_or_option_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "lost.py"]) == 2
    assert capsys.readouterr().err.startswith("graphc: there is no task 'lost.py'\n")
    assert main(["bench", write_task(tmp_path), "--set", "speed=3"]) == 2
    assert "has no option 'speed'" in capsys.readouterr().err
