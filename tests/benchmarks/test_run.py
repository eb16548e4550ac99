"""run.py and shapes.py: their tables and figures, and what gets no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.commands import bare_python, module, run


def test_the_command_compares_graphc_with_numpy(tmp_path: Path) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "figures.png"
    files = ("--json", str(figures), "--plot", str(picture))
    done = run("run.py", "-w", "logreg", "-f", "graphc,numpy", "--threads", "1", "--time", "0.01", *files)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(", float32")[0] for line in lines if "losses compared with" in line] == ["logreg: 1 thread"]
    assert [line.split()[5] for line in lines if line.startswith("  numpy")] == ["1.00"]
    assert "of the roofline" in done.stdout
    assert lines[-1].split()[:3] == ["logreg", "1", "thread"]
    (measured,) = json.loads(figures.read_text("utf-8"))["measured"]
    assert list(measured["results"]) == ["graphc", "numpy"]
    for result in measured["results"].values():
        assert "left_out" not in result
        positive = [*result["microseconds"].values(), *result["first_step_seconds"].values()]
        positive += [*result["round_medians"], result["peak_megabytes"]]
        assert len(positive) == 12
        assert min(positive) > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_peer_whose_python_lacks_it_is_named_in_the_table(tmp_path: Path) -> None:
    done = run("run.py", "-w", "logreg", "-f", "jax", "--python", bare_python(tmp_path), "--time", "0.01")
    assert done.returncode == 0, done.stderr
    assert "logreg: 2 threads, float32, losses compared with numpy" in done.stdout
    assert done.stdout.splitlines()[-1].split()[:7] == ["jax", "left", "out:", "jax", "is", "not", "installed"]


def test_a_workload_without_a_reference_gets_no_time(tmp_path: Path) -> None:
    done = run("run.py", "-w", "lenet5", "-f", "graphc", "--python", bare_python(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "lenet5: 2 threads, float32, no reference",
        "  graphc                    left out: nothing to compare the losses with: install torch or jax",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-f", "graphc,caffe"), "there is no implementation 'caffe'; there are graphc, numpy, torch,"),
        (("-w", "sudoku"), "there is no workload 'sudoku'; there are logreg, mlp-small,"),
        (("--threads", "2,0"), "--threads takes positive numbers separated by commas, not '2,0'"),
        (("--time", "0"), "--time must be positive"),
        (("--python", "no/such/python"), "no/such/python is no program"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, str], message: str) -> None:
    done = run("run.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_losses_that_part_from_the_reference_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = module("process", monkeypatch).Reference("torch", [2.0, 1.0, 0.5])
    assert reference.difference([2.001, 1.0005, 0.5]) == ""
    assert reference.difference([2.0, 1.0, 0.52]) == "wrong: step 3 gives 0.52, the reference 0.5"
    assert reference.difference([float("nan"), 1.0, 0.5]) == "wrong: step 1 gives nan, the reference 2"


def test_a_table_relates_all_to_the_quickest_other(monkeypatch: pytest.MonkeyPatch) -> None:
    results = module("results", monkeypatch)
    seconds = {"cold": 2.0, "warm": 1.0}
    work = {"flops": 5000, "bytes": 20_000, "seconds": 5e-6, "peak_flops": 1e9, "peak_bytes": 1e10}
    table = results.rows(
        [
            results.Result("graphc", "1", "", seconds, 100.0, [[10.0, 10.0], [10.0]], work),
            results.Result("torch", "2", "", seconds, 300.0, [[40.0, 40.0]]),
            results.Result("jax", "3", "", seconds, 200.0, [[20.0, 20.0]]),
            results.Result("numpy", left_out="wrong: step 2 gives 1, the reference 2"),
        ]
    )
    assert [line.split() for line in table[:3]] == [
        ["graphc", "1", "10.0", "10.0", "10.0", "0.50", "2.00", "1.00", "100"],
        ["torch", "2", "40.0", "40.0", "40.0", "2.00", "2.00", "1.00", "300"],
        ["jax", "3", "20.0", "20.0", "20.0", "1.00", "2.00", "1.00", "200"],
    ]
    assert table[3].endswith("left out: wrong: step 2 gives 1, the reference 2")
    assert table[4].strip() == (
        "graphc reaches 0.5 of 1.0 GFLOP/s (50%) and 2.0 GB/s (copies in memory: 10.0); 50% of the roofline"
    )


def test_shapes_are_compared_too(tmp_path: Path) -> None:
    done = run("shapes.py", "-k", "784-10-10", "--time", "0.01", "--python", bare_python(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("MLP 784-10-10, batch 32")
    assert "torch left out: torch is not installed in" in done.stdout


def test_an_implementation_that_ends_between_turns_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    process, results = module("process", monkeypatch), module("results", monkeypatch)
    monkeypatch.setattr(process, "REST", 0.0)

    class Dying:
        left = 2

        def take_steps(self, seconds: float) -> tuple[list[float], float]:
            self.left -= 1
            if not self.left:
                raise process.LeftOutError("the process ended with status -9")
            return [1.0], 100.0

    class Steady(Dying):
        left = 1000

    dead, alive = results.Result("torch"), results.Result("graphc")
    process._take_turns([(dead, Dying()), (alive, Steady())], 0.1)
    assert (dead.left_out, dead.rounds) == ("the process ended with status -9", [])
    assert (alive.left_out, alive.rounds) == ("", [[1.0]] * process.ROUNDS)
