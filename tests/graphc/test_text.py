from __future__ import annotations

import pytest

import graphc as gc
from graphc.errors import ParseError
from graphc.graph import Graph
from graphc.literal import Literal
from graphc.node import apply
from graphc.ops.leaves import Constant
from graphc.text import parse, print_graph
from tests.runtime.networks import digits_model


def test_training_graph_round_trips_at_every_stage() -> None:
    model = digits_model()
    for graph in (
        model.declared,
        model.backward,
        model.graph("train"),
        model.graph("evaluate"),
        model.graph("predict"),
    ):
        text = print_graph(graph)
        again = parse(text, {str(getattr(node.op, "label", "")): node for node in (*graph.inputs, *graph.states)})
        assert (again.inputs, again.states) == (graph.inputs, graph.states)
        assert print_graph(again) == print_graph(parse(text)) == text


def test_the_same_program_prints_the_same_text() -> None:
    assert print_graph(digits_model().graph("train")) == print_graph(digits_model().graph("train"))


def test_origins_are_comments() -> None:
    with gc.scope("part"):
        y = gc.input("x", shape=(2,)) * 2.0
    text = print_graph(gc.graph_of({"y": y}), origins=True)
    assert "# part, test_text.py:" in text
    assert print_graph(parse(text)) == print_graph(gc.graph_of({"y": y}))


@pytest.mark.parametrize("value", [[0.1, -0.0, 1e-45, 3e38], [float("nan"), float("inf"), float("-inf")]])
def test_constants_keep_their_bits(value: list[float]) -> None:
    for dtype in ("float32", "float64"):
        node = apply(Constant(Literal.of(value, dtype)))
        assert parse(print_graph(Graph((("y", node),)))).output("y") is node


def test_odd_nans_and_long_constants_are_printed_as_bytes() -> None:
    odd = apply(Constant(Literal(Literal.of([0.0], "float32").type, bytes.fromhex("0100c07f"))))
    long = gc.constant([float(number) for number in range(100)]).node
    for node in (odd, long):
        text = print_graph(Graph((("y", node),)))
        assert "hex" in text
        assert parse(text).output("y") is node


def test_unused_arguments_are_kept() -> None:
    x, y = gc.input("x", shape=("n",)), gc.input("y", shape=())
    graph = Graph((("out", (y * 2.0).node),), (), "g", (x.node, y.node))
    assert print_graph(parse(print_graph(graph))) == print_graph(graph)
    assert {str(node.type) for node in parse(print_graph(graph)).inputs} == {"f32[n]", "f32[]"}


LEAF = '%0 = input[label="x", type=f32[3]]() : f32[3]'
ERRORS = {
    "graph g() { %0 = exp(%1) : f32[]  return y=%0 }": "line 1: %1 is used before it is defined",
    "graph g() { %0 = nothing() : f32[]  return y=%0 }": "line 1 is no line of a graph",
    "graph g() {\n%0 = constant[value=f32[]{1.0}]() : f64[]\nreturn y=%0 }": "line 2: the type of %0 is not what",
    f"graph g() {{\n{LEAF}\n%1 = reshape[shape=(4,)](%0) : f32[4]\nreturn y=%1 }}": "line 3: reshape changes",
    "graph g() { ? }": "line 1: '?' does not belong here",
    "nonsense": "line 1 is no line of a graph",
    "graph g() { return y=%0": "line 1: %0 is used before it is defined",
    "graph g() { %0 = input[shape=3]() : f32[]  return y=%0 }": "line 1: Input.__init__() got an unexpected",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_name_the_line(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value).startswith(ERRORS[text])


@pytest.mark.parametrize("name", ["one step of a neuron", 'a "b"', "2d", "plain"])
def test_a_graph_of_any_name_round_trips(name: str) -> None:
    text = print_graph(gc.graph_of({"y": gc.input("x", shape=(2,)) * 2.0}, name=name))
    quoted = {"one step of a neuron": '"one step of a neuron"', 'a "b"': r'"a \"b\""', "2d": '"2d"', "plain": "plain"}
    assert text.startswith(f"graph {quoted[name]}() {{\n")
    assert parse(text).name == name
    assert print_graph(parse(text)) == text
