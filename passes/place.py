"""Placement: the order in which groups run, where their values are stored, and which updates happen in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx

from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import Leaf
from graphc.passes.fuse import Fusion, Group
from graphc.passes.loops import stores_of, terms_of
from graphc.passes.lower_groups import lower_group
from graphc.passes.spaces import cone
from graphc.passes.storage import Storage, leaf_storage
from graphc.passes.terms import walk_terms

__all__ = ["Placement", "place_values"]


@dataclass(frozen=True)
class Placement:
    """The groups in the order in which they run, the storage of each stored node, and copies to be made at the end."""

    groups: tuple[Group, ...]
    storage: dict[Node, Storage]
    copies: tuple[tuple[Storage, Storage], ...]


def place_values(graph: Graph, fusion: Fusion) -> Placement:
    """Order the groups and give each stored node its storage.

    A new state value is written over the old one where its kernel reads the old value only at the place it writes, and
    every other reader of the old value can run before. Otherwise it goes to a temporary and is copied at the end.
    """
    group_of = {
        node: number for number, group in enumerate(fusion.groups) for node in group.roots if group.kind != "check"
    }
    reads = [_reads(group, fusion) for group in fusion.groups]
    order = nx.DiGraph()
    order.add_nodes_from(range(len(fusion.groups)))
    for number, sources in enumerate(reads):
        order.add_edges_from((group_of[source], number) for source in sources if source in group_of)

    storage = {node: Storage("temporary", f"t{number}", node.type, node) for number, node in enumerate(group_of)}
    for name, node in graph.outputs:
        storage[node] = Storage("output", name, node.type, node)
    copies: list[tuple[Storage, Storage]] = []
    for state, value in graph.updates:
        target, number = leaf_storage(state), group_of[value]
        readers = [other for other, sources in enumerate(reads) if other != number and state in sources]
        may_wait = not any(other in nx.descendants(order, number) for other in readers)
        if may_wait and _overwrites_safely(fusion, fusion.groups[number], storage, value, state, reads[number]):
            order.add_edges_from((other, number) for other in readers)
            storage[value] = target
        else:
            copies.append((storage[value], target))
    ready = nx.lexicographical_topological_sort(order)
    return Placement(tuple(fusion.groups[number] for number in ready), storage, tuple(copies))


def _reads(group: Group, fusion: Fusion) -> set[Node]:
    """Stored nodes and leaves that a group reads from memory."""
    stored = fusion.stored - set(group.roots) if group.kind == "check" else fusion.stored
    inside = cone(group.roots, stored)
    return {s for node in inside for s in node.inputs if s in fusion.stored or isinstance(s.op, Leaf)} - set(
        group.roots
    )


def _overwrites_safely(
    fusion: Fusion, group: Group, storage: Mapping[Node, Storage], value: Node, state: Node, reads: set[Node]
) -> bool:
    """True if a group's kernel may write a state's new value over the old one: it reads each element of the old value
    only for the element that it then writes, if at all."""
    if state not in reads:
        return group.kind not in ("assembly", "scatter", "scan", "cond")
    if group.kind not in ("map", "fold", "contraction"):
        return False
    (call,) = lower_group(group, fusion.stored, storage)
    names = dict(zip(call.arguments, call.kernel.buffers, strict=True))
    source, target = names[leaf_storage(state)].name, names[storage[value]].name
    terms = walk_terms(term for statement in call.kernel.body for term in terms_of(statement))
    read = {term.index for term in terms if term.kind == "load" and term.name == source}
    written = {
        store.index for statement in call.kernel.body for store in stores_of(statement) if store.buffer == target
    }
    return read == written
