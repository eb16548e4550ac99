"""The workloads in PyTorch, forward pass, backward pass and update compiled as one graph by torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.func import grad_and_value
from torch_models import State, Tensors, first_state, loss_of
from update_rules import slots, updated
from with_torch import LABEL, LAYOUT, peak_megabytes, prepare, tensors, version
from workloads.spec import Array, Workload

__all__ = ["LABEL", "LAYOUT", "build", "peak_megabytes", "version"]


def build(
    workload: Workload, mode: str | None = None, device: str = "cpu", precision: str = "float32"
) -> Callable[[Mapping[str, Array]], Any]:
    """mode: of ``torch.compile``; "reduce-overhead" lets a GPU replay the step as a graph.

    On a GPU a step returns before it is done; reading its loss waits for it.
    """
    prepare(device, precision)
    params = {name: value.clone() for name, value in tensors(workload.params, device=device).items()}
    loss_function = loss_of(workload.name, params, workload.cfg)
    state = first_state(workload.name, params, workload.samples)
    kept = [{name: torch.zeros_like(value) for name, value in params.items()} for _ in range(slots(workload.opt))]
    number = next(iter(params.values())).new_zeros(())
    if device == "cuda":  # a graph can be replayed where its values keep their places
        for value in (number, *(value for values in (params, *kept) for value in values.values())):
            torch._dynamo.mark_static_address(value)

    @torch.compile(fullgraph=True, dynamic=False, mode=mode)
    def update(batch: Tensors, state: State) -> tuple[torch.Tensor, State]:
        loss_here = grad_and_value(lambda values: loss_function(values, batch, state), has_aux=True)
        gradients, (loss, state_after) = loss_here(params)
        number.add_(1)
        after = updated(workload.opt, params, gradients, kept, number, torch.sqrt)
        for old, new in zip([params, *kept], [after[0], *after[1]], strict=True):
            for name, value in old.items():
                value.copy_(new[name])
        return loss, state_after

    def step(batch: Mapping[str, Array]) -> Any:
        nonlocal state
        with torch.no_grad():
            loss, state = update(tensors(batch, device=device), state)
        return loss.item() if device == "cpu" else loss

    return step
