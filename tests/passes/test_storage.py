from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.passes.storage import leaf_storage
from tests.passes.building import program_of

X = gc.input("x", shape=("batch", 4))


def test_leaves_lie_where_their_names_say() -> None:
    state = gc.state([1.0, 2.0], name="counter")
    assert str(leaf_storage(X.node)) == "input x"
    assert str(leaf_storage(state.node)) == "state counter"
    assert leaf_storage(state.node).type == state.type


def test_long_constants_are_named_by_their_beginning() -> None:
    short, long = gc.constant([1.0, 2.0]), gc.constant(np.arange(100.0))
    assert str(leaf_storage(short.node)) == "constant f32[2]{1.0, 2.0}"
    cut = str(leaf_storage(long.node))
    assert cut.startswith("constant f64[100]{")
    assert cut.endswith("...")
    assert len(cut) == len("constant ") + 39


def test_computed_values_have_no_storage_of_their_own() -> None:
    with pytest.raises(AssertionError, match="exp has no memory of its own"):
        leaf_storage(gc.exp(X).node)


def test_a_program_knows_every_storage_that_it_uses_once() -> None:
    bias = gc.parameter((3,), "zeros", name="bias")
    hidden = X @ gc.constant(np.arange(12.0, dtype=np.float32).reshape(4, 3))
    program = program_of({"y": hidden + bias}, {bias: bias * 0.5})
    assert [storage.kind for storage in program.storages] == ["state", "input", "constant", "output"]
    assert len(set(program.storages)) == len(program.storages)


def test_uniform_constants_need_no_memory() -> None:
    program = program_of({"y": X * 3.0 + gc.broadcast_to(gc.constant(2.0), X.shape)})
    assert {storage.kind for storage in program.storages} == {"input", "output"}
