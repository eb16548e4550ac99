from __future__ import annotations

import copy
import gc as garbage
import pickle

import pytest

import graphc as gc
from graphc.node import apply
from graphc.ops.arithmetic import Add, Multiply
from graphc.ops.leaves import Input
from graphc.ops.transcendental import Exp
from graphc.tensor_type import tensor_type

X = apply(Input("x", tensor_type("f32", 3)))


def test_equal_nodes_are_identical() -> None:
    assert apply(Add(), X, X) is apply(Add(), X, X)
    assert apply(Add(), X, X) is not apply(Multiply(), X, X)


def test_zero_and_minus_zero_are_different_constants() -> None:
    assert gc.constant(0.0).node is not gc.constant(-0.0).node
    assert gc.constant(float("nan")).node is gc.constant(float("nan")).node


def test_nodes_are_immutable() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        X.op = Exp()


def test_pickling_and_copying_intern_again() -> None:
    node = apply(Exp(), X)
    assert pickle.loads(pickle.dumps(node)) is node
    assert copy.deepcopy(node) is node


def test_the_first_line_that_declares_a_node_names_it() -> None:
    x = gc.input("located", shape=(2,))
    first = (x * 3.0).node
    again = (x * 3.0).node
    assert again is first
    assert first.origin.location is not None
    assert first.origin.location.file == __file__
    assert "first = (x * 3.0).node" in first.origin.location.source


def test_scopes_stay_with_the_node() -> None:
    with gc.scope("encoder"), gc.scope("layer1"):
        node = gc.exp(gc.input("scoped", shape=())).node
    assert node.origin.scope == ("encoder", "layer1")


def test_long_chains_are_made_walked_and_freed_without_recursion() -> None:
    value = gc.input("start", shape=())
    for _ in range(20_000):
        value = value + value
    graph = gc.graph_of({"end": value})
    assert len(graph.nodes) == 20_001
    del value, graph
    garbage.collect()


def test_declaring_one_name_twice_makes_two_states() -> None:
    first, second = gc.parameter((2,), name="twin"), gc.parameter((2,), name="twin")
    assert first.node is not second.node
    labels = [str(getattr(node.op, "label", "")) for node in gc.graph_of({"y": first + second}).states]
    assert labels == ["twin", "twin_1"]


def test_two_random_tensors_of_one_name_differ() -> None:
    first, second = gc.random.uniform((4,), name="noise"), gc.random.uniform((4,), name="noise")
    assert first.node is not second.node
