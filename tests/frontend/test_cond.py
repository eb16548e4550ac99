"""Choices: values and derivatives of both sides, what is skipped, forms and errors."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.passes.storage import Side
from graphc.runtime.executable import Executable
from graphc.scalar import Array
from graphc.text import parse, print_graph

X = gc.input("x", (3,), "float64")
W = gc.input("w", (3,), "float64")
CHOICE = gc.input("choice", (), "bool")
FEED = {"x": np.array([0.3, -0.5, 1.2]), "w": np.array([1.5, 0.2, -0.7])}


def true_side() -> tuple[gc.Tensor, gc.Tensor]:
    return gc.tanh(X * W), gc.sum(X)


def false_side() -> tuple[gc.Tensor, gc.Tensor]:
    return X * X, gc.sum(W * X * X)


def loss_of(results: object) -> gc.Tensor:
    assert isinstance(results, tuple)
    vector, number = results
    assert isinstance(vector, gc.Tensor)
    assert isinstance(number, gc.Tensor)
    return gc.sum(vector * vector * W) + number


def outputs_of(loss: gc.Tensor) -> dict[str, gc.Tensor]:
    """A loss with its first and second derivatives."""
    slopes = gc.grad(loss, [X, W])
    assert isinstance(slopes, list)
    second = gc.grad(gc.sum(slopes[0] * slopes[0]) + gc.sum(slopes[1] * slopes[1]), [X, W])
    assert isinstance(second, list)
    return {"loss": loss, "by x": slopes[0], "by w": slopes[1], "twice x": second[0], "twice w": second[1]}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("choice", [True, False])
def test_a_choice_has_the_values_and_derivatives_of_its_side(choice: bool, threads: int) -> None:
    chosen = outputs_of(loss_of(gc.cond(CHOICE, true_side, false_side)))
    alone = outputs_of(loss_of(true_side() if choice else false_side()))
    named = {name.replace(" ", "_"): tensor for name, tensor in chosen.items()}
    found = gc.function([X, W, CHOICE], named, threads=threads)(**FEED, choice=choice)
    assert isinstance(found, dict)
    expected = gc.evaluate(list(alone.values()), FEED)
    interpreted = gc.evaluate(list(chosen.values()), FEED | {"choice": np.asarray(choice)})
    for name, value, right, again in zip(chosen, found.values(), expected, interpreted, strict=True):
        np.testing.assert_allclose(value, right, 1e-12, 1e-12, err_msg=name)
        np.testing.assert_allclose(again, value, 1e-12, 1e-12, err_msg=name)


def test_only_what_the_sides_declare_is_skipped() -> None:
    before = gc.exp(X)
    result = gc.cond(CHOICE, lambda: gc.sin(before) * 2.0, lambda: gc.cos(before))
    assert isinstance(result, gc.Tensor)
    function = gc.function([X, CHOICE], result)
    places = {call.kernel.name.split("_")[0]: call.loops for call in function.program.calls}
    assert places["exp"] == ()
    (true,), (false,) = places["sin"], places["cos"]
    assert isinstance(true, Side)
    assert isinstance(false, Side)
    assert (true.chosen, false.chosen) == (True, False)


def test_a_side_that_is_not_chosen_does_not_run() -> None:
    result = gc.cond(CHOICE, lambda: gc.sin(X), lambda: gc.cos(X))
    assert isinstance(result, gc.Tensor)
    executable = Executable(gc.function([X, CHOICE], result).program, {}, 1)
    (number,) = (n for n, call in enumerate(executable.program.calls) if call.kernel.name.startswith("cos"))
    executable._functions[number] = 0  # to call it would end the process
    (found,) = executable.run({"x": FEED["x"], "choice": np.asarray(True)}, {}).values()
    np.testing.assert_allclose(found, np.sin(FEED["x"]), 1e-12)


def test_a_training_step_may_depend_on_its_data() -> None:
    x = gc.input("x", ("batch", 2))
    weight = gc.parameter((2,), "ones", "weight")
    error = gc.mean(gc.sum(x * weight, axis=1) - 1.0)
    loss = gc.cond(error > 0, lambda: error * error, lambda: gc.abs(error) * 3.0)
    assert isinstance(loss, gc.Tensor)
    model = gc.compile(loss, gc.optimizers.SGD(0.1))
    steps: list[Array] = []
    for row in ([1.0, 2.0], [0.0, 0.0]):
        before = np.array(weight.value)
        model.step({"x": np.array([row])})
        steps.append((np.asarray(weight.value) - before) / -0.1)
    np.testing.assert_allclose(steps, [[4.0, 8.0], [0.0, 0.0]], 1e-6)


def test_choices_and_loops_nest() -> None:
    x = gc.input("x", (6,))

    def step(total: gc.Tensor, now: gc.Tensor) -> tuple[object, object]:
        return gc.cond(now > 0, lambda: total + now, lambda: total * 0.5), total

    last, _ = gc.scan(step, gc.constant(0.0), x)
    assert isinstance(last, gc.Tensor)
    slope = gc.grad(last, x)
    assert isinstance(slope, gc.Tensor)
    found = gc.function([x], [last, slope])(np.array([1.0, 2.0, -1.0, 3.0, -1.0, -1.0]))
    assert isinstance(found, list)
    assert float(found[0]) == pytest.approx(((1 + 2) * 0.5 + 3) * 0.25)
    np.testing.assert_allclose(found[1], [0.125, 0.125, 0, 0.25, 0, 0])


def test_the_text_form_holds_both_sides() -> None:
    text = print_graph(gc.graph_of({"loss": loss_of(gc.cond(CHOICE, true_side, false_side))}))
    assert "on_true=graph body()" in text
    assert print_graph(parse(text)) == text


def test_conditions_and_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DTypeError, match="no truth value") as caught:
        gc.cond(X, true_side, false_side)
    assert "gc.where" in str(caught.value)
    assert "test_cond.py" in str(caught.value)
    with pytest.raises(ShapeError, match="different types"):
        gc.cond(CHOICE, lambda: X, lambda: gc.sum(X))
    with pytest.raises(DeclarationError, match="different forms"):
        gc.cond(CHOICE, lambda: X, lambda: (X, X))
