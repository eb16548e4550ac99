"""Running kernels in numba's simulator of CUDA.

The simulator starts a Python thread for each thread of a block, and lets them wait for one another at barriers, which
costs milliseconds. Here ``Block`` takes the place of its scheduler: a barrier is made a ``yield``, so that a thread is
a generator, and the threads of a block take turns from barrier to barrier. Memory that is not written holds NaN or the
lowest number, an index out of bounds is an error, and so is a barrier that some threads do not reach.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from inspect import isgenerator
from itertools import count
from typing import Any

import numba.cuda
import numpy as np
from numba.cuda.simulator import kernel as simulated_kernel
from numba.cuda.simulator import kernelapi

from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.expressions import function_label
from graphc.passes.source import Source, print_function
from graphc.runtime.cuda.functions import EXCHANGED, exchange_source
from graphc.scalar import Array
from tests.simulated.scalars import CONVERSIONS, NAMES

__all__ = ["run_kernel"]

cuda: Any = numba.cuda
kernel_module: Any = simulated_kernel
module_of_kernels: Any = kernelapi

_NUMBERS = count()
_EXCHANGE = """
def exchange(x, half):
    return FORMS[type(x)](x, half)
"""
_QUIETLY = """
def quietly(*arguments):
    with errstate(all="ignore"):
        {}(*arguments)
"""


def run_kernel(
    kernel: CudaKernel,
    values: Sequence[int],
    buffers: Sequence[Array],
    guards: Sequence[tuple[Array, int]] = (),
    own_threads: bool = False,
) -> None:
    """Run a kernel on flat arrays, which it writes to.

    values: of its sizes. buffers: in its order, truth values as bytes. guards: for each the array of its truth value
    and the value for which the kernel runs. own_threads: with the simulator's own scheduler.
    """
    blocks = kernel.blocks(values)
    if blocks == 0:
        return
    flags = [part for place, chosen in guards for part in (_Pointer(place), int(chosen))]
    arguments = [*map(int, values), *map(_Pointer, buffers), *flags]
    function = _evaluate(kernel.source, own_threads)
    with np.errstate(all="ignore"), _replaced(own_threads):
        cuda.jit(function)[blocks, kernel.threads](*arguments)


class _Pointer:
    """A buffer that a kernel gets; like a pointer it knows no negative places, and unlike one it has an end."""

    __slots__ = ("size", "values")

    def __init__(self, values: Array) -> None:
        assert values.ndim == 1
        self.values, self.size = values, values.size

    def __getitem__(self, place: int) -> Any:
        if 0 <= place < self.size:
            return self.values[place]
        raise IndexError(f"place {place} of {self.size}")

    def __setitem__(self, place: int, value: Any) -> None:
        if not 0 <= place < self.size:
            raise IndexError(f"place {place} of {self.size}")
        self.values[place] = value


class _Memory:
    """Arrays of a thread, or of a block, which are told apart by the line that asks for them."""

    def __init__(self, shared: bool) -> None:
        self.shared = shared
        self.arrays: dict[tuple[str, int], _Pointer] = {}

    def array(self, size: int, dtype: Any) -> _Pointer:
        frame = sys._getframe(1)
        line = frame.f_code.co_filename, frame.f_lineno
        if self.shared and line in self.arrays:
            return self.arrays[line]
        unwritten = np.nan if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min
        made = _Pointer(np.full(size, unwritten, dtype))
        if self.shared:
            self.arrays[line] = made
        return made


class Block:
    """Runs the threads of a block, in turns from barrier to barrier."""

    def __init__(self, function: Any, grid_size: Any, block_size: Any, debug: bool) -> None:
        self.function, self.threads = function, block_size[0]

    def run(self, block: tuple[int, int, int], *arguments: Any) -> None:
        """Run the block with a number in the grid."""
        context = kernel_module._get_kernel_context()
        context._shared, context._local = _Memory(shared=True), _Memory(shared=False)
        current: Any = threading.current_thread()
        current.blockIdx = module_of_kernels.Dim3(*block)
        numbers = [module_of_kernels.Dim3(number, 0, 0) for number in range(self.threads)]
        steps = []
        for number in numbers:
            current.threadIdx = number
            steps.append(self.function(*arguments))
        waiting = [(number, step) for number, step in zip(numbers, steps, strict=True) if isgenerator(step)]
        while waiting:
            places = set()
            left = []
            for number, step in waiting:
                current.threadIdx = number
                if next(step, self) is not self:
                    left.append((number, step))
                    places.add(_line_of(step))
            assert len(places) < 2, f"threads wait at different barriers: lines {sorted(places)}"
            missing = self.threads - len(left)
            assert missing in (0, self.threads), f"{missing} threads miss the barrier of line {places.pop()}"
            waiting = left


def _line_of(step: Any) -> int:
    """The line of the kernel where a thread waits."""
    return int(step.gi_frame.f_lineno)


@contextmanager
def _replaced(own_threads: bool) -> Iterator[None]:
    known = kernel_module.BlockManager
    if not own_threads:
        kernel_module.BlockManager = Block
    try:
        yield
    finally:
        kernel_module.BlockManager = known


class _Rewriting(ast.NodeTransformer):
    """Makes numbers constants, conversions ours, and, where threads take turns, barriers yields."""

    def __init__(self, names: dict[str, Any], turns: bool) -> None:
        self.names, self.turns = names, turns

    def visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if not isinstance(node, ast.Call):
            return node
        called = ast.unparse(node.func)
        if called in CONVERSIONS:
            return self._conversion(node, called)
        if self.turns and called == "cuda.syncthreads":
            return ast.copy_location(ast.Yield(), node)
        if self.turns and (called == "exchange" or called.startswith("FORMS")):
            return ast.copy_location(ast.YieldFrom(node), node)
        return node

    def _conversion(self, node: ast.Call, called: str) -> ast.AST:
        name = f"to_{called}"
        if not {part.id for part in ast.walk(node.args[0]) if isinstance(part, ast.Name)} - {"inf", "nan"}:
            name = f"CONSTANT_{len(self.names)}"
            number = eval(ast.unparse(node.args[0]), {"inf": np.inf, "nan": np.nan})
            self.names[name] = CONVERSIONS[called](number)
            return ast.copy_location(ast.Name(name, ast.Load()), node)
        node.func = ast.copy_location(ast.Name(name, ast.Load()), node.func)
        return node


@cache
def _evaluate(source: Source, own_threads: bool) -> Any:
    """The function of a source, in a namespace of its own."""
    names: dict[str, Any] = {"cuda": cuda, "errstate": np.errstate, **NAMES}
    names |= {f"to_{name}": convert for name, convert in CONVERSIONS.items()}
    turns = not own_threads
    _define(source, names, turns)
    if "exchange(" in source.code:
        for dtype in EXCHANGED:
            _run(exchange_source(dtype, shuffles=False), names, turns)
        names["FORMS"] = {getattr(np, dtype): names[f"exchange_{dtype}"] for dtype in EXCHANGED}
        _run(_EXCHANGE, names, turns)
    if turns:
        return names[source.name]
    _run(_QUIETLY.format(source.name), names, turns)
    return names["quietly"]


def _define(source: Source, names: dict[str, Any], turns: bool) -> None:
    for name, dtype in source.functions:
        if function_label(name, dtype) not in names:
            _define(print_function(name, dtype), names, turns)
    _run(source.code, names, turns)


def _run(code: str, names: dict[str, Any], turns: bool) -> None:
    tree = ast.fix_missing_locations(_Rewriting(names, turns).visit(ast.parse(code)))
    assert isinstance(tree, ast.Module)
    exec(compile(tree, f"<simulated {next(_NUMBERS)}>", "exec"), names)
