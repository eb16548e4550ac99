"""What there is to be timed, and which Python runs it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable

import with_numpy
from process import Implementation

IMAGES = ("lenet5", "keras-cnn", "resnet20", "deeplab-mini")
IMPLEMENTATIONS = {
    "graphc": Implementation("with_graphc"),
    "numpy": Implementation("with_numpy", only=tuple(with_numpy.WORKLOADS), devices=("cpu",)),
    "torch": Implementation("with_torch", peer=True),
    "torch-last": Implementation("with_torch", {"channels_last": True}, peer=True, only=IMAGES),
    "torch.compile": Implementation("with_torch_compile", peer=True),
    "torch.graphs": Implementation("with_torch_compile", {"mode": "reduce-overhead"}, peer=True, devices=("cuda",)),
    "jax": Implementation("with_jax", peer=True),
}
REFERENCES = ("torch", "jax", "numpy")
"""What the losses of all are compared with, in float64: the first that is installed and has the workload."""


def add_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """The options that all commands have. seconds: the default of --time."""
    parser.add_argument(
        "--python", type=_program, metavar="PATH", help="a Python that has the peers (torch, jax); default: this one"
    )
    parser.add_argument("--time", type=float, default=seconds, metavar="S", help="seconds for each (%(default)s)")


def _program(path: str) -> str:
    if shutil.which(path) is None:
        raise argparse.ArgumentTypeError(f"{path} is no program")
    return path


def python_of(name: str, peers: str | None) -> str:
    """The Python that runs an implementation. peers: the one that has the other libraries."""
    return peers if peers and IMPLEMENTATIONS[name].peer else sys.executable


def names_on(device: str) -> list[str]:
    """The implementations that can run on a device."""
    return [name for name, one in IMPLEMENTATIONS.items() if device in one.devices]


def chosen_for(
    workload: str, names: Iterable[str], peers: str | None, gpu: str | None = None
) -> dict[str, tuple[Implementation, str]]:
    """The implementations of a workload, with their Pythons. gpu: None for the CPU, else the precision of products."""
    known = {name: one if gpu is None else one.on_gpu(gpu) for name, one in IMPLEMENTATIONS.items()}
    wanted = {name: known[name] for name in names if known[name].takes(workload)}
    return {name: (chosen, python_of(name, peers)) for name, chosen in wanted.items()}


def references_for(workload: str, peers: str | None) -> list[tuple[str, Implementation, str]]:
    """The implementations that may say what the losses are, the best first."""
    return [(name, *found) for name, found in chosen_for(workload, REFERENCES, peers).items()]


def listed(text: str, known: list[str], what: str, parser: argparse.ArgumentParser) -> list[str]:
    """Names separated by commas, all of them known."""
    names = text.split(",")
    for name in names:
        if name not in known:
            parser.error(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return names
