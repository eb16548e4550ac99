"""What a program must be like to be run."""

from __future__ import annotations

import pytest

import graphc as gc
from graphc.errors import CompilationError
from graphc.passes.fuse import Fuse
from graphc.runtime.executable import Executable
from tests.passes.building import program_of


def test_a_kernel_with_more_buffers_than_the_executor_passes_is_refused() -> None:
    first, *others = (gc.input(f"x{number}", shape=(2,)) for number in range(64))
    program = program_of({"total": sum(others, start=first)}, fuse=Fuse(widest=100))
    with pytest.raises(CompilationError) as caught:
        Executable(program, {})
    text = str(caught.value)
    assert "add_kernel takes too many sizes and buffers" in text
    assert "at most 64" in text
    assert "got        66" in text
    assert "compile with fuse=False" in text
