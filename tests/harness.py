"""What the tests share: samples as graphs, finite differences, comparison to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

import graphc.ops
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.interpret import interpret
from graphc.node import apply
from graphc.op import Op, Sample
from graphc.ops.leaves import Input
from graphc.ops.reduction import ReduceProd
from graphc.ops.unary import Cast
from graphc.scalar import Array
from graphc.tensor_type import tensor_type

SIZES = {"batch": 5}
BATCH = apply(Input("sizes", tensor_type("f32", "batch")))
"""An input that brings the named size of samples."""


def all_samples() -> list[tuple[str, Sample]]:
    """Every sample of every op, with a name."""
    found = []
    for name, op in sorted(graphc.op.OPS.items()):
        for number, sample in enumerate(op.samples()):
            found.append((f"{name}-{number}", sample))
    return found


def ops_with_gradients() -> Iterator[tuple[str, Sample]]:
    """Samples whose operands are float64 and whose ops have derivatives."""
    for name, sample in all_samples():
        floats = [arg for arg in sample.args if arg.type.dtype.name == "float64"]
        rounds = isinstance(sample.op, Cast) and sample.op.dtype.name == "float32"
        refused = isinstance(sample.op, ReduceProd) and any(
            not isinstance(sample.args[0].type.shape[axis], int) for axis in sample.op.axes
        )
        if floats and type(sample.op).grad is not Op.grad and not rounds and not refused:
            yield name, sample


def declare(sample: Sample) -> tuple[list[Tensor], Tensor]:
    """The sample applied to inputs."""
    inputs = [apply(Input(f"x{number}", arg.type)) for number, arg in enumerate(sample.args)]
    return [Tensor(node) for node in inputs], Tensor(apply(sample.op, *inputs))


def operands(sample: Sample, seed: int = 0) -> list[Array]:
    """Random operands for a sample."""
    rng = np.random.default_rng(seed)
    return [arg.numpy(rng, SIZES) for arg in sample.args]


def reference(sample: Sample, args: Sequence[Array]) -> Array:
    """What the sample's op means."""
    with np.errstate(all="ignore"):
        return np.asarray(sample.op.with_sizes(SIZES).reference(*args))


def value_of(roots: Sequence[Tensor], inputs: Sequence[Tensor], args: Sequence[Array]) -> list[Array]:
    """Values by the reference interpreter."""
    known = interpret([root.node for root in roots], dict(zip([t.node for t in inputs], args, strict=True)), SIZES)
    return [known[root.node] for root in roots]


def slope(function: Callable[[Array], float], at: Array, direction: Array, step: float = 1e-6) -> float:
    """The derivative of a function along a direction, by central differences of fourth order."""
    values = [function(at + factor * step * direction) for factor in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def same_bits(left: Array, right: Array) -> bool:
    """True if two arrays have the same type, shape and bits; any NaN equals any other."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    nan = (left != left) & (right != right)
    return bool(np.all(nan | (left.view(f"u{left.dtype.itemsize}") == right.view(f"u{right.dtype.itemsize}"))))


def graph_of(**outputs: Tensor) -> Graph:
    """A graph of named outputs, with the input that brings the named size."""
    return Graph(tuple((name, tensor.node) for name, tensor in outputs.items()), (), "test", (BATCH,))
