"""From the source of kernels to machine code of a GPU: from the cache, or by numba-cuda and nvJitLink. No GPU and no
driver is needed, and what is in the cache needs none of these packages either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan
from typing import Any

import numpy as np

from graphc.dtypes import DTYPES, UINT32, UINT64, DType
from graphc.errors import CompilationError
from graphc.functions import FUNCTIONS
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.expressions import function_label
from graphc.passes.source import Source, print_function
from graphc.philox import RANDOM
from graphc.runtime.cache import KernelCache, default_cache, versions_key
from graphc.runtime.cuda import toolkit
from graphc.runtime.cuda.functions import EXCHANGED, exchange_source, operations
from graphc.runtime.objects import ObjectCode
from graphc.trigonometry import TWO_OVER_PI

__all__ = ["Cubin", "Task", "assemble_task", "compile_cuda", "compile_ptx", "cuda_key", "lower_task"]

_GENERATORS = (
    "graphc.philox",
    "graphc.functions",
    "graphc.trigonometry",
    "graphc.passes.source",
    "graphc.passes.expressions",
    "graphc.passes.terms",
    "graphc.runtime.intrinsics",
    "graphc.runtime.cuda.compiler",
    "graphc.runtime.cuda.functions",
    "graphc.runtime.cuda.toolkit",
)
"""Modules whose text decides what a source compiles to."""
_TYPES = {dtype.name: "uint8" if dtype.kind == "b" else dtype.name for dtype in (*DTYPES, UINT32, UINT64)}
"""What buffers of an element type are made of: truth values lie in bytes."""


@dataclass(frozen=True)
class Cubin:
    """Machine code of a kernel.

    entry: the name of the kernel in the binary. data: the binary, of one capability. registers: of a thread. shared:
    bytes of a block's shared memory. spilled: bytes that a thread stores and loads for want of registers. stack: bytes
    of a thread's local memory.
    """

    entry: str
    data: bytes
    registers: int
    shared: int
    spilled: int
    stack: int

    def as_object(self) -> ObjectCode:
        """As an entry of the cache."""
        numbers = {name: getattr(self, name) for name in ("registers", "shared", "spilled", "stack")}
        return ObjectCode(self.entry, self.data, tuple(numbers.items()))

    @staticmethod
    def of_object(code: ObjectCode) -> Cubin:
        """From an entry of the cache."""
        return Cubin(code.symbol, code.data, **dict(code.numbers))


@dataclass(frozen=True)
class Task:
    """A kernel to compile: its source, the types of its arguments, the threads of a block, and whether threads exchange
    values by shuffles.
    """

    source: Source
    arguments: tuple[str, ...]
    threads: int
    shuffles: bool

    @staticmethod
    def of(kernel: CudaKernel, shuffles: bool = True) -> Task:
        """The task of a kernel."""
        buffers = (f"{_TYPES[dtype.name]}*" for dtype in kernel.buffers)
        arguments = (*("int64" for _ in kernel.kernel.sizes), *buffers, *("uint8*", "int64") * kernel.guards)
        return Task(kernel.source, arguments, kernel.threads, shuffles)

    @property
    def key(self) -> str:
        """A hash of what is to be compiled."""
        content = [self.source.name, self.source.code, self.arguments, self.threads, self.shuffles]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]

    @property
    def entry(self) -> str:
        """What the kernel is called in the binary."""
        return f"{self.source.name}_{self.key}"


@cache
def cuda_key() -> str:
    """A hash of all that machine code of a GPU depends on besides its source and the capability."""
    return versions_key(toolkit.versions(), _GENERATORS)


def compile_cuda(
    kernels: Sequence[CudaKernel],
    capability: tuple[int, int],
    shuffles: bool = True,
    cache: KernelCache | None = None,
    workers: int | None = None,
) -> list[Cubin]:
    """The machine code of each kernel, in order; equal ones are compiled once.

    capability: of the GPU, such as (9, 0). shuffles: whether threads exchange values within a warp, or through shared
    memory. cache: where compiled kernels are kept (the user's cache by default). workers: processes that compile; by
    default one a processor where there are at least 64 kernels to compile, else none.

    Raises CompilationError where packages are missing, naming what brings them, or a kernel is refused.
    """
    cache = replace(default_cache() if cache is None else cache, environment=cuda_key)
    tasks = [Task.of(kernel, shuffles) for kernel in kernels]
    keys = ["{}sm{}{}".format(task.key, *capability) for task in tasks]
    wanted = dict(zip(keys, tasks, strict=True))
    found = {key: Cubin.of_object(code) for key in wanted if (code := cache.load(key)) is not None}
    missing = {key: task for key, task in wanted.items() if key not in found}
    if missing:
        toolkit.require()
        made = _compile(list(missing.values()), capability, workers)
        found |= dict(zip(missing, made, strict=True))
        for key, task in missing.items():
            cache.store(key, found[key].as_object(), task.source.name)
        cache.shrink()
    return [found[key] for key in keys]


def compile_ptx(kernel: CudaKernel, capability: tuple[int, int], shuffles: bool = True) -> str:
    """The PTX of a kernel for a capability, as it is assembled."""
    return lower_task(Task.of(kernel, shuffles)).ptx(capability)


def _compile(tasks: Sequence[Task], capability: tuple[int, int], workers: int | None) -> list[Cubin]:
    from graphc.runtime.cuda.worker import by_workers, worthwhile

    count = worthwhile(len(tasks)) if workers is None else workers
    if count > 1 and len(tasks) > 1:
        return by_workers(tasks, capability, count)
    return [assemble_task(lower_task(task), capability) for task in tasks]


def assemble_task(lowered: toolkit.Lowered, capability: tuple[int, int]) -> Cubin:
    """The machine code of a lowered kernel for a capability."""
    made = toolkit.assemble(lowered.ptx(capability), capability)
    return Cubin(lowered.entry, made.data, made.registers, made.shared, made.spilled, made.stack)


def lower_task(task: Task) -> toolkit.Lowered:
    """Compile a kernel as far as it is the same for all capabilities. CompilationError as for ``compile_cuda``."""
    toolkit.require()
    source = task.source
    kernel = _evaluate(source, task.shuffles)[source.name]
    try:
        return toolkit.lower_kernel(kernel, task.entry, task.arguments, task.threads)
    except CompilationError as error:
        raise error.located(None, [("kernel", source.name), ("source", "\n" + source.code)]) from error.__cause__


@cache
def _namespace() -> dict[str, Any]:
    """What every source may name: threads, element types, operations, tables."""
    names = toolkit.language(sorted(set(_TYPES.values())))
    names |= operations() | {"inf": inf, "nan": nan}
    return names | {table.name: np.asarray(table.values, table.dtype.numpy) for table in TWO_OVER_PI}


def _evaluate(source: Source, shuffles: bool = True) -> dict[str, Any]:
    names = dict(_namespace())
    for name, dtype in source.functions:
        names[function_label(name, dtype)] = _function(name, dtype)
    if "exchange(" in source.code:
        names["exchange"] = _exchange(shuffles)
    _run(source.code, source.name, names)
    return names


def _run(code: str, name: str, names: dict[str, Any]) -> None:
    exec(compile(code, f"<graphc {name}>", "exec"), names)


@cache
def _function(name: str, dtype: DType) -> Any:
    """A compiled function of ``graphc.functions``."""
    source = print_function(name, dtype)
    function: Callable[..., Any] = _evaluate(source)[source.name]
    if name in RANDOM:
        return toolkit.define_function([(function, dtype.name, ("int64", "uint64", "int64", "int64"))])
    assert name in FUNCTIONS
    return toolkit.define_function([(function, dtype.name, (dtype.name,) * function.__code__.co_argcount)])


@cache
def _exchange(shuffles: bool) -> Any:
    names = dict(_namespace())
    forms = []
    for dtype in EXCHANGED:
        _run(exchange_source(dtype, shuffles), f"exchange_{dtype}", names)
        forms.append((names[f"exchange_{dtype}"], dtype, (dtype, "int32")))
    return toolkit.define_function(forms)
