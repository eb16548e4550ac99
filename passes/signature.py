"""Signatures: what tells kernels apart, so that equal ones are printed once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass

from graphc.passes.loops import Kernel
from graphc.passes.terms import Index, Term

__all__ = ["signature"]


def signature(kernel: Kernel) -> Hashable:
    """Equal for kernels of which every printer writes the same."""
    return _Signature().of(kernel)


class _Signature:
    """Numbers terms in the order in which they are met."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def of(self, part: object) -> Hashable:
        """A part of a kernel as tuples of numbers and texts."""
        if part is None or isinstance(part, (str, int)):
            return part
        if isinstance(part, float):
            return repr(part)
        if isinstance(part, tuple):
            return tuple(map(self.of, part))
        if isinstance(part, Term):
            return self.of_term(part)
        if isinstance(part, Index):
            return part.axes, part.offsets, tuple((self.of_term(place), stride) for place, stride in part.places)
        if is_dataclass(part) and type(part).__module__ == Kernel.__module__:
            return (type(part).__name__, *(self.of(getattr(part, field.name)) for field in fields(part)))
        assert isinstance(part, Hashable)
        return part

    def of_term(self, term: Term) -> Hashable:
        """A term: its number if it was met before. Python tells 0.0 from -0.0, and True from 1, by their text alone."""
        known = self.numbers.get(id(term))
        if known is not None:
            return known
        args = tuple(map(self.of_term, term.args))
        result = (term.kind, term.name, term.dtype.short, args, self.of(term.index), repr(term.value), term.table)
        self.numbers[id(term)] = len(self.numbers)
        return result
