"""Generated source, for the CPU and for CUDA, against golden files; it is the same in every process."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphc as gc
from tests.conftest import Golden
from tests.passes.programs import PROGRAMS, classifier, softmax

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", ["cpu", "cuda"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_source_is_what_the_golden_file_holds(golden: Golden, name: str, target: str) -> None:
    text = PROGRAMS[name]().source(target=target)
    ast.parse(text)
    golden.check(f"{name}-{target}.txt", text)


def test_graph_text_is_what_the_golden_file_holds(golden: Golden) -> None:
    model = classifier()
    golden.check("classifier-declared.txt", gc.print_graph(model.declared))
    golden.check("classifier-optimised.txt", gc.print_graph(model.graph("train")))


def test_source_does_not_depend_on_the_process() -> None:
    code = "from tests.passes.programs import PROGRAMS, classifier, softmax; print(PROGRAMS['classifier']().source())"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert "def matmul_kernel" in runs[0]


def test_cuda_source_holds_no_double_precision_numbers() -> None:
    source = softmax().source(target="cuda")
    tree = ast.parse(source)
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    wrapped = [
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float32"
        for argument in node.args
    ]
    assert floats
    assert all(node in wrapped or any(node in ast.walk(argument) for argument in wrapped) for node in floats)
