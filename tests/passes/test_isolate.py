from __future__ import annotations

import graphc as gc
from graphc.passes.isolate import IsolateRoots

X = gc.input("x", shape=(3,))


def test_outputs_that_are_leaves_or_the_same_value_get_copies() -> None:
    value = gc.exp(X)
    graph = IsolateRoots()(gc.graph_of({"first": value, "second": value, "third": value, "input": X}))
    assert graph.output("first") is value.node
    assert [graph.output(name).op.name for name in ("second", "third", "input")] == ["copy", "copy", "copy"]
    assert len({node for _, node in graph.outputs}) == 4


def test_an_update_by_another_state_is_a_copy_of_its_old_value() -> None:
    first, second = gc.state([1.0], name="first"), gc.state([2.0], name="second")
    graph = IsolateRoots()(gc.graph_of({"old": first}, {first: second, second: first * 2.0}))
    names = [value.op.name for _, value in graph.updates]
    assert names == ["copy", "multiply"]
    assert graph.output("old").op.name == "copy"


def test_roots_of_their_own_are_left_alone() -> None:
    graph = gc.graph_of({"a": X * 2.0, "b": X * 3.0})
    assert IsolateRoots()(graph) == graph


def test_all_outputs_of_a_function_are_arrays_of_their_own() -> None:
    value = X * 2.0
    copies = gc.function([X], [value, value, X])([1.0, 2.0, 3.0])
    assert isinstance(copies, list)
    copies[0][:] = 0
    assert [array.tolist() for array in copies] == [[0.0, 0.0, 0.0], [2.0, 4.0, 6.0], [1.0, 2.0, 3.0]]
