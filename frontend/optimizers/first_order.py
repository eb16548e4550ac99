"""Gradient descent and momentum in the forms that go by that name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphc.frontend.elementwise import where
from graphc.frontend.optimizers.optimizer import Gradient, Optimizer, Rate, Slots
from graphc.frontend.settings import check_choice, check_fraction
from graphc.frontend.tensor import Tensor
from graphc.graph import rebuild, toposort

__all__ = ["SGD", "Momentum", "Nesterov"]


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
    """Gradient descent with momentum, in one of five forms; all start with v = 0.

    - "heavy_ball": v <- mu * v + g, w <- w - rate * v (PyTorch's SGD with momentum).
    - "damped": v <- mu * v + (1 - mu) * g, w <- w - rate * v.
    - "velocity": v <- mu * v - rate * g, w <- w + v (Keras).
    - "two_point": w <- w - rate * g + mu * (w - w of the step before).
    - "previous_gradient": w <- w - rate * (mu * g of the step before + g).

    "heavy_ball", "velocity" and "two_point" give the same steps while the rate stays; when it changes, the last two
    still agree, and "heavy_ball" scales the whole velocity by the new rate.

    Source: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    >>> import graphc as gc
    >>> gc.optimizers.Momentum(0.1, momentum=0.9).form
    'heavy_ball'
    """

    FORMS = ("heavy_ball", "damped", "velocity", "two_point", "previous_gradient")

    def __init__(
        self,
        learning_rate: Rate,
        momentum: float = 0.9,
        form: str = "heavy_ball",
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_fraction("momentum", momentum)
        check_choice("form of momentum", form, self.FORMS)
        self.momentum, self.form = momentum, form

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        mu = self.momentum
        if self.form == "previous_gradient":
            before = slots["gradient"]
            slots["gradient"] = gradient
            return parameter - rate * (mu * before + gradient)
        if self.form == "two_point":
            before = where(t.equals(1.0), parameter, slots["before"])
            slots["before"] = parameter
            return parameter - rate * gradient + mu * (parameter - before)
        if self.form == "velocity":
            velocity = mu * slots["velocity"] - rate * gradient
            slots["velocity"] = velocity
            return parameter + velocity
        velocity = mu * slots["velocity"] + (gradient if self.form == "heavy_ball" else (1 - mu) * gradient)
        slots["velocity"] = velocity
        return parameter - rate * velocity


class Nesterov(Optimizer):
    """Nesterov's momentum, in PyTorch's form or with the gradient taken ahead.

    By default v <- mu * v + g, w <- w - rate * (g + mu * v), as PyTorch's SGD with ``nesterov=True``. look_ahead: the
    original, v <- mu * v - rate * g(w + mu * v), w <- w + v, whose gradient belongs to another point than the stored
    weights; the program then computes the network at that point for the gradient, and at the weights for the loss
    and the metrics that a step reports and for what batch normalisation and the like keep.

    Source: Y. Nesterov, "A method for solving a convex programming problem with convergence rate O(1/k^2)", 1983;
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    >>> import graphc as gc
    >>> gc.optimizers.Nesterov(0.1, look_ahead=True).momentum
    0.9
    """

    def __init__(
        self,
        learning_rate: Rate,
        momentum: float = 0.9,
        look_ahead: bool = False,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_fraction("momentum", momentum)
        self.momentum, self.look_ahead = momentum, look_ahead

    def prepare(self, gradients: Sequence[Gradient], slots: Sequence[Slots]) -> Sequence[Gradient]:
        """The gradients at w + mu * v, if they are to be taken ahead."""
        if not self.look_ahead:
            return gradients
        ahead = {
            gradient.parameter.node: (gradient.parameter + self.momentum * own["velocity"]).node
            for gradient, own in zip(gradients, slots, strict=True)
        }
        moved = rebuild(toposort([gradient.value.node for gradient in gradients]), lambda node: node, ahead)
        return [replace(gradient, value=Tensor(moved[gradient.value.node])) for gradient in gradients]

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        if self.look_ahead:
            velocity = self.momentum * slots["velocity"] - rate * gradient
            slots["velocity"] = velocity
            return parameter + velocity
        velocity = self.momentum * slots["velocity"] + gradient
        slots["velocity"] = velocity
        return parameter - rate * (gradient + self.momentum * velocity)
