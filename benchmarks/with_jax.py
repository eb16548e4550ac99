"""The workloads in JAX: one jitted function whose old values are given away, so that they are updated in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from graphc_adapter import channels_last
from jax import lax
from update_rules import slots, updated
from workloads.spec import Array, Workload

LAYOUT, LABEL = "NHWC", "int32"
PRECISIONS = {"float32": "float32", "tf32": "tensorfloat32"}
"""What JAX calls the precisions of products."""

Values = Mapping[str, jax.Array]
Settings = Mapping[str, Any]
Extra = dict[str, jax.Array]
"""What is carried along beside the parameters: running averages, the state of an LSTM, a random key."""


def version() -> str:
    return jax.__version__


def peak_megabytes() -> float:
    """The most memory of the GPU that arrays have had."""
    found = jax.local_devices()[0].memory_stats() or {}
    return float(found.get("peak_bytes_in_use", 0)) / 2**20


def build(workload: Workload, device: str = "cpu", precision: str = "float32") -> Callable[[Mapping[str, Array]], Any]:
    """XLA uses as many threads as there are processors that the process may run on.

    device: what the environment says too. On a GPU a step returns before it is done; reading its loss waits for it.
    """
    if device == "cuda":
        _prepare(precision)
    params = {name: jnp.array(value) for name, value in channels_last(workload.params).items()}
    kept = [{name: jnp.zeros_like(value) for name, value in params.items()} for _ in range(slots(workload.opt))]
    extra = _first_extra(workload, params)
    model = _LOSSES[workload.name]

    def update(values: tuple[Any, ...], batch: Values) -> tuple[tuple[Any, ...], jax.Array]:
        params, kept, extra, number = values
        find = jax.value_and_grad(lambda p: model(p, batch, workload.cfg, extra), has_aux=True)
        (loss, extra), gradients = find(params)
        params, kept = updated(workload.opt, params, gradients, kept, number, jnp.sqrt)
        return (params, kept, extra, number + 1), loss

    compiled = jax.jit(update, donate_argnums=0)
    values = (params, kept, extra, jnp.ones((), next(iter(params.values())).dtype))

    def step(batch: Mapping[str, Array]) -> Any:
        nonlocal values
        values, loss = compiled(values, batch)
        return float(loss) if device == "cpu" else loss

    return step


def _prepare(precision: str) -> None:
    """Set how products are computed on a GPU. RuntimeError if JAX sees none."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # the latter where JAX was installed without CUDA
        raise RuntimeError("this JAX sees no GPU") from None
    jax.config.update("jax_default_matmul_precision", PRECISIONS[precision])


def _first_extra(workload: Workload, params: Values) -> Extra:
    if workload.name == "resnet20":
        norms = [name for name in params if name.endswith(".g")]
        means = {name.replace(".g", ".mean"): jnp.zeros_like(params[name]) for name in norms}
        return means | {name.replace(".g", ".variance"): jnp.ones_like(params[name]) for name in norms}
    if workload.name == "char-lstm":
        shape = (workload.samples, workload.cfg["hidden"])
        return {name: jnp.zeros(shape, params["wh"].dtype) for name in ("h", "c")}
    return {"key": jax.random.key(0)} if workload.drops else {}


def _cross_entropy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """For each sample."""
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[..., None], -1)[..., 0]


def _convolution(x: jax.Array, kernel: jax.Array, strides: int = 1, padding: int = 0, dilation: int = 1) -> jax.Array:
    amounts = [(padding, padding)] * 2
    order = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (strides,) * 2, amounts, None, (dilation,) * 2, order)


def _average(x: jax.Array) -> jax.Array:
    window = (1, 2, 2, 1)
    return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / 4


def _perceptron(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    if "w" in p:
        return _cross_entropy(batch["x"] @ p["w"] + p["b"], batch["y"]).mean(), extra
    value, last = batch["x"], len(p) // 2
    for layer in range(1, last):
        value = jax.nn.relu(value @ p[f"w{layer}"] + p[f"b{layer}"])
    return _cross_entropy(value @ p[f"w{last}"] + p[f"b{last}"], batch["y"]).mean(), extra


def _support_vectors(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    scores = batch["x"] @ p["w"] + p["b"]
    right = jnp.take_along_axis(scores, batch["y"][:, None], 1)
    wrong = batch["y"][:, None] != jnp.arange(scores.shape[1])
    margins = jnp.where(wrong, jax.nn.relu(1 + scores - right), 0.0)
    return margins.sum() / len(scores) + cfg["reg"] * (p["w"] ** 2).sum(), extra


def _autoencoder(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    x = batch["x"]
    hidden = jax.nn.relu(x @ p["w1"] + p["b1"])
    mean, log_variance = hidden @ p["wm"] + p["bm"], hidden @ p["wv"] + p["bv"]
    code = mean + jnp.exp(log_variance / 2) * batch["eps"]
    logits = jax.nn.relu(code @ p["w3"] + p["b3"]) @ p["w4"] + p["b4"]
    fit = (jax.nn.softplus(logits) - logits * x).sum()
    divergence = -0.5 * (1 + log_variance - mean**2 - jnp.exp(log_variance)).sum()
    return (fit + divergence) / len(x), extra


def _chain(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    operations: dict[str, Callable[..., jax.Array]] = {
        "mul_t": lambda x: x * batch["t"],
        "mul": lambda x, number: x * number,
        "add": lambda x, number: x + number,
        "max": jnp.maximum,
        "recip": jnp.reciprocal,
        "sigmoid": jax.nn.sigmoid,
    }
    value = p["x"]
    for name, *numbers in cfg["chain"]:
        value = (operations.get(name) or getattr(jnp, name))(value, *numbers)
    return value.sum(), extra


def _lenet(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    value = _average(jnp.tanh(_convolution(batch["x"], p["c1w"], padding=2) + p["c1b"]))
    value = _average(jnp.tanh(_convolution(value, p["c2w"]) + p["c2b"]))
    value = value.reshape(len(value), -1)
    for layer in (3, 4):
        value = jnp.tanh(value @ p[f"w{layer}"] + p[f"b{layer}"])
    return _cross_entropy(value @ p["w5"] + p["b5"], batch["y"]).mean(), extra


def _convolutional(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    key, *keys = jax.random.split(extra["key"], 3)

    def drop(value: jax.Array, rate: float, key: jax.Array) -> jax.Array:
        if not rate:
            return value
        return jnp.where(jax.random.bernoulli(key, 1 - rate, value.shape), value / (1 - rate), 0.0)

    value = jax.nn.relu(_convolution(batch["x"], p["c1w"]) + p["c1b"])
    value = jax.nn.relu(_convolution(value, p["c2w"]) + p["c2b"])
    window = (1, 2, 2, 1)
    value = lax.reduce_window(value, -jnp.inf, lax.max, window, window, "VALID")
    value = drop(value, cfg["p1"], keys[0]).reshape(len(value), -1)
    value = drop(jax.nn.relu(value @ p["w3"] + p["b3"]), cfg["p2"], keys[1])
    return _cross_entropy(value @ p["w4"] + p["b4"], batch["y"]).mean(), {"key": key}


def _residual(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    averages, part = {}, cfg["bnm"]

    def unit(value: jax.Array, kernel: str, norm: str, strides: int = 1) -> jax.Array:
        value = _convolution(value, p[kernel], strides, p[kernel].shape[0] // 2)
        moments = {"mean": value.mean((0, 1, 2)), "variance": value.var((0, 1, 2))}
        for name, moment in moments.items():
            averages[f"{norm}.{name}"] = (1 - part) * extra[f"{norm}.{name}"] + part * moment
        scale = p[f"{norm}.g"] * lax.rsqrt(moments["variance"] + cfg["eps"])
        return (value - moments["mean"]) * scale + p[f"{norm}.b"]

    value = jax.nn.relu(unit(batch["x"], "conv1", "bn1"))
    for block in (f"s{stage}b{number}" for stage in (1, 2, 3) for number in (1, 2, 3)):
        strides = 2 if f"{block}.proj" in p else 1
        inner = jax.nn.relu(unit(value, f"{block}.conv1", f"{block}.bn1", strides))
        shortcut = unit(value, f"{block}.proj", f"{block}.bnp", strides) if strides > 1 else value
        value = jax.nn.relu(unit(inner, f"{block}.conv2", f"{block}.bn2") + shortcut)
    return _cross_entropy(value.mean((1, 2)) @ p["fc.w"] + p["fc.b"], batch["y"]).mean(), averages


def _segmentation(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    value = batch["x"]
    for name, _, _, window, strides, dilation, _ in cfg["convs"]:
        padding = dilation if window > 1 else 0
        value = _convolution(value, p[f"{name}.w"], strides, padding, dilation) + p[f"{name}.b"]
        value = value if name == "head" else jax.nn.relu(value)
    scores = jax.image.resize(value, (*batch["y"].shape, value.shape[-1]), "bilinear")
    counted = batch["y"] != cfg["ignore"]
    losses = _cross_entropy(scores, jnp.where(counted, batch["y"], 0))
    return jnp.where(counted, losses, 0.0).sum() / counted.sum(), extra


def _transformer(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    heads, length, width = cfg["heads"], cfg["t"], cfg["d"]

    def normal(value: jax.Array, name: str) -> jax.Array:
        return jax.nn.standardize(value, epsilon=1e-5) * p[f"{name}.g"] + p[f"{name}.b"]

    def dense(value: jax.Array, name: str) -> jax.Array:
        return value @ p[f"{name}.w"] + p[f"{name}.b"]

    value = p["tok"][batch["x"]] + p["pos"]
    for block in (f"l{number}" for number in range(cfg["layers"])):
        joined = dense(normal(value, f"{block}.ln1"), f"{block}.qkv")
        parts = (part.reshape(-1, length, heads, width // heads) for part in jnp.split(joined, 3, -1))
        mixed = jax.nn.dot_product_attention(*parts, is_causal=True)
        value = value + dense(mixed.reshape(value.shape), f"{block}.proj")
        value = value + dense(jax.nn.gelu(dense(normal(value, f"{block}.ln2"), f"{block}.fc")), f"{block}.out")
    return _cross_entropy(normal(value, "lnf") @ p["tok"].T, batch["y"]).mean(), extra


def _recurrent(p: Values, batch: Values, cfg: Settings, extra: Extra) -> tuple[jax.Array, Extra]:
    def cell(state: tuple[jax.Array, jax.Array], joined: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        hidden, cell = state
        enter, forget, new, leave = jnp.split(joined + hidden @ p["wh"], 4, -1)
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(new)
        hidden = jax.nn.sigmoid(leave) * jnp.tanh(cell)
        return (hidden, cell), hidden

    embedded = p["emb"][batch["x"].T] @ p["wx"] + p["bias"]
    (hidden, last), outputs = lax.scan(cell, (extra["h"], extra["c"]), embedded)
    loss = _cross_entropy(outputs @ p["wo"] + p["bo"], batch["y"].T).mean()
    return loss, {"h": hidden, "c": last}


_LOSSES: dict[str, Callable[[Values, Values, Settings, Extra], tuple[jax.Array, Extra]]] = {
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
    "char-lstm": _recurrent,
}
"""The mean loss of a minibatch, and what is carried along after it."""
