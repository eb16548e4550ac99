"""Schedules: learning rates that depend on the number of the step, written in the language, so that they compile.

A schedule is a function of the number of the step, a float64 scalar that counts from 1. An optimizer takes one wherever
it takes a number, and so does any function of your own: ``gc.optimizers.SGD(lambda t: 0.1 / t)``. "Steps before" in the
formulas below is k = t - 1; with it they are the formulas of PyTorch's schedulers, stepped after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log, pi

import numpy as np

from graphc.dtypes import FLOAT64
from graphc.errors import DeclarationError, ShapeError
from graphc.frontend.elementwise import cos, maximum, minimum, where
from graphc.frontend.settings import check_count, check_fraction, check_not_negative, check_positive
from graphc.frontend.tensor import Tensor, as_tensor
from graphc.graph import toposort
from graphc.interpret import interpret
from graphc.node import apply, describe
from graphc.ops.leaves import Input
from graphc.origin import user_location
from graphc.tensor_type import TensorType

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "inverse",
    "inverse_time",
    "multi_step",
    "one_cycle",
    "polynomial",
    "step",
    "warmup",
]


class Schedule:
    """A learning rate for each step: call it with the number of the step in the graph, or ask for a number with ``at``.

    formula: a function of a float64 scalar. text: how the schedule prints.

    >>> import graphc as gc
    >>> halves = gc.schedules.Schedule(lambda t: 0.5 ** t, "halves")
    >>> halves, halves.at(3)
    (halves, 0.125)
    """

    def __init__(self, formula: Callable[[Tensor], Tensor], text: str) -> None:
        self.formula, self.text = formula, text

    def __call__(self, t: Tensor) -> Tensor:
        """The rate of step t, a float64 scalar."""
        return self.formula(t)

    def at(self, t: int) -> float:
        """The rate of a step, by its number from 1."""
        return value_at(self, t)

    def __repr__(self) -> str:
        return self.text


def check_schedule(schedule: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """What a schedule gives in step t, as a float64 scalar; ShapeError if it is none."""
    rate = as_tensor(schedule(t), FLOAT64)
    if rate.shape:
        raise ShapeError(
            "a schedule gives one number",
            at=str(user_location()),
            facts=[("rate", describe(rate.node))],
            expected="f64[]",
            got=str(rate.type),
        )
    return rate.cast(FLOAT64)


def value_at(schedule: Callable[[Tensor], Tensor], t: int) -> float:
    """The rate of one step as a number; DeclarationError if the schedule needs more than the number of the step."""
    number = Tensor(apply(Input("t", TensorType(FLOAT64, ()))))
    rate = check_schedule(schedule, number).node
    for node in toposort([rate]):
        if not node.inputs and node is not number.node and getattr(node.op, "label", None) is not None:
            raise DeclarationError(
                "a schedule depends on the number of the step alone",
                at=str(user_location()),
                facts=[("it uses", describe(node))],
                expected="a function of t and of constants",
            )
    return float(interpret([rate], {number.node: np.asarray(float(t))}, {})[rate])


def constant(rate: float) -> Schedule:
    """The same rate in each step.

    >>> import graphc as gc
    >>> gc.schedules.constant(0.1).at(7)
    0.1
    """
    check_positive("rate", rate)
    return Schedule(lambda t: as_tensor(rate, FLOAT64), f"constant({rate})")


def inverse(rate: float) -> Schedule:
    """The rate c / t.

    Source: H. Robbins, S. Monro, "A stochastic approximation method", 1951.

    >>> import graphc as gc
    >>> gc.schedules.inverse(0.5).at(2)
    0.25
    """
    check_positive("rate", rate)
    return Schedule(lambda t: rate / t, f"inverse({rate})")


def inverse_time(rate: float, decay: float, steps: int = 1) -> Schedule:
    """The rate / (1 + decay * k / steps), Keras's InverseTimeDecay.

    >>> import graphc as gc
    >>> gc.schedules.inverse_time(0.5, decay=1.0).at(2)
    0.25
    """
    check_positive("rate", rate)
    check_not_negative("decay", decay)
    check_count("steps", steps)
    return Schedule(lambda t: rate / (1 + decay * (t - 1) / steps), f"inverse_time({rate}, {decay}, {steps})")


def step(rate: float, steps: int, factor: float = 0.1) -> Schedule:
    """The rate times factor**floor(k / steps): PyTorch's StepLR.

    >>> import graphc as gc
    >>> [gc.schedules.step(0.5, steps=2, factor=0.5).at(t) for t in (1, 2, 3)]
    [0.5, 0.5, 0.25]
    """
    check_positive("rate", rate)
    check_count("steps", steps)
    check_positive("factor", factor)
    return Schedule(lambda t: rate * factor ** ((t - 1) / steps).floor(), f"step({rate}, {steps}, {factor})")


def multi_step(rate: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """The rate times factor for each milestone that k has reached: PyTorch's MultiStepLR.

    milestones: numbers of steps, increasing.

    >>> import graphc as gc
    >>> [gc.schedules.multi_step(0.5, [1, 3], factor=0.5).at(t) for t in (1, 2, 3, 4)]
    [0.5, 0.25, 0.25, 0.125]
    """
    check_positive("rate", rate)
    check_positive("factor", factor)
    for milestone in milestones:
        check_count("a milestone", milestone)
    if any(first >= second for first, second in pairwise(milestones)):
        raise DeclarationError(
            "milestones must increase", at=str(user_location()), expected="such as [30, 60]", got=str(list(milestones))
        )

    def formula(t: Tensor) -> Tensor:
        result = as_tensor(rate, FLOAT64)
        for milestone in milestones:
            result = where(t > milestone, result * factor, result)
        return result

    return Schedule(formula, f"multi_step({rate}, {list(milestones)}, {factor})")


def exponential(rate: float, factor: float, steps: int = 1) -> Schedule:
    """The rate times factor**(k / steps); with steps=1 PyTorch's ExponentialLR.

    >>> import graphc as gc
    >>> gc.schedules.exponential(0.5, 0.5).at(3)
    0.125
    """
    check_positive("rate", rate)
    check_positive("factor", factor)
    check_count("steps", steps)
    return Schedule(lambda t: rate * factor ** ((t - 1) / steps), f"exponential({rate}, {factor}, {steps})")


def polynomial(rate: float, steps: int, power: float = 1.0, end: float = 0.0) -> Schedule:
    """From rate down to end: end + (rate - end) * (1 - k / steps)**power, then end; "poly" of DeepLab, power 0.9.

    With end=0 PyTorch's PolynomialLR.

    >>> import graphc as gc
    >>> [gc.schedules.polynomial(0.5, steps=2).at(t) for t in (1, 2, 3, 4)]
    [0.5, 0.25, 0.0, 0.0]
    """
    check_positive("rate", rate)
    check_count("steps", steps)
    check_positive("power", power)
    check_not_negative("end", end)

    def formula(t: Tensor) -> Tensor:
        return end + (rate - end) * (1 - minimum(t - 1, steps) / steps) ** power

    return Schedule(formula, f"polynomial({rate}, {steps}, {power}, {end})")


def cosine(rate: float, steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine from rate down to end: end + (rate - end) * (1 + cos(pi * k / steps)) / 2, then end.

    Up to step ``steps`` + 1 it is PyTorch's CosineAnnealingLR, which rises again afterwards.

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import graphc as gc
    >>> [round(gc.schedules.cosine(0.5, steps=2).at(t), 3) for t in (1, 2, 3, 4)]
    [0.5, 0.25, 0.0, 0.0]
    """
    check_positive("rate", rate)
    check_count("steps", steps)
    check_not_negative("end", end)
    return Schedule(lambda t: _half_cosine(rate, end, minimum(t - 1, steps) / steps), f"cosine({rate}, {steps}, {end})")


def cosine_restarts(rate: float, steps: int, growth: int = 1, end: float = 0.0) -> Schedule:
    """Half cosines from rate down to end, one after the other: PyTorch's CosineAnnealingWarmRestarts.

    steps: of the first one; each is ``growth`` times as long as the one before.

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import graphc as gc
    >>> [round(gc.schedules.cosine_restarts(0.5, 2).at(t), 3) for t in (1, 2, 3, 4)]
    [0.5, 0.25, 0.5, 0.25]
    """
    check_positive("rate", rate)
    check_count("steps", steps)
    check_count("growth", growth)
    check_not_negative("end", end)

    def formula(t: Tensor) -> Tensor:
        before = t - 1
        if growth == 1:
            return _half_cosine(rate, end, before % steps / steps)
        # Run n starts after steps * (growth**n - 1) / (growth - 1) steps; the small term outweighs rounding in the log.
        run = ((before / steps * (growth - 1) + 1).log() / log(growth) + 1e-9).floor()
        power = float(growth) ** run
        start = steps * (power - 1) / (growth - 1)
        return _half_cosine(rate, end, (before - start) / (steps * power))

    return Schedule(formula, f"cosine_restarts({rate}, {steps}, {growth}, {end})")


def warmup(then: Schedule | float, steps: int, start: float = 0.0) -> Schedule:
    """A straight line over so many steps, up to where ``then`` begins, and then that schedule (or that rate) itself.

    start: the share of the first rate to begin with; 0 leaves the parameters as they are in the first step. As
    PyTorch's LinearLR with ``start_factor`` before another scheduler in SequentialLR.

    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, 2017.

    >>> import graphc as gc
    >>> rate = gc.schedules.warmup(gc.schedules.step(0.8, steps=1, factor=0.5), steps=2)
    >>> [rate.at(t) for t in (1, 2, 3, 4)]
    [0.0, 0.4, 0.8, 0.4]
    """
    after = then if isinstance(then, Schedule) else constant(then)
    check_count("steps", steps)
    check_fraction("start", start)
    first = after.at(1)

    def formula(t: Tensor) -> Tensor:
        line = first * (start + (1 - start) * (t - 1) / steps)
        return where(t <= steps, line, check_schedule(after, maximum(t - steps, 1.0)))

    return Schedule(formula, f"warmup({after}, {steps}, {start})")


def one_cycle(
    rate: float, steps: int, rise: float = 0.3, start_divisor: float = 25.0, end_divisor: float = 1e4
) -> Schedule:
    """Half a cosine up to rate and one far down: PyTorch's OneCycleLR (with a momentum that stays).

    From rate / start_divisor up to rate over rise * steps - 1 steps, then down to rate / (start_divisor * end_divisor)
    in the last of ``steps`` steps.

    Source: L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120, 2017.

    >>> import graphc as gc
    >>> rate = gc.schedules.one_cycle(1.0, steps=10, rise=0.3)
    >>> [round(rate.at(t), 3) for t in (1, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    check_positive("rate", rate)
    check_count("steps", steps)
    check_fraction("rise", rise)
    check_positive("start_divisor", start_divisor)
    check_positive("end_divisor", end_divisor)
    top, last = rise * steps - 1, steps - 1
    if not 0 < top < last:
        raise DeclarationError(
            "one_cycle has no step to rise or none to fall",
            at=str(user_location()),
            expected="1 < rise * steps < steps",
            got=f"rise={rise}, steps={steps}",
        )
    start = rate / start_divisor

    def formula(t: Tensor) -> Tensor:
        before = minimum(t - 1, last)
        up = _half_cosine(start, rate, before / top)
        return where(before <= top, up, _half_cosine(rate, start / end_divisor, (before - top) / (last - top)))

    return Schedule(formula, f"one_cycle({rate}, {steps}, {rise}, {start_divisor}, {end_divisor})")


def _half_cosine(first: float, last: float, part: Tensor) -> Tensor:
    """From first to last while part goes from 0 to 1."""
    return last + (first - last) * 0.5 * (1 + cos(part * pi))
