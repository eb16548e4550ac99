"""Convolutions on a GPU ask where the image ends, and need no zeros in memory: the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.frontend.tensor import Tensor
from graphc.passes.build import Program
from graphc.passes.loops import Contraction
from graphc.passes.pipeline import run_pipeline
from graphc.runtime.executable import Executable
from graphc.runtime.target import Target
from tests.harness import same_bits

TARGET = Target("cuda", precision="exact")


def program_of(function: gc.Function) -> Program:
    return TARGET.program(run_pipeline(function._bound, TARGET.passes(training=True)))


def products(program: Program) -> list[Contraction]:
    return [part for call in program.calls for part in call.kernel.body if isinstance(part, Contraction)]


def gradients(y: Tensor, x: Tensor, w: Tensor) -> dict[str, Tensor]:
    """The result and its gradients by both operands."""
    by_image, by_kernel = gc.grad((y * y).sum(), wrt=[x, w])
    return {"y": y, "by_image": by_image, "by_kernel": by_kernel}


CASES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "same": (lambda x, w: gc.convolution(x, w, padding="same"), (6, 5, 3), (3, 3, 3, 4)),
    "strides": (lambda x, w: gc.convolution(x, w, padding="same", strides=2), (7, 6, 3), (3, 3, 3, 4)),
    "dilation": (lambda x, w: gc.convolution(x, w, padding="same", dilation=2), (7, 6, 2), (3, 2, 2, 4)),
    "one side": (lambda x, w: gc.convolution(x, w, padding=[(2, 0), (0, 1)]), (5, 6, 2), (3, 3, 2, 4)),
    "one axis": (lambda x, w: gc.convolution(x, w, padding=[(2, 3)]), (9, 2), (4, 2, 3)),
    "wider than the image": (lambda x, w: gc.convolution(x, w, padding=[(4, 4), (5, 5)]), (2, 3, 2), (3, 3, 2, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_convolutions_and_their_gradients_have_the_same_bits_without_zeros_in_memory(name: str) -> None:
    make, image, kernel = CASES[name]
    x, w = gc.input("x", shape=("batch", *image)), gc.input("w", shape=kernel)
    function = gc.function([x, w], gradients(make(x, w), x, w), training=True, winograd=False, threads=1)
    rng = np.random.default_rng(0)
    fed = [rng.standard_normal(shape).astype(np.float32) for shape in ((3, *image), kernel)]
    wanted = function(*fed)
    assert isinstance(wanted, dict)
    program = program_of(function)
    assert any(product.inside is not None for product in products(program))
    executable = Executable(program, function._executable.cells, threads=2)
    arrays, sizes = executable.feeder.prepare(dict(zip("xw", fed, strict=True)))
    for key, value in executable.run(arrays, sizes).items():
        assert same_bits(value, wanted[key]), key


def test_a_padded_convolution_is_one_kernel() -> None:
    x, w = gc.input("x", shape=("batch", 6, 5, 3)), gc.input("w", shape=(3, 3, 3, 4))
    function = gc.function([x, w], gc.relu(gc.convolution(x, w, padding="same")), winograd=False)
    assert len(function.program.calls) > 1
    assert len(program_of(function).calls) == 1


def test_an_infinite_weight_meets_zeros_around_the_image_as_it_does_in_memory() -> None:
    x, w = gc.input("x", shape=("batch", 4, 1)), gc.input("w", shape=(3, 1, 1))
    function = gc.function([x, w], gc.convolution(x, w, padding="same"))
    fed = [np.ones((1, 4, 1), np.float32), np.array([np.inf, 1.0, 1.0], np.float32).reshape(3, 1, 1)]
    wanted = function(*fed)
    assert isinstance(wanted, np.ndarray)
    assert np.isnan(wanted[0, 0, 0])
    executable = Executable(program_of(function), function._executable.cells)
    arrays, sizes = executable.feeder.prepare(dict(zip("xw", fed, strict=True)))
    assert same_bits(executable.run(arrays, sizes)["output"], wanted)
