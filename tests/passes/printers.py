"""Programs compiled by both CPU printers, and kernels that tests run by hand."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.dims import evaluate
from graphc.frontend.tensor import Tensor
from graphc.passes.lower import KernelCall
from graphc.passes.source import Source
from graphc.passes.tile import tiles_apply
from graphc.passes.vector import vectors_apply
from graphc.passes.winograd_tile import winograd_applies
from graphc.runtime.engine import Engine, assemble
from graphc.scalar import Array
from tests.harness import same_bits

Outputs = Mapping[str, Tensor]
Updates = Mapping[Tensor, Tensor]
Feed = Mapping[str, Array]


def function_in_python(
    inputs: Sequence[Tensor], outputs: Outputs, updates: Updates | None = None, *, threads: int | None = None
) -> gc.Function:
    """A function whose kernels, but for products in tiles, are compiled from Python source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphc.runtime.executable.vectors_apply", lambda kernel: False)
        return gc.function(inputs, outputs, updates or {}, training=True, threads=threads)


def function_in_vectors(
    inputs: Sequence[Tensor], outputs: Outputs, updates: Updates | None = None, *, threads: int | None = None
) -> gc.Function:
    """A function as it is compiled usually."""
    return gc.function(inputs, outputs, updates or {}, training=True, threads=threads)


def kernels_in_python(function: gc.Function) -> list[str]:
    """The kernels that neither of the LLVM printers prints."""
    kernels = [call.kernel for call in function.program.calls]
    printed = (vectors_apply, tiles_apply, winograd_applies)
    return [kernel.name for kernel in kernels if not any(applies(kernel) for applies in printed)]


def results_of(function: gc.Function, feed: Feed) -> dict[str, Array]:
    """What a function computes, by the names of its outputs."""
    found = function(**feed)
    assert isinstance(found, dict)
    return found


def different(left: Mapping[str, Array], right: Mapping[str, Array]) -> list[str]:
    """The names of arrays that do not have the same bits."""
    assert left.keys() == right.keys()
    return [name for name in left if not same_bits(left[name], right[name])]


def assert_same_bits(
    inputs: Sequence[Tensor], outputs: Outputs, feeds: Sequence[Feed], python: Sequence[str] = ()
) -> list[dict[str, Array]]:
    """The outputs for each feed, which both printers must agree on. python: the kernels that LLVM's do not print."""
    vectors, plain = function_in_vectors(inputs, outputs), function_in_python(inputs, outputs)
    assert kernels_in_python(vectors) == list(python)
    found = [results_of(vectors, feed) for feed in feeds]
    for feed, result in zip(feeds, found, strict=True):
        shapes = {name: array.shape for name, array in feed.items()}
        assert different(result, results_of(plain, feed)) == [], shapes
    return found


def run_source(
    call: KernelCall, source: Source, data: Feed, sizes: Mapping[str, int], parts: int = 1, key: str = "by_hand"
) -> Array:
    """What a kernel writes into its last buffer when it is run part by part from LLVM code, and nothing behind it."""
    code = assemble(source, key)
    engine = Engine([code])
    kind = call.arguments[-1].type
    shape = [evaluate(size, sizes) for size in kind.shape]
    count = math.prod(shape) * kind.dtype.itemsize
    room = np.full(count + 256, 77, np.uint8)
    result = room[:count].view(kind.dtype.numpy).reshape(shape)
    arrays = [*(data[storage.name] for storage in call.arguments[:-1]), result]
    numbers = [ctypes.c_int64(evaluate(size, sizes)) for size in call.sizes]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    kernel = ctypes.CFUNCTYPE(ctypes.c_int32)(engine.address(code.symbol))
    for part in range(parts):
        kernel(ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int64(part), ctypes.c_int64(parts), *numbers, *pointers)
    assert (room[count:] == 77).all(), "the kernel writes behind its result"
    return result
