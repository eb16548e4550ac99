"""The workloads in PyTorch, eager, with its fused optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch_models import first_state, loss_of
from workloads.spec import Array, Workload

LAYOUT, LABEL = "NCHW", "int64"
PRECISIONS = {"float32": "highest", "tf32": "high"}
"""What PyTorch calls the precisions of products."""


def version() -> str:
    return torch.__version__


def peak_megabytes() -> float:
    """The most memory of the GPU that tensors have had."""
    return torch.cuda.max_memory_allocated() / 2**20


def prepare(device: str, precision: str) -> None:
    """Set up a GPU: how products and convolutions are computed, and that the quickest convolution is looked for."""
    if device == "cuda":
        if not torch.cuda.is_available():
            raise RuntimeError("this PyTorch sees no GPU")
        torch.set_float32_matmul_precision(PRECISIONS[precision])
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True


def build(
    workload: Workload, channels_last: bool = False, device: str = "cpu", precision: str = "float32"
) -> Callable[[Mapping[str, Array]], Any]:
    """channels_last: how PyTorch keeps images and kernels in memory. Threads are those that the environment says.

    On a GPU a step returns before it is done; reading its loss waits for it.
    """
    prepare(device, precision)
    params = {name: value.clone() for name, value in tensors(workload.params, channels_last, device).items()}
    settings = dict(workload.cfg)
    if workload.name == "char-lstm":
        settings["lstm"] = _lstm(params)
    trained = [value.requires_grad_() for value in params.values()]
    loss_function = loss_of(workload.name, params, settings)
    state = first_state(workload.name, tensors(workload.params, device=device), workload.samples)
    optimizer = _optimizer(workload.opt, trained)
    limit = workload.opt.get("clip")

    def step(batch: Mapping[str, Array]) -> Any:
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        loss, state = loss_function(params, tensors(batch, channels_last, device), state)
        loss.backward()
        if limit is not None:
            nn.utils.clip_grad_norm_(trained, limit)
        optimizer.step()
        return loss.item() if device == "cpu" else loss.detach()

    return step


def tensors(arrays: Mapping[str, Array], channels_last: bool = False, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Tensors that share the arrays' memory, but for those of four axes in another order, and those on a GPU, which are
    copied there through page-locked memory while the GPU goes on."""
    found = {}
    for name, value in arrays.items():
        tensor = torch.from_numpy(value) if value.ndim else torch.tensor(value)
        if device != "cpu":
            tensor = tensor.pin_memory().to(device, non_blocking=True)
        last = channels_last and value.ndim == 4
        found[name] = tensor.contiguous(memory_format=torch.channels_last) if last else tensor
    return found


def _lstm(params: dict[str, torch.Tensor]) -> nn.LSTM:
    """PyTorch's LSTM, whose parameters take the place of those given. Its second bias stays zero."""
    width, hidden = len(params["wx"]), len(params["wh"])
    layer = nn.LSTM(width, hidden, batch_first=True, dtype=params["wx"].dtype, device=params["wx"].device)
    layer.bias_hh_l0.requires_grad_(False).zero_()
    for name, own in (("wx", layer.weight_ih_l0), ("wh", layer.weight_hh_l0), ("bias", layer.bias_ih_l0)):
        with torch.no_grad():
            own.copy_(params[name].t())
        params[name] = own
    return layer


def _optimizer(options: Mapping[str, Any], params: list[torch.Tensor]) -> torch.optim.Optimizer:
    rate, decay = options["lr"], options.get("wd", 0.0)
    if options["kind"] in ("sgd", "momentum"):
        return torch.optim.SGD(params, rate, options.get("mu", 0.0), weight_decay=decay, fused=True)
    groups = [
        {"params": [value for value in params if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in params if value.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (options["b1"], options["b2"])
    return torch.optim.AdamW([group for group in groups if group["params"]], rate, betas, options["eps"], fused=True)
