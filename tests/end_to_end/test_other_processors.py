"""Kernels for older processors: their code holds no newer instructions, and computes the same bits."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from safetensors.numpy import load_file

from graphc.runtime.cache import environment_key
from graphc.runtime.engine import host
from graphc.scalar import Array
from tests.end_to_end.other_processor import results
from tests.harness import same_bits

ROOT = Path(__file__).parents[2]
X86 = {
    "x86-64": ("", {"xmm"}),
    "haswell": ("+avx,+avx2,+fma,+bmi,+bmi2", {"xmm", "ymm"}),
}
"""The features that are named, and the vector registers that must be used, by processor."""
PROCESSORS = X86 if platform.machine() in ("x86_64", "AMD64") else {"generic": ("", set[str]())}


@pytest.fixture(scope="module")
def expected() -> dict[str, Array]:
    """What this processor computes."""
    return results()


@pytest.mark.parametrize("name", PROCESSORS)
def test_code_for_another_processor_is_its_own_and_computes_the_same_bits(
    tmp_path: Path, name: str, expected: dict[str, Array]
) -> None:
    features, registers = PROCESSORS[name]
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o700)
    values, assembly = tmp_path / "values", tmp_path / "assembly"
    settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_DUMP_ASSEMBLY": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.other_processor", values, assembly],
        cwd=ROOT,
        env={**os.environ, **settings, "GRAPHC_CACHE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    code, by_numba = assembly.read_text("utf-8"), done.stdout
    assert "scatter_add_kernel" in by_numba
    assert set(re.findall(r"\b[xyz]mm(?=\d)", code)) == registers
    assert set(re.findall(r"\b[xyz]mm(?=\d)", by_numba)) <= registers
    assert ("vfmadd" in code) == ("+fma" in features)
    found = load_file(values)
    assert found.keys() == expected.keys()
    assert [label for label, value in expected.items() if not same_bits(value, found[label])] == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"}, ("haswell", "+avx2")),
        ({"NUMBA_CPU_NAME": "generic"}, ("generic", "")),
        ({"NUMBA_CPU_FEATURES": "+avx2"}, (llvm.get_host_cpu_name(), "+avx2")),
        ({}, (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())),
    ],
    ids=str,
)
def test_numbas_settings_name_the_processor_of_all_kernels_and_of_their_cache(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: tuple[str, str]
) -> None:
    for variable in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    assert host.__wrapped__() == named
    monkeypatch.setattr("graphc.runtime.cache.host", lambda: named)
    key = environment_key.__wrapped__()
    assert (key == environment_key()) == (named == host())
