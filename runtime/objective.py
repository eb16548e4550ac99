"""Objectives: which loss is minimised by which optimizer over which parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.errors import DeclarationError, GradientError
from graphc.frontend.optimizers import Optimizer
from graphc.frontend.optimizers.wrapper import check_optimizer
from graphc.frontend.selection import ParametersLike, Selection
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node, describe
from graphc.ops.leaves import State
from graphc.origin import user_location
from graphc.passes.autodiff import differentiate, start_of

__all__ = ["Objective", "as_objectives", "objective", "watched_losses"]


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss, the optimizer that minimises it, and the parameters that it may change. Made by ``gc.objective``.

    >>> import graphc as gc
    >>> gc.objective(gc.parameter((), 1.0, name="w") ** 2, gc.optimizers.SGD(0.1), name="square").name
    'square'
    """

    loss: Tensor
    optimizer: Optimizer
    selection: Selection
    name: str
    explicit: bool

    def updates(self, loss: Node, declared: Mapping[Node, Node]) -> dict[Node, Node]:
        """The new values of all states that this objective changes.

        loss: the loss in the program. declared: the parameters that the user declared, by those of the program. Raises
        GradientError where there is nothing to train, DeclarationError for chosen parameters that the loss lacks.
        """
        states = [node for node in Graph((("loss", loss),)).states if isinstance(node.op, State) and node.op.trainable]
        self.selection.require_among([declared[node] for node in states], f"not in the loss {self.name!r}")
        chosen = [node for node in states if self.selection.takes(Parameter(node), declared[node])]
        if not chosen:
            what = "trainable" if not self.explicit else "chosen"
            raise GradientError(
                f"the loss depends on no {what} parameter",
                at=str(user_location()),
                facts=[("loss", describe(self.loss.node))],
                way_out="declare parameters with layers or gc.parameter",
            )
        gradients = differentiate({loss: start_of(loss)}, chosen)
        for node in chosen:
            if node not in gradients:
                raise GradientError(
                    f"no gradient reaches parameter {Parameter(node).name!r}",
                    at=str(user_location()),
                    facts=[("parameter", describe(node))],
                    way_out="it feeds only into operations without derivatives, or behind stop_gradient",
                )
        return self.optimizer.updates({node: gradients[node] for node in chosen}, declared)


def objective(
    loss: Tensor, optimizer: Optimizer, parameters: ParametersLike | None = None, name: str = "loss"
) -> Objective:
    """One of the losses that a model minimises in the same step, each over parameters of its own.

    loss: a float scalar. parameters: a list or a function of a parameter that says which ones this loss trains; by
    default all that it depends on. name: under which the loss is reported. All gradients of a step are taken at the
    values before it. Raises GradientError for a loss that is no float scalar, DeclarationError for what is no
    parameter.

    >>> import graphc as gc
    >>> v, w = gc.parameter((), 1.0, name="v"), gc.parameter((), 2.0, name="w")
    >>> down = gc.objective(v * w, gc.optimizers.SGD(0.5), [v], name="down")
    >>> up = gc.objective(-v * w, gc.optimizers.SGD(0.5), [w], name="up")
    >>> gc.compile([down, up]).step({})
    {'loss': 0.0, 'down': 2.0, 'up': -2.0}
    >>> float(v.value), float(w.value)
    (0.0, 2.5)
    """
    if not isinstance(loss, Tensor) or loss.shape or not loss.dtype.is_float:
        raise GradientError(
            "a loss is a float scalar",
            at=str(user_location()),
            facts=[("loss", describe(loss.node) if isinstance(loss, Tensor) else repr(loss))],
            expected="f32[] or f64[]",
            way_out="take the sum or the mean",
        )
    check_optimizer(optimizer)
    selection = Selection((lambda parameter: True) if parameters is None else parameters)
    return Objective(loss, optimizer, selection, name, parameters is not None)


def as_objectives(
    loss: Tensor | Objective | Sequence[Objective], optimizer: Optimizer | None, parameters: ParametersLike | None
) -> list[Objective]:
    """What gc.compile was given, as objectives with names of their own; DeclarationError where it does not fit."""
    if isinstance(loss, Objective):
        loss = [loss]
    if isinstance(loss, Tensor) or not isinstance(loss, Sequence):
        if optimizer is None:
            raise DeclarationError(
                "a loss needs an optimizer", at=str(user_location()), expected="gc.compile(loss, optimizer)"
            )
        return [objective(loss, optimizer, parameters)]
    if not loss or not all(isinstance(item, Objective) for item in loss) or optimizer or parameters is not None:
        raise DeclarationError(
            "several losses are given as objectives, which bring their optimizers and parameters",
            at=str(user_location()),
            expected="gc.compile([gc.objective(loss, optimizer, parameters, name=...), ...])",
        )
    names = [item.name for item in loss]
    if len(loss) > 1 and (len(set(names)) < len(names) or "loss" in names):
        raise DeclarationError(
            "several objectives need names of their own",
            at=str(user_location()),
            expected='different names; "loss" is that of their sum',
            got=", ".join(names),
        )
    return list(loss)


def watched_losses(objectives: Sequence[Objective]) -> dict[str, Tensor]:
    """What a step reports: the loss, or the sum of several and each of them."""
    if len(objectives) == 1:
        return {"loss": objectives[0].loss}
    total = objectives[0].loss
    for item in objectives[1:]:
        total = total + item.loss
    return {"loss": total, **{item.name: item.loss for item in objectives}}
