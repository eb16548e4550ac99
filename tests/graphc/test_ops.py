"""Every op, through its samples: type, value, text, scalar body, derivatives, compiled kernels, errors."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.dims import evaluate
from graphc.frontend.tensor import Tensor
from graphc.node import apply
from graphc.op import OPS, Elementwise, Refusal, Sample
from graphc.ops.leaves import Input
from graphc.passes.autodiff import grad
from graphc.passes.build import build_program, optimisations
from graphc.passes.cuda.kernels import cuda_kernel
from graphc.passes.pipeline import run_pipeline
from graphc.scalar import Array, NumpyScalars
from graphc.text import parse, print_graph
from tests.harness import (
    BATCH,
    SIZES,
    all_samples,
    declare,
    graph_of,
    operands,
    ops_with_gradients,
    reference,
    same_bits,
    slope,
    value_of,
)


def over(samples: list[tuple[str, Sample]]) -> pytest.MarkDecorator:
    """Run a test for each sample, named after it."""
    return pytest.mark.parametrize("sample", [pytest.param(sample, id=name) for name, sample in samples])


SAMPLES = over(all_samples())
SMOOTH = over(list(ops_with_gradients()))
BODIES = over([(name, sample) for name, sample in all_samples() if isinstance(sample.op, Elementwise)])
MATRICES = over([(name, s) for name, s in all_samples() if any(len(arg.type.shape) > 1 for arg in s.args)])
REFUSALS = pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(refusal, id=f"{name}-{n}")
        for name, op in sorted(OPS.items())
        for n, refusal in enumerate(op.refusals())
    ],
)


@SAMPLES
def test_reference_has_the_inferred_type(sample: Sample) -> None:
    _, result = declare(sample)
    value = reference(sample, operands(sample))
    assert value.shape == tuple(evaluate(size, SIZES) for size in result.shape)
    assert value.dtype == result.dtype.numpy


@SAMPLES
def test_text_form_round_trips(sample: Sample) -> None:
    _, result = declare(sample)
    graph = graph_of(y=result)
    text = print_graph(graph)
    assert parse(text).output("y") is result.node
    assert print_graph(parse(text)) == text


@BODIES
def test_scalar_body_agrees_with_numpy(sample: Sample) -> None:
    assert isinstance(sample.op, Elementwise)
    args = operands(sample)
    expected = reference(sample, args)
    with np.errstate(all="ignore"):
        value = np.asarray(sample.op.body(NumpyScalars(), *args), expected.dtype)
    if expected.dtype.kind == "f":
        np.testing.assert_array_max_ulp(value, expected, 8)
    else:
        np.testing.assert_array_equal(value, expected)


def tolerance(value: Array) -> float:
    return 2e-5 if value.dtype == np.float32 else 1e-12


@SAMPLES
def test_compiled_kernel_agrees_with_the_reference(sample: Sample) -> None:
    inputs, result = declare(sample)
    args = operands(sample)
    sized = [*args, np.zeros(SIZES["batch"], np.float32)]
    arguments = [*inputs, Tensor(BATCH)]
    fused = gc.function(arguments, result, training=True)(*sized)
    alone = gc.function(arguments, result, training=True, fuse=False, threads=1)(*sized)
    expected = reference(sample, args)
    assert isinstance(fused, np.ndarray)
    assert isinstance(alone, np.ndarray)
    assert fused.dtype == expected.dtype
    assert fused.shape == expected.shape
    np.testing.assert_allclose(fused, expected, tolerance(expected), tolerance(expected))
    assert same_bits(fused, alone)


@MATRICES
def test_kernel_reads_non_contiguous_arrays(sample: Sample) -> None:
    inputs, result = declare(sample)
    args = operands(sample)
    function = gc.function([*inputs, Tensor(BATCH)], result, training=True)
    size = np.zeros(SIZES["batch"], np.float32)
    strided = [np.asfortranarray(arg) if arg.ndim > 1 else arg for arg in args]
    spread = [np.repeat(arg, 2, axis=0)[::2] if arg.ndim else arg for arg in args]
    expected = function(*args, size)
    for variant in (strided, spread):
        found = function(*variant, size)
        assert isinstance(found, np.ndarray)
        assert isinstance(expected, np.ndarray)
        assert same_bits(found, expected)


def projected(result: Tensor, seed: int = 3) -> Tensor:
    """A scalar: the result times fixed random weights, summed."""
    rng = np.random.default_rng(seed)
    shape = [evaluate(size, SIZES) for size in result.shape]
    if any(not isinstance(size, int) for size in result.shape):
        return (result * result).sum()
    return (result * gc.constant(rng.uniform(0.5, 1.5, shape))).sum()


@SMOOTH
def test_first_derivative_agrees_with_finite_differences(sample: Sample) -> None:
    inputs, result = declare(sample)
    args = operands(sample)
    loss = projected(result)
    rng = np.random.default_rng(7)
    for number, tensor in enumerate(inputs):
        if tensor.dtype != gc.float64:
            continue
        gradient = grad(loss, tensor, unused="zeros")
        assert isinstance(gradient, Tensor)
        assert gradient.type == tensor.type
        direction = rng.standard_normal(args[number].shape)

        def along(value: Array, number: int = number) -> float:
            changed = [*args[:number], value, *args[number + 1 :]]
            return float(value_of([loss], inputs, changed)[0])

        (computed,) = value_of([gradient], inputs, args)
        wanted = slope(along, args[number], direction)
        assert float((computed * direction).sum()) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


@SMOOTH
def test_second_derivative_agrees_with_finite_differences(sample: Sample) -> None:
    inputs, result = declare(sample)
    args = operands(sample)
    floats = [number for number, tensor in enumerate(inputs) if tensor.dtype == gc.float64]
    rng = np.random.default_rng(8)
    square = (result * result).sum() if result.dtype.is_float else projected(result)
    first = [grad(square, inputs[number], unused="zeros") for number in floats]
    for place, number in enumerate(floats):
        mixed = projected_all([g for g in first if isinstance(g, Tensor)])
        second = grad(mixed, inputs[number], unused="zeros")
        assert isinstance(second, Tensor)
        direction = rng.standard_normal(args[number].shape)

        def along(value: Array, number: int = number, mixed: Tensor = mixed) -> float:
            changed = [*args[:number], value, *args[number + 1 :]]
            return float(value_of([mixed], inputs, changed)[0])

        (computed,) = value_of([second], inputs, args)
        wanted = slope(along, args[number], direction)
        assert float((computed * direction).sum()) == pytest.approx(wanted, rel=1e-5, abs=1e-6), place


def projected_all(gradients: list[Tensor]) -> Tensor:
    total = gc.constant(0.0, dtype="float64")
    for weight, gradient in enumerate(gradients, 1):
        total = total + gradient.sum() * float(weight)
    return total


@SAMPLES
def test_cuda_source_is_python_and_free_of_bare_floats(sample: Sample) -> None:
    _, result = declare(sample)
    program = build_program(run_pipeline(graph_of(y=result), optimisations(training=True)))
    for call in program.calls:
        source = cuda_kernel(call).source
        compile(source.code, call.kernel.name, "exec")
        assert "local_array(" not in source.code


@REFUSALS
def test_misuse_is_refused_with_the_users_line(refusal: Refusal) -> None:
    nodes = [apply(Input(f"bad{number}", type_)) for number, type_ in enumerate(refusal.types)]
    with pytest.raises(refusal.error) as caught:
        apply(refusal.op, *nodes)
    text = str(caught.value)
    assert text.splitlines()[0] == refusal.message
    assert "test_ops.py" in text
    assert "operand 1" in text
    assert "input 'bad0'" in text


EXTREMES = {
    "float32": [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.inf,
        -np.inf,
        np.nan,
        1e-45,
        -1e-45,
        1e-38,
        3e38,
        -3e38,
        88.8,
        -104.0,
        0.5,
        1e10,
    ],
    "float64": [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, 1e-308, 1e308, -1e308, 709.8, -745.2, 0.5, 1e10],
    "int32": [0, 1, -1, 2**31 - 1, -(2**31), 7],
    "int64": [0, 1, -1, 2**63 - 1, -(2**63), 7],
    "bool": [True, False],
}
ELEMENTWISE = sorted(
    name for name, op in OPS.items() if issubclass(op, Elementwise) and op.samples() and name != "check_range"
)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_extreme_values(name: str) -> None:
    done = set()
    for sample in OPS[name].samples():
        kind = sample.args[0].type.dtype.name if name != "select" else sample.args[1].type.dtype.name
        if (sample.op, kind) in done:
            continue
        done.add((sample.op, kind))
        values = np.array(EXTREMES[kind], kind)
        grid = [part.ravel() for part in np.meshgrid(*[values] * len(sample.args))]
        if name == "select":
            grid[0] = grid[0] == grid[1]
        inputs = [gc.input(f"x{n}", shape=("n",), dtype=part.dtype) for n, part in enumerate(grid)]
        function = gc.function(inputs, Tensor(apply(sample.op, *(tensor.node for tensor in inputs))), training=True)
        found = function(*grid)
        with np.errstate(all="ignore"):
            expected = np.asarray(sample.op.reference(*grid))
        assert isinstance(found, np.ndarray)
        if expected.dtype.kind == "f":
            tight = 3e-7 if kind == "float32" else 1e-14
            np.testing.assert_allclose(
                found, expected, tight, np.finfo(expected.dtype).smallest_subnormal, equal_nan=True
            )
        else:
            np.testing.assert_array_equal(found, expected)
