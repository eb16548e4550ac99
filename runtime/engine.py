"""Loading object code: machine code from the cache or the compiler becomes functions that can be called. No numba
here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from graphc.passes.source import Source
from graphc.runtime.objects import ObjectCode

__all__ = ["Engine", "assemble", "host"]


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@cache
def host() -> tuple[str, str]:
    """The processor's name and features, as LLVM calls them: code for one may be an illegal instruction on another.

    $NUMBA_CPU_NAME and $NUMBA_CPU_FEATURES name another processor, for numba's kernels and so for all others.
    """
    name = os.environ.get("NUMBA_CPU_NAME")
    features = os.environ.get("NUMBA_CPU_FEATURES", "" if name is not None and name.lower() == "generic" else None)
    return name or llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten() if features is None else features


def assemble(source: Source, key: str) -> ObjectCode:
    """The object code of a source in LLVM's language. key: makes the symbol unique."""
    _initialize()
    symbol = f"{source.name}_{key}"
    module = llvm.parse_assembly(source.code.replace("@KERNEL", f"@{symbol}"))
    module.verify()
    name, features = host()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, codemodel="jitdefault", jit=True
    )
    return ObjectCode(symbol, machine.emit_object(module))


class Engine:
    """Holds loaded machine code; the addresses are valid as long as the engine lives."""

    def __init__(self, objects: Iterable[ObjectCode]) -> None:
        _initialize()
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)  # the engine owns and frees it
        self._engine: Any = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        known = {code.symbol: code for code in objects}
        for code in known.values():
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.data))
        self._engine.finalize_object()

    def address(self, symbol: str) -> int:
        """The address of a function."""
        return int(self._engine.get_function_address(symbol))
