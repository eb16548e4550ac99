"""Single kernels in graphc."""

from __future__ import annotations

from collections.abc import Mapping

from kernel_cases import Array, Case

import graphc as gc

LAYOUT, LABEL = "NHWC", "int32"


def version() -> str:
    return gc.__version__


def build(case: Case) -> Step:
    return Step(case)


class Step:
    """A compiled function of one operation."""

    def __init__(self, case: Case) -> None:
        self._case = case
        (operands,) = case.batches(LAYOUT, LABEL)
        given = {name: gc.input(name, value.shape) for name, value in operands.items()}
        x, w = (given.get(name, gc.input(name, _last(name, case.shapes[name]))) for name in ("x", "w"))
        result = gc.convolution(x, w, case.strides, case.window // 2) if case.size else x @ w
        if case.part != "forward":
            result = gc.grad(result, x if case.part == "input gradient" else w, given["g"])
        self._function = gc.function(list(given.values()), result)

    def __call__(self, batch: Mapping[str, Array]) -> Array:
        result = self._function(**batch)
        assert isinstance(result, Array)
        if not self._case.size:
            return result
        return result.transpose((3, 2, 0, 1) if self._case.part == "weight gradient" else (0, 3, 1, 2))

    def work(self) -> dict[str, float]:
        """The operations a second that this machine does at best."""
        from graphc.runtime.peaks import peaks_of

        return {"peak_flops": peaks_of(1).flops["float32"]}


def _last(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with channels last."""
    if len(shape) == 2:
        return shape
    return (*shape[2:], shape[1], shape[0]) if name == "w" else (shape[0], *shape[2:], shape[1])
