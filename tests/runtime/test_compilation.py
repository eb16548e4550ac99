"""Compiling here, in worker processes, and what happens to source that cannot be compiled."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphc.errors import CompilationError
from graphc.passes.expressions import function_label
from graphc.runtime import worker
from graphc.runtime.cache import KernelCache
from graphc.runtime.compilation import Task, compile_sources, source_key
from graphc.runtime.objects import ObjectCode
from tests.runtime.kernels import multiply_by, run_kernel

NUMBERS = np.linspace(-3, 3, 13, dtype=np.float32)


def broken() -> Task:
    source, integers, buffers = multiply_by(2.0)
    code = "def broken_kernel(part, parts, n, x, y):\n    y[0] = lost\n"
    return replace(source, name="broken_kernel", code=code), integers, buffers


def outside(factor: float) -> Task:
    """A kernel that calls a function of the language."""
    source, integers, buffers = multiply_by(factor)
    dtype = buffers[0]
    code = source.code.replace(
        f"x[i] * float32({factor})", f"{function_label('tanh', dtype)}(x[i]) * float32({factor})"
    )
    return replace(source, code=code, functions=(("tanh", dtype),)), integers, buffers


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_compile_what_this_process_would(workers: int) -> None:
    tasks = [multiply_by(1.5), outside(2.0), multiply_by(-1.0)]
    here = compile_sources(tasks, KernelCache(None), workers=0)
    there = compile_sources(tasks, KernelCache(None), workers=workers)
    for one, other in zip(here, there, strict=True):
        assert run_kernel(one, NUMBERS).tobytes() == run_kernel(other, NUMBERS).tobytes()
    np.testing.assert_allclose(run_kernel(there[1], NUMBERS), 2 * np.tanh(NUMBERS), 1e-6)


def test_many_kernels_are_given_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def pretend(tasks: dict[str, Task], workers: int) -> dict[str, ObjectCode]:
        asked.append((len(tasks), workers))
        return {key: ObjectCode("symbol", b"") for key in tasks}

    monkeypatch.setattr("graphc.runtime.compilation._by_workers", pretend)
    compile_sources([multiply_by(float(number)) for number in range(24)], KernelCache(None))
    assert asked == [(24, 2)]


def test_the_key_depends_on_all_that_is_compiled() -> None:
    source, integers, buffers = multiply_by(2.0)
    keys = [
        source_key((source, integers, buffers)),
        source_key((replace(source, code=source.code + "\n"), integers, buffers)),
        source_key((source, integers + 1, buffers)),
        source_key((source, integers, buffers[:1])),
        source_key((replace(source, name="other"), integers, buffers)),
    ]
    assert len(set(keys)) == 5
    assert keys[0] == source_key(multiply_by(2.0))


def test_source_that_numba_refuses_is_shown() -> None:
    with pytest.raises(CompilationError, match="numba refuses the kernel broken_kernel") as caught:
        compile_sources([broken()], KernelCache(None))
    assert "y[0] = lost" in str(caught.value)
    assert caught.value.got
    assert caught.value.way_out == "this is a mistake of graphc; the graph's text form would help to mend it"


def test_a_failing_worker_names_its_kernels() -> None:
    with pytest.raises(CompilationError, match="a worker process could not compile kernels") as caught:
        compile_sources([broken(), multiply_by(7.0)], KernelCache(None), workers=2)
    assert caught.value.facts == (("kernels", "broken_kernel"),)
    assert caught.value.got


def test_nothing_is_kept_of_a_failed_compilation(tmp_path: Path) -> None:
    with pytest.raises(CompilationError):
        compile_sources([multiply_by(7.0), broken()], KernelCache(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_worker_answers_a_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source, integers, buffers = multiply_by(3.0)
    request = [["key1", source.name, source.code, [], [], integers, [dtype.name for dtype in buffers]]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request) + "\n"))
    worker.main()
    ((key, symbol, data),) = json.loads(capsys.readouterr().out)
    assert key == "key1"
    assert "scale_kernel_key1" in symbol
    found = run_kernel(ObjectCode(symbol, bytes.fromhex(data)), NUMBERS)
    assert found.tolist() == (NUMBERS * np.float32(3)).tolist()


def test_object_code_survives_its_file() -> None:
    code = ObjectCode("symbol", bytes(range(256)) + b"\n\n")
    assert ObjectCode.from_bytes(code.to_bytes("add_kernel")) == code
    assert b'"kernel": "add_kernel"' in code.to_bytes("add_kernel")
