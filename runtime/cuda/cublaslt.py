"""cuBLASLt: NVIDIA's library for matrix products, called through ctypes. No other module knows it.

The library counts matrices in columns, graphc in rows. A matrix in rows is its own transpose in columns, and
(left @ right)^T = right^T @ left^T: the operands change places, and no element moves. The vector that the library adds
to each column of its result is one number a row of it, which is a column of ours.

Descriptors need no GPU; the handle, which the search for an algorithm and the product itself need, does.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from ctypes import byref, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from weakref import finalize

from graphc.dims import evaluate
from graphc.dtypes import FLOAT32, FLOAT64, DType
from graphc.errors import CompilationError, DeclarationError, DeviceError, GraphcError, MissingPackageError
from graphc.origin import user_location
from graphc.passes.gemm import Gemm, Matrix
from graphc.passes.memory import ALIGNMENT

__all__ = ["INSTALL", "WORKSPACE", "CublasLt", "Descriptors", "Library", "Product", "available", "describe"]

INSTALL = 'pip install "graphc[cublas]"'
"""What brings the library."""
WORKSPACE = 1 << 25
"""Bytes of memory beside operands and result that an algorithm may ask for, if nothing else is said."""

_OLDEST = 12
_CANDIDATES = 8
"""Algorithms that are asked for; the library sorts them by the time that it expects."""
_STATUS = {
    1: "NOT_INITIALIZED",
    3: "ALLOC_FAILED",
    7: "INVALID_VALUE",
    8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR",
    15: "NOT_SUPPORTED",
    16: "LICENSE_ERROR",
}
_NOT_FOR_IT = frozenset({7, 8, 15})
"""Statuses of a search that say: not this product. All others are of the machine and not of the product."""
_TYPES = {FLOAT32: 0, FLOAT64: 1}
_PRECISIONS = {"float32": 68, "tf32": 77, "bfloat16": 75}
_IN_FLOAT64 = 70
_EPILOGUES = {"none": 1, "relu": 2, "bias": 4, "relu_bias": 6}
_ATTRIBUTES: dict[str, dict[str, tuple[int, Any]]] = {
    "MatmulDesc": {
        "compute": (0, c_int32),
        "scale": (1, c_int32),
        "transpose a": (3, c_int32),
        "transpose b": (4, c_int32),
        "epilogue": (7, c_uint32),
        "bias": (8, c_void_p),
    },
    "MatrixLayout": {
        "type": (0, c_uint32),
        "order": (1, c_int32),
        "rows": (2, c_uint64),
        "columns": (3, c_uint64),
        "leading": (4, c_int64),
        "batch": (5, c_int32),
        "step": (6, c_int64),
    },
    "MatmulPreference": {
        "workspace": (1, c_uint64),
        "alignment a": (5, c_uint32),
        "alignment b": (6, c_uint32),
        "alignment c": (7, c_uint32),
        "alignment d": (8, c_uint32),
    },
}
"""Attributes of the library's objects: number and type of each."""


class _Algorithm(ctypes.Structure):
    _fields_ = (("data", c_uint64 * 8),)


class _Candidate(ctypes.Structure):
    _fields_ = (
        ("algorithm", _Algorithm),
        ("workspace", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    )


_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasLtCreate": (c_void_p,),
    "cublasLtDestroy": (c_void_p,),
    "cublasLtMatmulDescCreate": (c_void_p, c_int, c_int),
    "cublasLtMatrixLayoutCreate": (c_void_p, c_int, c_uint64, c_uint64, c_int64),
    "cublasLtMatmulPreferenceCreate": (c_void_p,),
    "cublasLtMatmulAlgoGetHeuristic": (*[c_void_p] * 7, c_int, c_void_p, c_void_p),
    "cublasLtMatmul": (*[c_void_p] * 14, c_size_t, c_void_p),
}
for _kind in _ATTRIBUTES:
    _SIGNATURES[f"cublasLt{_kind}Destroy"] = (c_void_p,)
    _SIGNATURES[f"cublasLt{_kind}SetAttribute"] = (c_void_p, c_int, c_void_p, c_size_t)
    _SIGNATURES[f"cublasLt{_kind}GetAttribute"] = (c_void_p, c_int, c_void_p, c_size_t, c_void_p)


class Library(Protocol):
    """The functions of cuBLASLt. version: as it is spelled: "13.1"."""

    @property
    def version(self) -> str: ...

    def call(self, name: str, *arguments: Any) -> int:
        """Call a function; its status."""


class _Loaded:
    """The library of a file."""

    def __init__(self, path: str) -> None:
        self._functions = ctypes.CDLL(path)
        count = self._functions.cublasLtGetVersion
        count.restype = c_size_t
        self.major, rest = divmod(int(count()), 10_000)
        self.version = f"{self.major}.{rest // 100}"
        for name, types in _SIGNATURES.items():
            getattr(self._functions, name).argtypes = types

    def call(self, name: str, *arguments: Any) -> int:
        return int(getattr(self._functions, name)(*arguments))


def _files() -> Iterator[str]:
    """Where the library may be: in NVIDIA's wheels, the newest first, then where the system looks."""
    package = find_spec("nvidia")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        for pattern in ("*/lib/libcublasLt.so.*", "*/bin/**/cublasLt64_*.dll"):
            found = [str(path) for path in Path(folder).glob(pattern)]
            yield from sorted(found, key=lambda path: int(re.findall(r"\d+", path)[-1]), reverse=True)
    known = find_library("cublasLt")
    if known is not None:
        yield known


@cache
def _load() -> _Loaded | str:
    """The library, or the reason why there is none."""
    reason = "cuBLASLt is not installed"
    for path in _files():
        try:
            library = _Loaded(path)
        except (OSError, AttributeError) as error:
            reason = f"cuBLASLt cannot be loaded: {error}"
            continue
        if library.major >= _OLDEST:
            return library
        reason = f"cuBLASLt {library.version} is too old; {_OLDEST}.0 is the first that will do"
    return reason


def available() -> str | None:
    """Why there are no products by cuBLASLt on this machine; None if the library is there. A GPU is not looked for."""
    found = _load()
    return found if isinstance(found, str) else None


def _check(status: int, name: str, subject: str, kind: type[GraphcError] = DeviceError) -> None:
    """Raise the error of a call that failed. subject: the product that it was made for."""
    if status == 0:
        return
    way_out = 'let the kernels of graphc compute it, with precision="exact"'
    if status == 1:
        way_out = "install the NVIDIA driver, and look with nvidia-smi whether it sees the GPU"
    elif status == 3:
        way_out = "a smaller batch, or end other programs that use this GPU"
    raise kind(
        f"cuBLASLt does not compute {subject}",
        at=str(user_location()),
        facts=[("refused", name)],
        got=f"CUBLAS_STATUS_{_STATUS.get(status, 'UNKNOWN')} ({status})",
        way_out=way_out,
    )


class _Object:
    """An object of the library, destroyed with the Python object. kind: as its functions name it."""

    def __init__(self, library: Library, kind: str, subject: str, *arguments: object) -> None:
        self.library, self.kind, self.subject = library, kind, subject
        self.pointer = c_void_p()
        self._call("Create", byref(self.pointer), *arguments)
        finalize(self, library.call, f"cublasLt{kind}Destroy", self.pointer).atexit = False

    def _call(self, what: str, *arguments: object) -> None:
        name = f"cublasLt{self.kind}{what}"
        _check(self.library.call(name, *arguments), name, self.subject)

    def set(self, **values: int) -> None:
        """Set attributes by name, a blank written as an underscore."""
        for name, value in values.items():
            number, kind = _ATTRIBUTES[self.kind][name.replace("_", " ")]
            self._call("SetAttribute", self.pointer, number, byref(kind(value)), sizeof(kind))

    def attributes(self) -> dict[str, int]:
        """All attributes that this module knows, read back from the library."""
        found: dict[str, int] = {}
        for name, (number, kind) in _ATTRIBUTES[self.kind].items():
            value, written = kind(), c_size_t()
            self._call("GetAttribute", self.pointer, number, byref(value), sizeof(kind), byref(written))
            found[name] = value.value or 0
        return found


class _Handle:
    """The library on the current GPU, of which it keeps some memory."""

    def __init__(self, library: Library, subject: str) -> None:
        self.pointer = c_void_p()
        _check(library.call("cublasLtCreate", byref(self.pointer)), "cublasLtCreate", subject)
        finalize(self, library.call, "cublasLtDestroy", self.pointer).atexit = False


@dataclass(frozen=True)
class Descriptors:
    """What the library is told of a product. a, b: its operands, which are our right and left; d: the result."""

    operation: _Object
    a: _Object
    b: _Object
    d: _Object
    subject: str


def describe(library: Library, gemm: Gemm, values: Mapping[str, int], precision: str = "float32") -> Descriptors:
    """The descriptors of a product of known sizes, none of which is 0. values: of the kernel's sizes. precision: as for
    ``CublasLt.plan``."""
    if precision not in _PRECISIONS:
        raise DeclarationError(
            f"{precision!r} is no precision of matrix products",
            at=str(user_location()),
            expected=", ".join(_PRECISIONS),
        )
    subject = _spelled(gemm, values)
    rows, columns, depth = (evaluate(size, values) for size in (gemm.rows, gemm.columns, gemm.depth))
    batch, kind = evaluate(gemm.batch, values), _TYPES[gemm.dtype]
    compute = _IN_FLOAT64 if gemm.dtype == FLOAT64 else _PRECISIONS[precision]
    operation = _Object(library, "MatmulDesc", subject, compute, kind)
    operation.set(
        transpose_a=int(gemm.right.transposed),
        transpose_b=int(gemm.left.transposed),
        epilogue=_EPILOGUES[gemm.epilogue],
    )

    def layout(matrix: Matrix, rows: int, columns: int) -> _Object:
        lines, width = (columns, rows) if matrix.transposed else (rows, columns)
        leading = max(evaluate(matrix.leading, values), width) if lines == 1 else evaluate(matrix.leading, values)
        if leading < width:
            raise CompilationError(
                f"the lines of an operand of {subject} overlap", expected=f"{width} elements apart", got=str(leading)
            )
        found = _Object(library, "MatrixLayout", subject, kind, width, lines, leading)
        found.set(batch=batch, step=evaluate(matrix.step, values))
        return found

    a, b = layout(gemm.right, depth, columns), layout(gemm.left, rows, depth)
    return Descriptors(operation, a, b, layout(gemm.out, rows, columns), subject)


def _spelled(gemm: Gemm, values: Mapping[str, int]) -> str:
    rows, columns, depth, batch = (evaluate(size, values) for size in (gemm.rows, gemm.columns, gemm.depth, gemm.batch))
    many = f"{batch} products" if batch != 1 else "the product"
    extra = {"none": "", "bias": " + bias", "relu": " with ReLU", "relu_bias": " + bias with ReLU"}[gemm.epilogue]
    return f"{many} {gemm.dtype}[{rows}, {depth}] @ {gemm.dtype}[{depth}, {columns}]{extra}"


@dataclass(frozen=True)
class Product:
    """A product that is ready to run: the algorithm is chosen. workspace: bytes of device memory that it needs beside
    its operands. Running it neither searches nor allocates, so a CUDA graph may capture it; the first run loads the
    machine code, so run it once before. One thread at a time may run it."""

    library: Library
    handle: _Handle | None
    descriptors: Descriptors | None
    algorithm: _Algorithm
    workspace: int
    alignment: int
    dtype: DType
    accumulate: bool
    biased: bool

    def run(self, left: int, right: int, out: int, bias: int = 0, workspace_address: int = 0, stream: int = 0) -> None:
        """Compute it on a stream. left, right, out, bias: addresses in device memory, all multiples of the alignment
        that it was planned for. bias: 0 without one. workspace_address: of ``workspace`` bytes, a multiple of 256."""
        known = self.descriptors
        if known is None or self.handle is None:  # a result without elements
            return
        if (left | right | out | (bias if self.biased else 0)) % self.alignment:
            addresses = ", ".join(map(hex, (left, right, out, bias)))
            raise DeviceError(
                f"an operand of {known.subject} lies off its alignment",
                expected=f"multiples of {self.alignment}",
                got=addresses,
            )
        if self.biased:
            known.operation.set(bias=bias)
        number = c_double if self.dtype == FLOAT64 else c_float
        alpha, beta = number(1), number(1 if self.accumulate else 0)
        status = self.library.call(
            "cublasLtMatmul",
            *(self.handle.pointer, known.operation.pointer, byref(alpha)),
            *(c_void_p(right), known.a.pointer, c_void_p(left), known.b.pointer, byref(beta)),
            *(c_void_p(out), known.d.pointer, c_void_p(out), known.d.pointer, byref(self.algorithm)),
            *(c_void_p(workspace_address), self.workspace, c_void_p(stream)),
        )
        _check(status, "cublasLtMatmul", known.subject)


class CublasLt:
    """cuBLASLt on the GPU that is current when the first product is planned. MissingPackageError without the library.

    library: another one, for tests.
    """

    def __init__(self, library: Library | None = None) -> None:
        found = library if library is not None else _load()
        if isinstance(found, str):
            raise MissingPackageError(found, way_out=INSTALL)
        self.library: Library = found
        self._handle: _Handle | None = None

    def plan(
        self,
        gemm: Gemm,
        values: Mapping[str, int],
        precision: str = "float32",
        workspace: int = WORKSPACE,
        alignment: int = ALIGNMENT,
    ) -> Product:
        """A product of known sizes, with the algorithm that the library expects to be the fastest.

        values: of the kernel's sizes. precision: of products of float32: "float32", or less exact and faster "tf32" (10
        bits of each factor) or "bfloat16" (7 bits); sums are float32. workspace: the most bytes that it may need beside
        its operands. alignment: what all addresses will be multiples of, a power of two. The choice depends on the
        product, the GPU and the version of the library alone, so results are the same in every run; on another GPU, or
        with another version, they may differ by rounding. Raises CompilationError naming the product where the library
        has no algorithm, DeviceError where there is no GPU that it can use.
        """
        parts = {part: evaluate(getattr(gemm, part), values) for part in ("batch", "rows", "columns", "depth")}
        biased = gemm.epilogue in ("bias", "relu_bias")
        fixed = (alignment, gemm.dtype, gemm.accumulate, biased)
        if parts["batch"] * parts["rows"] * parts["columns"] == 0:
            return Product(self.library, None, None, _Algorithm(), 0, *fixed)
        if parts["depth"] == 0:
            raise CompilationError(
                f"{_spelled(gemm, values)} adds up nothing", expected="at least one product in each sum"
            )
        known = describe(self.library, gemm, values, precision)
        if biased:
            known.operation.set(bias=alignment)  # the search looks how well an address is aligned, and at no memory
        best = self._search(known, workspace, alignment)
        return Product(self.library, self._opened(known.subject), known, best.algorithm, int(best.workspace), *fixed)

    def _opened(self, subject: str) -> _Handle:
        if self._handle is None:
            self._handle = _Handle(self.library, subject)
        return self._handle

    def _search(self, known: Descriptors, workspace: int, alignment: int) -> _Candidate:
        """The first algorithm that the library finds."""
        preference = _Object(self.library, "MatmulPreference", known.subject)
        preference.set(workspace=workspace, **dict.fromkeys((f"alignment_{one}" for one in "abcd"), alignment))
        candidates, count = (_Candidate * _CANDIDATES)(), c_int()
        layouts = (known.a.pointer, known.b.pointer, known.d.pointer, known.d.pointer)
        status = self.library.call(
            "cublasLtMatmulAlgoGetHeuristic",
            *(self._opened(known.subject).pointer, known.operation.pointer, *layouts, preference.pointer),
            *(_CANDIDATES, byref(candidates), byref(count)),
        )
        usable = [one for one in candidates[: count.value] if one.state == 0 and one.workspace <= workspace]
        kind = CompilationError if status == 0 or status in _NOT_FOR_IT else DeviceError
        _check(status or (0 if usable else 15), "cublasLtMatmulAlgoGetHeuristic", known.subject, kind)
        return usable[0]
