"""Products that cuBLASLt computes in place of graphc's own kernels: which ones, and their plans for given sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import gcd
from weakref import WeakKeyDictionary

from graphc.dims import evaluate
from graphc.errors import CompilationError, MissingPackageError
from graphc.origin import user_location
from graphc.passes.gemm import Gemm, library_product
from graphc.passes.lower import KernelCall
from graphc.passes.memory import ALIGNMENT
from graphc.passes.storage import Along, Storage
from graphc.runtime.cuda.cublaslt import INSTALL, CublasLt, Product, available
from graphc.runtime.cuda.device import Device, LibraryLaunch

__all__ = ["FindLibrary", "PlannedProduct", "Products", "library_for", "workspace_of"]

FindLibrary = Callable[[str, Device], CublasLt | None]
"""The library that computes products of a precision on a device, if one is to."""

_NUMBER = 8
"""Bytes from one output of one element to the next."""
_libraries: WeakKeyDictionary[Device, CublasLt] = WeakKeyDictionary()


def library_for(precision: str, device: Device) -> CublasLt | None:
    """The library, one for all programs on a device; None where graphc's own kernels are to compute products.

    That is so for "exact", and for "float32" where cuBLASLt is not installed. MissingPackageError for the precisions
    that only the library has.
    """
    if precision == "exact":
        return None
    reason = available()
    if reason is None:
        return _libraries.setdefault(device, CublasLt())
    if precision == "float32":
        return None
    raise MissingPackageError(
        f"products of precision {precision!r} are computed by cuBLASLt",
        at=str(user_location()),
        got=reason,
        way_out=f'{INSTALL}, or precision="float32"',
    )


@dataclass(frozen=True)
class PlannedProduct:
    """A product of known sizes in place of a call. operands: which arguments of the call are its left, right, result
    and, if it has one, bias."""

    product: Product
    subject: str
    operands: tuple[int, ...]

    def launch(self, places: Sequence[int], workspace: int, call: int) -> LibraryLaunch:
        """What a device is to do. places: the addresses of the call's arguments. workspace: address of as many bytes as
        the product asks for. call: the number of the call."""
        left, right, out, *bias = (places[operand] for operand in self.operands)
        run = partial(self.product.run, left, right, out, bias[0] if bias else 0, workspace)
        return LibraryLaunch(run, self.subject, call)


class Products:
    """The calls of a program that a library is asked to compute. calls: those of the program that a device runs, by
    number. precision: of float32, as for ``CublasLt.plan``."""

    def __init__(
        self, library: CublasLt | None, device: Device, calls: Mapping[int, KernelCall], precision: str
    ) -> None:
        self._library, self._device, self._calls, self._precision = library, device, calls, precision
        found = {number: library_product(call) for number, call in calls.items()} if library is not None else {}
        self._gemms = {number: gemm for number, gemm in found.items() if gemm is not None}

    @property
    def calls(self) -> frozenset[int]:
        """The numbers of the calls."""
        return frozenset(self._gemms)

    def plan(self, sizes: Mapping[str, int]) -> dict[int, PlannedProduct]:
        """The products for given sizes, by the number of the call; those that the library refuses, or that have no
        elements, are left out. DeviceError if it cannot use the GPU."""
        if self._gemms:
            self._device.enter()
        planned = {number: self._planned(self._calls[number], gemm, sizes) for number, gemm in self._gemms.items()}
        return {number: one for number, one in planned.items() if one is not None}

    def _planned(self, call: KernelCall, gemm: Gemm, sizes: Mapping[str, int]) -> PlannedProduct | None:
        assert self._library is not None
        buffers = [buffer.name for buffer in call.kernel.buffers]
        names = (gemm.left.buffer, gemm.right.buffer, gemm.out.buffer, *([gemm.bias] if gemm.bias else []))
        operands = tuple(map(buffers.index, names))
        values = {name: evaluate(size, sizes) for name, size in zip(call.kernel.sizes, call.sizes, strict=True)}
        alignment = min(_alignment(call.arguments[operand], sizes) for operand in operands)
        try:
            product = self._library.plan(gemm, values, self._precision, alignment=alignment)
        except CompilationError:
            return None
        known = product.descriptors
        return PlannedProduct(product, known.subject, operands) if known is not None else None


def workspace_of(products: Mapping[int, PlannedProduct]) -> int:
    """The bytes of the workspace that products share, one after the other."""
    return max((planned.product.workspace for planned in products.values()), default=0)


def _alignment(storage: Storage, sizes: Mapping[str, int]) -> int:
    """A power of two that the addresses of a storage are multiples of, in every round of its loops."""
    moves = storage.moves
    if moves is None:
        return _NUMBER if storage.kind == "output" and not storage.type.shape else ALIGNMENT
    if isinstance(moves, Along):
        return gcd(_alignment(moves.whole, sizes), evaluate(storage.type.elements, sizes) * storage.type.dtype.itemsize)
    places = (moves.first, *moves.between, *([moves.last] if moves.last is not None else []))
    return min(_alignment(place, sizes) for place in places)
