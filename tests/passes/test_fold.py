from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError
from graphc.frontend.tensor import Tensor
from graphc.node import Node
from graphc.ops.leaves import Constant
from graphc.passes.fold import Fold
from graphc.rewrite import splat_value


def folded(tensor: Tensor, limit: int = 1024) -> Node:
    return Fold(limit)(gc.graph_of({"y": tensor})).output("y")


def test_a_sum_of_constants_is_a_constant() -> None:
    node = folded(gc.exp(gc.constant([0.0, 1.0])).sum() * 2.0)
    assert isinstance(node.op, Constant)
    np.testing.assert_allclose(node.op.value.array, 2 * (1 + np.e), 1e-7)


def test_arithmetic_of_uniform_values_stays_one_number_whatever_the_shape() -> None:
    x = gc.input("x", shape=("batch", 1000))
    node = folded((x.zeros_like() + 2.0) * 3.0)
    assert node.op.name == "broadcast_in_dim"
    assert splat_value(node) == 6.0
    assert str(node.type) == "f32[batch, 1000]"


def test_large_constants_are_not_computed_ahead() -> None:
    table = gc.constant(np.arange(2000.0))
    assert folded(gc.exp(table)) is gc.exp(table).node
    assert isinstance(folded(gc.exp(table), limit=2000).op, Constant)


def test_a_choice_with_a_known_condition_is_made() -> None:
    x, y = gc.input("x", shape=(3,)), gc.input("y", shape=(3,))
    assert folded(gc.where(gc.constant(2.0) > 1.0, x, y)) is x.node
    assert folded(gc.where(gc.constant(2.0) < 1.0, x, y)) is y.node


def test_the_seed_of_a_derivative_leaves_no_arithmetic_of_numbers() -> None:
    x = gc.input("x", shape=("batch",))
    found = gc.grad(gc.sum(x**2), x)
    assert isinstance(found, Tensor)
    names = [node.op.name for node in gc.function([x], found).graph.nodes]
    assert sorted(set(names)) == ["broadcast_in_dim", "constant", "input", "multiply"]


def test_values_of_inputs_and_random_numbers_are_left_alone() -> None:
    draws = gc.random.uniform((3,), name="left")
    graph = gc.graph_of({"y": gc.input("x", shape=(3,)) + 1.0, "z": draws * 2.0})
    assert Fold()(graph) == graph


def test_folding_does_not_warn_where_numbers_overflow() -> None:
    node = folded(gc.exp(gc.constant(1000.0)) - gc.log(gc.constant(0.0)))
    assert splat_value(node) == np.inf
    several = folded(gc.exp(gc.constant([0.0, 1000.0])))
    assert isinstance(several.op, Constant)
    assert several.op.value.array.tolist() == [1.0, np.inf]


def test_a_constant_out_of_range_is_refused_with_its_line() -> None:
    checked = gc.check_range(gc.constant([0, 20]), 0, 10)
    with pytest.raises(FeedError) as caught:
        folded(checked)
    text = str(caught.value)
    assert text.startswith("1 of 2 integers are out of range\n  at         ")
    assert "checked = gc.check_range(gc.constant([0, 20]), 0, 10)" in text
    assert text.endswith("expected   0 <= value < 10\n  got        20 at [1]")
