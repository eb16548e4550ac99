"""The network in PyTorch, forward pass, backward pass and update compiled as one graph by torch.compile."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.func import functional_call, grad_and_value
from torch.nn.functional import cross_entropy

from mlp.problem import Array, Problem
from mlp.with_torch import LABELS, network, version

__all__ = ["LABELS", "start", "version"]


def start(problem: Problem, threads: int) -> Callable[[Array, Array], float]:
    torch.set_num_threads(threads)
    layers = network(problem)
    parameters = {name: value.detach() for name, value in layers.named_parameters()}

    def loss_of(values: dict[str, torch.Tensor], images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy(functional_call(layers, values, (images,)), labels)

    @torch.compile(fullgraph=True, dynamic=False)
    def update(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        gradients, loss = grad_and_value(loss_of)(parameters, images, labels)
        for name, value in parameters.items():
            value.sub_(problem.rate * gradients[name])
        return loss

    def step(images: Array, labels: Array) -> float:
        return update(torch.from_numpy(images), torch.from_numpy(labels)).item()

    return step
