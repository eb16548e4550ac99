"""Checking and converting what users feed, before any kernel runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.dtypes import DType
from graphc.errors import FeedError
from graphc.interpret import bind_sizes
from graphc.node import Node
from graphc.op import size_text
from graphc.ops.leaves import Input
from graphc.scalar import Array

__all__ = ["Feeder", "as_array", "check_names"]


_MOST_SHAPES = 1000


class Feeder:
    """Checks what is fed to some inputs; it remembers the sizes that went with shapes."""

    def __init__(self, inputs: Sequence[Node]) -> None:
        self._declared = {node.op.label: node for node in inputs if isinstance(node.op, Input)}
        self._sizes: dict[tuple[tuple[int, ...], ...], dict[str, int]] = {}

    @property
    def labels(self) -> list[str]:
        """The names of the inputs."""
        return list(self._declared)

    def prepare(self, feed: Mapping[str, object], finite: bool = False) -> tuple[dict[str, Array], dict[str, int]]:
        """The arrays to be fed, of the declared element types and contiguous, and the numbers behind the named sizes.

        finite: refuse NaN and infinities. Raises FeedError for missing or unknown inputs, wrong ranks, sizes or element
        types, and numbers that the declared type cannot hold.
        """
        declared = self._declared
        if feed.keys() != declared.keys():
            check_names(declared, feed)
        arrays = {label: as_array(node, feed[label]) for label, node in declared.items()}
        shapes = tuple([array.shape for array in arrays.values()])
        sizes = self._sizes.get(shapes)
        if sizes is None:
            sizes = self._bind(arrays)
            if len(self._sizes) < _MOST_SHAPES:
                self._sizes[shapes] = sizes
        if finite:
            for label, array in arrays.items():
                _check_finite(declared[label], array)
        return arrays, sizes

    def _bind(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        declared = self._declared
        try:
            return bind_sizes([(label, declared[label].type.shape, array.shape) for label, array in arrays.items()])
        except FeedError as error:
            places = [
                ("declared", f"{label}: {node.type} at {node.origin.location}") for label, node in declared.items()
            ]
            raise error.located(None, places) from None


def check_names(declared: Mapping[str, Node], feed: Mapping[str, object]) -> None:
    """Refuse a feed that lacks inputs or has others."""
    missing = [label for label in declared if label not in feed]
    unknown = [label for label in feed if label not in declared]
    if missing or unknown:
        what = f"input {missing[0]!r} is missing" if missing else f"there is no input {unknown[0]!r}"
        raise FeedError(
            what,
            facts=[("declared", f"{label}: {node.type} at {node.origin.location}") for label, node in declared.items()],
            expected=f"a dictionary with {', '.join(map(repr, declared)) or 'nothing'}",
            got=", ".join(map(repr, feed)) or "nothing",
        )


def as_array(node: Node, value: object) -> Array:
    """A contiguous array of the declared element type, the value itself where it fits already.

    Integers become floats, and wider numbers narrower ones, where no value is lost but rounding; floats never become
    integers by themselves.
    """
    wanted = node.type.dtype
    if isinstance(value, np.ndarray) and value.dtype == wanted.numpy and value.flags.c_contiguous:
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _refusal(node, str(error)) from None
    if array.dtype.kind not in "fiub":
        raise _refusal(node, f"an array of {array.dtype}")
    return np.ascontiguousarray(_converted(node, array, wanted)).reshape(array.shape)


def _converted(node: Node, array: Array, wanted: DType) -> Array:
    target = wanted.numpy
    if array.dtype == target:
        return array
    kinds = {"f": "fiub", "i": "iub", "b": "b"}[wanted.kind]
    if array.dtype.kind not in kinds and array.size:
        raise _refusal(node, f"an array of {array.dtype}", way_out=f'convert it with array.astype("{wanted.name}")')
    with np.errstate(over="ignore"):
        converted = array.astype(target)
    if wanted.is_integer and array.size and not np.array_equal(converted, array):
        raise _refusal(node, f"integers up to {array.max()} and down to {array.min()}, which {wanted.name} cannot hold")
    if wanted.is_float and array.dtype.kind == "f" and array.dtype.itemsize > target.itemsize:
        lost = np.isfinite(array) & ~np.isfinite(converted)
        if lost.any():
            raise _refusal(node, f"the number {array[lost].flat[0]}, which {wanted.name} cannot hold")
    return converted


def _check_finite(node: Node, array: Array) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        raise _refusal(
            node,
            f"{array[place]} at {list(place)}",
            expected="finite numbers",
            way_out="clean the data, or leave out check_finite",
        )


def _refusal(node: Node, got: str, expected: str | None = None, way_out: str | None = None) -> FeedError:
    label = node.op.label if isinstance(node.op, Input) else ""
    return FeedError(
        f"input {label!r} does not take this value",
        facts=[("declared", f"{node.type} at {node.origin.location}")],
        expected=expected or f"numbers that {node.type.dtype.name} holds, of shape {size_text(node.type.shape)}",
        got=got,
        way_out=way_out,
    )
