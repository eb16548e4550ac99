"""Equations between formulas that mean the same, where the right side does not overflow, cancel or divide by zero."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.frontend import elementwise as el
from graphc.frontend import reductions as red
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.op import draw
from graphc.ops.arithmetic import Subtract
from graphc.ops.comparison import Select
from graphc.ops.movement import BroadcastInDim, Reshape
from graphc.ops.reduction import ReduceMax
from graphc.ops.unary import StopGradient
from graphc.passes.rules.equation import Sides, equation, field_of
from graphc.rewrite import Rule

__all__ = ["STABILITY"]

_POSITIVE = draw("f64", 3, 4, low=0.1, high=3.0)
_AXES = {"axes": (1,)}


def _unshifted(bound: Mapping[str, object]) -> bool:
    """True unless x is already shifted by its maximum, as in the right side of the equation."""
    x = bound["x"]
    if not isinstance(x, Node) or not isinstance(x.op, Subtract):
        return True
    shift = x.inputs[1]
    while isinstance(shift.op, (BroadcastInDim, Reshape, Select, StopGradient)):
        shift = shift.inputs[1 if isinstance(shift.op, Select) else 0]
    return not isinstance(shift.op, ReduceMax)


def _one_axis_unshifted(bound: Mapping[str, object]) -> bool:
    axes = bound["axes"]
    return isinstance(axes, tuple) and len(axes) == 1 and _unshifted(bound)


@equation("log(sigmoid(x)) = -softplus(-x)")
def log_of_sigmoid(x: Tensor) -> Sides:
    """The left side is log(0) where sigmoid underflows."""
    return el.log(el.sigmoid(x)), -el.softplus(-x)


@equation("log(1 - sigmoid(x)) = -softplus(x)")
def log_of_one_minus_sigmoid(x: Tensor) -> Sides:
    """The left side is log(0) where sigmoid rounds to 1."""
    return el.log(1 - el.sigmoid(x)), -el.softplus(x)


@equation("1 / (1 + exp(-x)) = sigmoid(x)")
def sigmoid_spelled_out(x: Tensor) -> Sides:
    """The gradient of the left side is inf / inf where exp overflows."""
    return 1 / (el.exp(-x) + 1), el.sigmoid(x)


@equation("log(1 + exp(x)) = softplus(x)")
def softplus_spelled_out(x: Tensor) -> Sides:
    """The left side overflows with exp."""
    return el.log(el.exp(x) + 1), el.softplus(x)


@equation("log1p(exp(x)) = softplus(x)")
def softplus_by_log1p(x: Tensor) -> Sides:
    """The left side overflows with exp."""
    return el.log1p(el.exp(x)), el.softplus(x)


@equation("log(1 + x) = log1p(x)", values={"x": _POSITIVE})
def log_of_one_plus(x: Tensor) -> Sides:
    """The left side loses a small x."""
    return el.log(x + 1), el.log1p(x)


@equation("exp(x) - 1 = expm1(x)")
def exp_minus_one(x: Tensor) -> Sides:
    """The left side cancels near 0."""
    return el.exp(x) - 1, el.expm1(x)


@equation("log(exp(x)) = x")
def log_of_exp(x: Tensor) -> Sides:
    """The left side overflows with exp."""
    return el.log(el.exp(x)), x


@equation("expm1(2x) / (exp(2x) + 1) = tanh(x)")
def tanh_spelled_out(x: Tensor) -> Sides:
    """The left side, which (exp(2x) - 1) / (exp(2x) + 1) has become by then, is inf / inf for large x."""
    return el.expm1(x * 2) / (el.exp(x * 2) + 1), el.tanh(x)


@equation("log(sum(exp(x))) = logsumexp(x)", attributes={"axes": field_of("axes", 0)}, examples=_AXES, guard=_unshifted)
def log_of_sum_of_exp(x: Tensor, axes: tuple[int, ...]) -> Sides:
    """The left side overflows with exp, or is log(0) where all exponentials underflow."""
    return el.log(red.sum(el.exp(x), axes)), red.logsumexp(x, axes)


@equation(
    "exp(x) / sum(exp(x)) = softmax(x)",
    attributes={"axes": field_of("axes", 1, 0)},
    examples=_AXES,
    guard=_one_axis_unshifted,
)
def softmax_spelled_out(x: Tensor, axes: tuple[int, ...]) -> Sides:
    """The left side overflows with exp."""
    exponentials = el.exp(x)
    return exponentials / red.sum(exponentials, axes, keepdims=True), red.softmax(x, axes[0])


@equation("log(softmax(x)) = log_softmax(x)", attributes={"axes": field_of("axes", 0, 1, 0)}, examples=_AXES)
def log_of_softmax(x: Tensor, axes: tuple[int, ...]) -> Sides:
    """The left side is log(0) where a probability underflows."""
    return el.log(red.softmax(x, axes[0])), red.log_softmax(x, axes[0])


@equation("sqrt(x * x) = |x|")
def root_of_square(x: Tensor) -> Sides:
    """The left side overflows for large x, and its gradient is 0/0 at 0."""
    return el.sqrt(x * x), el.abs(x)


STABILITY: tuple[Rule, ...] = (
    log_of_sigmoid,
    log_of_one_minus_sigmoid,
    log_of_softmax,
    softplus_spelled_out,
    softplus_by_log1p,
    log_of_one_plus,
    log_of_sum_of_exp,
    log_of_exp,
    sigmoid_spelled_out,
    softmax_spelled_out,
    tanh_spelled_out,
    exp_minus_one,
    root_of_square,
)
