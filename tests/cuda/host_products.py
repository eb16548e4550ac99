"""Stands for a GPU in tests of cuBLASLt: products are computed by numpy, from what the library was told of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import byref, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from graphc.runtime.cuda.cublaslt import Library
from graphc.scalar import Array
from tests.cuda.fake_driver import FakeDriver

OPERATION: dict[str, tuple[int, Any]] = {
    "compute": (0, c_int32),
    "scale": (1, c_int32),
    "pointer mode": (2, c_int32),
    "transpose a": (3, c_int32),
    "transpose b": (4, c_int32),
    "epilogue": (7, c_uint32),
    "bias": (8, c_void_p),
}
LAYOUT: dict[str, tuple[int, Any]] = {
    "type": (0, c_uint32),
    "order": (1, c_int32),
    "rows": (2, c_uint64),
    "columns": (3, c_uint64),
    "leading": (4, c_int64),
    "batch": (5, c_int32),
    "step": (6, c_int64),
}
PREFERENCE: dict[str, tuple[int, Any]] = {
    "workspace": (1, c_uint64),
    **{f"alignment {one}": (number, c_uint32) for number, one in enumerate("abcd", 5)},
}


def read(library: Library, kind: str, pointer: c_void_p, names: Mapping[str, tuple[int, Any]]) -> dict[str, int]:
    """Attributes of an object of the library, read back."""
    found: dict[str, int] = {}
    for name, (number, ctype) in names.items():
        value, written = ctype(), c_size_t()
        call = f"cublasLt{kind}GetAttribute"
        assert library.call(call, pointer, number, byref(value), sizeof(ctype), byref(written)) == 0
        assert written.value == sizeof(ctype), (kind, name)
        found[name] = value.value or 0
    return found


class Memory:
    """Stands for the library where that is missing: keeps attributes by number and gives them back."""

    version = "0.0"

    def __init__(self) -> None:
        self.objects: dict[int, dict[int, bytes]] = {}

    def call(self, name: str, *arguments: Any) -> int:
        if name.endswith("Create"):
            numbers: dict[int, Any] = {}
            if "Desc" in name:
                given = zip((0, 1, 2, 3, 4, 7, 8), (*arguments[1:], 0, 0, 0, 1, 0), strict=True)
                numbers = {number: c_uint64(value) for number, value in given}
            elif "Layout" in name:
                kind, *sizes = arguments[1:]
                numbers = {number: c_uint64(value) for number, value in enumerate((kind, 0, *sizes, 1, 0))}
            arguments[0]._obj.value = len(self.objects) + 1
            self.objects[len(self.objects) + 1] = {number: bytes(value) for number, value in numbers.items()}
        elif name.endswith("SetAttribute"):
            pointer, number, value, size = arguments
            assert sizeof(value._obj) == size
            self.objects[pointer.value][number] = bytes(value._obj)
        elif name.endswith("GetAttribute"):
            pointer, number, value, size, written = arguments
            ctypes.memmove(ctypes.addressof(value._obj), self.objects[pointer.value][number], size)
            written._obj.value = size
        else:
            assert name.endswith("Destroy")
            self.objects[arguments[0].value] = {}
        return 0


@dataclass
class OnHost:
    """A library of which descriptors are what they are, and which computes products in host memory.

    workspace: what its only algorithm needs. refuses: the status of functions that fail.
    """

    inner: Library
    workspace: int = 512
    version: str = "0.0"

    def __post_init__(self) -> None:
        self.calls: list[str] = []
        self.refuses: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.bias_asked = 0
        self.workspaces: set[int] = set()
        self.last_run, self.last_workspace = (0, 0), 0
        self.found = 1

    def call(self, name: str, *arguments: Any) -> int:
        self.calls.append(name)
        if name in self.refuses:
            return self.refuses[name]
        if name == "cublasLtCreate":
            arguments[0]._obj.value = 1
        elif name == "cublasLtMatmulAlgoGetHeuristic":
            self.asked = read(self.inner, "MatmulPreference", arguments[6], PREFERENCE)
            self.bias_asked = read(self.inner, "MatmulDesc", arguments[1], OPERATION)["bias"]
            arguments[9]._obj.value = self.found
            arguments[8]._obj[0].workspace = self.workspace
            self.workspaces.add(self.workspace)
        elif name == "cublasLtMatmul":
            self.multiply(*arguments)
        elif name != "cublasLtDestroy":
            return self.inner.call(name, *arguments)
        return 0

    def multiply(self, handle: c_void_p, operation: c_void_p, alpha: Any, *rest: Any) -> None:
        """Compute a product on its stream, from what the library was told of it alone."""
        a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, _, at, workspace, stream = rest
        assert (handle.value, c.value, c_layout.value) == (1, d.value, d_layout.value)
        assert workspace in self.workspaces
        self.last_run, self.last_workspace = (at.value or 0, stream.value or 0), workspace
        told = read(self.inner, "MatmulDesc", operation, OPERATION)
        kind: Any = c_double if told["scale"] else c_float
        assert told["pointer mode"] == 0
        assert type(alpha._obj) is type(beta._obj) is kind
        left, right, out = (
            self.matrices(address, read(self.inner, "MatrixLayout", layout, LAYOUT), kind)
            for address, layout in ((a, a_layout), (b, b_layout), (d, d_layout))
        )
        left = left.swapaxes(1, 2) if told["transpose a"] else left
        right = right.swapaxes(1, 2) if told["transpose b"] else right
        vector = np.zeros(out.shape[1], kind)
        if told["epilogue"] & 4:
            vector = np.ctypeslib.as_array(ctypes.cast(told["bias"], ctypes.POINTER(kind)), (out.shape[1],))
        factors = alpha._obj.value, beta._obj.value
        self.put(partial(compute, left, right, out, vector, factors, bool(told["epilogue"] & 2)))

    def put(self, work: Callable[[], None]) -> None:
        """Give the stream of the last run something to do."""
        work()

    def matrices(self, address: c_void_p, layout: dict[str, int], kind: Any) -> Array:
        """Matrices in columns: the element (i, j) of matrix n lies at i + j * leading + n * step."""
        assert layout["order"] == 0
        assert layout["leading"] >= layout["rows"]
        assert layout["type"] == (1 if kind is c_double else 0)
        flat = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (1,))
        shape = layout["batch"], layout["rows"], layout["columns"]
        strides = [sizeof(kind) * step for step in (layout["step"], 1, layout["leading"])]
        return np.lib.stride_tricks.as_strided(flat, shape, strides)


def compute(left: Array, right: Array, out: Array, vector: Array, factors: tuple[float, float], relu: bool) -> None:
    """The definition of the library's product. vector: added to each column. factors: of the product, and of what is
    in the result, which is not read if that is 0."""
    value = factors[0] * (left @ right)
    if factors[1]:
        value += factors[1] * out
    value = value + vector[:, None]
    out[...] = np.maximum(value, 0) if relu else value


class OnStreams(OnHost):
    """The library on a fake driver: products are computed when their stream comes to them."""

    def __init__(self, fake: FakeDriver, workspace: int = 512) -> None:
        super().__init__(Memory(), workspace)
        self.fake = fake
        self.computed = 0
        self.alignments: list[int] = []

    def call(self, name: str, *arguments: Any) -> int:
        status = super().call(name, *arguments)
        if name == "cublasLtMatmulAlgoGetHeuristic" and status == 0:
            self.alignments.append(self.asked["alignment a"])
        return status

    def put(self, work: Callable[[], None]) -> None:
        place, handle = self.last_run
        (stream,) = (one for one in self.fake.streams if int(one) == handle)
        stream.put(partial(self._compute, work, place, self.last_workspace))

    def _compute(self, work: Callable[[], None], place: int, size: int) -> None:
        if size:
            self.fake.bytes_at(place)[:size] = 0xAB  # whatever else lies there is spoilt
        work()
        self.computed += 1
