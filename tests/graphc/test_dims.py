from __future__ import annotations

import numpy as np
import pytest

from graphc.dims import Dim, as_size, divide, evaluate, multiply, product, symbols_of
from graphc.dtypes import BOOL, DTYPES, FLOAT32, FLOAT64, INT32, INT64, as_dtype, promote
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.tensor_type import as_shape, tensor_type

BATCH = Dim(1, ("batch",))


def test_products_collect_factors_and_names() -> None:
    assert multiply(8, multiply(BATCH, 2)) == Dim(16, ("batch",))
    assert multiply(BATCH, as_size("time")) == Dim(1, ("batch", "time"))
    assert product([]) == 1
    assert multiply(BATCH, 0) == 0


def test_division_is_exact_or_none() -> None:
    assert divide(Dim(64, ("batch",)), 64) == BATCH
    assert divide(Dim(6, ("batch", "time")), as_size("time")) == Dim(6, ("batch",))
    assert divide(10, 4) is None
    assert divide(10, BATCH) is None
    assert divide(BATCH, 0) is None


def test_evaluation_multiplies_named_sizes() -> None:
    assert evaluate(Dim(3, ("a", "b")), {"a": 2, "b": 5}) == 30
    assert symbols_of((Dim(3, ("a", "b")), 4, BATCH)) == ("a", "b", "batch")


@pytest.mark.parametrize("value", [-1, 1.5, None])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ShapeError, match="a dimension is an integer"):
        as_size(value)


@pytest.mark.parametrize("name", ["f32", "two words", "1st", "return", ""])
def test_names_that_the_text_form_needs_are_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="cannot name a dimension"):
        as_size(name)


def test_numpy_integers_are_sizes() -> None:
    assert as_shape((np.int64(3), "batch")) == (3, BATCH)
    assert as_shape(4) == (4,)


def test_types_print_shortly() -> None:
    assert str(tensor_type("f32", "batch", 10)) == "f32[batch, 10]"
    assert str(tensor_type("bool")) == "bool[]"


def test_dtypes_have_many_names() -> None:
    for dtype in DTYPES:
        assert as_dtype(dtype.name) is as_dtype(dtype.short) is as_dtype(dtype.numpy) is as_dtype(dtype) is dtype
    with pytest.raises(DTypeError, match="'float16' is not an element type"):
        as_dtype("float16")


def test_promotion_follows_pytorch() -> None:
    assert promote(INT64, FLOAT32) is FLOAT32
    assert promote(FLOAT32, FLOAT64) is FLOAT64
    assert promote(BOOL, INT32) is INT32
    assert promote(INT32, INT64) is INT64
