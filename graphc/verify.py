"""The rules that every graph obeys, each a small named function that yields what is wrong.

They run between all passes in tests and in debug mode, and always at the end of a pipeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from graphc.dims import Dim, symbols_of
from graphc.errors import GraphcError, VerificationError
from graphc.graph import Graph
from graphc.node import Node
from graphc.op import OPS
from graphc.ops.comparison import TrainingSwitch
from graphc.ops.leaves import Input, State
from graphc.ops.sampling import Random
from graphc.text.printer import LABEL, number_nodes, print_line

__all__ = ["COMPILABLE", "RULES", "Violation", "is_label", "verify"]

Violation = tuple[Node | None, str]
VerifierRule = Callable[[Graph], Iterator[Violation]]


def is_label(name: object) -> bool:
    """True for what the text form can print as the name of an output.

    >>> is_label("loss/mean"), is_label("log of exp"), is_label(3)
    (True, False, False)
    """
    return isinstance(name, str) and LABEL.fullmatch(name) is not None


def ops_are_registered(graph: Graph) -> Iterator[Violation]:
    """Each op is the class that its name stands for."""
    for node in graph.nodes:
        if OPS.get(node.op.name) is not type(node.op):
            yield node, f"{type(node.op).__name__} is not registered as {node.op.name!r}"


def types_are_inferred(graph: Graph) -> Iterator[Violation]:
    """Each node has the type that its op infers from the types of its inputs."""
    for node in graph.nodes:
        try:
            inferred = node.op.infer(*(source.type for source in node.inputs))
        except GraphcError as error:
            yield node, f"its op refuses its inputs: {error.what}"
            continue
        if inferred != node.type:
            yield node, f"its op infers {inferred}"


def leaves_have_unique_labels(graph: Graph) -> Iterator[Violation]:
    """No two inputs, states or random streams share a label."""
    for kind in (Input, State, Random):
        leaves = [node for node in graph.nodes if isinstance(node.op, kind)]
        counts = Counter(str(getattr(node.op, "label", "")) for node in leaves)
        for node in leaves:
            label = str(getattr(node.op, "label", ""))
            if counts[label] > 1:
                yield node, f"{counts[label]} nodes are called {label!r}"


def sizes_are_bound(graph: Graph) -> Iterator[Violation]:
    """Each named size is the size of an axis of some input."""
    bound = {
        size.symbols[0]
        for node in graph.inputs
        for size in node.type.shape
        if isinstance(size, Dim) and size.factor == 1 and len(size.symbols) == 1
    }
    for node in graph.nodes:
        for name in symbols_of(node.type.shape):
            if name not in bound:
                yield node, f"no input has an axis of size {name!r}"


def outputs_are_named(graph: Graph) -> Iterator[Violation]:
    """Outputs have different, printable names."""
    counts = Counter(name for name, _ in graph.outputs)
    for name, node in graph.outputs:
        if counts[name] > 1:
            yield node, f"{counts[name]} outputs are called {name!r}"
        if not is_label(name):
            yield node, f"{name!r} is no name"


def updates_fit_states(graph: Graph) -> Iterator[Violation]:
    """Updates replace states, each once, by values of the same type."""
    counts = Counter(state for state, _ in graph.updates)
    for state, value in graph.updates:
        if not isinstance(state.op, State):
            yield state, "is updated but is no state"
        if counts[state] > 1:
            yield state, f"is updated {counts[state]} times"
        if state.type != value.type:
            yield state, f"is updated by a value of type {value.type}"


def mode_is_resolved(graph: Graph) -> Iterator[Violation]:
    """No training switch is left: the graph is a training graph or an inference graph."""
    for node in graph.nodes:
        if isinstance(node.op, TrainingSwitch):
            yield node, "the training switch was not resolved"


RULES: tuple[VerifierRule, ...] = (
    ops_are_registered,
    types_are_inferred,
    leaves_have_unique_labels,
    sizes_are_bound,
    outputs_are_named,
    updates_fit_states,
)
COMPILABLE: tuple[VerifierRule, ...] = (*RULES, mode_is_resolved)


def verify(graph: Graph, rules: tuple[VerifierRule, ...] = RULES, after: str = "") -> None:
    """Check a graph against rules; ``after`` names the pass that made it.

    Raises VerificationError that names the rule, the line of the text form, its neighbours, and the user's line.
    """
    for rule in rules:
        for node, problem in rule(graph):
            names = number_nodes(graph)
            facts = [("rule", rule.__name__)]
            if node is not None:
                around = [source for source in node.inputs if source in names]
                facts += [("line", print_line(node, names)), *(("input", print_line(n, names)) for n in around)]
            origin = str(node.origin.location) if node is not None and node.origin.location else None
            where = f" after {after}" if after else ""
            raise VerificationError(f"the graph is malformed{where}: {problem}", at=origin, facts=facts)
