"""Which optimizers of a model have a learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.frontend.optimizers import Optimizer

if TYPE_CHECKING:
    from graphc.runtime.model import Model

__all__ = ["rules_of"]


def rules_of(model: Model) -> list[Optimizer]:
    """The optimizers of a model that have a learning rate of their own, each once."""
    return list(dict.fromkeys(rule for objective in model.objectives for rule in objective.optimizer.rules))
