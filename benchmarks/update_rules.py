"""One step of the optimizers as formulas, for libraries that compile them with the rest of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = dict[str, Any]


def slots(options: Mapping[str, Any]) -> int:
    """How many numbers the optimizer keeps for each parameter; they start at zero."""
    return {"sgd": 0, "momentum": 1}.get(options["kind"], 2)


def updated(
    options: Mapping[str, Any],
    params: Values,
    gradients: Values,
    kept: list[Values],
    number: Any,
    root: Callable[[Any], Any],
) -> tuple[Values, list[Values]]:
    """Parameters and kept values after a step. number: of the step, from 1. root: the library's square root."""
    rate, decay, limit = options["lr"], options.get("wd", 0.0), options.get("clip")
    if limit is not None:
        norm = root(sum((gradient**2).sum() for gradient in gradients.values()))
        scale = (limit / (norm + 1e-6)).clip(max=1.0)
        gradients = {name: gradient * scale for name, gradient in gradients.items()}
    if options["kind"] == "sgd":
        return {name: value - rate * gradients[name] for name, value in params.items()}, kept
    if options["kind"] == "momentum":
        velocity = {name: options["mu"] * kept[0][name] + gradients[name] + decay * params[name] for name in params}
        return {name: value - rate * velocity[name] for name, value in params.items()}, [velocity]
    first, second = options["b1"], options["b2"]
    mean = {name: first * kept[0][name] + (1 - first) * gradients[name] for name in params}
    square = {name: second * kept[1][name] + (1 - second) * gradients[name] ** 2 for name in params}
    mean_scale, square_scale = 1 / (1 - first**number), 1 / (1 - second**number)
    after = {}
    for name, value in params.items():
        remaining = value * (1 - rate * decay) if value.ndim > 1 and decay else value
        change = mean[name] * mean_scale / (root(square[name] * square_scale) + options["eps"])
        after[name] = remaining - rate * change
    return after, [mean, square]
