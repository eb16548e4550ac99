"""Wrappers that average: gradients over several batches, weights over all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphc.errors import DeclarationError
from graphc.frontend.elementwise import where
from graphc.frontend.optimizers.first_order import Nesterov
from graphc.frontend.optimizers.optimizer import Gradient, Optimizer, Slots
from graphc.frontend.optimizers.wrapper import Wrapper
from graphc.frontend.settings import check_count, check_fraction
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.origin import user_location

__all__ = ["Accumulate", "Average"]


class Accumulate(Wrapper):
    """One update for every so many batches, with the mean of their gradients.

    steps: how many. Between updates, parameters, slots and the learning rate stay; the optimizer inside, and its
    schedule, count updates, while the model's step, which random numbers depend on, counts batches. With batches of
    one size the result is that of one batch of all their samples.

    >>> import graphc as gc
    >>> gc.optimizers.Accumulate(gc.optimizers.Adam(1e-3), steps=4).steps
    4
    """

    def __init__(self, optimizer: Optimizer, steps: int) -> None:
        super().__init__(optimizer)
        check_count("steps", steps)
        if any(isinstance(rule, Nesterov) and rule.look_ahead for rule in self.rules):
            raise DeclarationError(
                "gradients taken ahead cannot be accumulated",
                at=str(user_location()),
                expected="an optimizer that takes gradients at the present parameters",
                got="Nesterov(look_ahead=True)",
                way_out="leave out look_ahead",
            )
        self.steps = steps

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does, in those steps that complete a mean, and the sums of gradients."""
        updates = ((t - 1) / self.steps).floor() + 1
        due = t.equals(updates * self.steps)
        means: list[Gradient] = []
        sums: dict[Node, Node] = {}
        for gradient in gradients:
            slots = Slots(gradient.parameter)
            total = slots["gradient_sum"] + gradient.value
            slots["gradient_sum"] = where(due, 0.0, total)
            sums.update(slots.updates)
            means.append(replace(gradient, value=total / self.steps))
        moved = super().apply(means, updates)
        return {state: where(due, Tensor(value), Tensor(state)).node for state, value in moved.items()} | sums


class Average(Wrapper):
    """A running average of the weights, a <- decay * a + (1 - decay) * w after each step, with a = w after the first.

    The averages are states beside the parameters: checkpoints hold them, and ``with model.averaged():`` puts them in
    the place of the weights, for evaluation or to save them.

    Source: B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    >>> import graphc as gc
    >>> w = gc.parameter((), 4.0, name="w")
    >>> model = gc.compile(w * w, gc.optimizers.Average(gc.optimizers.SGD(0.25), decay=0.5))
    >>> losses = [model.step({})["loss"] for _ in range(2)]
    >>> with model.averaged():
    ...     float(w.value)
    1.5
    >>> float(w.value)
    1.0
    """

    def __init__(self, optimizer: Optimizer, decay: float = 0.999) -> None:
        super().__init__(optimizer)
        check_fraction("decay", decay)
        self.decay = decay
        self._averages: dict[Node, Node] = {}

    @property
    def averages(self) -> dict[Node, Node]:
        """The state that averages each parameter."""
        return self._averages

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does, and the new averages."""
        result = super().apply(gradients, t)
        for gradient in gradients:
            slots, new = Slots(gradient.parameter), Tensor(result[gradient.parameter.node])
            average = slots["average"]
            slots["average"] = where(t.equals(1.0), new, self.decay * average + (1 - self.decay) * new)
            self._averages[gradient.parameter.node] = average.node
            result.update(slots.updates)
        return result
