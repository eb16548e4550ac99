from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

import graphc as gc
from graphc import optimizers
from graphc.dims import Dim
from graphc.errors import VerificationError
from graphc.passes.build import Program
from graphc.passes.memory import ALIGNMENT, Allocation, MemoryPlan, check_plan
from tests.passes.building import program_of, training_program

X = gc.input("x", shape=("batch", 8))
SIZES = [{"batch": number} for number in (0, 1, 7, 32, 1000)]


def chain(length: int = 6) -> Program:
    """Matrix products in a row: each result is needed by the next one only."""
    value = X
    for number in range(length):
        value = value @ gc.input(f"w{number}", shape=(8, 8))
    return program_of({"y": value})


def shifted(program: Program, which: int, offset: int) -> MemoryPlan:
    """The plan with one allocation moved."""
    allocations = list(program.plan.allocations)
    allocations[which] = replace(allocations[which], offset=offset)
    return replace(program.plan, allocations=tuple(allocations))


def alive_together(one: Allocation, other: Allocation) -> bool:
    return one.first <= other.last and other.first <= one.last


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_training_step_never_reads_what_was_overwritten(sizes: dict[str, int]) -> None:
    program = training_program(optimizers.Adam())
    check_plan(program.plan, program.calls, sizes)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_buffers_that_live_together_do_not_overlap(sizes: dict[str, int]) -> None:
    plan = training_program(optimizers.Momentum(0.1)).plan
    offsets = plan.offsets(sizes)
    for one, other in combinations(plan.allocations, 2):
        if one.symbols == other.symbols and not alive_together(one, other):
            continue
        ends = [offsets[a.storage] + a.size * (sizes["batch"] if a.symbols == ("batch",) else 1) for a in (one, other)]
        assert ends[0] <= offsets[other.storage] or ends[1] <= offsets[one.storage]


def test_memory_is_used_again() -> None:
    program = chain()
    plan = program.plan
    assert len(plan.allocations) == 5
    assert plan.formula == "128*batch"
    assert plan.arena_bytes({"batch": 10}) == 2 * 10 * ALIGNMENT
    assert sum(a.size for a in plan.allocations) == 5 * ALIGNMENT


def test_a_training_step_needs_less_than_the_sum_of_its_buffers() -> None:
    plan = training_program(optimizers.Adam()).plan
    per_sample = sum(a.size for a in plan.allocations if a.symbols == ("batch",))
    assert dict(plan.parts)["batch",] < 0.9 * per_sample
    assert dict(plan.parts)[()] < sum(a.size for a in plan.allocations if not a.symbols)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_buffers_start_at_multiples_of_the_alignment(sizes: dict[str, int]) -> None:
    y = gc.input("y", shape=("batch", 3))
    odd = gc.tanh(gc.exp(X @ gc.input("w", shape=(8, 3)))) @ gc.input("v", shape=(3, 5))
    program = program_of({"z": gc.softmax(odd, axis=1), "s": gc.softmax(y.T, axis=1)})
    offsets = program.plan.offsets(sizes).values()
    assert offsets
    assert all(offset % ALIGNMENT == 0 for offset in offsets)


def test_the_plan_is_a_formula_in_the_batch() -> None:
    plan = training_program(optimizers.SGD(0.1)).plan
    fixed, per_sample = dict(plan.parts)[()], dict(plan.parts)[("batch",)]
    assert plan.formula == f"{fixed:,} + {per_sample:,}*batch"
    for batch in (0, 1, 13, 4096):
        assert plan.arena_bytes({"batch": batch}) == fixed + per_sample * batch


def test_sizes_of_several_names_have_parts_of_their_own() -> None:
    x, y = gc.input("x", shape=("rows", 4)), gc.input("y", shape=("columns", 4))
    plan = program_of({"s": gc.sum(gc.tanh(x @ y.T) @ gc.tanh(y), axis=1)}).plan
    assert {symbols for symbols, _ in plan.parts} >= {("columns", "rows")}
    assert "*columns*rows" in plan.formula
    sizes = {"rows": 3, "columns": 5}
    assert plan.arena_bytes(sizes) == sum(
        size * (15 if len(symbols) == 2 else sizes[symbols[0]] if symbols else 1) for symbols, size in plan.parts
    )


def test_a_program_without_temporaries_needs_no_memory() -> None:
    plan = program_of({"y": X * 2.0}).plan
    assert plan.allocations == ()
    assert plan.formula == "0"
    assert plan.arena_bytes({"batch": 1000}) == 0


def test_a_buffer_that_is_overwritten_before_its_last_reader_is_caught() -> None:
    kept = X @ gc.input("w", shape=(8, 8))
    program = program_of({"y": gc.softmax(kept, axis=1) @ kept.T})
    check_plan(program.plan, program.calls, {"batch": 4})
    allocations = program.plan.allocations
    clashes = [
        (number, rival.offset)
        for number, allocation in enumerate(allocations)
        for rival in allocations
        if rival is not allocation and rival.symbols == allocation.symbols and alive_together(rival, allocation)
    ]
    assert clashes
    for number, offset in clashes:
        with pytest.raises(VerificationError, match=r"the memory plan is wrong at call \d of \w+: temporary t\d "):
            check_plan(shifted(program, number, offset), program.calls, {"batch": 4})


def test_a_result_on_top_of_its_own_operand_is_caught() -> None:
    program = chain()
    later = next(number for number, a in enumerate(program.plan.allocations) if a.offset)
    with pytest.raises(VerificationError, match="is written over another buffer of the same call"):
        check_plan(shifted(program, later, 0), program.calls, {"batch": 4})


def test_a_buffer_off_its_alignment_is_caught() -> None:
    program = chain()
    with pytest.raises(VerificationError, match="lies outside the arena or off its alignment"):
        check_plan(shifted(program, 0, 4), program.calls, {"batch": 4})


def test_a_buffer_outside_the_arena_is_caught() -> None:
    program = chain()
    with pytest.raises(VerificationError, match="lies outside the arena or off its alignment"):
        check_plan(shifted(program, 0, 128), program.calls, {"batch": 4})


def test_a_read_before_the_write_is_caught() -> None:
    program = chain(2)
    (first, second) = program.calls
    with pytest.raises(VerificationError, match="is read after its memory was given to another"):
        check_plan(program.plan, [second, first], {"batch": 4})


def test_every_temporary_of_the_program_has_one_place() -> None:
    program = training_program(optimizers.Adam())
    temporaries = [storage for storage in program.storages if storage.kind == "temporary"]
    assert sorted(storage.name for storage in temporaries) == sorted(a.storage.name for a in program.plan.allocations)
    for allocation in program.plan.allocations:
        elements = allocation.storage.type.elements
        factor = elements.factor if isinstance(elements, Dim) else elements
        assert 0 <= allocation.size - factor * allocation.storage.type.dtype.itemsize < ALIGNMENT
