"""Update rules of lecture notes that are no optimizers of graphc, written in its language as a user would."""

from __future__ import annotations

from collections.abc import Callable

import graphc as gc
from graphc.frontend.optimizers import Optimizer, Slots

Tensor = gc.Tensor
Formula = Callable[[Tensor, Tensor, Slots, Tensor, Tensor], Tensor]

MU, RHO, BETA1, BETA2, TINY = 0.9, 0.9, 0.9, 0.999, 1e-8


class Rule(Optimizer):
    """An optimizer of one formula: parameter, gradient, slots, rate, number of the step."""

    def __init__(self, learning_rate: float, formula: Formula) -> None:
        super().__init__(learning_rate)
        self.formula = formula

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        return self.formula(parameter, gradient, slots, rate, t)


def previous_gradient(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    before = slots["gradient"]
    slots["gradient"] = g
    return w - rate * (MU * before + g)


def damped(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    slots["velocity"] = velocity = MU * slots["velocity"] + (1 - MU) * g
    return w - rate * velocity


def velocity_form(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    slots["velocity"] = velocity = MU * slots["velocity"] - rate * g
    return w + velocity


def two_point(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    before = gc.where(t.equals(1.0), w, slots["before"])
    slots["before"] = w
    return w - rate * g + MU * (w - before)


def adagrad(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    slots["squares"] = squares = slots["squares"] + g * g
    return w - rate / (TINY + gc.sqrt(squares)) * g


def rmsprop(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    slots["squares"] = squares = RHO * slots["squares"] + (1 - RHO) * g * g
    return w - rate / (TINY + gc.sqrt(squares)) * g


def moments(g: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
    """Running means of the gradient and of its square."""
    slots["first"] = first = BETA1 * slots["first"] + (1 - BETA1) * g
    slots["second"] = second = BETA2 * slots["second"] + (1 - BETA2) * g * g
    return first, second


def adam_without_correction(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    first, second = moments(g, slots)
    return w - rate * first / (gc.sqrt(second) + TINY)


def adam_of_keras(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    first, second = moments(g, slots)
    return w - rate * gc.sqrt(1 - BETA2**t) / (1 - BETA1**t) * first / (gc.sqrt(second) + TINY)


def adadelta(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    epsilon = 1e-6
    slots["squares"] = squares = RHO * slots["squares"] + (1 - RHO) * g * g
    change = gc.sqrt(slots["changes"] + epsilon) / gc.sqrt(squares + epsilon) * g
    slots["changes"] = RHO * slots["changes"] + (1 - RHO) * change * change
    return w - rate * change


def adamax(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    slots["first"] = first = BETA1 * slots["first"] + (1 - BETA1) * g
    slots["largest"] = largest = gc.maximum(BETA2 * slots["largest"], abs(g) + TINY)
    return w - rate / (1 - BETA1**t) * first / largest


def nadam(w: Tensor, g: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
    now, following = (BETA1 * (1 - 0.5 * 0.96 ** (0.004 * number)) for number in (t, t + 1))
    product = (1 - slots["lost"]) * now  # slots begin with zeros, so what the product lacks of 1 is kept
    slots["lost"] = 1 - product
    first, second = moments(g, slots)
    ahead = (1 - now) * g / (1 - product) + following * first / (1 - product * following)
    return w - rate * ahead / (gc.sqrt(second / (1 - BETA2**t)) + TINY)
