"""Small kernels that tests compile and run by hand."""

from __future__ import annotations

import ctypes

import numpy as np

from graphc.dtypes import FLOAT32
from graphc.passes.source import Source
from graphc.runtime.compilation import Task
from graphc.runtime.engine import Engine
from graphc.runtime.objects import ObjectCode
from graphc.scalar import Array


def multiply_by(factor: float) -> Task:
    """A kernel that multiplies n numbers."""
    code = (
        "def scale_kernel(part, parts, n, x, y):\n"
        "    for i in range(n * part // parts, n * (part + 1) // parts):\n"
        f"        y[i] = x[i] * float32({factor})\n"
    )
    return Source("scale_kernel", code), 3, (FLOAT32, FLOAT32)


def run_kernel(code: ObjectCode, numbers: Array) -> Array:
    """What a kernel makes of float32 numbers."""
    engine = Engine([code])
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, *[ctypes.c_void_p] * 2)
    result = np.empty_like(numbers)
    ignored = np.zeros(2, np.int64)
    place = ignored.ctypes.data
    prototype(engine.address(code.symbol))(place, place, 0, 1, len(numbers), numbers.ctypes.data, result.ctypes.data)
    return result
