from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError
from graphc.scalar import Array
from tests.harness import same_bits


def rows(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def network() -> tuple[gc.Tensor, gc.Tensor]:
    """A matmul, a reduction and an elementwise function of a batch."""
    x = gc.input("x", shape=("batch", 4))
    weight = gc.constant(np.random.default_rng(5).standard_normal((4, 6)).astype(np.float32))
    return x, gc.softmax(gc.tanh(x @ weight), axis=-1)


def array_of(value: object) -> Array:
    assert isinstance(value, np.ndarray)
    return value


def refuse_to_compile(tasks: object) -> None:
    raise AssertionError(f"compiled again: {tasks}")


def test_values_are_those_of_the_interpreter() -> None:
    x, y = network()
    found = array_of(gc.function([x], y)(rows(7)))
    np.testing.assert_allclose(found, gc.evaluate(y, {"x": rows(7)}), 1e-5, 1e-6)


def test_the_result_has_the_structure_of_the_outputs() -> None:
    x = gc.input("x", shape=("n",))
    one, both, named = (
        gc.function([x], x + 1),
        gc.function([x], [x + 1, x * 2]),
        gc.function([x], {"more": x + 1, "twice": x * 2}),
    )
    feed = [1.0, 2.0]
    assert array_of(one(feed)).tolist() == [2.0, 3.0]
    result = both(feed)
    assert isinstance(result, list)
    assert [part.tolist() for part in result] == [[2.0, 3.0], [2.0, 4.0]]
    result = named(feed)
    assert isinstance(result, dict)
    assert {key: part.tolist() for key, part in result.items()} == {"more": [2.0, 3.0], "twice": [2.0, 4.0]}


@pytest.mark.parametrize("name", ["log of exp", "", "2nd", "a=b", "é", 3])
def test_a_name_that_the_text_form_cannot_print_is_refused(name: Any) -> None:
    x = gc.input("x", shape=("n",))
    uses = (lambda: gc.function([x], {"fine": x, name: gc.exp(x)}), lambda: gc.graph_of({name: gc.exp(x)}))
    for use in uses:
        with pytest.raises(DeclarationError) as caught:
            use()
        text = str(caught.value)
        assert text.startswith(f"an output cannot be called {name!r}\n  at         ")
        assert "test_function.py" in str(caught.value.at)
        assert "  output     f32[n]  result of exp, declared at " in text
        assert (
            "  expected   a letter or underscore, then letters, digits, underscores, dots, dashes and slashes\n" in text
        )
        assert f"  got        {name!r}" in text


def test_arguments_go_by_position_or_by_name() -> None:
    a, b = gc.input("a", shape=()), gc.input("b", shape=())
    difference = gc.function([a, b], a - b)
    assert difference(5, 2) == difference(5, b=2) == difference(b=2, a=5) == 3


def test_an_output_may_be_an_input_or_a_constant() -> None:
    x = gc.input("x", shape=("n",))
    result = gc.function([x], [x, gc.constant([7.0])])([1.0, 2.0])
    assert isinstance(result, list)
    assert [part.tolist() for part in result] == [[1.0, 2.0], [7.0]]


def test_results_of_one_call_outlive_the_next() -> None:
    x, y = network()
    function = gc.function([x], y)
    first = array_of(function(rows(3)))
    kept = first.copy()
    function(rows(3, seed=9))
    assert same_bits(first, kept)


def test_updates_are_applied_at_each_call_after_the_outputs() -> None:
    total = gc.state(np.zeros(2, np.float32), name="total")
    x = gc.input("x", shape=(2,))
    add = gc.function([x], total, updates={total: total + x})
    assert array_of(add([1.0, 2.0])).tolist() == [0.0, 0.0]
    assert array_of(add([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert total.value.tolist() == [2.0, 4.0]


def test_states_are_swapped_at_once() -> None:
    left, right = gc.state([1.0, 2.0], name="left"), gc.state([3.0, 4.0], name="right")
    swap = gc.function([], [left, right], updates=[(left, right), (right, left)])
    swap()
    assert left.value.tolist() == [3.0, 4.0]
    assert right.value.tolist() == [1.0, 2.0]


def test_two_functions_share_a_state() -> None:
    counter = gc.state(0, name="shared_counter")
    count = gc.function([], [], updates={counter: counter + 1})
    look = gc.function([], counter)
    count()
    count()
    assert array_of(look()) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_one_compile_serves_every_number_of_rows(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = network()
    function = gc.function([x], y, threads=threads)
    monkeypatch.setattr("graphc.runtime.executable.compile_sources", refuse_to_compile)
    whole = array_of(function(rows(40)))
    for count in (40, 1, 0, 17, 33, 40):
        part = array_of(function(rows(40)[:count]))
        assert part.shape == (count, 6)
        assert same_bits(part, whole[:count])


def test_a_mean_over_no_rows_is_nan_and_a_sum_is_zero() -> None:
    x = gc.input("x", shape=("batch", 4))
    result = gc.function([x], [x.mean(), x.sum(), x.sum(axis=0)])(rows(0))
    assert isinstance(result, list)
    assert np.isnan(result[0])
    assert result[1] == 0.0
    assert result[2].tolist() == [0.0] * 4


def test_more_sizes_than_are_remembered_stay_right() -> None:
    x = gc.input("x", shape=("n",))
    double = gc.function([x], x * 2)
    for _ in range(2):
        for count in range(40):
            assert array_of(double(np.ones(count))).tolist() == [2.0] * count


@pytest.mark.parametrize(
    "given",
    [
        [[1, 2, 3, 4], [5, 6, 7, 8]],
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.int64),
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float64),
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32, order="F"),
        np.arange(1, 17, dtype=np.float32).reshape(4, 4)[:2],
        np.array([[4, 3, 2, 1], [8, 7, 6, 5]], np.float32)[:, ::-1],
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.dtype(">f4")),
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8),
    ],
    ids=["lists", "int64", "float64", "fortran", "slice", "reversed", "big-endian", "uint8"],
)
def test_arrays_of_any_layout_and_number_type_are_taken(given: object) -> None:
    x = gc.input("x", shape=("batch", 4))
    found = array_of(gc.function([x], x * 3 + 1)(given))
    assert found.dtype == np.float32
    assert found.tolist() == [[4, 7, 10, 13], [16, 19, 22, 25]]


def test_the_fed_array_is_never_written() -> None:
    x = gc.input("x", shape=("batch", 4))
    fed = rows(5)
    kept = fed.copy()
    gc.function([x], gc.exp(x))(fed)
    assert same_bits(fed, kept)


def trained(threads: int, fuse: bool = True) -> list[Array]:
    """The parameter after three steps with dropout, and the losses."""
    x, noise = gc.input("x", shape=("batch", 4)), gc.random.uniform((4, 32), name="thread_noise")
    weight = gc.parameter((4, 32), initializer="zeros", name="thread_weight")
    loss = ((x @ (weight + noise)) ** 2).mean()
    (gradient,) = gc.grad(loss, [weight])
    step = gc.function([x], loss, {weight: weight - 0.1 * gradient}, threads=threads, fuse=fuse, seed=4)
    losses = [array_of(step(rows(600, seed))) for seed in range(3)]
    return [*losses, weight.value]


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    for one, several in zip(trained(1), trained(threads), strict=True):
        assert same_bits(one, several)


def test_the_bits_do_not_depend_on_fusion() -> None:
    for fused, alone in zip(trained(1), trained(1, fuse=False), strict=True):
        assert same_bits(fused, alone)


def test_every_call_draws_new_random_numbers() -> None:
    noise = gc.random.uniform((8,), name="drawn_anew")
    draw = gc.function([], noise, seed=1)
    again, other = gc.function([], noise, seed=1), gc.function([], noise, seed=2)
    first, second = array_of(draw()), array_of(draw())
    assert not same_bits(first, second)
    assert same_bits(array_of(again()), first)
    assert not same_bits(array_of(other()), first)


def test_training_chooses_the_side_of_dropout() -> None:
    x = gc.input("x", shape=(100,))
    dropped = layers.Dropout(0.5)(x)
    kept = array_of(gc.function([x], dropped)(np.ones(100)))
    assert kept.tolist() == [1.0] * 100
    zeros = array_of(gc.function([x], dropped, training=True)(np.ones(100))) == 0
    assert 20 < zeros.sum() < 80


def test_an_output_that_needs_another_input_is_refused() -> None:
    x, y = gc.input("x", shape=()), gc.input("y", shape=())
    with pytest.raises(DeclarationError) as caught:
        gc.function([x], x + y)
    assert caught.value.what == "the outputs depend on input 'y', which is not among the function's inputs"
    assert caught.value.way_out == "add it to the list of inputs"
    assert "gc.function([x], x + y)" in str(caught.value)


def test_an_argument_that_is_no_input_is_refused() -> None:
    x = gc.input("x", shape=())
    with pytest.raises(DeclarationError, match="an argument of a function is no input"):
        gc.function([x + 1], x + 1)


def test_too_many_arguments_are_refused() -> None:
    x = gc.input("x", shape=())
    with pytest.raises(DeclarationError, match="2 arguments for 1 inputs") as caught:
        gc.function([x], x)(1.0, 2.0)
    assert caught.value.expected == "x"
    assert "gc.function([x], x)(1.0, 2.0)" in str(caught.value.at)
