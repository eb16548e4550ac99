from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.ops.contraction import DotGeneral
from graphc.passes.layout import LayOut
from graphc.passes.simplify import Simplify

X, W = gc.input("x", shape=("batch", 4)), gc.input("w", shape=(4, 3))


def laid_out(tensor: Tensor) -> tuple[DotGeneral, list[str]]:
    """The contraction that a tensor is after the pass, and the ops of its operands."""
    node = LayOut()(Simplify()(gc.graph_of({"y": tensor}))).output("y")
    assert isinstance(node.op, DotGeneral)
    return node.op, [source.op.name for source in node.inputs]


def test_a_plain_product_is_left_alone() -> None:
    graph = gc.graph_of({"y": X @ W})
    assert LayOut()(graph) == graph


def test_the_left_operand_is_read_in_either_order() -> None:
    op, operands = laid_out(X.T @ gc.input("g", shape=("batch", 3)))
    assert operands == ["input", "input"]
    assert (op.lhs_contract, op.rhs_contract) == ((0,), (0,))


def test_the_right_operand_is_transposed_so_that_columns_are_neighbours() -> None:
    op, operands = laid_out(gc.input("g", shape=("batch", 3)) @ W.T)
    assert operands == ["input", "transpose"]
    assert op.rhs_contract == (0,)


def test_a_right_operand_with_one_column_needs_no_transposition() -> None:
    assert laid_out(X @ gc.input("v", shape=(1, 4)).T)[1] == ["input", "input"]


def test_axes_that_are_no_run_of_memory_are_brought_together() -> None:
    stack = gc.input("stack", shape=(2, "batch", 3))
    other = gc.input("other", shape=(2, 3, 5))
    op, operands = laid_out(stack.dot_general(other, ((), ()), ((0, 2), (0, 1))))
    assert operands == ["transpose", "input"]
    assert op.lhs_contract == (1, 2)


@pytest.mark.parametrize("contract", [((0, 2), (0, 1)), ((2, 0), (1, 0)), ((2,), (1,))], ids=str)
def test_the_values_stay_the_same(contract: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    left, right = gc.input("left", shape=(2, 4, 3)), gc.input("right", shape=(2, 3, 5))
    product = left.dot_general(right, ((), ()), contract)
    graph = gc.graph_of({"y": product})
    laid = Tensor(LayOut()(graph).output("y"))
    rng = np.random.default_rng(0)
    feed = {"left": rng.normal(size=(2, 4, 3)), "right": rng.normal(size=(2, 3, 5))}
    np.testing.assert_allclose(gc.evaluate(laid, feed), gc.evaluate(product, feed), 1e-5, 1e-6)
    np.testing.assert_allclose(
        gc.evaluate(product, feed), np.tensordot(feed["left"], feed["right"], contract), 1e-5, 1e-6
    )


def test_nothing_is_left_to_do_after_one_run() -> None:
    once = LayOut()(gc.graph_of({"y": (X @ W) @ W.T}))
    assert isinstance(once, Graph)
    assert LayOut()(once) == once
