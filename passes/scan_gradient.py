"""The derivative of a loop: a loop that runs the other way.

What a round passes back to the one before it is the state of the new loop. The derivative by a constant is a sum over
all rounds; where a round's part is itself a product or a sum, its factors are collected instead, and one product over
all rounds follows, which keeps its sums in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.frontend.scan import close_body, parameter_of
from graphc.frontend.tensor import Tensor
from graphc.graph import toposort
from graphc.node import Node, apply
from graphc.op import Op
from graphc.ops.arithmetic import Add
from graphc.ops.contraction import DotGeneral
from graphc.ops.movement import Transpose
from graphc.ops.reduction import ReduceSum
from graphc.ops.scan import Scan

__all__ = ["differentiate_scan"]

Differentiate = Callable[[Mapping[Node, Node], Sequence[Node]], dict[Node, Node]]


def differentiate_scan(
    op: Scan,
    inputs: Sequence[Node],
    upstream: Mapping[int, Node],
    wanted: Collection[Node],
    differentiate: Differentiate,
) -> list[Node | None]:
    """The derivative by each operand of a loop, None where there is none or it is not wanted.

    upstream: the derivative of the loss by the parts that it depends on. wanted: the operands that derivatives are
    wanted of. differentiate: reverse-mode differentiation, which the body needs.
    """
    adjoint = _Adjoint(op, inputs, upstream)
    return adjoint.answers(adjoint.derivatives(wanted, differentiate))


class _Adjoint:
    """The new loop while it is made. Its operands, in three groups: what is passed back and sums so far; sequences of
    the old loop, its states and what comes from the loss; constants of the old loop."""

    def __init__(self, op: Scan, inputs: Sequence[Node], upstream: Mapping[int, Node]) -> None:
        self.op, self.inputs, self.upstream = op, inputs, upstream
        self.parameters, self.results = op.body.parameters, op.body.results
        still = op.carries + op.sequences
        self.states, self.elements, self.constants = (
            self.parameters[: op.carries],
            self.parameters[op.carries : still],
            self.parameters[still:],
        )
        self.floats = [number for number, state in enumerate(self.states) if state.type.dtype.is_float]
        self.backs = {number: parameter_of(self.states[number].type, f"back{number}") for number in self.floats}
        self.losses = {
            number: parameter_of(node.type.with_shape(node.type.shape[1:]), f"loss{number}")
            for number, node in upstream.items()
            if number >= op.carries
        }
        """What the loss says of each round's values, and of the states with which the rounds began."""
        self.values: dict[Node, int] = {}
        """What the new rounds yield, with numbers."""

    def part(self, number: int) -> Node:
        """A part of the old loop."""
        return apply(replace(self.op, part=number), *self.inputs)

    def derivatives(self, wanted: Collection[Node], differentiate: Differentiate) -> dict[Node, Node]:
        """The derivative by each parameter of the body, in one round."""
        seeds: dict[Node, Node] = {}
        begun = range(len(self.results), len(self.results) + len(self.states))
        for number, seed in (*self.backs.items(), *self.losses.items()):
            if number in begun:
                continue  # a parameter: see passed_back
            end = self.op.parts[number]
            seeds[end] = (Tensor(seeds[end]) + Tensor(seed)).node if end in seeds else seed
        rest = zip(self.parameters[self.op.carries :], self.inputs[self.op.carries :], strict=True)
        asked = [parameter for parameter, operand in rest if operand in wanted and parameter.type.dtype.is_float]
        return differentiate(seeds, [*(self.states[number] for number in self.floats), *asked])

    def answers(self, found: Mapping[Node, Node]) -> list[Node | None]:
        """The derivative by each operand of the old loop."""
        passed = [self.passed_back(number, found) for number in self.floats]
        yields = {element: self.collected(found[element]) for element in self.elements if element in found}
        plans = {
            constant: _plan_for(found[constant], self.collected) for constant in self.constants if constant in found
        }
        added = [constant for constant, plan in plans.items() if plan is None]
        so_far = [parameter_of(constant.type, f"sum{number}") for number, constant in enumerate(added)]
        sums = [(Tensor(sum_) + Tensor(found[constant])).node for sum_, constant in zip(so_far, added, strict=True)]

        state, results = [*self.backs.values(), *so_far], [*passed, *sums, *self.values]
        needed = set(toposort(results))
        saved = {node: place for place, node in enumerate(self.op.body.saved) if node in needed}
        moving = [*self.states, *self.elements, *self.losses.values(), *saved]
        body, outside = close_body([*state, *moving, *self.constants], results, "")
        assert not outside, "the derivative of a body needs nothing from outside"
        loop = Scan(body, self.op.length, len(state), len(moving), 0, not self.op.reverse)
        operands = [
            *(self.upstream.get(number) or Tensor(self.part(number)).zeros_like().node for number in self.floats),
            *(Tensor(constant).zeros_like().node for constant in added),
            *(self.part(len(self.results) + number) for number in range(len(self.states))),
            *self.inputs[self.op.carries : self.op.carries + self.op.sequences],
            *(self.upstream[number] for number in self.losses),
            *(self.part(len(self.results) + len(self.states) + place) for place in saved.values()),
            *self.inputs[self.op.carries + self.op.sequences :],
        ]

        def of(number: int) -> Node:
            return apply(replace(loop, part=number), *operands)

        by_parameter = {self.states[number]: of(place) for place, number in enumerate(self.floats)}
        by_parameter |= {element: of(len(state) + number) for element, number in yields.items()}
        by_parameter |= {
            constant: plan.build(lambda number: of(len(state) + number))
            for constant, plan in plans.items()
            if plan is not None
        }
        by_parameter |= {constant: of(place) for place, constant in enumerate(added, len(self.floats))}
        return [by_parameter.get(parameter) for parameter in self.parameters]

    def passed_back(self, number: int, found: Mapping[Node, Node]) -> Node:
        """What a round passes back to the one before it."""
        state, begun = self.states[number], len(self.results) + number
        total = Tensor(found[state]) if state in found else Tensor(state).zeros_like()
        return (total + Tensor(self.losses[begun])).node if begun in self.losses else total.node

    def collected(self, node: Node) -> int:
        """The number of a value of the new rounds."""
        return self.values.setdefault(node, len(self.values))


@dataclass(frozen=True)
class _Plan:
    """How a sum over all rounds follows from what the rounds yield: an op, and where its operands come from."""

    op: Op
    values: tuple[int, ...] = ()
    plans: tuple[_Plan, ...] = ()

    def build(self, value: Callable[[int], Node]) -> Node:
        """The sum as a node."""
        return apply(self.op, *(plan.build(value) for plan in self.plans), *map(value, self.values))


def _plan_for(node: Node, collected: Callable[[Node], int]) -> _Plan | None:
    """The plan for a constant's derivative; None if it has to be added up round by round."""
    op = node.op
    if isinstance(op, DotGeneral) and not op.lhs_batch:
        whole = replace(op, lhs_contract=_with_rounds(op.lhs_contract), rhs_contract=_with_rounds(op.rhs_contract))
        return _Plan(whole, tuple(map(collected, node.inputs)))
    if isinstance(op, ReduceSum):
        return _Plan(ReduceSum(_with_rounds(op.axes)), (collected(node.inputs[0]),))
    if isinstance(op, (Add, Transpose)):
        plans = [plan for source in node.inputs if (plan := _plan_for(source, collected)) is not None]
        return _Plan(op, plans=tuple(plans)) if len(plans) == len(node.inputs) else None
    return None


def _with_rounds(axes: Sequence[int]) -> tuple[int, ...]:
    """Axes of a round's value as axes of all values, and that of the rounds itself."""
    return (0, *(axis + 1 for axis in axes))
