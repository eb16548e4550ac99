"""Optimizers that divide each gradient by a size of the gradients before: AdaGrad, AdaDelta, RMSProp."""

from __future__ import annotations

from graphc.frontend.elementwise import maximum, sqrt
from graphc.frontend.optimizers.optimizer import Optimizer, Rate, Slots
from graphc.frontend.settings import check_fraction, check_not_negative, check_positive
from graphc.frontend.tensor import Tensor

__all__ = ["AdaDelta", "AdaGrad", "RMSProp"]


class AdaGrad(Optimizer):
    """Rates that shrink with the sum of squared gradients: s <- s + g**2, w <- w - rate * g / (sqrt(s) + epsilon).

    initial: the value of s before the first step. Defaults are PyTorch's.

    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 2011.

    >>> import graphc as gc
    >>> gc.optimizers.AdaGrad().epsilon
    1e-10
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-2,
        epsilon: float = 1e-10,
        initial: float = 0.0,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_positive("epsilon", epsilon)
        check_not_negative("initial", initial)
        self.epsilon, self.initial = epsilon, initial

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above; the slot holds what the gradients added."""
        squares = slots["squares"] + gradient * gradient
        slots["squares"] = squares
        total = squares + self.initial if self.initial else squares
        return parameter - rate * gradient / (sqrt(total) + self.epsilon)


class AdaDelta(Optimizer):
    """Steps of the size of the steps before.

    s <- rho * s + (1 - rho) * g**2, d = sqrt(u + epsilon) / sqrt(s + epsilon) * g, u <- rho * u + (1 - rho) * d**2,
    w <- w - rate * d, with s = u = 0 at first. Defaults are PyTorch's.

    Source: M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012.

    >>> import graphc as gc
    >>> gc.optimizers.AdaDelta().learning_rate
    1.0
    """

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_fraction("rho", rho)
        check_positive("epsilon", epsilon)
        self.rho, self.epsilon = rho, epsilon

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        squares = self.rho * slots["squares"] + (1 - self.rho) * (gradient * gradient)
        change = sqrt(slots["changes"] + self.epsilon) / sqrt(squares + self.epsilon) * gradient
        slots["changes"] = self.rho * slots["changes"] + (1 - self.rho) * (change * change)
        slots["squares"] = squares
        return parameter - rate * change


class RMSProp(Optimizer):
    """Gradients divided by the root of their mean square.

    s <- rho * s + (1 - rho) * g**2, d = g / (sqrt(s) + epsilon), w <- w - rate * d, with s = 0 at first. centred: the
    root is sqrt(s - a**2) with a <- rho * a + (1 - rho) * g, the standard deviation. epsilon_inside: sqrt(s + epsilon)
    in place of sqrt(s) + epsilon. momentum: v <- mu * v + d, w <- w - rate * v. Defaults are PyTorch's.

    Source: T. Hinton, "Neural networks for machine learning", lecture 6e, 2012; centred: A. Graves, "Generating
    sequences with recurrent neural networks", arXiv:1308.0850, 2013.

    >>> import graphc as gc
    >>> gc.optimizers.RMSProp(rho=0.9, centred=True).centred
    True
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-2,
        rho: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centred: bool = False,
        epsilon_inside: bool = False,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_fraction("rho", rho)
        check_positive("epsilon", epsilon)
        check_fraction("momentum", momentum)
        self.rho, self.epsilon, self.momentum = rho, epsilon, momentum
        self.centred, self.epsilon_inside = centred, epsilon_inside

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        mean_square = self.rho * slots["squares"] + (1 - self.rho) * (gradient * gradient)
        slots["squares"] = mean_square
        if self.centred:
            average = self.rho * slots["gradient"] + (1 - self.rho) * gradient
            slots["gradient"] = average
            mean_square = maximum(mean_square - average * average, 0.0)  # rounding may leave it below 0
        root = sqrt(mean_square + self.epsilon) if self.epsilon_inside else sqrt(mean_square) + self.epsilon
        if not self.momentum:
            return parameter - rate * gradient / root
        velocity = self.momentum * slots["velocity"] + gradient / root
        slots["velocity"] = velocity
        return parameter - rate * velocity
