"""gc.newton_cg: Newton's method for small problems, with compiled products of the Hessian and a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from graphc.errors import DeclarationError, NonFiniteError
from graphc.frontend.settings import check_count, check_not_negative, check_positive
from graphc.frontend.state import Parameter, constant, input
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.ops.leaves import Input, State
from graphc.origin import user_location
from graphc.passes.autodiff import grad
from graphc.runtime.function import Function
from graphc.scalar import Array

__all__ = ["NewtonResult", "newton_cg"]


@dataclass(frozen=True)
class NewtonResult:
    """What ``gc.newton_cg`` reached. loss: at the end. slope: the norm of the gradient there. steps: how many were
    taken. converged: whether the slope came down to the tolerance. losses: before the first step and after each.

    >>> import graphc as gc
    >>> w = gc.parameter((), 3.0, name="w")
    >>> gc.newton_cg((w - 1.0) ** 2, [w]).converged
    True
    """

    loss: float
    slope: float
    steps: int
    converged: bool
    losses: tuple[float, ...]


def newton_cg(
    loss: Tensor,
    parameters: Sequence[Parameter],
    feed: Mapping[str, object] | None = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-6,
    damping: float = 0.0,
    threads: int | None = None,
) -> NewtonResult:
    """Minimise a loss on one batch with Newton's method; the parameters take the values it reaches.

    loss: a float scalar, computed as in inference. parameters: those to be changed, best in float64. feed: all data,
    by input name. Each step solves H p = -g by conjugate gradients, where H is known only through products with
    vectors (a gradient of a gradient, compiled once), as exactly as the slope deserves; along p, the step is halved
    until the loss falls enough. steps: at most so many. tolerance: the norm of the gradient at which it ends. damping:
    added to the diagonal of H. It also ends where no step lowers the loss by more than rounding. Raises
    DeclarationError for what is no parameter, NonFiniteError for a loss or gradient that is not finite at the start,
    FeedError for data that does not fit.

    Source: J. Nocedal, S. Wright, "Numerical optimization", 2nd edition, algorithms 7.1 and 3.1.

    >>> import graphc as gc
    >>> x, y = gc.parameter((), -1.0, "x", "float64"), gc.parameter((), 2.0, "y", "float64")
    >>> result = gc.newton_cg((1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y])
    >>> result.converged, round(float(x.value), 6), round(float(y.value), 6)
    (True, 1.0, 1.0)
    """
    check_count("steps", steps)
    check_positive("tolerance", tolerance)
    check_not_negative("damping", damping)
    problem = _Problem(loss, parameters, feed or {}, damping, threads)
    point = problem.point()
    value, slope = problem.value_and_slope(point)
    if not isfinite(value) or not np.isfinite(slope).all():
        raise NonFiniteError(
            "the loss or its gradient is not finite at the start", at=str(user_location()), got=f"loss {value}"
        )
    losses = [value]
    while len(losses) <= steps and _norm(slope) > tolerance:
        direction = _solve(problem.curvature, slope)
        found = _search(problem, point, value, slope, direction)
        if found is None:
            break
        point, value = found
        losses.append(value)
        value, slope = problem.value_and_slope(point)
    problem.move(point)
    return NewtonResult(value, _norm(slope), len(losses) - 1, _norm(slope) <= tolerance, tuple(losses))


class _Problem:
    """A loss as a function of one float64 vector, all parameters joined."""

    def __init__(
        self,
        loss: Tensor,
        parameters: Sequence[Parameter],
        feed: Mapping[str, object],
        damping: float,
        threads: int | None,
    ) -> None:
        for parameter in parameters:
            if not isinstance(parameter, Parameter) or not isinstance(parameter.node.op, State):
                raise DeclarationError(
                    "newton_cg changes parameters", at=str(user_location()), expected="[w, b]", got=repr(parameter)
                )
        self._parameters, self._feed, self._damping = list(parameters), dict(feed), damping
        inputs = [Tensor(node) for node in Graph((("loss", loss.node),)).inputs if isinstance(node.op, Input)]
        slopes = _gradients(loss, self._parameters)
        directions = [
            input(f"newton/direction{number}", parameter.shape, parameter.dtype)
            for number, parameter in enumerate(parameters)
        ]
        along = constant(0.0, loss.dtype)
        for slope, way in zip(slopes, directions, strict=True):
            along = along + (slope * way).sum().cast(loss.dtype)
        products = _gradients(along, self._parameters)
        self._loss = Function(inputs, {"loss": loss}, threads=threads, name="newton_loss")
        self._slopes = Function(inputs, [loss, *slopes], threads=threads, name="newton_slopes")
        self._products = Function([*inputs, *directions], products, threads=threads, name="newton_products")

    def point(self) -> Array:
        """The present values."""
        return _joined([parameter.value for parameter in self._parameters])

    def move(self, point: Array) -> None:
        """Give the parameters their parts of the vector."""
        for parameter, part in zip(self._parameters, self._parts(point), strict=True):
            parameter.value = part

    def _parts(self, vector: Array) -> list[Array]:
        ends = np.cumsum([parameter.value.size for parameter in self._parameters])[:-1]
        return [
            part.reshape(parameter.value.shape).astype(parameter.dtype.numpy)
            for parameter, part in zip(self._parameters, np.split(vector, ends), strict=True)
        ]

    def value(self, point: Array) -> float:
        """The loss."""
        self.move(point)
        found = self._loss(**self._feed)
        assert isinstance(found, dict)
        return float(found["loss"])

    def value_and_slope(self, point: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        self.move(point)
        found = self._slopes(**self._feed)
        assert isinstance(found, list)
        return float(found[0]), _joined(found[1:])

    def curvature(self, direction: Array) -> Array:
        """The Hessian, at the point of the last call, times a vector."""
        named = {f"newton/direction{number}": part for number, part in enumerate(self._parts(direction))}
        found = self._products(**self._feed, **named)
        assert isinstance(found, list)
        return _joined(found) + self._damping * direction


def _solve(curvature: Callable[[Array], Array], slope: Array) -> Array:
    """An approximate solution p of H p = -slope; a descent direction where H has negative curvature."""
    size = _norm(slope)
    enough = min(0.5, sqrt(size)) * size
    result, residual = np.zeros_like(slope), slope
    way = -residual
    for _ in range(2 * slope.size):
        product = curvature(way)
        bend = float(way @ product)
        if not bend > 0:
            return result if result.any() else way
        before = float(residual @ residual)
        result = result + before / bend * way
        residual = residual + before / bend * product
        after = float(residual @ residual)
        if sqrt(after) < enough:
            break
        way = -residual + after / before * way
    return result


def _search(
    problem: _Problem, point: Array, value: float, slope: Array, direction: Array
) -> tuple[Array, float] | None:
    """The first point of point + direction / 2**n whose loss is low enough, and that loss; None if there is none."""
    descent, length = float(slope @ direction), 1.0
    for _ in range(40):
        there = point + length * direction
        found = problem.value(there)
        if found < value and found <= value + 1e-4 * length * descent:
            return there, found
        length /= 2
    return None


def _gradients(loss: Tensor, parameters: Sequence[Parameter]) -> list[Tensor]:
    found = grad(loss, parameters, unused="zeros")
    assert isinstance(found, list)
    return found


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])


def _norm(vector: Array) -> float:
    return float(np.linalg.norm(vector))
