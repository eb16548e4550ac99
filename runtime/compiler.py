"""Compiling generated source with numba, down to object code that loads without numba."""

from __future__ import annotations

from functools import cache
from math import inf, nan
from typing import Any

import numba as typed_numba
import numpy as np
from numba.core import compiler as typed_numba_compiler
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target

from graphc.dtypes import DTYPES, UINT32, UINT64, DType
from graphc.errors import CompilationError
from graphc.passes.expressions import function_label
from graphc.passes.source import Source, print_function
from graphc.runtime.intrinsics import INTRINSICS
from graphc.runtime.objects import ObjectCode
from graphc.trigonometry import TWO_OVER_PI

__all__ = ["compile_kernel"]

numba: Any = typed_numba  # its annotations cover only part of what it takes
numba_compiler: Any = typed_numba_compiler
types: Any = numba.types

_NUMBA_TYPES: dict[str, Any] = {
    dtype.name: getattr(types, "uint8" if dtype.name == "bool" else dtype.name) for dtype in (*DTYPES, UINT32, UINT64)
}
"""What buffers of an element type are made of: truth values lie in bytes."""


def first_of(extent: int, part: int, parts: int) -> int:
    """The first element that a part of a flat loop computes: a multiple of 64, or the end."""
    return min(extent, (extent + 63) // 64 * part // parts * 64)


@cache
def _namespace() -> dict[str, Any]:
    """What generated source may name: element types, intrinsics, tables."""
    names: dict[str, Any] = {kind.name: getattr(numba, kind.name) for kind in _NUMBA_TYPES.values()}
    names |= INTRINSICS | {"inf": inf, "nan": nan}
    names |= {table.name: np.asarray(table.values, table.dtype.numpy) for table in TWO_OVER_PI}
    names["first_of"] = _helper(first_of)
    return names


def _helper(function: Any) -> Any:
    return numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


@cache
def _function(name: str, dtype: DType) -> Any:
    """A compiled function of ``graphc.functions``."""
    source = print_function(name, dtype)
    return _helper(_evaluate(source)[source.name])


def _evaluate(source: Source) -> dict[str, Any]:
    names = dict(_namespace())
    for name, dtype in source.functions:
        names[function_label(name, dtype)] = _function(name, dtype)
    exec(compile(source.code, f"<graphc {source.name}>", "exec"), names)
    return names


def compile_kernel(source: Source, integers: int, buffers: tuple[DType, ...], key: str) -> ObjectCode:
    """Compile a kernel that takes a number of int64 arguments and pointers to buffers.

    key: makes the symbol unique. The function follows numba's calling convention: two pointers that it ignores, then
    its arguments, each in a register or stack slot of 64 bits. It never allocates or raises, and its buffers do not
    overlap.
    """
    function = _evaluate(source)[source.name]
    function.__name__ = function.__qualname__ = f"{source.name}_{key}"
    signature = (types.int64,) * integers + tuple(types.CPointer(_NUMBA_TYPES[dtype.name]) for dtype in buffers)
    flags = numba_compiler.Flags()
    flags.error_model = "numpy"
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.noalias = True
    flags.nrt = False
    typing_context, target_context = cpu_target.typing_context, cpu_target.target_context
    typing_context.refresh()
    target_context.refresh()
    try:
        result = numba_compiler.compile_extra(
            typing_context, target_context, function, signature, types.void, flags, {}
        )
    except NumbaError as error:
        raise CompilationError(
            f"numba refuses the kernel {source.name}",
            facts=[("source", "\n" + source.code)],
            got=str(error).strip().splitlines()[0],
            way_out="this is a mistake of graphc; the graph's text form would help to mend it",
        ) from error
    symbol = result.fndesc.llvm_func_name
    result.library.get_pointer_to_function(symbol)  # makes LLVM emit the object code
    return ObjectCode(symbol, result.library._get_compiled_object())
