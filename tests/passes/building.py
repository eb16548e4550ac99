"""Graphs, programs and one small network that tests of the passes build; nothing of it is compiled."""

from __future__ import annotations

from collections.abc import Mapping

import graphc as gc
from graphc import layers, losses, optimizers
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.passes.build import Program, build_program, optimisations
from graphc.passes.fuse import Fuse
from graphc.passes.pipeline import run_pipeline


def optimised(outputs: Mapping[str, Tensor], updates: Mapping[Tensor, Tensor] | None = None) -> Graph:
    """Outputs after all passes over graphs."""
    return run_pipeline(gc.graph_of(outputs, updates), optimisations(training=True))


def program_of(
    outputs: Mapping[str, Tensor], updates: Mapping[Tensor, Tensor] | None = None, fuse: Fuse | None = None
) -> Program:
    """The kernel calls and memory plan of outputs."""
    return build_program(optimised(outputs, updates), fuse)


def kernel_names(program: Program) -> list[str]:
    """The names of the kernels in the order in which they are called."""
    return [call.kernel.name.removesuffix("_kernel") for call in program.calls]


def perceptron(optimizer: optimizers.Optimizer) -> gc.Model:
    """A classifier with one hidden layer; the weights are larger than what one thread should update alone."""
    image = gc.input("image", shape=("batch", 784))
    label = gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential([layers.Dense(128, activation="relu"), layers.Dense(10)], name="mlp")
    return gc.compile(losses.softmax_cross_entropy(network(image), label), optimizer, name="mlp")


def training_program(optimizer: optimizers.Optimizer, fuse: Fuse | None = None) -> Program:
    """The training step of the perceptron."""
    return build_program(perceptron(optimizer).graph("train"), fuse)
