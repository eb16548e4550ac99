"""Range checks that failed, as errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphc.errors import FeedError
from graphc.interpret import interpret
from graphc.node import Node, describe
from graphc.ops.indexing import CheckRange
from graphc.ops.leaves import Input
from graphc.passes.build import checks_inputs
from graphc.passes.lower import KernelCall
from graphc.scalar import Array

__all__ = ["check_ranges", "checked_by_host", "range_error"]


def checked_by_host(call: KernelCall) -> bool:
    """Whether the host does this call of a program for a GPU, before a step: range checks of what is fed."""
    return checks_inputs(call) and not call.loops


def range_error(node: Node, inputs: Mapping[str, Array]) -> FeedError:
    """The error of a failed check. node: the check. inputs: what was fed, to say which element was wrong."""
    assert isinstance(node.op, CheckRange)
    source = node.inputs[0]
    facts = [("declared", describe(source)), ("checked", str(node.origin.location))]
    label = str(getattr(source.op, "label", ""))
    if label in inputs:
        try:
            node.op.reference(inputs[label])
        except FeedError as error:
            return FeedError(f"input {label!r}: {error.what}", facts=facts, expected=error.expected, got=error.got)
    return FeedError(
        "a computed integer is out of range; states may have been updated",
        facts=facts,
        expected=f"{node.op.low} <= value < {node.op.high}",
    )


def check_ranges(
    checks: Iterable[Node], known: Mapping[Node, Array], inputs: Mapping[str, Array], sizes: Mapping[str, int]
) -> None:
    """Check integers that depend on inputs alone. known: the values of inputs by their nodes.

    Raises the FeedError of the last check that fails, which is the one that a program's status names.
    """
    failed = None
    for node in checks:
        if not _holds(node, known, sizes):
            failed = node
    if failed is not None:
        raise range_error(failed, inputs)


def _holds(node: Node, known: Mapping[Node, Array], sizes: Mapping[str, int]) -> bool:
    assert isinstance(node.op, CheckRange)
    source = node.inputs[0]
    try:
        values = known[source] if isinstance(source.op, Input) else interpret([source], known, sizes)[source]
    except FeedError:  # of a check inside this one, which comes by itself
        return True
    return not values.size or bool(node.op.low <= values.min() and values.max() < node.op.high)
