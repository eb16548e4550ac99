"""What a call computes and moves, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.dims import evaluate
from graphc.passes.lower import KernelCall

__all__ = ["bytes_of", "flops_of"]


def flops_of(call: KernelCall, sizes: Mapping[str, int]) -> int:
    """The floating-point operations of a call; of one round, if it is in a loop."""
    return sum(evaluate(size, sizes) for size in call.flops)


def bytes_of(call: KernelCall, sizes: Mapping[str, int]) -> int:
    """The bytes of a call's arguments, each counted once; of one round, if it is in a loop."""
    return sum(evaluate(s.type.elements, sizes) * s.type.dtype.itemsize for s in call.arguments)
