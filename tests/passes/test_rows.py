"""Row programs: which calls become one, and that nothing changes by it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses
from graphc.frontend.tensor import Tensor
from graphc.passes.build import Program, build_program
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.fuse import Fuse
from graphc.passes.loops import Loop
from graphc.passes.rows import merge_rows
from graphc.runtime.executable import Executable
from tests.harness import same_bits


def programs(outputs: dict[str, Tensor], inputs: list[Tensor]) -> tuple[gc.Function, Program]:
    """A function, and its program with rows merged."""
    function = gc.function(inputs, outputs, training=True)
    return function, build_program(function.graph, Fuse(), on_gpu=True)


def merged(program: Program) -> list[int]:
    """How many calls each row program was made of."""
    return [len(call.kernel.body) for call in program.calls if len(call.kernel.body) > 1]


def x(*shape: int | str) -> Tensor:
    return gc.input("x", shape=shape)


CASES: dict[str, tuple[Callable[[Tensor], object], tuple[int | str, ...], list[int]]] = {
    "softmax": (lambda v: gc.softmax(v), ("batch", 7), [3]),
    "normalisation": (lambda v: layers.LayerNorm(name="norm")(v), ("batch", 3, 20), [3]),
    "rows of attention": (lambda v: gc.softmax(v * 0.5, axis=-1), ("batch", 2, 5, 6), [3]),
    "its gradient": (lambda v: gc.grad((gc.softmax(v) ** 2.0).sum(), v), ("batch", 7), [4]),
}


@pytest.mark.parametrize("name", CASES)
def test_parts_of_one_computation_on_rows_become_one_kernel_with_the_same_bits(name: str) -> None:
    make, shape, expected = CASES[name]
    tensor = x(*shape)
    value = make(tensor)
    assert isinstance(value, Tensor)
    function, program = programs({"y": value}, [tensor])
    assert merged(program) == expected
    data = np.random.default_rng(0).standard_normal([size if isinstance(size, int) else 5 for size in shape])
    arrays, sizes = Executable(program, function._executable.cells).feeder.prepare({"x": data.astype(np.float32)})
    found = Executable(program, function._executable.cells, threads=2).run(arrays, sizes)
    wanted = function(arrays["x"])
    assert isinstance(wanted, dict)
    assert same_bits(found["y"], wanted["y"])


def test_a_loss_and_its_gradient_share_kernels_up_to_the_sum_over_samples() -> None:
    logits, label = gc.input("logits", shape=("batch", 10)), gc.input("label", shape=("batch",), dtype="int64")
    loss = losses.softmax_cross_entropy(logits, label)
    gradient = gc.grad(loss, logits)
    assert isinstance(gradient, Tensor)
    _, program = programs({"loss": loss, "gradient": gradient}, [logits, label])
    assert merged(program)[0] == 3


def test_what_another_call_needs_in_between_is_not_passed_over() -> None:
    tensor, weight = x("batch", 6), gc.parameter((6, 6), name="weight")
    hidden = gc.softmax(tensor) @ weight
    _, program = programs({"y": gc.softmax(hidden)}, [tensor])
    kinds = [len(call.kernel.body) for call in program.calls]
    assert kinds == [3, 1, 3]


def test_rows_of_other_lengths_stay_apart() -> None:
    tensor = x("batch", 6)
    wide = gc.input("wide", shape=("batch", 8))
    outputs = {"a": gc.softmax(tensor), "b": gc.softmax(wide)}
    _, program = programs(outputs, [tensor, wide])
    assert sorted(merged(program)) == [3, 3]


def test_columns_are_not_rows() -> None:
    tensor = x("batch", 6)
    _, program = programs({"y": gc.softmax(tensor, axis=0)}, [tensor])
    assert merged(program) == []


def test_long_rows_stay_as_they_are() -> None:
    tensor = x("batch", 5000)
    _, program = programs({"y": gc.softmax(tensor)}, [tensor])
    assert merged(program) == []


def test_values_that_a_row_shares_are_not_loaded_again() -> None:
    tensor = x("batch", 7)
    _, program = programs({"y": gc.softmax(tensor)}, [tensor])
    (call,) = program.calls
    assert all(isinstance(statement, Loop) for statement in call.kernel.body)
    code = cuda_kernel(call).source.code
    assert code.count("exchange(") == 2
    assert "out[i]" in code  # the largest element is stored,
    assert code.count("out[i]") == 1  # and not read


def test_a_group_is_not_longer_than_eight_calls() -> None:
    tensor = x("batch", 7)
    value = tensor
    for _ in range(6):
        value = gc.softmax(value)
    function = gc.function([tensor], value)
    assert max(len(call.kernel.body) for call in merge_rows(function.program.calls)) <= 8
