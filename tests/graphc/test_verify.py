from __future__ import annotations

import pytest

import graphc as gc
from graphc.errors import VerificationError
from graphc.graph import Graph
from graphc.node import Node
from graphc.ops.leaves import State
from graphc.ops.transcendental import Exp
from graphc.origin import Origin
from graphc.tensor_type import tensor_type
from graphc.verify import COMPILABLE, RULES, verify

X = gc.input("x", shape=(3,))
STATE = gc.state([1.0, 2.0], name="s")


def broken(graph: Graph, rule: str, rules: tuple[object, ...] = RULES) -> str:
    with pytest.raises(VerificationError) as caught:
        verify(graph, COMPILABLE if rules is COMPILABLE else RULES, "TestPass")
    text = str(caught.value)
    assert f"rule       {rule}" in text
    assert "after TestPass" in text
    return text


def test_a_sound_graph_passes() -> None:
    verify(gc.graph_of({"y": X * 2.0}), COMPILABLE)


def test_a_wrong_type_is_found() -> None:
    forged = Node(Exp(), (X.node,), tensor_type("f64", 3), Origin())
    text = broken(Graph((("y", forged),)), "types_are_inferred")
    assert "its op infers f32[3]" in text


def test_two_inputs_of_one_name_are_found() -> None:
    other = gc.input("x", shape=(4,))
    broken(Graph((("y", X.node), ("z", other.node))), "leaves_have_unique_labels")


def test_an_unbound_size_is_found() -> None:
    free = gc.iota(("n",))
    assert "no input has an axis of size 'n'" in broken(Graph((("y", free.node),)), "sizes_are_bound")


def test_outputs_of_one_name_and_odd_names_are_found() -> None:
    broken(Graph((("y", X.node), ("y", X.node))), "outputs_are_named")
    broken(Graph((("two words", X.node),)), "outputs_are_named")


def test_updates_of_wrong_type_or_target_or_twice_are_found() -> None:
    value = gc.constant([1.0, 2.0])
    broken(Graph((("y", X.node),), ((X.node, X.node),)), "updates_fit_states")
    broken(Graph((), ((STATE.node, X.node),)), "updates_fit_states")
    broken(Graph((), ((STATE.node, value.node), (STATE.node, value.node))), "updates_fit_states")


def test_a_training_switch_must_be_resolved_before_compilation() -> None:
    graph = gc.graph_of({"y": gc.training_switch(X, X * 2.0)})
    verify(graph)
    broken(graph, "mode_is_resolved", COMPILABLE)


def test_an_op_that_is_not_registered_is_found() -> None:
    class Stray(Exp):
        name = ""

    forged = Node(Stray(), (X.node,), X.type, Origin())
    broken(Graph((("y", forged),)), "ops_are_registered")


def test_serial_numbers_do_not_tell_names_apart() -> None:
    twin = Node(State("s", tensor_type("f32", 2), True, 7), (), tensor_type("f32", 2), Origin())
    broken(Graph((("y", STATE.node), ("z", twin))), "leaves_have_unique_labels")
