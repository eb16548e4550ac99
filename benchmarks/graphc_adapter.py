"""graphc as an adapter for a harness that times training steps of many frameworks.

It is one file, to be copied beside the harness's other adapters. The harness hands ``build`` a workload: its name,
initial parameters, minibatches, optimizer and settings. Nothing of graphc is loaded before ``init``, so that loading it
can be timed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import graphc as gc

LAYOUT, LABEL = "NHWC", "int32"
VARIANTS: dict[str, dict[str, Any]] = {"default": {}}

Tensors = Mapping[str, "gc.Tensor"]
Settings = Mapping[str, Any]


def supports(name: str, opts: Mapping[str, object]) -> str | None:
    """None for a workload that ``build`` takes, else the reason why it does not."""
    return None if name in _LOSSES else "unknown to this adapter"


def init(threads: int, opts: Mapping[str, object]) -> None:
    """Load graphc and set its threads; compiled kernels go to the harness's own folder, if it names one."""
    global gc
    os.environ["GRAPHC_NUM_THREADS"] = str(threads)
    if "BENCH_CACHE_DIR" in os.environ:
        os.environ["GRAPHC_CACHE_DIR"] = os.path.join(os.environ["BENCH_CACHE_DIR"], "graphc")
    import graphc as gc


def version() -> str:
    return f"graphc {gc.__version__}"


def build(w: Any, opts: Mapping[str, object], dropout: bool = True) -> Callable[[Mapping[str, Any]], float]:
    """A function that takes one minibatch through forward pass, backward pass and update, and returns the loss."""
    model = compile_model(w, dropout)

    def step(batch: Mapping[str, Any]) -> float:
        return model.step(batch)["loss"]

    return step


def compile_model(w: Any, dropout: bool = True, threads: int | None = None, **target: Any) -> gc.Model:
    """The model of a workload, ready to train. target: options of ``gc.compile`` that say where it runs."""
    arrays = channels_last(w.params)
    parameters = {name: gc.parameter(value.shape, value, name) for name, value in arrays.items()}
    first = w.batches(LAYOUT, LABEL)[0]
    inputs = {name: gc.input(name, value.shape, str(value.dtype)) for name, value in first.items()}
    settings = w.cfg if dropout else {**w.cfg, "p1": 0.0, "p2": 0.0}
    loss = _LOSSES[w.name](parameters, inputs, settings)
    return gc.compile(loss, _optimizer(w.opt), name=w.name.replace("-", "_"), threads=threads, **target)


def channels_last(params: Mapping[str, Any]) -> dict[str, Any]:
    """Initial values as channels-last images need them, from values for images with channels first.

    w3 is the dense layer behind a second convolution, if there is one: its rows follow the order of that one's results.
    """
    moved = {name: value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for name, value in params.items()}
    if "c2w" in params:
        weight, channels = params["w3"], len(params["c2w"])
        moved["w3"] = weight.reshape(channels, -1, weight.shape[1]).swapaxes(0, 1).reshape(weight.shape)
    return moved


def _optimizer(options: Settings) -> gc.optimizers.Optimizer:
    kind, decay, limit = options["kind"], options.get("wd", 0.0), options.get("clip")
    if kind == "sgd":
        return gc.optimizers.SGD(options["lr"])

    if kind == "momentum":
        return gc.optimizers.Momentum(options["lr"], options["mu"], weight_decay=decay)
    numbers = options["lr"], options["b1"], options["b2"], options["eps"]
    adam: gc.optimizers.Optimizer = gc.optimizers.Adam(*numbers)
    if decay:  # apart from the moments, and not of vectors
        matrices = gc.optimizers.AdamW(*numbers, weight_decay=decay)
        adam = gc.optimizers.Groups([(lambda parameter: parameter.ndim > 1, matrices)], default=adam)
    return adam if limit is None else gc.optimizers.ClipByGlobalNorm(adam, limit)


def _linear(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    return gc.losses.softmax_cross_entropy(batch["x"] @ p["w"] + p["b"], batch["y"])


def _perceptron(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    value, last = batch["x"], len(p) // 2
    for layer in range(1, last):
        value = gc.relu(value @ p[f"w{layer}"] + p[f"b{layer}"])
    return gc.losses.softmax_cross_entropy(value @ p[f"w{last}"] + p[f"b{last}"], batch["y"])


def _support_vectors(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    loss = gc.losses.hinge(batch["x"] @ p["w"] + p["b"], batch["y"])
    return loss + cfg["reg"] * (p["w"] * p["w"]).sum()


def _autoencoder(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    x = batch["x"]
    hidden = gc.relu(x @ p["w1"] + p["b1"])
    mean, log_variance = hidden @ p["wm"] + p["bm"], hidden @ p["wv"] + p["bv"]
    code = mean + gc.exp(log_variance / 2) * batch["eps"]
    logits = gc.relu(code @ p["w3"] + p["b3"]) @ p["w4"] + p["b4"]
    fit = gc.losses.binary_cross_entropy(logits, x, reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean * mean - gc.exp(log_variance)).sum()
    return (fit + divergence) / x.shape[0]


def _chain(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    operations: dict[str, Callable[..., gc.Tensor]] = {
        "mul_t": lambda x: x * batch["t"],
        "mul": lambda x, number: x * number,
        "add": lambda x, number: x + number,
        "max": gc.maximum,
        "square": lambda x: x * x,
        "recip": lambda x: 1 / x,
    }
    value = p["x"]
    for name, *numbers in cfg["chain"]:
        value = (operations.get(name) or getattr(gc, name))(value, *numbers)
    return value.sum()


def _lenet(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    value = gc.tanh(gc.convolution(batch["x"], p["c1w"], padding="same") + p["c1b"])
    value = gc.tanh(gc.convolution(gc.avg_pool(value, 2), p["c2w"]) + p["c2b"])
    value = gc.layers.Flatten()(gc.avg_pool(value, 2))
    for layer in (3, 4):
        value = gc.tanh(value @ p[f"w{layer}"] + p[f"b{layer}"])
    return gc.losses.softmax_cross_entropy(value @ p["w5"] + p["b5"], batch["y"])


def _convolutional(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    value = gc.relu(gc.convolution(batch["x"], p["c1w"]) + p["c1b"])
    value = gc.max_pool(gc.relu(gc.convolution(value, p["c2w"]) + p["c2b"]), 2)
    value = gc.layers.Flatten()(gc.layers.Dropout(cfg["p1"], "dropout1")(value))
    value = gc.layers.Dropout(cfg["p2"], "dropout2")(gc.relu(value @ p["w3"] + p["b3"]))
    return gc.losses.softmax_cross_entropy(value @ p["w4"] + p["b4"], batch["y"])


def _residual(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    def unit(value: gc.Tensor, kernel: str, norm: str, strides: int = 1) -> gc.Tensor:
        layer = gc.layers.BatchNorm(1 - cfg["bnm"], cfg["eps"], use_scale=False, use_offset=False, name=norm)
        padding = p[kernel].shape[0] // 2
        return layer(gc.convolution(value, p[kernel], strides, padding)) * p[f"{norm}.g"] + p[f"{norm}.b"]

    value = gc.relu(unit(batch["x"], "conv1", "bn1"))
    for name in (f"s{stage}b{block}" for stage in (1, 2, 3) for block in (1, 2, 3)):
        strides = 2 if f"{name}.proj" in p else 1
        inner = gc.relu(unit(value, f"{name}.conv1", f"{name}.bn1", strides))
        inner = unit(inner, f"{name}.conv2", f"{name}.bn2")
        shortcut = unit(value, f"{name}.proj", f"{name}.bnp", strides) if strides > 1 else value
        value = gc.relu(inner + shortcut)
    return gc.losses.softmax_cross_entropy(gc.global_avg_pool(value) @ p["fc.w"] + p["fc.b"], batch["y"])


def _segmentation(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    value = batch["x"]
    for name, _, _, window, strides, dilation, _ in cfg["convs"]:
        padding = dilation if window > 1 else 0
        value = gc.convolution(value, p[f"{name}.w"], strides, padding, dilation) + p[f"{name}.b"]
        value = value if name == "head" else gc.relu(value)
    images, height, width, classes = value.shape
    rows, columns = (gc.constant(_bilinear(size, cfg["up"])) for size in (height, width))
    taller = (rows @ value.reshape(images, height, width * classes)).reshape(-1, width, classes)
    scores = (columns @ taller).reshape(*batch["y"].shape, classes)
    counted = batch["y"] != cfg["ignore"]
    losses = gc.losses.softmax_cross_entropy(scores, counted.where(batch["y"], 0), reduction="none")
    return counted.where(losses, 0.0).sum() / counted.sum()


def _bilinear(size: int, factor: int) -> Any:
    """The matrix that interpolates along one axis: half-pixel centres, edges repeated."""
    centres = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    return np.maximum(0, 1 - abs(centres[:, None] - np.arange(size))).astype(np.float32)


def _transformer(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    heads, length, width = cfg["heads"], cfg["t"], cfg["d"]

    def normal(value: gc.Tensor, name: str) -> gc.Tensor:
        layer = gc.layers.LayerNorm(use_scale=False, use_offset=False)
        return layer(value) * p[f"{name}.g"] + p[f"{name}.b"]

    def dense(value: gc.Tensor, name: str) -> gc.Tensor:
        return value @ p[f"{name}.w"] + p[f"{name}.b"]

    def split(value: gc.Tensor) -> gc.Tensor:
        return value.reshape(-1, length, heads, width // heads).transpose(0, 2, 1, 3)

    past = gc.iota((length, length), 0) >= gc.iota((length, length), 1)
    value = gc.take(p["tok"], batch["x"]) + p["pos"]
    for block in (f"l{number}" for number in range(cfg["layers"])):
        joined = dense(normal(value, f"{block}.ln1"), f"{block}.qkv")
        query, key, content = (split(joined[..., start : start + width]) for start in range(0, 3 * width, width))
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(width // heads)
        mixed = gc.softmax(past.where(scores, -math.inf)) @ content
        value = value + dense(mixed.transpose(0, 2, 1, 3).reshape(-1, length, width), f"{block}.proj")
        inner = dense(normal(value, f"{block}.ln2"), f"{block}.fc")
        inner = 0.5 * inner * (1 + gc.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        value = value + dense(inner, f"{block}.out")
    return gc.losses.softmax_cross_entropy(normal(value, "lnf") @ p["tok"].transpose(1, 0), batch["y"])


def _recurrent(p: Tensors, batch: Tensors, cfg: Settings) -> gc.Tensor:
    sentences, hidden_size = batch["x"].shape[0], cfg["hidden"]
    kept = [gc.state(np.zeros((sentences, hidden_size), np.float32), name) for name in ("h", "c")]
    embedded = gc.transpose(gc.take(p["emb"], batch["x"]), (1, 0, 2)) @ p["wx"] + p["bias"]

    def step(state: tuple[gc.Tensor, gc.Tensor], now: gc.Tensor) -> tuple[tuple[gc.Tensor, gc.Tensor], gc.Tensor]:
        hidden, cell = state
        joined = now + hidden @ p["wh"]
        gates = (joined[:, start : start + hidden_size] for start in range(0, 4 * hidden_size, hidden_size))
        enter, forget, new, leave = gates
        cell = gc.sigmoid(forget) * cell + gc.sigmoid(enter) * gc.tanh(new)
        hidden = gc.sigmoid(leave) * gc.tanh(cell)
        return (hidden, cell), hidden

    last, outputs = gc.scan(step, tuple(kept), embedded)
    for before, after in zip(kept, last, strict=True):
        before.update_on_step(after)
    logits = outputs @ p["wo"] + p["bo"]
    return gc.losses.softmax_cross_entropy(logits, gc.transpose(batch["y"], (1, 0)))


_LOSSES: dict[str, Callable[[Tensors, Tensors, Settings], gc.Tensor]] = {
    "logreg": _linear,
    "mlp-small": _perceptron,
    "mlp-wide": _perceptron,
    "svm-linear": _support_vectors,
    "lenet5": _lenet,
    "keras-cnn": _convolutional,
    "resnet20": _residual,
    "vae": _autoencoder,
    "char-lstm": _recurrent,
    "nano-gpt": _transformer,
    "deeplab-mini": _segmentation,
    "elementwise-chain": _chain,
}
