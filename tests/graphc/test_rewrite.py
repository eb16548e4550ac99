"""The rewriting engine, and every registered rule by construction."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import VerificationError
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.interpret import interpret
from graphc.op import draw
from graphc.ops.leaves import Input
from graphc.passes.rules.algebra import ALGEBRA, MARKERS
from graphc.passes.rules.equation import Sides, equation
from graphc.passes.rules.movement import MOVEMENT
from graphc.passes.rules.stability import STABILITY
from graphc.rewrite import Rule, rewrite_once, rewrite_to_fixpoint, splat_value

RULES = [*ALGEBRA, *MARKERS, *MOVEMENT, *STABILITY]
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@EACH
def test_both_sides_are_equal_on_random_values(rule: Rule) -> None:
    left, right = rule.example
    assert left.type == right.type
    rng = np.random.default_rng(5)
    for _ in range(5):
        leaves = Graph((("left", left), ("right", right))).inputs
        values = {node: rule.values[node.op.label].numpy(rng) for node in leaves if isinstance(node.op, Input)}
        known = interpret([left, right], values, {})
        np.testing.assert_allclose(known[left], known[right], 1e-12, 1e-14)


@EACH
def test_rule_fires_on_its_own_left_side_and_then_never_again(rule: Rule) -> None:
    left, right = rule.example
    once = rewrite_to_fixpoint(Graph((("y", left),)), [rule])
    assert once.counts == {rule.name: 1}
    assert once.graph.output("y") is right
    assert rewrite_to_fixpoint(once.graph, [rule]).counts == {}


@EACH
def test_rule_fires_among_all_rules_of_its_set(rule: Rule) -> None:
    rules = STABILITY if rule in STABILITY else (*ALGEBRA, *MARKERS, *MOVEMENT)
    outcome = rewrite_to_fixpoint(Graph((("y", rule.example[0]),)), rules)
    assert outcome.firings
    assert rewrite_to_fixpoint(outcome.graph, rules).counts == {}


def test_rules_have_different_names() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_rules_hold_for_every_shape_dtype_and_operand_order() -> None:
    for dtype in ("float32", "float64"):
        for shape in ((), (3,), ("batch", 2)):
            x = gc.input("x", shape=shape, dtype=dtype)
            outcome = rewrite_to_fixpoint(gc.graph_of({"y": gc.log(1 + x)}), STABILITY)
            assert outcome.graph.output("y") is gc.log1p(x).node


def test_user_spellings_of_softmax_become_stable() -> None:
    x = gc.input("x", shape=("batch", 5))
    spelled = gc.exp(x) / gc.sum(gc.exp(x), axis=1, keepdims=True)
    outcome = rewrite_to_fixpoint(gc.graph_of({"y": gc.log(spelled)}), STABILITY)
    assert list(outcome.counts) == ["exp(x) / sum(exp(x)) = softmax(x)", "log(softmax(x)) = log_softmax(x)"]
    assert outcome.graph.output("y") is gc.log_softmax(x).node


def test_a_rule_does_not_look_through_opaque_nodes() -> None:
    x = gc.input("x", shape=(3,))
    inner = gc.sigmoid(x)
    graph = gc.graph_of({"y": gc.log(inner)})
    assert rewrite_to_fixpoint(graph, STABILITY, frozenset([inner.node])).counts == {}


def test_opaque_nodes_may_change_below_themselves() -> None:
    x = gc.input("x", shape=(3,))
    kept = gc.log(gc.exp(x)) * 2.0
    outcome = rewrite_to_fixpoint(gc.graph_of({"y": kept + 1.0}), STABILITY, frozenset([kept.node]))
    assert outcome.replaced[kept.node] is (x * 2.0).node


def test_new_nodes_keep_the_line_of_the_old() -> None:
    x = gc.input("x", shape=(3,))
    y = gc.log(gc.sigmoid(x))
    outcome = rewrite_to_fixpoint(gc.graph_of({"y": y}), STABILITY)
    assert outcome.graph.output("y").origin.location == y.node.origin.location
    assert "test_rewrite.py" in str(outcome.firings[0])


def test_rules_that_undo_each_other_are_reported() -> None:
    @equation("a + b = b * a", values={"a": draw("f64", 2), "b": draw("f64", 2)})
    def there(a: Tensor, b: Tensor) -> Sides:
        return a + b, b * a

    @equation("b * a = a + b", values={"a": draw("f64", 2), "b": draw("f64", 2)})
    def back(a: Tensor, b: Tensor) -> Sides:
        return b * a, a + b

    x, y = gc.input("x", shape=(2,)), gc.input("y", shape=(2,))
    with pytest.raises(VerificationError, match=r"rewriting does not end(.|\n)*a \+ b = b \* a"):
        rewrite_to_fixpoint(gc.graph_of({"z": x + y}), [there, back])


def test_one_walk_fires_once_a_node() -> None:
    x = gc.input("x", shape=(2,))
    once = -x
    twice = -once
    thrice = -twice
    graph = gc.graph_of({"y": -thrice})
    assert sum(rewrite_once(graph, ALGEBRA).counts.values()) == 2
    assert rewrite_to_fixpoint(graph, ALGEBRA).graph.output("y") is x.node


def test_splats_are_seen_through_broadcasts() -> None:
    assert splat_value(gc.constant(2.5).node) == 2.5
    assert splat_value((gc.input("x", shape=(3,)).zeros_like()).node) == 0
    assert splat_value(gc.constant([1.0, 2.0]).node) is None
    assert splat_value(gc.input("x", shape=(3,)).node) is None
