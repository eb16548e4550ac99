from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.frontend.tensor import Tensor
from graphc.passes.build import Program
from graphc.passes.threads import plan_commands, work_of
from tests.harness import same_bits
from tests.passes.building import kernel_names, program_of, training_program

X = gc.input("x", shape=("batch", 8))
LARGE = {"batch": 5000}


def shared(program: Program, sizes: dict[str, int], threads: int = 2) -> list[tuple[str, bool, bool]]:
    """The kernel, whether it is split, and whether threads wait before it, for each command."""
    commands = plan_commands(program.calls, program.plan, sizes, threads)
    names = kernel_names(program)
    return [(names[command.call], command.split, command.wait) for command in commands]


def test_every_call_is_one_command_in_the_order_of_the_program() -> None:
    program = training_program(optimizers.SGD(0.1))
    commands = plan_commands(program.calls, program.plan, {"batch": 32}, 2)
    assert [command.call for command in commands] == list(range(len(program.calls)))
    assert not commands[0].wait


def test_work_is_the_larger_of_bytes_moved_and_operations() -> None:
    (cheap,) = program_of({"y": X * 2.0}).calls
    assert work_of(cheap, {"batch": 10}) == 2 * 10 * 8 * 4
    (product,) = program_of({"y": X @ gc.input("w", shape=(8, 100))}).calls
    assert work_of(product, {"batch": 10}) == 2 * 10 * 8 * 100


@pytest.mark.parametrize(("batch", "split"), [(249, False), (250, True)])
def test_a_call_is_shared_from_sixteen_thousand_bytes_on(batch: int, split: bool) -> None:
    program = program_of({"y": X * 2.0})
    assert shared(program, {"batch": batch}) == [("multiply", split, False)]


def test_one_thread_neither_shares_nor_waits() -> None:
    program = training_program(optimizers.Adam())
    assert not any(split or wait for _, split, wait in shared(program, {"batch": 512}, threads=1))


def test_small_calls_stay_on_one_thread_and_need_no_waiting() -> None:
    program = program_of({"p": gc.softmax(X, axis=1) @ gc.input("w", shape=(8, 3))})
    assert {(split, wait) for _, split, wait in shared(program, {"batch": 4})} == {(False, False)}


def test_calls_row_by_row_need_no_waiting_in_between() -> None:
    commands = shared(program_of({"p": gc.softmax(X, axis=1)}), LARGE)
    assert commands == [("max", True, False), ("subtract_exp_sum", True, False), ("divide", True, False)]


def dear() -> Tensor:
    return gc.tanh(gc.exp(X))


def test_a_call_that_reads_other_rows_waits() -> None:
    value = dear()
    assert shared(program_of({"a": gc.sin(value), "b": value[::-1] * 2.0}), LARGE) == [
        ("exp_tanh_sin", True, False),
        ("multiply", True, True),
    ]


def test_a_call_that_reads_one_row_for_all_waits() -> None:
    product = gc.input("m", shape=(5000, 8)) @ gc.input("w", shape=(8, 8))
    names = ["matmul", "subtract_multiply"]
    own_row = shared(program_of({"y": (product - product[:, :1]) * 2.0}), {})
    assert own_row == list(zip(names, (True, True), (False, False), strict=True))
    first_row = shared(program_of({"y": (product - product[0]) * 2.0}), {})
    assert first_row == list(zip(names, (True, True), (False, True), strict=True))


def test_a_call_that_reads_whole_columns_waits() -> None:
    product = X @ gc.input("w", shape=(8, 8))
    assert shared(program_of({"y": gc.sum(product, axis=0)}), LARGE) == [("matmul", True, False), ("sum", True, True)]


def test_one_thread_waits_for_all_and_all_wait_for_one() -> None:
    value = gc.sum(X @ gc.input("w", shape=(8, 8)))
    assert shared(program_of({"y": X - gc.exp(value)}), LARGE) == [
        ("matmul", True, False),
        ("sum_exp", False, True),
        ("subtract", True, True),
    ]


def test_calls_with_nothing_in_common_do_not_wait() -> None:
    y = gc.input("y", shape=("batch", 8))
    commands = shared(program_of({"a": gc.sum(X, axis=0), "b": gc.sum(y, axis=1)}), LARGE)
    assert [wait for _, _, wait in commands] == [False, False]


def test_an_update_in_place_waits_for_the_readers_of_the_old_value() -> None:
    weight = gc.parameter((300, 300), name="weight")
    product = gc.input("m", shape=("batch", 300)) @ weight
    program = program_of({"y": product}, {weight: weight * 0.5})
    assert shared(program, LARGE) == [("matmul", True, False), ("multiply", True, True)]


def test_a_training_step_waits_seldom() -> None:
    # Once before and after what one thread does alone, and before each product that reads columns of another.
    program = training_program(optimizers.SGD(0.1))
    assert sum(wait for _, _, wait in shared(program, {"batch": 32})) <= 7


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    w = gc.input("w", shape=(8, 37))
    hidden = gc.tanh(X @ w)
    outputs = [gc.softmax(hidden, axis=1), gc.sum(hidden[::-1] * 2.0, axis=0), gc.mean(hidden), hidden.T @ hidden]
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(1003, 8)).astype(np.float32), rng.normal(size=(8, 37)).astype(np.float32)]
    results = [gc.function([X, w], outputs, threads=threads)(*data) for threads in (1, 2, 3, 5)]
    alone, *others = (result for result in results if isinstance(result, list))
    assert len(others) == 3
    assert all(same_bits(one, two) for other in others for one, two in zip(alone, other, strict=True))
