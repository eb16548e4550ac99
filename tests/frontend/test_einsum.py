"""Sums of products in Einstein's notation against numpy's einsum."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DeclarationError, ShapeError
from tests.frontend.slopes import assert_slopes

SIZES = dict(zip("abcdeij", (2, 3, 4, 5, 2, 6, 4), strict=True))
NOTATIONS = [
    "ab->ba",
    "ab->",
    "ab->b",
    "ab",
    "ba",
    "aa->a",
    "aea->e",
    "ii",
    "ab,bc->ac",
    "ab,bc",
    "ab,cb->ca",
    "ab,b->a",
    "a,b->ab",
    "a,a->",
    "ab,ab->ab",
    "ab,ab->",
    "ab,a->ba",
    "dab,dbc->dac",
    "dab,dcb->cda",
    "abc,d->bd",
    "ab,bc,cd->ad",
    "ab,ab,ab->b",
    "ab,cb,db->acd",
    "abi,bci->ac",
    ",ab->a",
    "aab,bc->ca",
    "ab , bc -> ac",
]


def arrays(notation: str, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    rng = np.random.default_rng(seed)
    inputs = notation.replace(" ", "").partition("->")[0].split(",")
    return [np.asarray(rng.normal(size=[SIZES[letter] for letter in letters])) for letters in inputs]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_values_are_numpys(notation: str) -> None:
    data = arrays(notation)
    found = gc.evaluate(gc.einsum(notation, *data))
    np.testing.assert_allclose(found, np.einsum(notation, *data), 1e-12, 1e-13)


@pytest.mark.parametrize("notation", ["aab,bc->ca", "dab,dcb->cda", "ab,ab,ab->b"])
def test_derivatives_are_slopes(notation: str) -> None:
    data = {f"x{number}": array for number, array in enumerate(arrays(notation))}
    assert_slopes(lambda *tensors: gc.einsum(notation, *tensors), data)


def test_further_axes_are_those_of_the_dots() -> None:
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(3, 5))
    for notation, operands in (
        ("...ij,...jk->...ik", (x, y)),
        ("...ij,...jk", (x, y)),
        ("i...->...i", (x,)),
        ("a...j,...j->a...", (x[:, :, 0], z)),
        ("...->...", (x,)),
    ):
        found = gc.evaluate(gc.einsum(notation, *operands))
        np.testing.assert_allclose(found, np.einsum(notation, *operands), 1e-12)


def test_sizes_may_be_names_and_types_are_promoted() -> None:
    x, y = gc.input("x", ("batch", "time", 4)), gc.input("y", ("batch", "time", 4), "float64")
    result = gc.einsum("bth,bsh->bts", x, y)
    assert str(result.type) == "f64[batch, time, time]"
    data = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    found = np.asarray(gc.function([x, y], result)(data, data))
    np.testing.assert_allclose(found, np.einsum("bth,bsh->bts", data, data), 1e-5)


def test_a_product_of_matrices_is_one_operation() -> None:
    x, y = gc.input("x", ("batch", 3)), gc.input("y", (3, 4))
    assert gc.einsum("ij,jk->ik", x, y).node is gc.matmul(x, y).node
    assert gc.einsum("ij->ij", x).node is x.node


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        ("ij;jk->ik", 'letters with commas, then "->" and letters, such as "ij,jk->ik"'),
        ("ij->->i", 'letters with commas, then "->" and letters, such as "ij,jk->ik"'),
        ("ij,jk->ik", "2 operands"),
        ("i->i", "1 axes of operand 0"),
        ("ijk->i", "3 axes of operand 0"),
        ("ij->ii", "each letter of the result once, and in an operand"),
        ("ij->k", "each letter of the result once, and in an operand"),
        ("i...->i", '"..." in the result too'),
    ],
)
def test_subscripts_that_do_not_fit_are_refused(notation: str, expected: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        gc.einsum(notation, gc.input("x", ("batch", 3)))
    assert str(caught.value).startswith(f"einsum: the subscripts {notation!r} do not fit\n  at ")
    assert f"expected   {expected}" in str(caught.value)


def test_a_letter_has_one_size() -> None:
    x, y = gc.input("x", ("batch", 3)), gc.input("y", (4, 5))
    with pytest.raises(ShapeError, match="einsum: 'j' in 'ij,jk' has two sizes, 3 and 4") as caught:
        gc.einsum("ij,jk", x, y)
    text = str(caught.value)
    assert "second     f32[4, 5]  input 'y', declared at " in text
    assert "expected   one size for each letter\n  got        f32[batch, 3] and f32[4, 5]" in text
