from __future__ import annotations

import re

import pytest

import graphc as gc
from graphc import layers, losses
from graphc.errors import GradientError
from graphc.passes.explain import Explanation

X = gc.input("x", shape=("batch", 3), dtype="float64")


def two_paths() -> Explanation:
    w = gc.input("w", shape=(3, 2), dtype="float64")
    hidden = gc.tanh(X @ w)
    return gc.explain(gc.sum(gc.exp(hidden)) + gc.sum(hidden), wrt=w)


def balanced(latex: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_the_text_holds_values_paths_local_derivatives_their_sum_and_the_result() -> None:
    lines = [re.sub(r"\s+\S+\.py:\d+$", "", line) for line in two_paths().text.splitlines()]
    assert lines == [
        "The derivative of loss by w : f64[3, 2]",
        "",
        "Values on the way",
        "  v1   = x @ w              : f64[batch, 2]",
        "  v2   = tanh(v1)           : f64[batch, 2]",
        "  v3   = exp(v2)            : f64[batch, 2]",
        "  v4   = sum(v3, axis 0, 1) : f64[]",
        "  v5   = sum(v2, axis 0, 1) : f64[]",
        "  loss = v4 + v5            : f64[]",
        "",
        "Paths from loss to w: 2",
        "  loss <- v4 <- v3 <- v2 <- v1 <- w",
        "  loss <- v5 <- v2 <- v1 <- w",
        "",
        "Backwards; d_x stands for the derivative of loss by x",
        "  d_loss = 1                    : f64[]          the start",
        "  d_v5   = 1                    : f64[]          through add",
        "  d_v4   = 1                    : f64[]          through add",
        "  d_v3   = 1                    : f64[batch, 2]  through reduce_sum",
        "  d_v2   = 1                    : f64[batch, 2]  through reduce_sum",
        "         + v3                   : f64[batch, 2]  through exp",
        "  d_v1   = d_v2 * (1 - v2 * v2) : f64[batch, 2]  through tanh",
        "  d_w    = xᵀ @ d_v1            : f64[3, 2]      through dot_general",
    ]


def test_the_values_name_the_lines_that_declared_them() -> None:
    text = two_paths().text
    assert text.count("test_explain.py:") == 6
    assert str(two_paths()) == text


def test_the_latex_holds_the_same_steps_with_balanced_braces() -> None:
    explanation = two_paths()
    latex = explanation.latex
    assert latex.startswith("\\begin{align*}\n")
    assert latex.endswith("\n\\end{align*}")
    rows = latex.splitlines()[1:-1]
    assert len(rows) == len(explanation.forward) + len(explanation.backward) == 14
    assert all(row.endswith(r" \\") for row in rows[:-1])
    assert all("&" in row and balanced(row) for row in rows)
    assert r"v_{2} &= \tanh(v_{1}) \\" in rows
    assert rows[-1] == r"\bar{w} &= x^\top \, \bar{v_{1}}"
    assert explanation._repr_latex_() == latex


def test_steps_are_data() -> None:
    explanation = two_paths()
    assert explanation.paths == (("loss", "v4", "v3", "v2", "v1", "w"), ("loss", "v5", "v2", "v1", "w"))
    assert explanation.path_count == 2
    last = explanation.backward[-1]
    assert (last.name, last.text, last.type, last.remark) == ("d_w", "xᵀ @ d_v1", "f64[3, 2]", "through dot_general")


def test_a_sum_of_two_paths_into_the_tensor_itself_is_written_term_by_term() -> None:
    x = gc.input("x", shape=())
    steps = gc.explain(gc.sin(x) * x, wrt=x).backward
    assert [(step.name, step.text) for step in steps] == [
        ("d_loss", "1"),
        ("d_v1", "x"),
        ("d_x", "v1"),
        ("", "x * cos(x)"),
    ]


@pytest.mark.parametrize(
    ("exponent", "text"),
    [(2, "2 * x"), (3, "3 * x**2"), (0.5, "0.5 * x**(-0.5)"), (-1, "-x**(-2)"), (1, "x**0"), (0, "0")],
)
def test_constants_in_derivatives_of_powers_are_folded(exponent: float, text: str) -> None:
    x = gc.input("x", shape=())
    explanation = gc.explain(x**exponent, wrt=x)
    assert explanation.backward[-1].text == text
    assert "where" not in explanation.latex


def test_values_whose_formulas_are_simplified_keep_their_names() -> None:
    x = gc.input("x", shape=())
    steps = gc.explain(gc.exp(x**2 * (gc.constant(3.0) - 2.0)), wrt=x)
    assert [step.text for step in steps.forward] == ["x**2", "v1 * (3 - 2)", "exp(v2)"]
    assert [step.text for step in steps.backward] == ["1", "loss", "d_v2", "loss * (2 * x)"]


def test_a_value_that_turns_out_to_be_a_number_lends_it_no_name() -> None:
    x = gc.input("x", shape=())
    choice = gc.where(gc.constant(1.0) > 0.0, 3.0, x)
    steps = gc.explain(choice * x + 3.0 * gc.sin(x), wrt=x)
    assert [step.text for step in steps.backward] == ["1", "1", "3", "1", "x", "3 * cos(x)", "3", "0"]


def test_millions_of_paths_are_counted_and_six_are_listed() -> None:
    x = gc.input("x", shape=())
    value = x
    for _ in range(30):
        value = value + value
    explanation = gc.explain(value, wrt=x)
    assert explanation.path_count == 2**30
    assert len(explanation.paths) == 6
    assert "Paths from loss to x: 1,073,741,824, the first 6 of 1,073,741,824" in explanation.text


def test_values_off_the_way_are_no_steps() -> None:
    x, y = gc.input("x", shape=()), gc.input("y", shape=())
    explanation = gc.explain(gc.sin(x) + gc.exp(gc.cos(y)) * gc.stop_gradient(gc.tanh(x)), wrt=x)
    assert [step.text for step in explanation.forward] == ["sin(x)", "v1 + exp(cos(y)) * tanh(x)"]
    assert explanation.path_count == 1


def test_a_derivative_by_a_value_in_the_middle_stops_there() -> None:
    x = gc.input("x", shape=(3,))
    hidden = gc.tanh(x)
    explanation = gc.explain(gc.sum(hidden * hidden), wrt=hidden)
    assert [step.name for step in explanation.forward] == ["v1", "loss"]
    assert explanation.backward[-1].type == "f32[3]"


def test_layers_appear_with_their_scopes_and_parameters_by_name() -> None:
    image, label = gc.input("image", shape=("batch", 4)), gc.input("label", shape=("batch",), dtype="int64")
    network = layers.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3)], name="digits")
    loss = losses.softmax_cross_entropy(network(image), label)
    explanation = gc.explain(loss, wrt=network[0].weight)
    assert explanation.wrt == "digits/dense/weight"
    assert explanation.backward[-1].name == "d_digits/dense/weight"
    assert any(step.remark.startswith("digits/dense_1, ") for step in explanation.forward)
    assert balanced(explanation.latex)
    assert r"\mathrm{digits/dense/weight}" in explanation.latex


def test_the_explanation_is_that_of_the_stable_formula() -> None:
    x = gc.input("x", shape=(3,))
    explanation = gc.explain(-gc.sum(gc.log(gc.sigmoid(x))), wrt=x)
    assert "log" not in explanation.text
    assert any("softplus" in step.text for step in explanation.forward)


def test_a_tensor_that_the_loss_does_not_depend_on_is_refused() -> None:
    x, y = gc.input("x", shape=()), gc.input("y", shape=(2,))
    with pytest.raises(GradientError) as caught:
        gc.explain(gc.sin(x), wrt=y)
    text = str(caught.value)
    assert text.startswith("the loss does not depend on this tensor\n  at         ")
    assert "gc.explain(gc.sin(x), wrt=y)" in text
    assert "wrt        f32[2]  input 'y', declared at" in text
    with pytest.raises(GradientError, match="does not depend on this tensor"):
        gc.explain(gc.stop_gradient(x) * 2.0, wrt=x)


def test_a_loss_that_is_no_float_scalar_is_refused() -> None:
    with pytest.raises(GradientError, match="the loss is no scalar"):
        gc.explain(gc.exp(X), wrt=X)
