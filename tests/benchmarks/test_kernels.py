"""kernels.py: single kernels agree with numpy, and the command's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.commands import bare_python, module, run

PARTS = ("forward", "input gradient", "weight gradient")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("sizes", [(3, 5, 4), (2, 3, 5, 7, 3, 2)], ids=["product", "convolution"])
def test_graphcs_kernels_agree_with_numpy(part: str, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    case = module("kernel_cases", monkeypatch).Case("small", part, *sizes)
    kernels = module("kernels_graphc", monkeypatch)
    step = kernels.build(case)
    (batch,) = case.batches(kernels.LAYOUT, kernels.LABEL)
    result = step(batch)
    shape = {"forward": "g", "input gradient": "x", "weight gradient": "w"}[part]
    assert result.shape == case.shapes[shape]
    assert case.figure(result) == pytest.approx(case.expected(), rel=1e-5)


def test_the_figure_tells_results_apart_that_have_the_same_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = module("kernel_cases", monkeypatch).Case.figure
    assert figure(np.array([1.0, 2.0])) == pytest.approx(1.5 + 2 + np.cos(1))
    assert figure(np.array([2.0, 1.0])) != pytest.approx(figure(np.array([1.0, 2.0])), rel=1e-3)


def test_operations_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    case = module("kernel_cases", monkeypatch).Case
    assert case("product", "forward", 3, 5, 4).flops == 2 * 3 * 5 * 4
    assert case("strided", "forward", 2, 3, 5, 7, 3, 2).flops == 2 * (2 * 5 * 4 * 4) * 3 * 9


def test_the_command_prints_the_share_of_the_peak(tmp_path: Path) -> None:
    done = run("kernels.py", "-k", "127 x 131, batch 61, weight", "--time", "0.01", "--python", bare_python(tmp_path))
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()[-2:]
    assert header.split() == ["us", "GFLOP/s", "peak", "us", "GFLOP/s", "ratio"]
    assert row.startswith("127 x 131, batch 61           weight gradient")
    assert "%  PyTorch left out: torch is not installed in" in row


def test_a_text_that_no_kernel_has_is_refused() -> None:
    done = run("kernels.py", "-k", "transformer")
    assert done.returncode == 2
    assert "no kernel's title has 'transformer'" in done.stderr
