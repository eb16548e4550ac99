from __future__ import annotations

import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.passes.formula import Formulas, symbol_in_latex

A, B = gc.input("a", shape=()), gc.input("b", shape=())
M = gc.input("m", shape=(3, 4))


def written(tensor: Tensor, latex: bool = False) -> str:
    return Formulas({}, latex).text(tensor.node)


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (A + B * A, "a + b * a"),
        ((A + B) * A, "(a + b) * a"),
        (A - (B - A), "a - (b - a)"),
        (A - B - A, "a - b - a"),
        (A / (B * A), "a / (b * a)"),
        (-(A + B), "-(a + b)"),
        ((A + B) ** 2.0, "(a + b)**2"),
        (gc.exp(A - B), "exp(a - b)"),
        (gc.abs(A + B), "|a + b|"),
        (A * 0.5 + 2.0, "a * 0.5 + 2"),
        (gc.maximum(A, B), "max(a, b)"),
        (gc.sum(M, axis=1), "sum(m, axis 1)"),
        (M.T @ M, "mᵀ @ m"),
        ((A > B).where(A, B), "where(b < a, a, b)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_formulas_have_the_parentheses_they_need_and_no_others(tensor: Tensor, text: str) -> None:
    assert written(tensor) == text


@pytest.mark.parametrize(
    ("tensor", "latex"),
    [
        (A / (B + A), r"\frac{a}{b + a}"),
        (A * (B + A), r"a \cdot (b + a)"),
        (gc.sqrt(A + B), r"\sqrt{a + b}"),
        (gc.exp(A), "e^{a}"),
        (M.T @ M, r"m^\top \, m"),
        (gc.sum(M, axis=0), r"\sum_{0} m"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_formulas_in_latex(tensor: Tensor, latex: str) -> None:
    assert written(tensor, latex=True) == latex


def test_changes_of_shape_and_type_are_not_shown() -> None:
    assert written(gc.broadcast_to(A.cast("float64").reshape(1, 1), (3, 4)) + 1.0) == "a + 1"
    assert written(gc.stop_gradient(A) * B) == "a * b"


def test_named_values_are_not_expanded() -> None:
    inner = A * B
    formulas = Formulas({inner.node: "v1"})
    assert formulas.text(gc.exp(inner).node) == "exp(v1)"
    assert formulas.define(inner.node) == "a * b"
    assert Formulas({inner.node: "v12"}, latex=True).text((inner + A).node) == "v_{12} + a"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("x", "x"),
        ("v12", "v_{12}"),
        ("d_v3", r"\bar{v_{3}}"),
        ("loss", r"\mathrm{loss}"),
        ("dense_1/bias", r"\mathrm{dense\_1/bias}"),
    ],
)
def test_names_as_latex_symbols(name: str, symbol: str) -> None:
    assert symbol_in_latex(name) == symbol


def test_a_formula_of_thousands_of_ops_can_be_written() -> None:
    value = A
    for _ in range(2000):
        value = gc.sin(value)
    assert written(value) == "sin(" * 2000 + "a" + ")" * 2000
