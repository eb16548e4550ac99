"""The kernels of a program for a GPU, as a table: what each computes and moves, and what the assembler says of it."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Mapping, Sequence

from graphc.dims import evaluate
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.lower import KernelCall
from graphc.runtime.cuda.compiler import Cubin, compile_cuda
from graphc.runtime.figures import bytes_of, flops_of
from graphc.runtime.ranges import checked_by_host

__all__ = ["kernel_rows"]


def kernel_rows(
    calls: Sequence[KernelCall],
    sizes: Mapping[str, int],
    exact: bool,
    capability: tuple[int, int],
    times: Sequence[float] | None = None,
    library_calls: Collection[int] = (),
) -> Iterator[str]:
    """The lines of the table. times: seconds of each call, 0 for one that does not run. library_calls: those that
    cuBLASLt computes."""
    kernels = [() if checked_by_host(call) else cuda_kernel(call, exact).launched for call in calls]
    flat = [kernel for several in kernels for kernel in several]
    cubins = dict(zip(map(id, flat), compile_cuda(flat, capability), strict=True))
    names = max(len(name) for name in (*(call.kernel.name for call in calls), *(one.source.name for one in flat)))
    clock = "        us   share  GFLOP/s     GB/s" if times is not None else ""
    numbers = "    blocks  threads  registers  shared  spilled"
    yield f"   #  {'kernel':<{names}}  {'operations':>12}  {'bytes':>12}{numbers}{clock}"
    rounds = [evaluate(call.rounds, sizes) for call in calls]
    whole = sum(map(operator.mul, times, rounds)) if times is not None else 1.0
    for number, (call, several) in enumerate(zip(calls, kernels, strict=True)):
        for kernel in several[:-1] if number not in library_calls else ():
            yield f"  {number + 1:>2}  {kernel.source.name:<{names}}  {'':>26}{_resources(kernel, cubins, call, sizes)}"
        flops, moved = flops_of(call, sizes) * rounds[number], bytes_of(call, sizes) * rounds[number]
        name = several[-1].source.name if several else call.kernel.name
        row = f"  {number + 1:>2}  {name:<{names}}  {flops:>12,}  {moved:>12,}"
        if not several:
            row += f"{'by the host':>{len(numbers)}}"
        elif number in library_calls:
            row += f"{'cuBLASLt':>{len(numbers)}}"
        else:
            row += _resources(several[-1], cubins, call, sizes)
        if times is not None and times[number]:
            seconds = times[number] * rounds[number]
            row += f"  {seconds * 1e6:>8.2f}  {seconds / whole:>6.1%}"
            row += f"  {flops / seconds / 1e9:>7.0f}  {moved / seconds / 1e9:>7.0f}"
        yield f"{row}  in {rounds[number]} rounds" if rounds[number] != 1 else row
    if times is not None:
        yield f"      {'sum of the kernels':<{names}}  {'':>26}{'':>{len(numbers)}}  {whole * 1e6:>8.2f}"


def _resources(kernel: CudaKernel, cubins: Mapping[int, Cubin], call: KernelCall, sizes: Mapping[str, int]) -> str:
    """The grid of a launch, and what a thread and a block take."""
    cubin = cubins[id(kernel)]
    blocks = kernel.blocks([evaluate(size, sizes) for size in call.sizes])
    return f"  {blocks:>8,}  {kernel.threads:>7}  {cubin.registers:>9}  {cubin.shared:>6,}  {cubin.spilled:>7,}"
