"""Loop axes: leaving out those of size 1, merging neighbours that memory does not tell apart, naming the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.dims import multiply
from graphc.passes.loops import Axis
from graphc.passes.terms import Index, Term, TermBuilder, walk_terms

__all__ = ["AxisPlan", "plan_axes", "substitute"]

_LETTERS = "ijkpqrsuvwxy"


@dataclass(frozen=True)
class AxisPlan:
    """What became of the axes. axes: those that are left, in order. new_name: of each old axis that still counts."""

    axes: tuple[Axis, ...]
    new_name: Mapping[str, str]

    def index(self, index: Index) -> Index:
        """An index in terms of the axes that are left."""
        kept = tuple((self.new_name[name], stride) for name, stride in index.axes if name in self.new_name)
        return replace(index, axes=kept)


def plan_axes(axes: Sequence[Axis], indices: Iterable[Index], mergeable: Callable[[Axis, Axis], bool]) -> AxisPlan:
    """Drop axes of size 1 and merge neighbours: outer into inner where every index moves by outer = inner * size.

    mergeable: whether two neighbours may become one at all.
    """
    known = list(indices)
    left: list[tuple[Axis, str]] = []
    """Axes that are left, with the old axis whose stride counts."""
    for axis in axes:
        if axis.extent == 1:
            continue
        previous = left[-1] if left else None
        if previous is not None and mergeable(previous[0], axis) and _contiguous(previous[1], axis, known):
            merged = Axis(previous[0].name, multiply(previous[0].extent, axis.extent))
            left[-1] = (merged, axis.name)
        else:
            left.append((axis, axis.name))
    named = [replace(axis, name=_LETTERS[number]) for number, (axis, _) in enumerate(left)]
    return AxisPlan(tuple(named), {old: axis.name for axis, (_, old) in zip(named, left, strict=True)})


def _contiguous(outer: str, inner: Axis, indices: Iterable[Index]) -> bool:
    return all(index.stride(outer) == multiply(index.stride(inner.name), inner.extent) for index in indices)


def substitute(
    builder: TermBuilder, roots: Sequence[Term], plan: AxisPlan, values: Mapping[str, Term] | None = None
) -> list[Term]:
    """The terms with their indices in terms of the axes that are left. values: what stands for variables, by name."""
    new: dict[int, Term] = {}
    for term in walk_terms(roots):
        index = None
        if term.index is not None:
            places = tuple((new[id(place)], stride) for place, stride in term.index.places)
            index = replace(plan.index(term.index), places=places)
        if values is not None and term.kind == "variable" and term.name in values:
            new[id(term)] = values[term.name]
        else:
            new[id(term)] = builder.copied(term, tuple(new[id(arg)] for arg in term.args), index)
    return [new[id(root)] for root in roots]
