"""Targets: what a user may ask for, and what needs no GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.errors import DeclarationError, DeviceError
from graphc.runtime.cuda import toolkit
from graphc.runtime.target import TARGET_VARIABLE, Target

ROOT = Path(__file__).parents[2]


def model(**options: str) -> gc.Model:
    x, y = gc.input("x", shape=("batch", 4)), gc.input("y", shape=("batch", 2))
    loss = losses.mean_squared_error(layers.Dense(2, name="dense")(x), y)
    return gc.compile(
        loss, optimizers.SGD(0.1), target=options.get("target"), precision=options.get("precision", "float32")
    )


def refusal(**options: str) -> str:
    with pytest.raises(DeclarationError) as caught:
        model(**options)
    return str(caught.value)


def test_a_target_that_does_not_exist_is_refused_with_the_line() -> None:
    text = refusal(target="tpu")
    assert text.splitlines()[0] == "there is no target 'tpu'"
    assert "test_target.py" in text
    assert "'cpu' or 'cuda'" in text


def test_precisions_of_a_gpu_are_refused_on_the_cpu() -> None:
    text = refusal(precision="tf32")
    assert "target 'cpu' has no precision 'tf32'" in text
    assert 'for target="cuda"' in text


def test_a_precision_that_does_not_exist_is_refused() -> None:
    text = refusal(target="cuda", precision="float8")
    assert "'float32', 'exact', 'tf32', 'bfloat16'" in text


def test_the_environment_names_the_target_of_programs_that_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TARGET_VARIABLE, "cuda")
    assert model().target.name == "cuda"
    assert model(target="cpu").target.name == "cpu"
    monkeypatch.setenv(TARGET_VARIABLE, "gpu")
    text = refusal()
    assert "there is no target 'gpu'" in text
    assert "$GRAPHC_TARGET" in text


def test_a_model_for_a_gpu_shows_its_program_without_one() -> None:
    cuda, cpu = model(target="cuda"), model()
    source = cuda.source()
    assert "printed as numba-cuda compiles them" in source.splitlines()[0]
    assert "cuda.blockIdx.x" in source
    assert cpu.source(target="cuda").splitlines()[2:] == source.splitlines()[2:]
    assert cuda.source(target="cpu") == cpu.source()
    assert cuda.program("evaluate").calls


def test_a_model_for_a_gpu_that_is_not_there_says_so_when_it_is_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(toolkit, "driver", missing)
    with pytest.raises(DeviceError) as caught:
        model(target="cuda").fit({"x": [[0.0] * 4], "y": [[0.0] * 2]})
    text = str(caught.value)
    assert text.splitlines()[0] == "the CUDA packages are not installed"
    assert 'pip install "graphc[cuda]"' in text
    assert "test_target.py" in text


def test_a_function_for_a_gpu_shows_its_source_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(toolkit, "driver", missing)
    x = gc.input("x", shape=("n",))
    double = gc.function([x], x * 2, target="cuda")
    assert "first = cuda.blockIdx.x * 1024 + cuda.threadIdx.x" in double.source()
    assert len(double.program.calls) == 1
    with pytest.raises(DeviceError, match="the CUDA packages are not installed"):
        double([1.0])


def test_source_for_a_gpu_explains_the_names_that_it_uses() -> None:
    x, label = gc.input("x", shape=("n", 8)), gc.input("label", shape=("n",), dtype="int64")
    plain = gc.function([x], x * 2).source("cuda").splitlines()
    assert plain[1] == ""
    loss = losses.softmax_cross_entropy(layers.Dense(4)(x), label)
    lines = gc.function([x, label], loss).source("cuda").splitlines()
    assert lines[1] == "# exchange(x, half) is x of the thread whose number differs in that bit"
    assert lines[2] == "# quotient(a, b) and rest(a, b) are a // b and a % b in 32 bits"
    assert lines[3] == ""
    assert lines[lines.index("# call 1: input label, status status") + 1] == "#   the host does this before the step"


def test_a_program_for_the_cpu_loads_nothing_of_a_gpu() -> None:
    code = (
        "import sys, graphc as gc; x = gc.input('x', shape=('n',)); print(gc.function([x], x * 2)([1.0])); "
        "print([name for name in sys.modules if name.startswith(('graphc.passes.cuda', 'graphc.runtime.cuda'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout == "[2.]\n[]\n"


def test_another_target_keeps_what_it_can_of_the_precision() -> None:
    assert Target("cpu", precision="exact").other("cuda").precision == "exact"
    assert Target("cuda", precision="tf32").other("cpu").precision == "float32"
    assert Target("cuda", precision="tf32").other("cuda").precision == "tf32"


def test_a_trace_is_for_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = model()
    monkeypatch.setattr(traced, "executable", lambda mode: object())
    with pytest.raises(DeclarationError, match="only steps on the CPU can be traced"):
        traced.trace({}, "trace.json")


def test_only_the_cpu_takes_the_form_with_fewer_multiplications() -> None:
    x, w = gc.input("x", shape=("batch", 16, 16, 32)), gc.parameter((3, 3, 32, 32), name="w")
    source = gc.function([x], gc.convolution(x, w))
    assert "winograd" in source.source()
    assert "winograd" not in source.source("cuda")
    assert Target("cpu").exact
    assert Target("cuda", precision="exact").exact
    assert not Target("cuda").exact
