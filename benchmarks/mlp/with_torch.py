"""The network in PyTorch, eager, with its fused optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mlp.problem import CLASSES, HIDDEN, INPUTS, Array, Problem

LABELS = "int64"


def version() -> str:
    return torch.__version__


def network(problem: Problem) -> nn.Sequential:
    """The network with the problem's parameters; PyTorch keeps a layer's weight as (outputs, inputs)."""
    layers = nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    values = (problem.weight1.T, problem.bias1, problem.weight2.T, problem.bias2)
    with torch.no_grad():
        for parameter, value in zip(layers.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(value))
    return layers


def start(problem: Problem, threads: int) -> Callable[[Array, Array], float]:
    torch.set_num_threads(threads)
    layers = network(problem)
    optimizer = torch.optim.SGD(layers.parameters(), problem.rate, fused=True)

    def step(images: Array, labels: Array) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(layers(torch.from_numpy(images)), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
