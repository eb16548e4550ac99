"""Benchmarks on a GPU, as far as they go without one: what they run, how they wait, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest

from graphc.runtime.cuda import device as devices
from graphc.runtime.cuda import executable as executables
from graphc.runtime.cuda.device import CudaDevice
from graphc.runtime.cuda.driver import Driver
from graphc.scalar import Array
from tests.benchmarks.commands import module, run
from tests.cuda.cpu_kernels import executable_on
from tests.cuda.fake_driver import FakeDriver

SHAPES = {1: (70,), 2: (6, 35), 3: (3, 4, 5), 4: (2, 3, 4, 5)}
"""Small ones, by their number of axes."""


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def normal(x: Any) -> Any:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


FORMULAS: dict[str, Callable[[Array], Any]] = {
    "copy": lambda x: x,
    "multiply and add": lambda x: x * 1.5 + 0.5,
    "GELU": gelu,
    "odd size, GELU": gelu,
    "row sums": lambda x: x.sum(1),
    "row maxima": lambda x: x.max(1),
    "column sums": lambda x: x.sum(0),
    "softmax of rows": softmax,
    "layer norm of rows": normal,
    "sum of all": lambda x: x.sum(),
    "transpose": lambda x: x.T,
    "transpose of each": lambda x: x.swapaxes(1, 2),
    "heads in front": lambda x: x.swapaxes(1, 2),
}


@pytest.mark.parametrize("command", [("run.py", "--device", "cuda"), ("cuda_kernels.py",)], ids=lambda each: each[0])
def test_without_a_gpu_a_command_says_what_is_missing(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = run(*command)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[0] in (
        "the CUDA packages are not installed",
        "there is no NVIDIA driver that can be used",
        "there is no NVIDIA GPU",
    )
    assert "  way out    " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run.py", "--device", "cuda", "-f", "numpy"), "numpy does not run on cuda; there are graphc, torch,"),
        (("run.py", "-f", "torch.graphs"), "torch.graphs does not run on cpu; there are graphc, numpy,"),
        (("run.py", "--precision", "tf32"), "--precision tf32 is for --device cuda"),
        (("cuda_kernels.py", "--time", "0"), "--time must be positive"),
    ],
)
def test_options_that_do_not_fit_the_device_are_refused(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_implementations_are_told_the_device_and_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    implementations = module("implementations", monkeypatch)
    chosen = implementations.chosen_for("resnet20", implementations.names_on("cuda"), None, "tf32")
    assert list(chosen) == ["graphc", "torch", "torch-last", "torch.compile", "torch.graphs", "jax"]
    for name, (one, _) in chosen.items():
        assert one.options == {
            **implementations.IMPLEMENTATIONS[name].options,
            "device": "cuda",
            "precision": "tf32",
        }
    on_cpu = implementations.chosen_for("resnet20", implementations.names_on("cpu"), None)
    assert all("device" not in one.options for one, _ in on_cpu.values())
    assert "torch.graphs" not in on_cpu


def test_jax_is_told_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    environment = module("process", monkeypatch).environment
    assert environment(tmp_path, 2, False)["JAX_PLATFORMS"] == "cpu"
    assert "XLA_PYTHON_CLIENT_PREALLOCATE" not in environment(tmp_path, 2, False)
    on_gpu = environment(tmp_path, 2, False, "cuda")
    assert (on_gpu["JAX_PLATFORMS"], on_gpu["XLA_PYTHON_CLIENT_PREALLOCATE"]) == ("cuda", "false")


def test_steps_on_a_gpu_are_waited_for_once_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = module("worker", monkeypatch)
    events: list[str] = []

    class Loss:
        def __float__(self) -> float:
            events.append("wait")
            return 0.0

    def step(batch: int) -> Loss:
        events.append("step")
        return Loss()

    times = worker.take_blocks(step, iter(range(10_000)), 1e-9)
    assert len(times) == worker.LEAST
    assert events == (["step"] * worker.BLOCK + ["wait"]) * (worker.LEAST + 1)


def test_graphcs_steps_on_a_gpu_lose_what_those_on_the_cpu_do(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = module("workloads.perceptrons", monkeypatch).mlp_small(4, 8)
    with_graphc = module("with_graphc", monkeypatch)
    fake = FakeDriver()
    device = CudaDevice(Driver(fake))
    expected = with_graphc.build(workload)
    monkeypatch.setattr(devices, "open_device", lambda: device)
    monkeypatch.setattr(
        executables, "CudaExecutable", lambda program, cells, _: executable_on(fake, program, cells, device)
    )
    step = with_graphc.build(workload, "cuda", "exact")
    for batch in islice(cycle(workload.batches(with_graphc.LAYOUT, with_graphc.LABEL)), 45):
        assert float(step(batch)) == expected(batch)
    assert fake.graphs_launched == 44
    assert with_graphc.peak_megabytes() * 2**20 == pytest.approx(fake.used, rel=0.01)
    assert fake.used > 4 * 784 * 8


def test_cases_compute_what_their_titles_say(monkeypatch: pytest.MonkeyPatch) -> None:
    module_of_cases = module("cuda_cases", monkeypatch)
    names = set()
    for case in [*module_of_cases.copies(), *module_of_cases.cases()]:
        small = replace(case, shape=SHAPES[len(case.shape)])
        if case.family in names:
            continue
        names.add(case.family)
        program = small.program("cpu")
        assert program.function() == {}
        wanted = FORMULAS[case.family](small.values().astype(np.float64))
        np.testing.assert_allclose(program.result.value, wanted, rtol=2e-5, atol=1e-6, err_msg=small.title)
        assert program.moved == 4 * (small.values().size + wanted.size)
    assert names == FORMULAS.keys()


@pytest.mark.parametrize("sizes", [(1, 5, 7, 3), (4, 5, 7, 3)])
def test_products_are_products(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    product = module("cuda_cases", monkeypatch).Product(*sizes)
    program = product.program("cpu")
    program.function()
    left, right = product.factors()
    assert left.shape[-2:] == (5, 7)
    np.testing.assert_allclose(program.result.value, left @ right, rtol=1e-5)
    assert product.flops == 2 * sizes[0] * 5 * 7 * 3


def test_the_program_of_tiny_kernels_has_as_many_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    module_of_cases = module("cuda_cases", monkeypatch)
    program = module_of_cases.tiny().program("cpu", fuse=False)
    assert len(program.function.program.calls) == module_of_cases.TINY == 300
    program.function()
    assert (program.result.value != 0).all()


def test_a_time_is_of_one_call_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = module("cuda_kernels", monkeypatch)
    calls: list[str] = []
    time = kernels.microseconds(lambda: calls.append("call"), lambda: calls.append("wait"), 1e-9, 5)
    assert 0 < time < 1e5
    assert calls[:2] == ["call", "wait"]
    assert calls[2:] == (["call"] * 5 + ["wait"]) * 4


def test_torch_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = module("cuda_kernels", monkeypatch).torch_or_reason("float32")
    assert not isinstance(reason, str) or reason.startswith("torch ")
