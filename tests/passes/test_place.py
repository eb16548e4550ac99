from __future__ import annotations

import graphc as gc
from graphc import optimizers
from graphc.passes.build import Program
from tests.passes.building import kernel_names, training_program


def written(program: Program) -> list[str]:
    """The storages that the calls write, call after call."""
    return [
        str(storage)
        for call in program.calls
        for storage, buffer in zip(call.arguments, call.kernel.buffers, strict=True)
        if buffer.written
    ]


def test_parameters_and_moments_are_updated_in_place() -> None:
    program = training_program(optimizers.Adam())
    assert "copy" not in kernel_names(program)
    states = [name for name in written(program) if name.startswith("state ")]
    parameters = [f"state mlp/{layer}/{part}" for layer in ("dense", "dense_1") for part in ("weight", "bias")]
    wanted = [f"{parameter}{slot}" for parameter in parameters for slot in ("", "/moment1", "/moment2")]
    assert sorted(states) == sorted([*wanted, "state step"])


def test_readers_of_the_old_value_run_before_it_is_overwritten() -> None:
    program = training_program(optimizers.SGD(0.1))
    reading, writing = (
        [
            number
            for number, call in enumerate(program.calls)
            for storage, buffer in zip(call.arguments, call.kernel.buffers, strict=True)
            if str(storage) == "state mlp/dense_1/weight" and buffer.written == written
        ]
        for written in (False, True)
    )
    assert len(writing) == 1
    assert reading
    assert max(reading) < writing[0]


def test_an_exchange_of_two_states_goes_over_a_copy() -> None:
    first, second = gc.state([1.0, 2.0], name="first"), gc.state([3.0, 4.0], name="second")
    step = gc.function([], [first * 1.0], updates=[(first, second * 10.0), (second, first + 0.5)])
    assert kernel_names(step.program)[-1] == "copy"
    old = step()
    assert isinstance(old, list)
    assert old[0].tolist() == [1.0, 2.0]
    assert [first.value.tolist(), second.value.tolist()] == [[30.0, 40.0], [1.5, 2.5]]
