"""Single kernels in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from kernel_cases import Array, Case
from torch.nn import functional, grad
from with_torch import LABEL, LAYOUT, tensors, version

__all__ = ["LABEL", "LAYOUT", "build", "version"]


def build(case: Case, channels_last: bool = False) -> Callable[[Mapping[str, Array]], torch.Tensor]:
    """channels_last: how images and kernels lie in memory; they are brought there once."""
    given = tensors(case.batches(LAYOUT, LABEL)[0], channels_last)
    x, w, g = (given.get(name) for name in ("x", "w", "g"))
    edge, shapes = case.window // 2, case.shapes
    operations: dict[tuple[str, bool], Callable[[], torch.Tensor]] = {
        ("forward", False): lambda: x @ w,
        ("input gradient", False): lambda: g @ w.T,
        ("weight gradient", False): lambda: x.T @ g,
        ("forward", True): lambda: functional.conv2d(x, w, None, case.strides, edge),
        ("input gradient", True): lambda: grad.conv2d_input(shapes["x"], w, g, case.strides, edge),
        ("weight gradient", True): lambda: grad.conv2d_weight(x, shapes["w"], g, case.strides, edge),
    }
    operation = operations[case.part, bool(case.size)]

    def step(batch: Mapping[str, Array]) -> torch.Tensor:
        with torch.no_grad():
            return operation()

    return step
