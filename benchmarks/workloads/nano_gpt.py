"""A small transformer over characters."""

from __future__ import annotations

import math

import numpy as np

from workloads.spec import Array, Workload
from workloads.values import Random, characters, normal, zeros


def nano_gpt() -> Workload:
    """64 characters of 96, width 128, four blocks of causal attention with 4 heads and a dense layer of 512.

    Layer normalisation (eps 1e-5) stands before both halves of a block and before the scores, which are products with
    the table ``tok`` of the inputs. GELU is the one with tanh. Weight decay spares vectors. Source: A. Radford and
    others, "Language models are unsupervised multitask learners", 2019.
    """
    rng = np.random.default_rng(10)
    alphabet, length, width, layers = 96, 64, 128, 4
    params = {"tok": normal(rng, (alphabet, width), 0.02), "pos": normal(rng, (length, width), 0.02)}
    for number in range(layers):
        params.update({f"l{number}.{name}": value for name, value in _block(rng, width, layers).items()})
    params.update(_scale(width, "lnf"))
    opt = {"kind": "adamw", "lr": 1e-3, "b1": 0.9, "b2": 0.95, "eps": 1e-8, "wd": 0.1}
    cfg = {"t": length, "d": width, "layers": layers, "heads": 4}
    return Workload("nano-gpt", params, characters(rng, 32, 16, length, alphabet), opt, cfg)


def _block(rng: Random, width: int, layers: int) -> dict[str, Array]:
    last = 0.02 / math.sqrt(2 * layers)
    found = {**_scale(width, "ln1"), **_scale(width, "ln2")}
    dense = (("qkv", 1, 3, 0.02), ("proj", 1, 1, last), ("fc", 1, 4, 0.02), ("out", 4, 1, last))
    for name, inputs, outputs, deviation in dense:
        found[f"{name}.w"] = normal(rng, (inputs * width, outputs * width), deviation)
        found[f"{name}.b"] = zeros(outputs * width)
    return found


def _scale(width: int, name: str) -> dict[str, Array]:
    return {f"{name}.g": 1 + zeros(width), f"{name}.b": zeros(width)}
