from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import graphc as gc
from graphc.runtime.cache import KernelCache, default_cache
from graphc.runtime.checkpoint import read_checkpoint
from graphc.runtime.cli import main
from graphc.runtime.cuda import toolkit
from graphc.runtime.cuda.compiler import cuda_key
from tests.runtime.tasks import stand_in_dot, write_task

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, and a stand-in for dot."""
    stand_in_dot(tmp_path / "programs", monkeypatch)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def task(tmp_path: Path) -> str:
    return write_task(tmp_path)


def failure(capsys: Captured, *arguments: str) -> str:
    """What is printed when a command fails, which must be an error of graphc without a traceback."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("graphc: ")
    assert "Traceback" not in captured.err
    return captured.err.removeprefix("graphc: ")


def usage(capsys: Captured, *arguments: str) -> str:
    """What is printed when the arguments themselves are wrong."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (
            [],
            ["train", "render", "explain", "inspect", "check", "bench", "cache", "graphc train digits --resume runs"],
        ),
        (
            ["train"],
            ["Train a task", "--epochs", "--resume DIR", "--checkpoint-every", "--check-finite", "--trace FILE"],
        ),
        (["render"], ["Draw a task's graph", "{declared,backward,optimised,kernels}", "--output"]),
        (["explain"], ["Derive the gradient", "--latex", "digits/dense/weight"]),
        (["inspect"], ["List the states of a checkpoint"]),
        (["check"], ["Evaluate the graph before and after each pass", "--set NAME=VALUE"]),
        (["bench"], ["Time a task's training step", "--steps N", "--json FILE", "(default: digits)", "--threads"]),
        (["cache"], ["Show where compiled kernels are kept", "{show,clear}"]),
    ],
    ids=lambda value: value[0] if value else "graphc",
)
def test_every_command_explains_itself(command: list[str], wanted: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in wanted:
        assert words in text, words


def test_a_command_is_needed(capsys: Captured) -> None:
    assert "the following arguments are required: COMMAND" in usage(capsys)
    assert "invalid choice: 'fly'" in usage(capsys, "fly")


def test_options_that_do_not_exist_are_refused(capsys: Captured, task: str) -> None:
    assert "unrecognized arguments: --speed" in usage(capsys, "train", task, "--speed")
    assert "invalid int value: 'many'" in usage(capsys, "train", task, "--epochs", "many")
    assert "invalid choice: 'final'" in usage(capsys, "render", task, "--stage", "final")


def test_training_prints_its_progress_and_leaves_a_run_folder(capsys: Captured, task: str) -> None:
    assert main(["train", task]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("line: 17 parameters, ")
    assert ", 2 threads, compiled in " in lines[0]
    assert [line.split()[:3] for line in lines[1:4]] == [["epoch", str(number), "loss"] for number in (1, 2, 3)]
    assert "val_loss" in lines[1]
    assert lines[4].startswith("trained 3 epochs in ")
    assert lines[5].startswith("test loss ")
    assert lines[6].startswith("the run is in runs/line: checkpoint.safetensors, graph-backward.svg, ")

    folder = Path("runs/line")
    pictures = [f"graph-{stage}.svg" for stage in ("declared", "backward", "optimised", "kernels")]
    written = ["checkpoint.safetensors", "history.csv", "history.png", "kernels.py", "report.txt", *pictures]
    assert sorted(path.name for path in folder.iterdir()) == sorted(written)
    rows = (folder / "history.csv").read_text("utf-8").splitlines()
    assert rows[0] == "epoch,loss,val_loss,seconds"
    assert len(rows) == 4
    assert (folder / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg>" in (folder / "graph-kernels.svg").read_text("utf-8")
    report = (folder / "report.txt").read_text("utf-8")
    assert report.startswith("line: one training step, batch = 16, 2 threads")
    assert "d_line_dense_weight" in report.replace("/", "_")
    kernels = (folder / "kernels.py").read_text("utf-8")
    assert kernels.startswith("# line, train: ")
    assert "line.py:" in kernels


def test_run_folders_are_numbered_and_may_be_named(capsys: Captured, task: str) -> None:
    for _ in range(2):
        assert main(["train", task, "--epochs", "1", "--no-pictures"]) == 0
    assert main(["train", task, "--epochs", "1", "--no-pictures", "--out", "here/first"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["line", "line-2"]
    assert "the run is in here/first: " in capsys.readouterr().out
    assert not list(Path("here/first").glob("graph-*"))


def test_options_of_the_task_are_set(capsys: Captured, task: str) -> None:
    options = ["--set", "hidden=6", "rate=0.05", "--seed", "7", "--threads", "1", "--batch-size", "8"]
    assert main(["train", task, "--epochs", "1", "--no-pictures", *options]) == 0
    out = capsys.readouterr().out
    assert "line: 25 parameters" in out
    assert ", 1 threads, " in out
    assert main(["inspect", "runs/line/checkpoint.safetensors"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    values = {row[0]: row[2] for row in rows if len(row) > 2}
    assert (values["seed"], values["step"], values["learning_rate"]) == ("7", "6", "0.05")


def test_a_resumed_run_goes_on_with_the_same_bits(capsys: Captured, task: str) -> None:
    common = ["--no-pictures", "--checkpoint-every", "1"]
    assert main(["train", task, "--epochs", "4", "--out", "whole", *common]) == 0
    assert main(["train", task, "--epochs", "2", "--out", "parts", *common]) == 0
    capsys.readouterr()
    assert main(["train", task, "--epochs", "4", "--resume", "parts", *common]) == 0
    out = capsys.readouterr().out
    assert out.startswith("resuming parts after epoch 2, batch 0\n")
    assert "trained 2 epochs in " in out
    losses = [
        [row.rpartition(",")[0] for row in Path(name, "history.csv").read_text("utf-8").splitlines()]
        for name in ("whole", "parts")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 5


def test_a_folder_without_a_run_cannot_be_resumed(capsys: Captured, task: str) -> None:
    text = failure(capsys, "train", task, "--resume", "nowhere")
    assert text.startswith("there is no run to resume in nowhere\n")
    assert "expected   a folder with checkpoint.safetensors" in text


def test_a_run_of_another_model_cannot_be_resumed(capsys: Captured, task: str) -> None:
    assert main(["train", task, "--epochs", "1", "--no-pictures"]) == 0
    capsys.readouterr()
    text = failure(capsys, "train", task, "--set", "hidden=5", "--resume", "runs/line")
    assert "is a checkpoint of another model; this one is unchanged" in text
    assert "line/dense/bias: the model has f32[5], the file float32[4]" in text


def test_a_model_that_cannot_run_leaves_no_folder(capsys: Captured, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(toolkit, "driver", missing)
    assert failure(capsys, "train", task, "--target", "cuda", "--out", "run").splitlines() == [
        "the CUDA packages are not installed",
        "  got        No module named 'cuda'",
        '  way out    pip install "graphc[cuda]", or compile for the CPU',
    ]
    assert not Path("run").exists()


def test_a_trace_of_a_step_is_written_after_training(capsys: Captured, task: str) -> None:
    assert main(["train", task, "--epochs", "1", "--no-pictures", "--trace", "traces/step.json"]) == 0
    assert "traces/step.json shows when each kernel of a step ran: open it in " in capsys.readouterr().out
    events = json.loads(Path("traces/step.json").read_text("utf-8"))["traceEvents"]
    assert events[0]["args"]["name"] == "line: one training step, batch = 16"
    assert any("line.py:" in event["args"].get("lines", "") for event in events)


def test_a_trace_that_cannot_be_written_is_refused_before_training(capsys: Captured, task: str) -> None:
    assert failure(capsys, "train", task, "--trace", f"{task}/step.json") == f"{task}: File exists\n"


def test_no_epochs_leave_an_untrained_run(capsys: Captured, task: str) -> None:
    assert main(["train", task, "--epochs", "0", "--no-pictures"]) == 0
    assert "trained 0 epochs in " in capsys.readouterr().out
    assert read_checkpoint("runs/line/checkpoint.safetensors")[1].epoch == 0


def test_batches_of_no_samples_are_refused(capsys: Captured, task: str) -> None:
    assert main(["train", task, "--batch-size", "0"]) == 2
    assert "fit needs epochs of at least 0 and batches of at least 1" in capsys.readouterr().err


def test_control_c_leaves_a_run_that_can_be_resumed(
    capsys: Captured, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = gc.Model.save
    pressed: list[int] = []

    def interrupt(model: gc.Model, path: Path) -> None:
        save(model, path)
        if not pressed:
            pressed.append(model.position.epoch)
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(gc.Model, "save", interrupt)
        assert main(["train", task, "--no-pictures"]) == 130
    assert "trained 1 epochs in " in capsys.readouterr().out
    assert main(["train", task, "--no-pictures", "--resume", "runs/line"]) == 0
    assert "resuming runs/line after epoch 1, batch 0" in capsys.readouterr().out


def test_training_stops_at_the_line_of_the_first_nan(capsys: Captured, task: str) -> None:
    assert main(["train", task, "--no-pictures", "--check-finite", "--epochs", "40", "--set", "rate=1e20"]) == 2
    text = capsys.readouterr().err
    assert " made " in text
    assert "line.py:" in text
    assert "lower the learning rate" in text


def test_without_matplotlib_a_run_ends_without_a_plot(
    capsys: Captured, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["train", task, "--epochs", "1", "--no-pictures"]) == 0
    assert capsys.readouterr().err == "plots need matplotlib\n"
    assert not Path("runs/line/history.png").exists()
    assert Path("runs/line/report.txt").exists()


def test_without_graphviz_each_picture_has_its_own_warning(
    capsys: Captured, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.warns(UserWarning, match="the dot program of Graphviz is not installed") as caught:
        assert main(["train", task, "--epochs", "1"]) == 0
    assert len(caught) == 4
    assert "graph-kernels.svg" in capsys.readouterr().out
    assert "tanh" in Path("runs/line/graph-declared.svg").read_text("utf-8")


def test_render_draws_a_stage(capsys: Captured, task: str) -> None:
    assert main(["render", task, "--stage", "backward", "-o", "step.svg"]) == 0
    assert capsys.readouterr().out == "step.svg (drawn by Graphviz)\n"
    assert Path("step.svg").read_text("utf-8") == "<svg>-Tsvg</svg>\n"
    assert main(["render", task, "-o", "step.dot"]) == 0
    assert capsys.readouterr().out == "step.dot (drawn by graphc itself)\n"
    assert "tanh" in Path("step.dot").read_text("utf-8")


def test_render_refuses_unknown_endings(capsys: Captured, task: str) -> None:
    assert failure(capsys, "render", task, "-o", "step.jpg").startswith("pictures are not written as .jpg\n")


def test_a_file_that_cannot_be_written_is_named_in_one_line(capsys: Captured, task: str) -> None:
    assert failure(capsys, "render", task, "-o", "nowhere/x.svg") == "nowhere/x.svg: No such file or directory\n"
    assert failure(capsys, "train", task, "--out", f"{task}/run") == f"{task}/run: Not a directory\n"


def test_an_error_of_the_system_without_a_file_is_printed_as_it_is(
    capsys: Captured, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("graphc.runtime.cli.render", refuse)
    assert failure(capsys, "render", task) == "the disk is full\n"


def test_explain_derives_a_gradient_as_text_or_latex(capsys: Captured, task: str) -> None:
    assert main(["explain", task, "line/dense_1/bias"]) == 0
    text = capsys.readouterr().out
    assert "line/dense_1/bias" in text
    assert "tanh" in text
    assert main(["explain", task, "line/dense_1/bias", "--latex"]) == 0
    latex = capsys.readouterr().out
    assert latex.startswith("\\begin{align*}\n")
    assert "\\bar{\\mathrm{line/dense\\_1/bias}} &=" in latex


def test_explain_lists_the_parameters_there_are(capsys: Captured, task: str) -> None:
    text = failure(capsys, "explain", task, "line/dense/weights")
    assert text.startswith("there is no parameter 'line/dense/weights'\n")
    assert "line/dense/weight, line/dense/bias, line/dense_1/weight, line/dense_1/bias" in text


def test_inspect_lists_the_states_of_a_checkpoint(capsys: Captured) -> None:
    x, slope = gc.input("x", shape=("batch",)), gc.parameter((4,), initializer="ones", name="slope")
    gc.compile((slope * x.sum()).sum(), gc.optimizers.SGD(0.5)).save("small.safetensors")
    assert main(["inspect", "small.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "slope          float32[4]  mean 1, standard deviation 0\n" in out
    assert "learning_rate  float64[]  0.5\n" in out
    assert out.endswith("0 epochs and 0 batches trained\n")


def test_inspect_refuses_what_is_no_checkpoint(capsys: Captured, task: str) -> None:
    assert failure(capsys, "inspect", "lost.safetensors") == "there is no file lost.safetensors\n"
    assert "is no whole safetensors file" in failure(capsys, "inspect", task)


def test_check_compares_every_pass(capsys: Captured, task: str) -> None:
    assert main(["check", task]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("same" in line for line in lines)
    assert lines[-1].startswith("kernels             same outputs and 9 updates in ")


def test_cache_shows_and_clears_its_folder(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = KernelCache(tmp_path / "kernels", limit=5000)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "abc-elsewhere.o").write_bytes(bytes(1234))
    current = cache.path("def")
    assert current is not None
    current.write_bytes(bytes(666))
    for_a_gpu = replace(cache, environment=cuda_key).path("abcsm90")
    assert for_a_gpu is not None
    for_a_gpu.write_bytes(bytes(100))
    monkeypatch.setattr("graphc.runtime.cli.default_cache", lambda: cache)
    assert main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"folder   {tmp_path / 'kernels'}"
    assert lines[1] == "kernels  3, 2,000 bytes of at most 5,000"
    assert lines[2].startswith("usable   1 on this processor, 1 on GPUs, with these versions of graphc")
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"removed 3 kernels from {tmp_path / 'kernels'}\n"
    assert list((tmp_path / "kernels").iterdir()) == []


def test_a_cache_that_is_off_says_so(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.runtime.cli.default_cache", lambda: KernelCache(None))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith("folder   none: the cache is off\nkernels  0, 0 bytes")


def test_python_runs_the_package(tmp_path: Path, task: str) -> None:
    arguments = [sys.executable, "-m", "graphc", "train", task, "--epochs", "1", "--no-pictures"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRAPHC_CACHE_DIR": str(default_cache().folder)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "epoch   1   loss " in done.stdout
    assert Path("runs/line/checkpoint.safetensors").exists()
    wrong = subprocess.run([*arguments[:4], "lost.py"], capture_output=True, text=True, env=environment, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("graphc: there is no task 'lost.py'\n")
