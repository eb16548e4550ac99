"""Several tasks on one trunk, as UberNet: a head for each, and one loss of their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.errors import DeclarationError
from graphc.frontend.layers import Layer
from graphc.frontend.settings import check_not_negative
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor
from graphc.origin import user_location

__all__ = ["MultiTask", "weighted_loss"]


@dataclass(frozen=True)
class MultiTask:
    """A trunk that all tasks share, and a head for each.

    trunk: a layer. heads: layers by task, named after it unless they have names. Called on an input it declares the
    trunk once and returns the heads' outputs by task; ``weighted_loss`` adds their losses.

    Source: I. Kokkinos, "UberNet: training a universal convolutional neural network", CVPR 2017.

    >>> import graphc as gc
    >>> heads = {"digit": gc.layers.Dense(10, name="digit"), "odd": gc.layers.Dense(1, name="odd")}
    >>> net = gc.models.MultiTask(gc.layers.Dense(16, activation="relu", name="trunk"), heads)
    >>> net(gc.input("x", ("batch", 64)))
    {'digit': <Tensor f32[batch, 10]>, 'odd': <Tensor f32[batch, 1]>}
    >>> len(net.parameters)
    6
    """

    trunk: Layer
    heads: Mapping[str, Layer]

    def __post_init__(self) -> None:
        if not self.heads:
            raise DeclarationError(
                "MultiTask has no tasks", at=str(user_location()), expected="a head for each task, by its name"
            )

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Declare the output of each task."""
        features = self.trunk(x)
        return {task: head(features) for task, head in self.heads.items()}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of the trunk and of all heads."""
        return (*self.trunk.parameters, *(known for head in self.heads.values() for known in head.parameters))


def weighted_loss(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of the tasks' losses, each times its weight (1 where none is given).

    Samples without a label for a task are left out of its loss with ``sample_weights`` or ``ignore_index``. Raises
    DeclarationError for the weight of a task that has no loss.

    >>> import graphc as gc
    >>> losses = {"digit": gc.constant(2.0), "odd": gc.constant(10.0)}
    >>> float(gc.evaluate(gc.models.weighted_loss(losses, {"odd": 0.1})))
    3.0
    """
    for task, weight in weights.items():
        check_not_negative(f"the weight of {task!r}", weight)
    unknown = [task for task in weights if task not in losses]
    if unknown or not losses:
        raise DeclarationError(
            f"there is no loss of task {unknown[0]!r}" if unknown else "there are no losses",
            at=str(user_location()),
            expected=", ".join(losses) or "the loss of each task, by its name",
            got=", ".join(weights),
        )
    first, *others = (weights.get(task, 1.0) * loss for task, loss in losses.items())
    return sum(others, start=first)
