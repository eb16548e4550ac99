"""Signatures of kernels: equal where the printed source is equal, and only there."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.passes.lower import KernelCall
from graphc.passes.signature import signature
from graphc.passes.source import print_kernel
from tests.passes.building import program_of
from tests.passes.programs import PROGRAMS


def call_of(result: Tensor) -> KernelCall:
    (call,) = program_of({"result": result}).calls
    return call


def test_signatures_tell_apart_what_source_tells_apart() -> None:
    seen: dict[Hashable, str] = {}
    repeated = 0
    for build in PROGRAMS.values():
        built = build()
        program = built.program if isinstance(built, gc.Function) else built.executable().program
        for call in program.calls:
            key, text = signature(call.kernel), print_kernel(call.kernel).code
            repeated += key in seen
            assert seen.setdefault(key, text) == text
    assert len(seen) > 20
    assert repeated > 0


def test_numbers_that_python_calls_equal_are_different() -> None:
    x = gc.input("x", ("n",))
    keys = {signature(call_of(gc.where(x < 0.0, number, x)).kernel) for number in (0.0, -0.0, 1.0)}
    assert len(keys) == 3


def test_a_constant_keeps_the_sign_of_its_zero() -> None:
    x = gc.input("x", ("n",))
    found = np.asarray(gc.function([x], gc.where(x < 0.0, -0.0, x))(np.array([-1.0, 2.0])))
    assert np.signbit(found).tolist() == [True, False]


def test_equal_work_on_other_buffers_has_one_signature() -> None:
    keys = {signature(call_of(gc.sum(gc.input(name, ("n", 5)) * 2.0, axis=1)).kernel) for name in ("x", "y")}
    assert len(keys) == 1
