"""The workloads in PyTorch, forward pass, backward pass and update compiled as one graph by torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.func import grad_and_value
from torch_models import State, Tensors, first_state, loss_of
from update_rules import slots, updated
from with_torch import LABEL, LAYOUT, tensors, version
from workloads.spec import Array, Workload

__all__ = ["LABEL", "LAYOUT", "build", "version"]


def build(workload: Workload) -> Callable[[Mapping[str, Array]], float]:
    params = {name: value.clone() for name, value in tensors(workload.params).items()}
    loss_function = loss_of(workload.name, params, workload.cfg)
    state = first_state(workload.name, params, workload.samples)
    kept = [{name: torch.zeros_like(value) for name, value in params.items()} for _ in range(slots(workload.opt))]
    number = torch.zeros((), dtype=next(iter(params.values())).dtype)

    @torch.compile(fullgraph=True, dynamic=False)
    def update(batch: Tensors, state: State) -> tuple[torch.Tensor, State]:
        loss_here = grad_and_value(lambda values: loss_function(values, batch, state), has_aux=True)
        gradients, (loss, state_after) = loss_here(params)
        number.add_(1)
        after = updated(workload.opt, params, gradients, kept, number, torch.sqrt)
        for old, new in zip([params, *kept], [after[0], *after[1]], strict=True):
            for name, value in old.items():
                value.copy_(new[name])
        return loss, state_after

    def step(batch: Mapping[str, Array]) -> float:
        nonlocal state
        with torch.no_grad():
            loss, state = update(tensors(batch), state)
        return loss.item()

    return step
