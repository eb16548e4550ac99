"""Adam and its relatives: optimizers with running means of the gradient and of its size."""

from __future__ import annotations

from graphc.frontend.elementwise import abs, maximum, sqrt
from graphc.frontend.optimizers.optimizer import Optimizer, Rate, Slots
from graphc.frontend.settings import check_fraction, check_not_negative, check_positive
from graphc.frontend.tensor import Tensor

__all__ = ["AMSGrad", "AdaMax", "Adam", "AdamW", "NAdam"]


class Moments(Optimizer):
    """Base of the optimizers with a running mean of the gradient, by ``beta1``, and one of its size, by ``beta2``.

    epsilon: keeps the division by the size from 0.
    """

    def __init__(
        self,
        learning_rate: Rate = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, decoupled=decoupled)
        check_fraction("beta1", beta1)
        check_fraction("beta2", beta2)
        check_positive("epsilon", epsilon)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon


class Adam(Moments):
    """Adaptive moments with bias correction.

    m <- b1 * m + (1 - b1) * g, v <- b2 * v + (1 - b2) * g**2,
    w <- w - rate * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + epsilon), with t from 1 and m = v = 0 at first.

    bias_correction: False leaves out the two divisions by 1 - b**t. epsilon_hat: epsilon is added to the uncorrected
    root, w <- w - rate * sqrt(1 - b2**t) / (1 - b1**t) * m / (sqrt(v) + epsilon), as Keras and ONNX do. Defaults are
    PyTorch's.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    >>> import graphc as gc
    >>> gc.optimizers.Adam(1e-3).beta2
    0.999
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: bool = True,
        epsilon_hat: bool = False,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay, decoupled=decoupled)
        self.bias_correction, self.epsilon_hat = bias_correction, epsilon_hat

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above; the corrections are computed in float64, once a step."""
        return parameter - self.move(gradient, slots, rate, t)

    def move(self, gradient: Tensor, slots: Slots, rate: Tensor | float, t: Tensor) -> Tensor:
        """What a step takes off the parameter."""
        first = self.beta1 * slots["moment1"] + (1 - self.beta1) * gradient
        second = self.beta2 * slots["moment2"] + (1 - self.beta2) * (gradient * gradient)
        slots["moment1"], slots["moment2"] = first, second
        size = self.size(second, slots)
        if not self.bias_correction:
            return rate * first / (sqrt(size) + self.epsilon)
        correction1 = (1 - self.beta1**t).cast(gradient.dtype)
        correction2 = 1 - self.beta2**t
        if self.epsilon_hat:
            factor = rate * sqrt(correction2).cast(gradient.dtype) / correction1
            return factor * first / (sqrt(size) + self.epsilon)
        return rate * (first / correction1) / (sqrt(size / correction2.cast(gradient.dtype)) + self.epsilon)

    def size(self, second: Tensor, slots: Slots) -> Tensor:
        """The running mean of squares whose root divides the step."""
        return second


class AdamW(Adam):
    """Adam with decoupled weight decay: rate * decay * w is taken off beside Adam's step. Defaults are PyTorch's.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    >>> import graphc as gc
    >>> gc.optimizers.AdamW(1e-3).weight_decay
    0.01
    """

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay, decoupled=True)


class AMSGrad(Adam):
    """Adam that divides by the largest mean square so far, max(v of all steps), in place of v. Defaults are PyTorch's.

    Source: S. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018; the correction of the bias
    as in PyTorch's ``Adam(amsgrad=True)``.

    >>> import graphc as gc
    >>> gc.optimizers.AMSGrad(1e-2).learning_rate
    0.01
    """

    def size(self, second: Tensor, slots: Slots) -> Tensor:
        """The largest mean square so far."""
        largest = maximum(slots["largest"], second)
        slots["largest"] = largest
        return largest


class AdaMax(Moments):
    """Adam with the largest gradient in place of the root of the mean square.

    m <- b1 * m + (1 - b1) * g, u <- max(b2 * u, abs(g) + epsilon), w <- w - rate / (1 - b1**t) * m / u, with t from 1
    and m = u = 0 at first. Defaults are PyTorch's.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2.

    >>> import graphc as gc
    >>> gc.optimizers.AdaMax().learning_rate
    0.002
    """

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above."""
        first = self.beta1 * slots["moment1"] + (1 - self.beta1) * gradient
        largest = maximum(self.beta2 * slots["largest"], abs(gradient) + self.epsilon)
        slots["moment1"], slots["largest"] = first, largest
        return parameter - rate / (1 - self.beta1**t).cast(parameter.dtype) * first / largest


class NAdam(Moments):
    """Adam with Nesterov's momentum, whose share grows with the steps.

    b(t) = b1 * (1 - 0.5 * 0.96**(momentum_decay * t)), p(t) = b(1) * ... * b(t), m and v as in Adam,
    w <- w - rate * ((1 - b(t)) * g / (1 - p(t)) + b(t+1) * m / (1 - p(t+1))) / (sqrt(v / (1 - b2**t)) + epsilon).
    Defaults are PyTorch's.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    >>> import graphc as gc
    >>> gc.optimizers.NAdam().momentum_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: Rate = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay, decoupled=decoupled)
        check_not_negative("momentum_decay", momentum_decay)
        self.momentum_decay = momentum_decay

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The formulas above; the factors are computed in float64, once a step."""
        now, following = (self.beta1 * (1 - 0.5 * 0.96 ** (self.momentum_decay * step)) for step in (t, t + 1))
        product = (1 - slots.numbers["lost"]) * now  # slots begin with zeros, so what the product lacks of 1 is kept
        slots.numbers["lost"] = 1 - product
        first = self.beta1 * slots["moment1"] + (1 - self.beta1) * gradient
        second = self.beta2 * slots["moment2"] + (1 - self.beta2) * (gradient * gradient)
        slots["moment1"], slots["moment2"] = first, second
        present = ((1 - now) / (1 - product)).cast(parameter.dtype)
        ahead = (following / (1 - product * following)).cast(parameter.dtype)
        correction = (1 - self.beta2**t).cast(parameter.dtype)
        return parameter - rate * (present * gradient + ahead * first) / (sqrt(second / correction) + self.epsilon)
