"""Printing kernels for a GPU: Python source that numba-cuda compiles, in the order of operations of the CPU's kernels.

How the threads of a grid share a kernel depends on what is in its loops:

    stores           a thread computes one element, or four that lie a block apart
    adding stores    a thread owns a place of the result and adds to it in order
    fold             16 threads reduce a row, each a lane; a long row is shared by the 16 groups of a block, each with
                     blocks of 4096 elements, whose lanes are added in order
    column fold      the threads of a block compute many rows of some columns at once, and one for each column adds them
                     up in order; short columns, and very many, are reduced by a thread each
    search           a thread searches a row
    contraction      a block computes a tile of the result (``graphc.passes.cuda.products``)

Sums keep the order that ``graphc.passes.loops`` defines, so the results are those of the CPU to the bit, unless they
need not be exact: then long ones are shared by more threads (``graphc.passes.cuda.free``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from graphc.dims import Size, evaluate, symbols_of
from graphc.dtypes import DType
from graphc.passes.cuda.free import Reduction
from graphc.passes.cuda.grid import CudaKernel
from graphc.passes.cuda.maps import write_each, write_map, write_scatter, write_strips
from graphc.passes.cuda.printer import LIKELY, CudaPrinter, Form
from graphc.passes.cuda.products import count_parts, scratch_extents, write_product, write_sum
from graphc.passes.cuda.reductions import write_columns, write_rows
from graphc.passes.cuda.row_programs import is_row_program, write_row_program
from graphc.passes.loops import ColumnFold, Contraction, Fold, Kernel, Store, Winograd, peeled
from graphc.passes.lower import KernelCall
from graphc.passes.storage import Side

__all__ = ["cuda_kernel", "print_cuda"]


def cuda_kernel(call: KernelCall, exact: bool = True) -> CudaKernel:
    """The kernel of a call, with a guard for each choice that it is on a side of. exact: as for ``print_cuda``."""
    guards = sum(isinstance(place, Side) for place in call.loops)
    likely = {
        name: evaluate(size, dict.fromkeys(symbols_of([size]), LIKELY))
        for name, size in zip(call.kernel.sizes, call.sizes, strict=True)
    }
    return print_cuda(call.kernel, guards, likely, exact)


def print_cuda(
    kernel: Kernel, guards: int = 0, likely: Mapping[str, int] | None = None, exact: bool = True
) -> CudaKernel:
    """A kernel as it is compiled for a GPU.

    guards: how many conditions it looks at first. likely: values of its sizes that the shape of tiles is chosen for.
    exact: add up in the order of the CPU; else long sums with few results are shared by more threads, and computed in
    parts by more blocks, which a second kernel adds up.
    """
    known = likely or {}
    if exact or is_row_program(kernel.body):
        return _printed(kernel, kernel.name, guards, lambda p: _form(p, known))
    axes, body = peeled(kernel.body)
    first, reduction = body[0], Reduction.of(axes, body, known)
    if reduction is not None and reduction.parts > 1:
        scratch = (reduction.scratch, reduction.dtype)
        return _in_parts(kernel, guards, reduction.write, reduction.write_sum, *scratch)
    if reduction is not None:
        return _printed(kernel, kernel.name, guards, reduction.write)
    parts = count_parts(first, known) if isinstance(first, Contraction) else 1
    if parts == 1 or not isinstance(first, Contraction):
        return _printed(kernel, kernel.name, guards, lambda p: _form(p, known))
    return _in_parts(
        kernel,
        guards,
        lambda p: write_product(p, first, known, parts),
        lambda p: write_sum(p, first, parts),
        (parts, *scratch_extents(first)),
        first.left.dtype,
    )


def _in_parts(
    kernel: Kernel,
    guards: int,
    write_parts: Callable[[CudaPrinter], Form],
    write_sum: Callable[[CudaPrinter], Form],
    scratch: tuple[Size, ...],
    dtype: DType,
) -> CudaKernel:
    """Two kernels: the first leaves parts of results in scratch memory, the second adds them up."""
    parts = _printed(kernel, f"{kernel.name}_parts", guards, write_parts, scratch=True)
    whole = _printed(kernel, f"{kernel.name}_sum", guards, write_sum, scratch=True)
    parts = replace(parts, scratch=scratch, scratch_type=dtype)
    return replace(whole, before=parts, scratch=scratch, scratch_type=dtype)


def _printed(
    kernel: Kernel, name: str, guards: int, write: Callable[[CudaPrinter], Form], scratch: bool = False
) -> CudaKernel:
    """A kernel under a name. write: writes the body."""
    printer = CudaPrinter(kernel)
    conditions = [text for number in range(guards) for text in (f"when{number}", f"chosen{number}")]
    parameters = (*printer.names(), *(["scratch"] if scratch else []), *conditions)
    with printer.block(f"def {name}({', '.join(parameters)}):"):
        for number in range(guards):
            with printer.block(f"if (when{number}[0] != 0) != (chosen{number} != 0):"):
                printer.line("return")
        threads, shares = write(printer)
    return CudaKernel(kernel, printer.finish(name), threads, shares, guards, decoded=tuple(printer.decoded))


def _form(p: CudaPrinter, likely: Mapping[str, int]) -> Form:
    """Write the body in the form that suits it."""
    if is_row_program(p.kernel.body):
        return write_row_program(p, p.kernel.body)
    axes, body = peeled(p.kernel.body)
    first = body[0]
    if isinstance(first, Contraction):
        return write_product(p, first, likely, 1)
    if isinstance(first, Winograd):
        return write_strips(p, first)
    if isinstance(first, Fold):
        return write_rows(p, axes, first, body[1:])
    if isinstance(first, ColumnFold) and first.items:
        return write_columns(p, axes, first)
    if isinstance(first, ColumnFold) and not first.body:
        return write_map(p, (*axes, *first.axes, first.column), first.stores)
    stores = [statement for statement in body if isinstance(statement, Store)]
    if len(stores) < len(body):
        return write_each(p, axes, body)
    if any(store.add for store in stores):
        return write_scatter(p, axes, stores)
    return write_map(p, axes, stores)
