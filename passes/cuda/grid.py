"""How the work of a CUDA kernel is divided among the blocks of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from graphc.dims import Size, evaluate
from graphc.dtypes import FLOAT32, DType
from graphc.passes.loops import Kernel
from graphc.passes.source import Source

__all__ = ["CudaKernel", "Share"]


@dataclass(frozen=True)
class Share:
    """A range that blocks divide: the product of some sizes, of which each block takes so many."""

    sizes: tuple[Size, ...]
    of_block: int = 1

    def blocks(self, sizes: Mapping[str, int]) -> int:
        """How many blocks there are along the range once the sizes are known."""
        return -(-prod(evaluate(size, sizes) for size in self.sizes) // self.of_block)


@dataclass(frozen=True)
class CudaKernel:
    """A kernel as it is compiled for a GPU and launched.

    kernel: what it was printed from. source: its Python text. threads: of a block. shares: the ranges that blocks
    divide; the grid has the product of their blocks, none of them if there is no work. guards: how many conditions it
    looks at before it does anything. before: a kernel that is launched first, with the same arguments. scratch: memory
    that both use, as sizes whose product is its number of elements; () for none. scratch_type: their type. decoded:
    ranges whose numbers are taken apart into positions.

    The compiled function takes the kernel's sizes (int64), its buffers (pointers), the scratch if there is one
    (pointer), and for each guard a pointer to a truth value (one byte) and the value (int64, 0 or 1) for which the
    kernel is to run.
    """

    kernel: Kernel
    source: Source
    threads: int
    shares: tuple[Share, ...]
    guards: int = 0
    before: CudaKernel | None = None
    scratch: tuple[Size, ...] = ()
    scratch_type: DType = FLOAT32
    decoded: tuple[tuple[Size, ...], ...] = ()

    @property
    def launched(self) -> tuple[CudaKernel, ...]:
        """The kernels that a call launches, in order."""
        return (*([self.before] if self.before is not None else []), self)

    def longest(self, values: Sequence[int]) -> int:
        """The most elements of a range that threads count through with 32 bits. values: of the kernel's sizes."""
        sizes = dict(zip(self.kernel.sizes, values, strict=True))
        ranges = (*(share.sizes for share in self.shares), *self.decoded)
        return max((prod(evaluate(size, sizes) for size in one) for one in ranges), default=0)

    def blocks(self, values: Sequence[int]) -> int:
        """The number of blocks. values: of the kernel's sizes."""
        sizes = dict(zip(self.kernel.sizes, values, strict=True))
        return prod(share.blocks(sizes) for share in self.shares)

    def scratch_bytes(self, values: Sequence[int]) -> int:
        """How much scratch memory a launch needs. values: of the kernel's sizes."""
        if not self.scratch:
            return 0
        sizes = dict(zip(self.kernel.sizes, values, strict=True))
        return prod(evaluate(size, sizes) for size in self.scratch) * self.scratch_type.itemsize

    @property
    def buffers(self) -> tuple[DType, ...]:
        """The element types of what its pointers point to, those of guards left out."""
        return (*(buffer.dtype for buffer in self.kernel.buffers), *([self.scratch_type] if self.scratch else []))
