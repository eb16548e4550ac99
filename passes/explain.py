"""gc.explain: how a derivative comes about, as text and LaTeX: paths, local derivatives, sums, the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.errors import GradientError
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph, toposort
from graphc.node import Node, describe
from graphc.origin import user_location
from graphc.passes.autodiff import check_request, differentiate, start_of
from graphc.passes.fold import Fold
from graphc.passes.formula import Formulas, symbol_in_latex
from graphc.passes.naming import NameUniquely
from graphc.passes.rules.algebra import ALGEBRA, cube, inverse, square
from graphc.passes.stabilise import stabilise_for_gradient
from graphc.rewrite import rewrite_to_fixpoint, splat_value

__all__ = ["Explanation", "Step", "explain"]

_MOST_PATHS = 6
_READABLE = tuple(rule for rule in ALGEBRA if rule not in (square, cube, inverse))
"""The equations that make formulas easier to read: a power says more than the products that compute it."""


@dataclass(frozen=True)
class Step:
    """One equation: what it defines (empty for a further term of the sum above), its formulas, its type, and a
    remark.
    """

    name: str
    text: str
    latex: str
    type: str
    remark: str = ""


@dataclass(frozen=True)
class Explanation:
    """The derivation of one derivative. Printing it gives the text; notebooks show the LaTeX.

    forward: the values on the way. paths: chains of names from the loss to the tensor, and path_count how many there
    are. backward: the derivative of the loss by each value, later values first; the last one is the result.
    """

    loss: str
    wrt: str
    forward: tuple[Step, ...]
    paths: tuple[tuple[str, ...], ...]
    path_count: int
    backward: tuple[Step, ...]

    @property
    def text(self) -> str:
        """The derivation as text."""
        result = self.backward[-1]
        lines = [f"The derivative of {self.loss} by {self.wrt} : {result.type}", "", "Values on the way"]
        lines += _table(self.forward)
        some = len(self.paths)
        shown = f", the first {some} of {self.path_count:,}" if self.path_count > some else ""
        lines += ["", f"Paths from {self.loss} to {self.wrt}: {self.path_count:,}{shown}"]
        lines += [f"  {' <- '.join(path)}" for path in self.paths]
        lines += ["", f"Backwards; d_x stands for the derivative of {self.loss} by x"]
        lines += _table(self.backward)
        return "\n".join(lines)

    @property
    def latex(self) -> str:
        """The derivation as a LaTeX align* environment."""
        rows = [rf"{symbol_in_latex(step.name)} &= {step.latex}" for step in self.forward]
        for step in self.backward:
            name = step.name.removeprefix("d_")
            rows.append(rf"\bar{{{symbol_in_latex(name)}}} &= {step.latex}" if name else rf"&\quad + {step.latex}")
        return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"

    def __str__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return self.latex


def _table(steps: Sequence[Step]) -> list[str]:
    names = max((len(step.name) for step in steps), default=0)
    formulas = min(max((len(step.text) for step in steps), default=0), 60)
    types = max((len(step.type) for step in steps), default=0)
    lines: list[str] = []
    for step in steps:
        sign = "=" if step.name else "+"
        lines.append(f"  {step.name:<{names}} {sign} {step.text:<{formulas}} : {step.type:<{types}}  {step.remark}")
    return lines


def explain(loss: Tensor, wrt: Tensor) -> Explanation:
    """The derivation of the derivative of a loss by a tensor.

    loss: a float scalar. wrt: a float tensor that the loss depends on; GradientError if it does not. The result's
    ``text`` and ``latex`` hold the values on the way, all paths from the loss to the tensor (six at most are listed),
    the local derivative at each step, the sum where paths meet, and the final expression with its shape.

    >>> import graphc as gc
    >>> x, y = gc.input("x", shape=()), gc.input("y", shape=())
    >>> print(gc.explain((x + y) * x, wrt=x))
    The derivative of loss by x : f32[]
    <BLANKLINE>
    Values on the way
      v1   = x + y  : f32[]  ...
      loss = v1 * x : f32[]  ...
    <BLANKLINE>
    Paths from loss to x: 2
      loss <- v1 <- x
      loss <- x
    <BLANKLINE>
    Backwards; d_x stands for the derivative of loss by x
      d_loss = 1    : f32[]  the start
      d_v1   = x    : f32[]  through multiply
      d_x    = v1   : f32[]  through multiply
             + d_v1 : f32[]  through add
    """
    check_request(loss, [wrt])
    start, (target,) = stabilise_for_gradient(loss.node, [wrt.node])
    named = NameUniquely().replacements(Graph((("loss", start), ("wrt", target))))
    return _Derivation(named[start], named[target]).explanation()


class _Derivation:
    """The backward sweep with all that it passed on, and the names that formulas use."""

    def __init__(self, loss: Node, wrt: Node) -> None:
        self.loss, self.wrt = loss, wrt
        self.parts: list[tuple[Node, Node, Node]] = []
        candidates = [node for node in toposort([loss]) if node.type.dtype.is_float]
        found = differentiate({loss: start_of(loss)}, candidates, lambda *part: self.parts.append(part))
        self.way = self._between(candidates)
        if wrt not in self.way:
            raise GradientError(
                "the loss does not depend on this tensor",
                at=str(user_location()),
                facts=[("loss", describe(loss)), ("wrt", describe(wrt))],
                expected="a tensor on a differentiable path to the loss",
            )
        inside = set(self.way)
        self.parts = [part for part in self.parts if part[0] in inside and part[1] in inside]
        self.names = {node: f"v{number}" for number, node in enumerate((n for n in self.way if n is not wrt), 1)}
        self.names |= {wrt: str(getattr(wrt.op, "label", "x")), loss: "loss"}
        self.totals, self.clean = self._simplify({node: found[node] for node in self.way})

    def _between(self, order: Sequence[Node]) -> list[Node]:
        """The nodes through which derivatives pass from the loss to wrt, in the order of the graph."""
        readers: dict[Node, set[Node]] = {}
        for reader, source, _ in self.parts:
            readers.setdefault(source, set()).add(reader)
        above, below = {self.wrt}, {self.loss}
        for node in order:
            if any(source in above for source in node.inputs if node in readers.get(source, ())):
                above.add(node)
        for node in reversed(order):
            if readers.get(node, set()) & below:
                below.add(node)
        return [node for node in order if node in above and node in below]

    def _simplify(self, totals: Mapping[Node, Node]) -> tuple[dict[Node, Node], list[Node]]:
        """The derivatives by node, and the parts they are sums of, after folding and arithmetic equations.

        Values on the way keep their names, also where their own formulas became simpler.
        """
        roots = [*totals.values(), *(part for _, _, part in self.parts), *self.way]
        graph = Graph(tuple((f"root{number}", node) for number, node in enumerate(roots)))
        folded = Fold().replacements(graph)
        opaque = frozenset(folded[total] for total in totals.values())
        rewritten = rewrite_to_fixpoint(graph.map(folded), _READABLE, opaque).replaced
        replaced = {node: rewritten[folded[node]] for node in roots}
        for node in self.way:
            if replaced[node].inputs and splat_value(replaced[node]) is None:
                self.names.setdefault(replaced[node], self.names[node])
        return {node: replaced[total] for node, total in totals.items()}, [replaced[part] for _, _, part in self.parts]

    def explanation(self) -> Explanation:
        """All parts of the explanation."""
        forward = [self._forward(node) for node in self.way if node is not self.wrt]
        return Explanation(
            "loss", self.names[self.wrt], tuple(forward), tuple(self._paths()), self._count(), tuple(self._backward())
        )

    def _forward(self, node: Node) -> Step:
        text, latex = (Formulas(self.names, style).define(node) for style in (False, True))
        return Step(self.names[node], text, latex, str(node.type), _remark(node))

    def _sources(self) -> dict[Node, list[Node]]:
        """For each node, the inputs to which it passes a derivative on, once for each time."""
        sources: dict[Node, list[Node]] = {node: [] for node in self.way}
        for reader, source, _ in self.parts:
            sources[reader].append(source)
        return sources

    def _count(self) -> int:
        """How many paths there are; counted, not listed: there may be millions."""
        sources = self._sources()
        counts = {self.wrt: 1}
        for node in self.way:
            if node is not self.wrt:
                counts[node] = sum(counts[source] for source in sources[node])
        return counts[self.loss]

    def _paths(self) -> Iterator[tuple[str, ...]]:
        """The first few chains from the loss down to the tensor."""
        sources = self._sources()
        stack: list[tuple[Node, tuple[str, ...]]] = [(self.loss, ("loss",))]
        found = 0
        while stack and found < _MOST_PATHS:
            node, chain = stack.pop()
            if node is self.wrt:
                found += 1
                yield chain
                continue
            stack += [(source, (*chain, self.names[source])) for source in reversed(sources[node])]

    def _backward(self) -> Iterator[Step]:
        yield Step("d_loss", "1", "1", str(self.loss.type), "the start")
        for node in reversed(self.way):
            first = True
            for (reader, source, _), part in zip(self.parts, self.clean, strict=True):
                if source is node:
                    yield self._part(node, reader, part, first)
                    first = False

    def _part(self, node: Node, reader: Node, part: Node, first: bool) -> Step:
        names = dict(self.names)
        total = self.totals[reader]
        # A number is written as such, and a value by its own name, also where they happen to be this derivative.
        if splat_value(total) is None and (part is total or total not in names):
            names[total] = f"d_{self.names[reader]}"
        text, latex = (Formulas(names, style).text(part) for style in (False, True))
        return Step(f"d_{self.names[node]}" if first else "", text, latex, str(node.type), f"through {reader.op.name}")


def _remark(node: Node) -> str:
    where = node.origin.location.short if node.origin.location else ""
    scope = "/".join(node.origin.scope)
    return ", ".join(part for part in (scope, where) if part)
