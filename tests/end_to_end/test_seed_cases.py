"""Worked examples of lecture notes: values and derivatives, compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.scalar import Array
from tests.end_to_end.seed_cases import Case, cases, numbers
from tests.end_to_end.torch_names import OPERATIONS, build

GRAPHS = cases("graphs")


def declare(case: Case) -> tuple[list[gc.Tensor], dict[str, gc.Tensor]]:
    """The inputs of a case, and what it gives numbers for; the derivative by x is called "d x"."""
    arrays = {name: numbers(value) for name, value in case["inputs"].items()}
    inputs = {name: gc.input(name, array.shape, array.dtype) for name, array in arrays.items()}
    values = build(case["program"], inputs)
    asked = {name: values[name] for name in case["expect"]}
    if "loss" in case:
        wrt = [values[name] for name in case["grads"]]
        slopes = gc.grad(gc.sum(values[case["loss"]]), wrt)
        assert isinstance(slopes, list)
        asked |= {f"d {name}": slope for name, slope in zip(case["grads"], slopes, strict=True)}
    return list(inputs.values()), asked


def expected(case: Case) -> dict[str, Array]:
    """The right numbers, under the names that ``declare`` gives."""
    known = {**case["expect"], **{f"d {name}": value for name, value in case.get("grads", {}).items()}}
    return {name: numbers(value) for name, value in known.items()}


def check(found: dict[str, Array], case: Case) -> None:
    """Compare with the right numbers, to rounding, and with those that the notes print."""
    for name, right in expected(case).items():
        got = np.asarray(found[name], np.float64)
        assert got.shape == right.shape
        assert np.isfinite(got).all()
        fixed = ~np.isnan(right)
        np.testing.assert_allclose(got[fixed], right[fixed], 1e-9, 1e-12, err_msg=name)
    wrong = [
        name
        for name, (stated, half) in case.get("stated", {}).items()
        if np.abs(found[name] - np.asarray(stated)).max() > half + 1e-9
    ]
    assert wrong == case.get("misprints", [])


def test_no_case_is_lost() -> None:
    assert [len(cases(kind)) for kind in ("graphs", "updates", "counts")] == [70, 20, 17]
    assert sum(len(case["expect"]) + len(case.get("grads", {})) for case in GRAPHS) == 237
    assert len({case["id"] for case in GRAPHS}) == len(GRAPHS)


def test_every_operation_of_the_table_is_used() -> None:
    assert {step[1] for case in GRAPHS for step in case["program"]} == set(OPERATIONS)


@pytest.mark.parametrize("case", GRAPHS, ids=lambda case: case["id"])
def test_values_and_derivatives_of_a_worked_example(case: Case) -> None:
    inputs, asked = declare(case)
    feed = {name: numbers(value) for name, value in case["inputs"].items()}
    interpreted = gc.evaluate([*asked.values(), *inputs], feed)[: len(asked)]  # not all inputs matter to a derivative
    check(dict(zip(asked, interpreted, strict=True)), case)
    compiled = gc.function(inputs, list(asked.values()))(**feed)
    assert isinstance(compiled, list)
    check(dict(zip(asked, compiled, strict=True)), case)


def test_misprints_of_the_notes_are_four() -> None:
    assert {case["id"]: case["misprints"] for case in GRAPHS if case.get("misprints")} == {
        "S4.scores-1": ["s"],
        "S4.softmax": ["z", "L"],
        "S3.chain": ["d x"],
    }


def test_one_step_of_the_printed_training_loop() -> None:
    case = next(case for case in GRAPHS if case["id"] == "S0.toy-trainer")
    after = dict(case["after"])
    optimizer = optimizers.SGD(after.pop("lr"))
    data = {name: gc.constant(numbers(case["inputs"][name])) for name in ("X", "T")}
    trained = {
        name: gc.parameter(numbers(case["inputs"][name]).shape, numbers(case["inputs"][name]), name, "float64")
        for name in after
    }
    model = gc.compile(build(case["program"], {**data, **trained})["L"], optimizer)
    assert model.step({})["loss"] == pytest.approx(case["expect"]["L"], rel=1e-12)
    for name, value in after.items():
        np.testing.assert_allclose(trained[name].value.ravel(), np.ravel(value), 1e-12)
