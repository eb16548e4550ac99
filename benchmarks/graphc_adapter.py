"""graphc as an adapter for a harness that times training steps of many frameworks.

It is one file, to be copied beside the harness's other adapters. The harness hands ``build`` a workload: its name,
initial parameters, minibatches, optimizer and settings. Nothing of graphc is loaded before ``init``, so that loading it
can be timed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import graphc as gc

LAYOUT, LABEL = "NHWC", "int32"
VARIANTS: dict[str, dict[str, Any]] = {"default": {}}

Tensors = Mapping[str, "gc.Tensor"]

_NEEDS = {
    "lenet5": "needs convolution and pooling",
    "keras-cnn": "needs convolution and pooling",
    "resnet20": "needs convolution and batch normalisation",
    "deeplab-mini": "needs dilated convolution",
    "char-lstm": "needs a loop over time steps",
    "nano-gpt": "needs attention",
}


def supports(name: str, opts: Mapping[str, object]) -> str | None:
    """None for a workload that ``build`` takes, else the reason why it does not."""
    return None if name in _LOSSES else _NEEDS.get(name, "unknown to this adapter")


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
    parameters = {name: gc.parameter(value.shape, value, name) for name, value in w.params.items()}
    first = w.batches(LAYOUT, LABEL)[0]
    inputs = {name: gc.input(name, value.shape, str(value.dtype)) for name, value in first.items()}
    model = gc.compile(_LOSSES[w.name](parameters, inputs, w.cfg), _optimizer(w.opt), name=w.name.replace("-", "_"))

    def step(batch: Mapping[str, Any]) -> float:
        return model.step(batch)["loss"]

    return step


def _optimizer(options: Mapping[str, Any]) -> gc.optimizers.Optimizer:
    if options["kind"] == "sgd":
        return gc.optimizers.SGD(options["lr"])
    if options["kind"] == "momentum":
        return gc.optimizers.Momentum(options["lr"], options["mu"])
    return gc.optimizers.Adam(options["lr"], options["b1"], options["b2"], options["eps"])


def _linear(p: Tensors, batch: Tensors, cfg: Mapping[str, Any]) -> gc.Tensor:
    return gc.losses.softmax_cross_entropy(batch["x"] @ p["w"] + p["b"], batch["y"])


def _perceptron(p: Tensors, batch: Tensors, cfg: Mapping[str, Any]) -> gc.Tensor:
    value, last = batch["x"], len(p) // 2
    for layer in range(1, last):
        value = gc.relu(value @ p[f"w{layer}"] + p[f"b{layer}"])
    return gc.losses.softmax_cross_entropy(value @ p[f"w{last}"] + p[f"b{last}"], batch["y"])


def _support_vectors(p: Tensors, batch: Tensors, cfg: Mapping[str, Any]) -> gc.Tensor:
    loss = gc.losses.hinge(batch["x"] @ p["w"] + p["b"], batch["y"])
    return loss + cfg["reg"] * (p["w"] * p["w"]).sum()


def _autoencoder(p: Tensors, batch: Tensors, cfg: Mapping[str, Any]) -> gc.Tensor:
    x = batch["x"]
    hidden = gc.relu(x @ p["w1"] + p["b1"])
    mean, log_variance = hidden @ p["wm"] + p["bm"], hidden @ p["wv"] + p["bv"]
    code = mean + gc.exp(log_variance / 2) * batch["eps"]
    logits = gc.relu(code @ p["w3"] + p["b3"]) @ p["w4"] + p["b4"]
    fit = gc.losses.binary_cross_entropy(logits, x, reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean * mean - gc.exp(log_variance)).sum()
    return (fit + divergence) / x.shape[0]


def _chain(p: Tensors, batch: Tensors, cfg: Mapping[str, Any]) -> gc.Tensor:
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


_LOSSES: dict[str, Callable[[Tensors, Tensors, Mapping[str, Any]], gc.Tensor]] = {
    "logreg": _linear,
    "mlp-small": _perceptron,
    "mlp-wide": _perceptron,
    "svm-linear": _support_vectors,
    "vae": _autoencoder,
    "elementwise-chain": _chain,
}
