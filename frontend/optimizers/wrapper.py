"""Optimizers made of other optimizers: the base of wrappers, and groups of parameters."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError
from graphc.frontend.optimizers.optimizer import Gradient, Optimizer, Slots
from graphc.frontend.selection import ParametersLike, Selection
from graphc.frontend.tensor import Tensor
from graphc.node import Node, describe
from graphc.origin import user_location

__all__ = ["Groups", "Wrapper", "check_optimizer"]


def check_optimizer(optimizer: object) -> None:
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise DeclarationError(
            "an optimizer is needed",
            at=str(user_location()),
            expected="one such as gc.optimizers.Adam(1e-3)",
            got=repr(optimizer),
        )


class Wrapper(Optimizer):
    """An optimizer around another one, whose learning rate it has. A subclass changes ``apply``.

    >>> import dataclasses, graphc as gc
    >>> class Centred(gc.optimizers.Wrapper):
    ...     def apply(self, gradients, t):
    ...         means = [dataclasses.replace(g, value=g.value - g.value.mean()) for g in gradients]
    ...         return super().apply(means, t)
    >>> w = gc.parameter((2,), "zeros", name="w")
    >>> model = gc.compile(gc.sum(w * gc.constant([1.0, 3.0])), Centred(gc.optimizers.SGD(1.0)))
    >>> model.step({})["loss"], w.value
    (0.0, array([ 1., -1.], dtype=float32))
    """

    def __init__(self, optimizer: Optimizer) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer

    @property
    def learning_rate(self) -> float:
        """That of the optimizer inside."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.optimizer.learning_rate = value

    @property
    def rules(self) -> tuple[Optimizer, ...]:
        """The optimizers inside that have a learning rate of their own."""
        return self.optimizer.rules

    @property
    def averages(self) -> dict[Node, Node]:
        """The running averages that the optimizer inside keeps."""
        return self.optimizer.averages

    def step(self, parameter: Tensor, gradient: Tensor, slots: Slots, rate: Tensor, t: Tensor) -> Tensor:
        """The rule of the optimizer inside."""
        return self.optimizer.step(parameter, gradient, slots, rate, t)

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What the optimizer inside does."""
        return self.optimizer.apply(gradients, t)


class Groups(Wrapper):
    """An optimizer for each group of parameters.

    groups: pairs (parameters, optimizer), where the parameters are a list or a function of a parameter; a parameter
    belongs to the first group that takes it. default: the optimizer of those that no group takes. Raises
    DeclarationError, when a model is compiled, for parameters that no group takes, and for listed ones that are not
    trained. The learning rate is that of the first group, and is set on the groups' own optimizers.

    >>> import graphc as gc
    >>> decayed = gc.optimizers.AdamW(1e-3, weight_decay=0.1)
    >>> mixed = gc.optimizers.Groups([(lambda p: p.ndim > 1, decayed)], default=gc.optimizers.Adam(1e-3))
    >>> [type(rule).__name__ for rule in mixed.rules]
    ['AdamW', 'Adam']
    """

    def __init__(self, groups: Sequence[tuple[ParametersLike, Optimizer]], default: Optimizer | None = None) -> None:
        pairs = [(Selection(chosen), optimizer) for chosen, optimizer in groups]
        if default is not None:
            pairs.append((Selection(lambda parameter: True), default))
        if not pairs:
            raise DeclarationError("there are no groups", at=str(user_location()), expected="[(parameters, optimizer)]")
        for _, optimizer in pairs:
            check_optimizer(optimizer)
        super().__init__(pairs[0][1])
        self._pairs = pairs

    @property
    def learning_rate(self) -> float:
        """That of the first group."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        raise DeclarationError(
            "each group has a learning rate of its own",
            at=str(user_location()),
            got=str(value),
            way_out="set it on the optimizer of a group",
        )

    @property
    def rules(self) -> tuple[Optimizer, ...]:
        """The rules of all groups, each once."""
        return tuple(dict.fromkeys(rule for _, optimizer in self._pairs for rule in optimizer.rules))

    @property
    def averages(self) -> dict[Node, Node]:
        """The running averages of all groups."""
        return {node: average for _, optimizer in self._pairs for node, average in optimizer.averages.items()}

    def apply(self, gradients: Sequence[Gradient], t: Tensor) -> dict[Node, Node]:
        """What each group's optimizer does with the group's gradients."""
        left, result = list(gradients), dict[Node, Node]()
        for selection, optimizer in self._pairs:
            selection.require_among([gradient.declared for gradient in gradients], "not trained by this loss")
            mine = [gradient for gradient in left if selection.takes(gradient.parameter, gradient.declared)]
            left = [gradient for gradient in left if gradient not in mine]
            if mine:
                result.update(optimizer.apply(mine, t))
        if left:
            raise DeclarationError(
                f"parameter {left[0].parameter.name!r} is in no group",
                at=str(user_location()),
                facts=[("parameter", describe(left[0].parameter.node))],
                way_out="give Groups a default optimizer, or declare the parameter with trainable=False",
            )
        return result
