"""Targets, and how the programs of models run on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

import graphc as gc
from graphc.runtime.cuda.executable import CudaExecutable
from graphc.runtime.executable import Executable
from graphc.runtime.target import Target
from graphc.scalar import Array
from tests.harness import same_bits

__all__ = ["CPU", "EXACT", "FAST", "Feed", "check_same", "moved", "run", "states", "trained"]

CPU = Target("cpu", threads=2, winograd=False)
EXACT = Target("cuda", precision="exact")
"""The bits of the CPU."""
FAST = Target("cuda")

Feed = Mapping[str, object]


def moved(model: gc.Model, target: Target) -> gc.Model:
    """A model of which nothing has been compiled yet, for another target."""
    assert not model._programs
    assert not model._executables
    model.target = target
    return model


def run(executable: Executable | CudaExecutable, feed: Feed) -> dict[str, Array]:
    """One step; its outputs are waited for."""
    arrays, sizes = executable.feeder.prepare(feed)
    return {name: np.array(value) for name, value in executable.run(arrays, sizes).items()}


def states(model: gc.Model) -> dict[str, Array]:
    """The values of all states."""
    return {name: cell.read() for name, cell in model.cells.items()}


def trained(make: Callable[[], gc.Model], target: Target, feeds: Iterable[Feed]) -> dict[str, Array]:
    """The losses and metrics of steps of a new model on a target, and its states after the last."""
    model = moved(make(), target)
    executable = model.executable("train")
    assert isinstance(executable, CudaExecutable) == (target.name == "cuda")
    found: dict[str, Array] = {}
    for step, feed in enumerate(feeds):
        found |= {f"{name} {step}": value for name, value in run(executable, feed).items()}
    return found | states(model)


def check_same(wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
    """All values have the same bits."""
    assert wanted.keys() == found.keys()
    assert [name for name, value in wanted.items() if not same_bits(value, found[name])] == []
