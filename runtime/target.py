"""Targets: the processor that programs are compiled for, and how they compute there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.errors import DeclarationError
from graphc.frontend.state import Cell
from graphc.graph import Graph
from graphc.node import Node
from graphc.origin import user_location
from graphc.passes.build import Program, build_program, optimisations
from graphc.passes.fuse import Fuse
from graphc.passes.lower import KernelCall
from graphc.passes.pipeline import Pass
from graphc.passes.source import Source, print_kernel
from graphc.runtime.executable import Executable

if TYPE_CHECKING:
    from graphc.runtime.cuda.executable import CudaExecutable

__all__ = ["PRECISIONS", "TARGETS", "TARGET_VARIABLE", "Target"]

TARGET_VARIABLE = "GRAPHC_TARGET"
"""The environment variable that names the target of programs that name none."""
TARGETS = ("cpu", "cuda")
PRECISIONS = ("float32", "exact", "tf32", "bfloat16")
"""How products of float32 are computed: in float32; in float32 and the order of the CPU, to the same bits; from
operands rounded to 10 or to 7 bits behind the point, with sums in float32."""


@dataclass(frozen=True)
class Target:
    """What programs are compiled for.

    name: "cpu" or "cuda". threads: of the CPU, None for all. fuse: whether kernels compute several values. winograd:
    whether the CPU's convolutions may take the form with fewer multiplications. precision: one of PRECISIONS; the CPU
    knows the first two, which are the same there.
    """

    name: str = "cpu"
    threads: int | None = None
    fuse: bool = True
    winograd: bool = True
    precision: str = "float32"

    @staticmethod
    def of(name: str | None, threads: int | None, fuse: bool, winograd: bool, precision: str) -> Target:
        """The target that a user describes; DeclarationError if there is no such target or precision."""
        chosen = name if name is not None else os.environ.get(TARGET_VARIABLE) or "cpu"
        if chosen not in TARGETS:
            raise DeclarationError(
                f"there is no target {chosen!r}",
                at=str(user_location()),
                facts=[] if name is not None else [("named by", f"${TARGET_VARIABLE}")],
                expected=" or ".join(map(repr, TARGETS)),
                got=repr(chosen),
            )
        known = PRECISIONS if chosen == "cuda" else PRECISIONS[:2]
        if precision not in known:
            raise DeclarationError(
                f"target {chosen!r} has no precision {precision!r}",
                at=str(user_location()),
                expected=", ".join(map(repr, known)),
                got=repr(precision),
                way_out='"tf32" and "bfloat16" are for target="cuda"' if precision in PRECISIONS else None,
            )
        return Target(chosen, threads, fuse, winograd, precision)

    def other(self, name: str | None) -> Target:
        """This target, or the one of another name; DeclarationError if there is none. A precision that it lacks becomes
        float32."""
        if name is None or name == self.name:
            return self
        precision = self.precision if self.precision in PRECISIONS[:2] else "float32"
        return Target.of(name, self.threads, self.fuse, self.winograd, precision)

    def passes(self, training: bool) -> tuple[Pass, ...]:
        """The passes between a declared graph and its kernels."""
        on_cpu = self.name == "cpu"
        return optimisations(training, self.winograd and on_cpu, vectors=on_cpu)

    def program(self, graph: Graph) -> Program:
        """The program of an optimised graph."""
        return build_program(graph, Fuse(self.fuse), self.uses_library, on_gpu=self.fuse and self.name == "cuda")

    def executable(self, program: Program, cells: Mapping[Node, Cell]) -> Executable | CudaExecutable:
        """A program, compiled and ready to run; DeviceError if there is no GPU to run it."""
        if self.name == "cpu":
            return Executable(program, cells, self.threads)
        from graphc.runtime.cuda.executable import CudaExecutable

        return CudaExecutable(program, cells, self.precision)

    def sources(self, call: KernelCall) -> list[Source]:
        """What a call runs, as source: one kernel, or two on a GPU where a sum is computed in parts."""
        if self.name == "cpu":
            return [print_kernel(call.kernel)]
        from graphc.passes.cuda.kernels import cuda_kernel

        return [kernel.source for kernel in cuda_kernel(call, self.exact).launched]

    @property
    def exact(self) -> bool:
        """Whether results have the bits of the CPU's."""
        return self.name == "cpu" or self.precision == "exact"

    @property
    def uses_library(self) -> bool:
        """Whether cuBLASLt computes the products that it can."""
        if self.exact:
            return False
        from graphc.runtime.cuda.cublaslt import available

        return available() is None
