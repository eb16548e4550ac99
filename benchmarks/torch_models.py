"""The losses of the workloads in PyTorch, as functions of parameters and a minibatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

Tensors = Mapping[str, torch.Tensor]
Settings = Mapping[str, Any]
State = tuple[torch.Tensor, ...]
Loss = Callable[[Tensors, Tensors, State], tuple[torch.Tensor, State]]


def _dense(p: Tensors, x: torch.Tensor, layer: object = "") -> torch.Tensor:
    return functional.linear(x, p[f"w{layer}"].T, p[f"b{layer}"])


def _perceptron(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    if "w" in p:
        return functional.cross_entropy(_dense(p, batch["x"]), batch["y"])
    value, last = batch["x"], len(p) // 2
    for layer in range(1, last):
        value = functional.relu(_dense(p, value, layer))
    return functional.cross_entropy(_dense(p, value, last), batch["y"])


def _support_vectors(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    scores = _dense(p, batch["x"])
    margins = functional.multi_margin_loss(scores, batch["y"]) * scores.shape[1]  # PyTorch divides by the classes
    return margins + cfg["reg"] * p["w"].square().sum()


def _autoencoder(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    hidden = functional.relu(_dense(p, batch["x"], 1))
    mean, log_variance = _dense(p, hidden, "m"), _dense(p, hidden, "v")
    code = mean + torch.exp(log_variance / 2) * batch["eps"]
    logits = _dense(p, functional.relu(_dense(p, code, 3)), 4)
    fit = functional.binary_cross_entropy_with_logits(logits, batch["x"], reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return (fit + divergence) / len(logits)


def _chain(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    operations: dict[str, Callable[..., torch.Tensor]] = {
        "mul_t": lambda x: x * batch["t"],
        "mul": lambda x, number: x * number,
        "add": lambda x, number: x + number,
        "max": lambda x, number: x.clamp(min=number),
        "recip": torch.reciprocal,
    }
    value = p["x"]
    for name, *numbers in cfg["chain"]:
        value = (operations.get(name) or getattr(torch, name))(value, *numbers)
    return value.sum()


def _lenet(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    value = torch.tanh(functional.conv2d(batch["x"], p["c1w"], p["c1b"], padding=2))
    value = torch.tanh(functional.conv2d(functional.avg_pool2d(value, 2), p["c2w"], p["c2b"]))
    value = functional.avg_pool2d(value, 2).flatten(1)
    for layer in (3, 4):
        value = torch.tanh(_dense(p, value, layer))
    return functional.cross_entropy(_dense(p, value, 5), batch["y"])


def _convolutional(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    value = functional.relu(functional.conv2d(batch["x"], p["c1w"], p["c1b"]))
    value = functional.max_pool2d(functional.relu(functional.conv2d(value, p["c2w"], p["c2b"])), 2).flatten(1)
    value = functional.relu(_dense(p, functional.dropout(value, cfg["p1"]), 3))
    return functional.cross_entropy(_dense(p, functional.dropout(value, cfg["p2"]), 4), batch["y"])


def _residual(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    averages = cfg["averages"]

    def unit(value: torch.Tensor, kernel: str, norm: str, strides: int = 1) -> torch.Tensor:
        value = functional.conv2d(value, p[kernel], stride=strides, padding=p[kernel].shape[-1] // 2)
        mean, variance = averages[f"{norm}.mean"], averages[f"{norm}.variance"]
        return functional.batch_norm(
            value, mean, variance, p[f"{norm}.g"], p[f"{norm}.b"], True, cfg["bnm"], cfg["eps"]
        )

    value = functional.relu(unit(batch["x"], "conv1", "bn1"))
    for block in (f"s{stage}b{number}" for stage in (1, 2, 3) for number in (1, 2, 3)):
        strides = 2 if f"{block}.proj" in p else 1
        inner = functional.relu(unit(value, f"{block}.conv1", f"{block}.bn1", strides))
        shortcut = unit(value, f"{block}.proj", f"{block}.bnp", strides) if strides > 1 else value
        value = functional.relu(unit(inner, f"{block}.conv2", f"{block}.bn2") + shortcut)
    scores = functional.linear(value.mean((2, 3)), p["fc.w"].T, p["fc.b"])
    return functional.cross_entropy(scores, batch["y"])


def _segmentation(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    value = batch["x"]
    for name, _, _, window, strides, dilation, _ in cfg["convs"]:
        padding = dilation if window > 1 else 0
        value = functional.conv2d(value, p[f"{name}.w"], p[f"{name}.b"], strides, padding, dilation)
        value = value if name == "head" else functional.relu(value)
    value = functional.interpolate(value, scale_factor=cfg["up"], mode="bilinear")
    return functional.cross_entropy(value, batch["y"], ignore_index=cfg["ignore"])


def _transformer(p: Tensors, batch: Tensors, cfg: Settings) -> torch.Tensor:
    heads, width = cfg["heads"], cfg["d"]

    def normal(value: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(value, (width,), p[f"{name}.g"], p[f"{name}.b"])

    def dense(value: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(value, p[f"{name}.w"].T, p[f"{name}.b"])

    value = functional.embedding(batch["x"], p["tok"]) + p["pos"]
    for block in (f"l{number}" for number in range(cfg["layers"])):
        joined = dense(normal(value, f"{block}.ln1"), f"{block}.qkv")
        parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in joined.chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        value = value + dense(mixed.transpose(1, 2).flatten(2), f"{block}.proj")
        inner = functional.gelu(dense(normal(value, f"{block}.ln2"), f"{block}.fc"), approximate="tanh")
        value = value + dense(inner, f"{block}.out")
    scores = functional.linear(normal(value, "lnf"), p["tok"])
    return functional.cross_entropy(scores.flatten(0, 1), batch["y"].flatten())


def _recurrent(p: Tensors, batch: Tensors, cfg: Settings, state: State) -> tuple[torch.Tensor, State]:
    """PyTorch's own LSTM where the settings have one; a loop where that cannot be compiled."""
    embedded, (hidden, cell) = functional.embedding(batch["x"], p["emb"]), state
    if "lstm" in cfg:
        outputs, after = cfg["lstm"](embedded, (hidden[None], cell[None]))
        hidden, cell = (value[0] for value in after)
    else:
        joined, results = embedded @ p["wx"] + p["bias"], []
        for time in range(embedded.shape[1]):
            enter, forget, new, leave = (joined[:, time] + hidden @ p["wh"]).chunk(4, 1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            hidden = torch.sigmoid(leave) * torch.tanh(cell)
            results.append(hidden)
        outputs = torch.stack(results, 1)
    scores = functional.linear(outputs, p["wo"].T, p["bo"])
    loss = functional.cross_entropy(scores.flatten(0, 1), batch["y"].flatten())
    return loss, (hidden.detach(), cell.detach())


_LOSSES: dict[str, Callable[[Tensors, Tensors, Settings], torch.Tensor]] = {
    "logreg": _perceptron,
    "mlp-small": _perceptron,
    "mlp-wide": _perceptron,
    "svm-linear": _support_vectors,
    "lenet5": _lenet,
    "keras-cnn": _convolutional,
    "resnet20": _residual,
    "elementwise-chain": _chain,
    "vae": _autoencoder,
    "nano-gpt": _transformer,
    "deeplab-mini": _segmentation,
}


def first_state(name: str, params: Tensors, samples: int) -> State:
    """What is carried from one minibatch to the next."""
    if name != "char-lstm":
        return ()
    return tuple(params["wh"].new_zeros(samples, len(params["wh"])) for _ in range(2))


def loss_of(name: str, params: Tensors, settings: Settings) -> Loss:
    """The loss of a workload, and the state after it."""
    if name == "char-lstm":
        return lambda p, batch, state: _recurrent(p, batch, settings, state)
    norms = [key.removesuffix(".g") for key in params if name == "resnet20" and key.endswith(".g")]
    averages = {f"{norm}.mean": torch.zeros_like(params[f"{norm}.g"], requires_grad=False) for norm in norms}
    averages |= {f"{norm}.variance": torch.ones_like(params[f"{norm}.g"], requires_grad=False) for norm in norms}
    model, cfg = _LOSSES[name], {**settings, "averages": averages}
    return lambda p, batch, state: (model(p, batch, cfg), state)
