"""Optimizers: rules that turn gradients into new parameters, written in the language itself, so that they compile.

An optimizer's own state (velocities, moments) lives in the graph beside the parameters, is saved in checkpoints, and is
updated in place by the compiled step. The learning rate is such a state too: set it between steps without compiling
again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from graphc.dtypes import FLOAT64
from graphc.errors import DeclarationError
from graphc.frontend.elementwise import sqrt
from graphc.frontend.initializers import Zeros
from graphc.frontend.state import STEP, Parameter, new_state, state
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.ops.leaves import State
from graphc.origin import scope, user_location

__all__ = ["SGD", "Adam", "Momentum", "Optimizer", "Slots"]


class Slots:
    """An optimizer's state for one parameter: named tensors of the parameter's type, zero at first."""

    def __init__(self, parameter: Tensor) -> None:
        self._parameter = parameter
        self._label = parameter.node.op.label if isinstance(parameter.node.op, State) else "parameter"
        self._states: dict[str, Parameter] = {}
        self.updates: dict[Node, Node] = {}

    def __getitem__(self, name: str) -> Tensor:
        """The value before this step."""
        if name not in self._states:
            self._states[name] = new_state(f"{self._label}/{name}", self._parameter.type, Zeros(), trainable=False)
        return self._states[name]

    def __setitem__(self, name: str, value: Tensor) -> None:
        """Set the value after this step."""
        self.updates[self[name].node] = value.node


class Optimizer(ABC):
    """Base of the optimizers. A subclass writes one method, ``step``, in the language.

    learning_rate: a positive number.
    """

    def __init__(self, learning_rate: float) -> None:
        self._positive("learning_rate", learning_rate)
        self._rate = state(learning_rate, "learning_rate", FLOAT64)

    @property
    def learning_rate(self) -> float:
        """The present learning rate; it may be set between steps."""
        return float(self._rate.value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._positive("learning_rate", value)
        self._rate.value = value

    @abstractmethod
    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The new value of a parameter.

        rate: the learning rate, in the parameter's element type. t: the number of this step from 1, float64. slots:
        read ``slots["velocity"]`` and assign its new value.
        """

    def updates(self, gradients: Mapping[Node, Node]) -> dict[Node, Node]:
        """The new values of all states, given each parameter's gradient: parameters, slots, the step counter."""
        result: dict[Node, Node] = {}
        with scope("update"):
            count = Tensor(STEP) + 1
            for parameter, gradient in gradients.items():
                value, slots = Tensor(parameter), Slots(Tensor(parameter))
                rate = self._rate.cast(value.dtype)
                result[parameter] = self.step(value, Tensor(gradient), slots, rate, count.cast(FLOAT64)).node
                result.update(slots.updates)
            result[STEP] = count.node
        return result

    @staticmethod
    def _positive(name: str, value: float) -> None:
        if not value > 0:
            raise DeclarationError(
                f"{name} must be positive", at=str(user_location()), expected="a number above 0", got=str(value)
            )

    @staticmethod
    def _fraction(name: str, value: float) -> None:
        if not 0 <= value < 1:
            raise DeclarationError(
                f"{name} must lie in [0, 1)", at=str(user_location()), expected="0 <= value < 1", got=str(value)
            )


class SGD(Optimizer):
    """Stochastic gradient descent: w <- w - rate * g.

    Source: H. Robbins, S. Monro, "A stochastic approximation method", 1951.

    >>> import graphc as gc
    >>> gc.optimizers.SGD(0.1).learning_rate
    0.1
    """

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formula above."""
        return parameter - rate * gradient


class Momentum(Optimizer):
    """The heavy ball: v <- mu * v + g, w <- w - rate * v, with v = 0 at first (PyTorch's SGD with momentum).

    Source: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    >>> import graphc as gc
    >>> gc.optimizers.Momentum(0.1, momentum=0.9).momentum
    0.9
    """

    def __init__(self, learning_rate: float, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self._fraction("momentum", momentum)
        self.momentum = momentum

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        velocity = self.momentum * slots["velocity"] + gradient
        slots["velocity"] = velocity
        return parameter - rate * velocity


class Adam(Optimizer):
    """Adaptive moments with bias correction.

    m <- b1 * m + (1 - b1) * g, v <- b2 * v + (1 - b2) * g**2,
    w <- w - rate * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon), with t from 1 and m = v = 0 at first.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    >>> import graphc as gc
    >>> gc.optimizers.Adam(1e-3).beta2
    0.999
    """

    def __init__(
        self, learning_rate: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self._fraction("beta1", beta1)
        self._fraction("beta2", beta2)
        self._positive("epsilon", epsilon)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above; the corrections are computed in float64, once a step."""
        first = self.beta1 * slots["moment1"] + (1 - self.beta1) * gradient
        second = self.beta2 * slots["moment2"] + (1 - self.beta2) * (gradient * gradient)
        slots["moment1"], slots["moment2"] = first, second
        correction1 = (1 - self.beta1**t).cast(parameter.dtype)
        correction2 = (1 - self.beta2**t).cast(parameter.dtype)
        return parameter - rate * (first / correction1) / (sqrt(second / correction2) + self.epsilon)
