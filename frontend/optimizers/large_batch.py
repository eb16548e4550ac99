"""Optimizers for large batches and models: Lion, whose steps are signs, and LAMB, which scales steps by norms."""

from __future__ import annotations

from graphc.frontend.elementwise import sign, where
from graphc.frontend.optimizers.moments import Adam
from graphc.frontend.optimizers.optimizer import Optimizer, Rate, Slots
from graphc.frontend.reductions import norm
from graphc.frontend.settings import check_fraction, check_not_negative
from graphc.frontend.tensor import Tensor

__all__ = ["LAMB", "Lion"]


class Lion(Optimizer):
    """Steps of one size along signs, w <- w - rate * (sign(b1 * m + (1 - b1) * g) + decay * w), with
    m <- b2 * m + (1 - b2) * g and m = 0 at first.

    Defaults are the paper's; rates are some three to ten times smaller than Adam's.

    Source: X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.

    >>> import graphc as gc
    >>> gc.optimizers.Lion(weight_decay=0.1).beta2
    0.99
    """

    def __init__(
        self, learning_rate: Rate = 1e-4, beta1: float = 0.9, beta2: float = 0.99, *, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=True)
        check_fraction("beta1", beta1)
        check_fraction("beta2", beta2)
        self.beta1, self.beta2 = beta1, beta2

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        velocity = slots["velocity"]
        slots["velocity"] = self.beta2 * velocity + (1 - self.beta2) * gradient
        return parameter - rate * sign(self.beta1 * velocity + (1 - self.beta1) * gradient)


class LAMB(Adam):
    """Adam's step, scaled to the size of each parameter.

    With Adam's m and v, r = (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon) + decay * w,
    w <- w - rate * (norm(w) / norm(r)) * r. The norms are over the whole parameter; their quotient counts as 1 where
    one of them is 0. Defaults are the paper's.

    Source: Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020,
    algorithm 2.

    >>> import graphc as gc
    >>> gc.optimizers.LAMB(1e-2).decay
    0.01
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        *,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon)
        check_not_negative("weight_decay", weight_decay)
        self.decay = weight_decay  # inside the rule, so that the base adds none

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        direction = self.move(gradient, slots, 1.0, t) + self.decay * parameter
        size, length = norm(parameter), norm(direction)
        usable = (size > 0) & (length > 0)
        return parameter - rate * where(usable, size / where(usable, length, 1.0), 1.0) * direction
