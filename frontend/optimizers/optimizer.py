"""What an optimizer is: its learning rate, its slots, and how its rule becomes updates of the training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from graphc.dtypes import FLOAT64
from graphc.errors import DeclarationError
from graphc.frontend.initializers import Zeros
from graphc.frontend.schedules import check_schedule, value_at
from graphc.frontend.settings import check_not_negative, check_positive
from graphc.frontend.state import STEP, Parameter, new_state, state
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.ops.leaves import State
from graphc.origin import scope, user_location
from graphc.tensor_type import TensorType

__all__ = ["Gradient", "Optimizer", "Rate", "Slots"]

Rate = float | Callable[[Tensor], Tensor]
"""A learning rate: a number, or a schedule, which is a function of the number of the step."""


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient of a loss by one parameter.

    parameter: as it is called in the program. value: the gradient. declared: the parameter that the user declared,
    whose name others may share.

    >>> import graphc as gc
    >>> w = gc.parameter((2,), "ones", name="w")
    >>> gc.optimizers.Gradient(w, gc.grad(gc.sum(w * w), w), w.node).value
    <Tensor f32[2]>
    """

    parameter: Parameter
    value: Tensor
    declared: Node


class Slots:
    """An optimizer's state for one parameter: named tensors of the parameter's type, zero at first."""

    def __init__(self, parameter: Tensor, type: TensorType | None = None) -> None:
        self._parameter = parameter
        self._type = type or parameter.type
        self._label = parameter.node.op.label if isinstance(parameter.node.op, State) else "parameter"
        self._states: dict[str, Parameter] = {}
        self._numbers: Slots | None = None
        self.updates: dict[Node, Node] = {}

    def __getitem__(self, name: str) -> Tensor:
        """The value before this step."""
        if name not in self._states:
            self._states[name] = new_state(f"{self._label}/{name}", self._type, Zeros(), trainable=False)
        return self._states[name]

    def __setitem__(self, name: str, value: Tensor) -> None:
        """Set the value after this step."""
        self.updates[self[name].node] = value.node

    @property
    def numbers(self) -> Slots:
        """Slots that hold one float64 number each."""
        if self._numbers is None:
            self._numbers = Slots(self._parameter, TensorType(FLOAT64, ()))
            self._numbers.updates = self.updates
        return self._numbers


class Optimizer(ABC):
    """Base of the optimizers. A subclass writes one method, ``step``, in the language.

    learning_rate: a positive number, or a schedule: a function of the number of the step (from 1, a float64 scalar)
    such as ``gc.schedules.cosine(0.1, 1000)`` or ``lambda t: 0.1 / t``, which compiles into the step. weight_decay: a
    number at least 0; decay * w is added to the gradient, or, ``decoupled``, rate * decay * w is taken off the
    parameter beside the step. Raises DeclarationError for numbers out of range.
    """

    def __init__(self, learning_rate: Rate, *, weight_decay: float = 0.0, decoupled: bool = False) -> None:
        self._schedule = learning_rate if callable(learning_rate) else None
        if callable(learning_rate):
            initial = value_at(learning_rate, 1)
            check_not_negative("the learning rate of step 1", initial)
        else:
            check_positive("learning_rate", learning_rate)
            initial = learning_rate
        check_not_negative("weight_decay", weight_decay)
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self._rate = state(initial, "learning_rate", FLOAT64)

    @property
    def learning_rate(self) -> float:
        """The present learning rate; it may be set between steps. With a schedule, that of the latest step."""
        return float(self._rate.value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        check_positive("learning_rate", value)
        if self._schedule is not None:
            raise DeclarationError(
                "the learning rate follows a schedule",
                at=str(user_location()),
                expected="an optimizer whose learning rate is a number",
                got=repr(self._schedule),
                way_out="put what is to change into the schedule, or give the optimizer a number",
            )
        self._rate.value = value

    @property
    def rules(self) -> tuple[Optimizer, ...]:
        """The optimizers that have a learning rate of their own: this one, or those that it is made of."""
        return (self,)

    @property
    def averages(self) -> dict[Node, Node]:
        """The states that hold running averages of parameters, by the parameters."""
        return {}

    @property
    def scheduled(self) -> bool:
        """True if the learning rate follows a schedule."""
        return self._schedule is not None

    @abstractmethod
    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The new value of a parameter.

        rate: the learning rate, in the parameter's element type. t: the number of this step from 1, float64. slots:
        read ``slots["velocity"]`` and assign its new value.
        """

    def prepare(self, gradients: Sequence[Gradient], slots: Sequence[Slots]) -> Sequence[Gradient]:
        """The gradients that ``step`` gets; a rule that needs them at another point than the parameters changes
        them here.
        """
        return gradients

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """The new values of parameters and slots in step number t (float64, from 1)."""
        result: dict[Node, Node] = {}
        exact: Tensor = self._rate
        if self._schedule is not None:
            exact = check_schedule(self._schedule, t)
            result[self._rate.node] = exact.node
        slots = [Slots(gradient.parameter) for gradient in gradients]
        for gradient, own in zip(self.prepare(gradients, slots), slots, strict=True):
            value, slope = gradient.parameter, gradient.value
            rate = exact.cast(value.dtype)
            if self.weight_decay and not self.decoupled:
                slope = slope + self.weight_decay * value
            new = self.step(value, slope, own, rate, t)
            if self.weight_decay and self.decoupled:
                new = new - rate * self.weight_decay * value
            result[value.node] = new.node
            result.update(own.updates)
        return result

    def updates(self, gradients: Mapping[Node, Node], declared: Mapping[Node, Node] | None = None) -> dict[Node, Node]:
        """The new values of all states, given each parameter's gradient: parameters, slots, the step counter.

        declared: the parameters as the user declared them, by those of the program; the same where it leaves them out.
        """
        known = declared or {}
        with scope("update"):
            count = Tensor(STEP) + 1
            each = [
                Gradient(Parameter(node), Tensor(slope), known.get(node, node)) for node, slope in gradients.items()
            ]
            return self.apply(each, count.cast(FLOAT64)) | {STEP: count.node}
