"""A worker process: reads kernels as one line of JSON, compiles them, writes their object code as JSON."""

from __future__ import annotations

import json
import sys

from graphc.dtypes import DTYPES, UINT32, UINT64
from graphc.passes.source import Source
from graphc.runtime.compiler import compile_kernel

__all__ = ["main"]

_BY_NAME = {dtype.name: dtype for dtype in (*DTYPES, UINT32, UINT64)}


def main() -> None:
    """Compile what standard input asks for."""
    results: list[list[str]] = []
    for key, name, code, functions, tables, integers, buffers in json.loads(sys.stdin.readline()):
        called = tuple((function, _BY_NAME[dtype]) for function, dtype in functions)
        source = Source(name, code, called, tuple(tables))
        compiled = compile_kernel(source, integers, tuple(_BY_NAME[dtype] for dtype in buffers), key)
        results.append([key, compiled.symbol, compiled.data.hex()])
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
