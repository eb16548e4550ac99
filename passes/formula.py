"""Formulas: nodes as mathematics, in text and in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.literal import number_text
from graphc.node import Node
from graphc.ops.leaves import Constant, Input, State
from graphc.ops.movement import BroadcastInDim, Reshape
from graphc.ops.unary import Cast, Copy, StopGradient
from graphc.rewrite import splat_value

__all__ = ["Formulas", "symbol_in_latex"]

_SILENT = (BroadcastInDim, Reshape, Cast, Copy, StopGradient)
"""Ops that a formula does not show: they change shape or type, not meaning."""


def symbol_in_latex(name: str) -> str:
    """A name as a LaTeX symbol: v12 as v_{12}, d_v12 with a bar, longer words upright."""
    if name.startswith("d_"):
        return rf"\bar{{{symbol_in_latex(name[2:])}}}"
    if name[:1] == "v" and name[1:].isdigit():
        return f"v_{{{name[1:]}}}"
    if len(name) == 1:
        return name
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


@dataclass
class Formulas:
    """Writes nodes as formulas. names: nodes that are written by name, not expanded."""

    names: Mapping[Node, str]
    latex: bool = False
    _known: dict[Node, tuple[str, int]] = field(default_factory=dict)

    def define(self, node: Node) -> str:
        """The formula of a node in terms of named nodes, its own name not used."""
        return self._compose(node, [self._of(source) for source in node.inputs])[0]

    def text(self, node: Node) -> str:
        """A node by its name, or its formula."""
        return self._of(node)[0]

    def _of(self, node: Node) -> tuple[str, int]:
        stack = [node]
        while stack:
            top = stack[-1]
            if top in self._known:
                stack.pop()
                continue
            if top in self.names:
                self._known[top] = (symbol_in_latex(self.names[top]) if self.latex else self.names[top], 9)
                continue
            missing = [source for source in top.inputs if source not in self._known]
            if missing:
                stack.extend(missing)
                continue
            self._known[top] = self._compose(top, [self._known[source] for source in top.inputs])
        return self._known[node]

    def _compose(self, node: Node, parts: list[tuple[str, int]]) -> tuple[str, int]:
        op = node.op
        number = splat_value(node)
        if number is not None:
            return number_text(number, node.type.dtype.bits).removesuffix(".0"), 9 if number >= 0 else 3
        if isinstance(op, (Input, State)):
            return (symbol_in_latex(op.label) if self.latex else op.label), 9
        if isinstance(op, Constant):
            return ("C" if self.latex else "constant"), 9
        if isinstance(op, _SILENT):
            return parts[0]
        template, binding = op.notation(self.latex)
        if not template:
            name = symbol_in_latex(op.name) if self.latex else op.name
            return f"{name}({', '.join(text for text, _ in parts)})", 9
        enclosed = template.startswith((r"\frac", r"\sqrt")) or "(" in template or "|" in template
        shown = [
            text if enclosed or not _needs_parentheses(strength, binding, place) else f"({text})"
            for place, (text, strength) in enumerate(parts)
        ]
        return template.format(*shown), 9 if enclosed else binding


def _needs_parentheses(inner: int, outer: int, place: int) -> bool:
    """True if an operand binds less tightly than its op, or as tightly but stands on the right."""
    return inner < outer or (inner == outer and place > 0)
