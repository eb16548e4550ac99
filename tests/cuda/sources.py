"""Kernels written by hand, as the printer writes them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import Dim
from graphc.dtypes import DType
from graphc.passes.cuda.grid import CudaKernel, Share
from graphc.passes.loops import Buffer, Kernel
from graphc.passes.source import Source

THREADS = 64


def kernel_of(
    code: str,
    buffers: Sequence[tuple[str, DType]],
    functions: Sequence[tuple[str, DType]] = (),
    guards: int = 0,
) -> CudaKernel:
    """A kernel of one size n with blocks of 64 threads, of which each computes one of n elements. buffers: name and
    element type of each; those called out are written."""
    name = code.removeprefix("def ").split("(")[0]
    arguments = tuple(Buffer(label, dtype, label.startswith("out")) for label, dtype in buffers)
    kernel = Kernel(name, ("$n",), arguments, ())
    return CudaKernel(
        kernel, Source(name, code, tuple(functions)), THREADS, (Share((Dim(1, ("$n",)),), THREADS),), guards
    )


def map_kernel(
    name: str,
    value: str,
    inputs: Sequence[DType],
    result: DType,
    functions: Sequence[tuple[str, DType]] = (),
) -> CudaKernel:
    """A kernel that computes an expression of elements x, y and z of its inputs. Truth values become bytes."""
    labels = "abc"[: len(inputs)]
    loads = [
        f"        {variable} = {label}[i]{' != 0' if dtype.kind == 'b' else ''}\n"
        for variable, label, dtype in zip("xyz", labels, inputs, strict=False)
    ]
    code = (
        f"def {name}(n, {', '.join(labels)}, out):\n"
        f"    i = cuda.blockIdx.x * {THREADS} + cuda.threadIdx.x\n"
        "    if i < n:\n"
        f"{''.join(loads)}"
        f"        out[i] = {f'uint8({value})' if result.kind == 'b' else value}\n"
    )
    return kernel_of(code, [*zip(labels, inputs, strict=True), ("out", result)], functions)
