"""Lowering a group by its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from graphc.node import Node
from graphc.passes.fuse import Group
from graphc.passes.lower import KernelCall, KernelWriter, lower_fold, lower_map
from graphc.passes.lower_products import lower_products
from graphc.passes.lower_special import (
    lower_assembly,
    lower_check,
    lower_scatter,
    lower_search,
)
from graphc.passes.storage import Storage
from graphc.tensor_type import tensor_type

__all__ = ["STATUS", "lower_group"]

STATUS = Storage("status", "status", tensor_type("i64"))
"""One integer that range checks write their code to; 0 is well."""


def lower_group(
    group: Group, stored: Collection[Node], storage: Mapping[Node, Storage], code: int = 0
) -> list[KernelCall]:
    """The kernel calls that compute a group. code: what a range check writes to the status."""
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
    if group.kind == "assembly":
        return lower_assembly(KernelWriter, writer, root)
    if group.kind == "scatter":
        return lower_scatter(KernelWriter, writer, root)
    return [lower_check(writer, root, STATUS, code)]
