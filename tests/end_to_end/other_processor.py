"""Trains for the processor that numba's settings name, and keeps what came out: a program for tests to start.

    python -m tests.end_to_end.other_processor <file for results> <file for assembly>

numba prints the assembly of its own kernels when NUMBA_DUMP_ASSEMBLY is set.
"""

from __future__ import annotations

import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from safetensors.numpy import save_file

import graphc as gc
from graphc.scalar import Array
from tests.end_to_end.workloads import WORKLOADS

NAMES = ("worksheet", "transformer")
"""Between them they have convolutions, products, maps, folds, searches, random numbers and sums by index."""


def results() -> dict[str, Array]:
    """The loss and all states after each of two steps, and a function with kernels that numba compiles."""
    found: dict[str, Array] = {}
    for name in NAMES:
        model = WORKLOADS[name].compiled(threads=2)
        for step, feed in enumerate(WORKLOADS[name].feeds(2)):
            found[f"{name} {step} loss"] = np.asarray(model.step(feed)["loss"])
            found |= {f"{name} {step} {label}": cell.array.copy() for label, cell in model.cells.items()}
    return found | wide_numbers()


def wide_numbers() -> dict[str, Array]:
    """A function of float64 and of indices; numba compiles the sums by index, which lanes would do out of order."""
    x, line = gc.input("x", ("batch", 37), "float64"), gc.input("line", (40,), "float64")
    index = gc.input("index", ("batch",), "int64")
    y = gc.softmax(gc.tanh(x) + gc.exp(gc.sin(x)), axis=1) @ gc.constant(np.eye(37)[:, :5])
    taken = (gc.sqrt(gc.take(line, index)) * x[:, 0]).sum()
    by_x, by_line = gc.grad(y.sum() + taken, [x, line])
    outputs = {"y": y, "best": gc.argmax(x, axis=1), "by_x": by_x, "by_line": by_line}
    rng = np.random.default_rng(0)
    function = gc.function([x, line, index], outputs, threads=2)
    found = function(rng.normal(size=(50, 37)), rng.random(40), rng.integers(0, 40, 50))
    assert isinstance(found, dict)
    return found


def main() -> None:
    """Write results and assembly."""
    assembly: list[str] = []
    emit = llvm.TargetMachine.emit_object

    def emit_both(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> bytes:
        assembly.append(machine.emit_assembly(module))
        return bytes(emit(machine, module))

    llvm.TargetMachine.emit_object = emit_both
    save_file(results(), sys.argv[1])
    Path(sys.argv[2]).write_text("\n".join(assembly), "utf-8")


if __name__ == "__main__":
    main()
