"""Wrappers that limit gradients before the optimizer sees them, or parameters after it moved them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphc.dtypes import FLOAT64
from graphc.frontend.elementwise import clip, minimum, where
from graphc.frontend.optimizers.optimizer import Gradient, Optimizer
from graphc.frontend.optimizers.wrapper import Wrapper
from graphc.frontend.reductions import norm
from graphc.frontend.selection import ParametersLike, Selection
from graphc.frontend.settings import check_positive
from graphc.frontend.tensor import Tensor
from graphc.node import Node

__all__ = ["ClipByGlobalNorm", "ClipByNorm", "ClipByValue", "MaxNorm"]


class ClipByValue(Wrapper):
    """Each element of each gradient limited to [-limit, limit].

    >>> import graphc as gc
    >>> gc.optimizers.ClipByValue(gc.optimizers.SGD(0.1), 0.5).limit
    0.5
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        check_positive("limit", limit)
        self.limit = limit

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does with limited gradients."""
        return super().apply(_each(gradients, lambda slope: clip(slope, -self.limit, self.limit)), t)


class ClipByNorm(Wrapper):
    """Each gradient scaled down to the norm ``limit`` where it is longer: g * min(1, limit / (norm + 1e-6)).

    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> import graphc as gc
    >>> gc.optimizers.ClipByNorm(gc.optimizers.SGD(0.1), 1.0).limit
    1.0
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        check_positive("limit", limit)
        self.limit = limit

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does with shortened gradients."""
        return super().apply(_each(gradients, lambda slope: slope * _factor(slope.dtype, [slope], self.limit)), t)


class ClipByGlobalNorm(Wrapper):
    """All gradients scaled by one factor so that the norm of them together is at most ``limit``.

    The factor is min(1, limit / (norm + 1e-6)), as in PyTorch's ``clip_grad_norm_``.

    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> import graphc as gc
    >>> gc.optimizers.ClipByGlobalNorm(gc.optimizers.Adam(1e-3), 1.0).learning_rate
    0.001
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        check_positive("limit", limit)
        self.limit = limit

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does with shortened gradients."""
        slopes = [gradient.value for gradient in gradients]
        return super().apply(_each(gradients, lambda slope: slope * _factor(slope.dtype, slopes, self.limit)), t)


class MaxNorm(Wrapper):
    """A constraint: after each step, columns of weights longer than ``limit`` are scaled down to it.

    A column is what leads to one unit: all axes but the last, so features of a dense layer, window and channels of a
    convolution. parameters: which ones, a list or a function; by default those of two axes or more.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    >>> import graphc as gc
    >>> gc.optimizers.MaxNorm(gc.optimizers.SGD(0.1), 3.0).limit
    3.0
    """

    def __init__(self, optimizer: Optimizer, limit: float, parameters: ParametersLike | None = None) -> None:
        super().__init__(optimizer)
        check_positive("limit", limit)
        self.limit = limit
        self._selection = Selection((lambda parameter: parameter.ndim > 1) if parameters is None else parameters)

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does, with its new values limited."""
        self._selection.require_among([gradient.declared for gradient in gradients], "not trained by this loss")
        result = super().apply(gradients, t)
        for gradient in gradients:
            parameter = gradient.parameter
            if self._selection.takes(parameter, gradient.declared):
                value = Tensor(result[parameter.node])
                size = (
                    norm(value, axis=tuple(range(max(value.ndim - 1, 1))), keepdims=True) if value.ndim else abs(value)
                )
                long = size > self.limit
                result[parameter.node] = (value * where(long, self.limit / where(long, size, 1.0), 1.0)).node
        return result


def _each(gradients: Sequence[Gradient], change: Callable[[Tensor], Tensor]) -> list[Gradient]:
    return [replace(gradient, value=change(gradient.value)) for gradient in gradients]


def _factor(dtype: object, slopes: Sequence[Tensor], limit: float) -> Tensor:
    """What shortens slopes to a norm of them together; the sum over tensors is taken in float64."""
    total = sum((slope * slope).sum().cast(FLOAT64) for slope in slopes)
    assert isinstance(total, Tensor)
    return minimum(1.0, limit / (total.sqrt() + 1e-6)).cast(dtype)
