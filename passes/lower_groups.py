"""Lowering a group by its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from graphc.node import Node
from graphc.op import Elementwise
from graphc.ops.assembly import Pad
from graphc.ops.movement import BroadcastInDim
from graphc.passes.fuse import Group
from graphc.passes.lower import KernelCall, KernelWriter, lower_fold, lower_map
from graphc.passes.lower_products import lower_products
from graphc.passes.lower_special import (
    lower_assembly,
    lower_check,
    lower_scatter,
    lower_search,
)
from graphc.passes.spaces import cone
from graphc.passes.storage import Storage
from graphc.tensor_type import tensor_type

__all__ = ["STATUS", "lower_group"]

STATUS = Storage("status", "status", tensor_type("i64"))
"""One integer that range checks write their code to; 0 is well."""


def lower_group(
    group: Group, stored: Collection[Node], storage: Mapping[Node, Storage], code: int = 0, at_once: bool = False
) -> list[KernelCall]:
    """The kernel calls that compute a group.

    code: what a range check writes to the status. at_once: a padded tensor is written by one kernel, which asks where
    each element comes from; else by two, the second of which writes the operand over the padding.
    """
    writer = KernelWriter(stored, storage)
    root = group.roots[0]
    if group.kind == "map":
        return [lower_map(writer, group.roots)]
    if group.kind == "fold":
        return [lower_fold(writer, group.roots)]
    if group.kind == "contraction":
        return [lower_products(writer, group.roots)]
    if group.kind == "search":
        return [lower_search(writer, root)]
    if group.kind == "assembly" and at_once and _can_ask(root, stored):
        return [lower_map(writer, [root])]
    if group.kind == "assembly":
        return lower_assembly(KernelWriter, writer, root)
    if group.kind == "scatter":
        return lower_scatter(KernelWriter, writer, root)
    return [lower_check(writer, root, STATUS, code)]


def _can_ask(root: Node, stored: Collection[Node]) -> bool:
    """True if a padding's operand can be computed at any place by simple means."""
    if not isinstance(root.op, Pad) or root.inputs[0].type.elements == 0 or not root.type.rank:
        return False
    inside = [node for node in cone([root], stored) if node is not root]
    return all(isinstance(node.op, (Elementwise, BroadcastInDim)) for node in inside)
