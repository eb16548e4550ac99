"""The network in JAX: one jitted function whose old parameters are given away, so that they are updated in place."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mlp.problem import Array, Problem

LABELS = "int32"

Parameters = tuple[jax.Array, ...]


def version() -> str:
    return jax.__version__


def start(problem: Problem, threads: int) -> Callable[[Array, Array], float]:
    """XLA uses as many threads as there are processors that the process may run on."""
    values = (problem.weight1, problem.bias1, problem.weight2, problem.bias2)
    parameters = tuple(jnp.array(value) for value in values)

    def loss_of(parameters: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
        w1, b1, w2, b2 = parameters
        logits = jax.nn.relu(images @ w1 + b1) @ w2 + b2
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -chosen.mean()

    def update(parameters: Parameters, images: jax.Array, labels: jax.Array) -> tuple[Parameters, jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, images, labels)
        return tuple(p - problem.rate * g for p, g in zip(parameters, gradients, strict=True)), loss

    compiled = jax.jit(update, donate_argnums=0)

    def step(images: Array, labels: Array) -> float:
        nonlocal parameters
        parameters, loss = compiled(parameters, images, labels)
        return float(loss)

    return step
