from __future__ import annotations

import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.graph import Graph
from graphc.node import Node
from graphc.passes.simplify import Simplify
from graphc.text import print_graph

X = gc.input("x", shape=("batch", 4))


def simplified(tensor: Tensor) -> Node:
    return Simplify()(gc.graph_of({"y": tensor})).output("y")


@pytest.mark.parametrize(
    "spelled",
    [
        X * 1.0,
        1.0 * X,
        X + 0.0,
        0.0 + X,
        X - 0.0,
        X / 1.0,
        X**1.0,
        X.T.T,
        X.reshape(-1).reshape(X.shape),
        X[:, ::-1][:, ::-1],
        gc.stop_gradient(X),
        X.cast("float64").cast("float32"),
        gc.where(X > 0.0, X, X),
        ((X * 1.0 + 0.0).T * 1.0).T - 0.0,
    ],
    ids=lambda tensor: print_graph(gc.graph_of({"y": tensor})).splitlines()[-2].strip(),
)
def test_what_changes_nothing_goes(spelled: Tensor) -> None:
    assert simplified(spelled) is X.node


def test_markers_stay_where_gradients_are_still_to_come() -> None:
    marked = gc.stop_gradient(X * 1.0)
    kept = Simplify(drop_markers=False)(gc.graph_of({"y": marked})).output("y")
    assert kept is gc.stop_gradient(X).node


def test_contractions_absorb_transpositions() -> None:
    weight = gc.input("weight", shape=(4, 3))
    twice = simplified((weight.T @ X.T).T)
    assert [node.op.name for node in Graph((("y", twice),)).nodes].count("transpose") == 1
    assert simplified(X @ weight.T.T) is (X @ weight).node


def test_signs_cancel() -> None:
    negative = -X
    assert simplified(-negative) is X.node
    assert simplified(X + X * -1.0) is (X - X).node


def test_a_loss_of_information_is_no_detour() -> None:
    rounded = X.cast("int64").cast("float32")
    assert simplified(rounded) is rounded.node
    narrowed = X.cast("float64") * 3.0
    assert simplified(narrowed.cast("float32").cast("float64")).op.name == "cast"


def test_dead_code_goes() -> None:
    x = gc.input("x", shape=(3,))
    kept, unread = gc.exp(x) * 1.0, gc.sin(x)
    graph = gc.graph_of({"y": kept, "z": gc.where(unread > 0.0, x, x)})
    assert "sin" in {node.op.name for node in graph.nodes}
    assert {node.op.name for node in Simplify()(graph).nodes} == {"input", "exp"}


def test_the_log_counts_what_fired() -> None:
    y = gc.exp(X) * 1.0 + 0.0
    assert Simplify().rewrite(gc.graph_of({"y": y})).counts == {"x * 1 = x": 1, "x + 0 = x": 1}


def test_simplified_graphs_stay_as_they_are() -> None:
    once = Simplify()(gc.graph_of({"y": (X.T.T * 2.0 + 0.0).reshape(-1).reshape(X.shape) ** 2.0}))
    assert Simplify()(once) == once
