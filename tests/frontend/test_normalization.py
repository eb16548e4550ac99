"""Normalising layers: values, gradients, running statistics in training, inference and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.scalar import Array
from tests.harness import same_bits, slope

DATA = np.random.default_rng(0).normal(3, 2, size=(8, 4, 3)).astype(np.float32)


def batches(count: int = 3) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.normal(number, 1 + number, size=(6, 4, 3)).astype(np.float32) for number in range(count)]


def normalised(data: Array, axes: tuple[int, ...], epsilon: float = 1e-5) -> Array:
    centred = data - data.mean(axes, keepdims=True)
    return np.asarray(centred / np.sqrt(data.var(axes, keepdims=True) + epsilon))


def steps() -> gc.Tensor:
    return gc.input("x", ("batch", 4, 3))


def model_of(layer: layers.Layer, **options: Any) -> tuple[gc.Model, gc.Tensor]:
    """A model that pulls the layer's output towards 1, with the output to predict."""
    y = layer(steps())
    model = gc.compile(((y - 1) ** 2).mean(), gc.optimizers.SGD(0.1), outputs={"y": y}, name="norm", **options)
    return model, y


def states_of(model: gc.Model) -> dict[str, Array]:
    return {name: cell.array.copy() for name, cell in model.cells.items()}


@pytest.mark.parametrize("axes", [-1, 1, (1, 2), (-1, -2)])
def test_layer_norm_normalises_each_sample_over_its_axes(axes: int | tuple[int, ...]) -> None:
    layer = layers.LayerNorm(axes, epsilon=1e-3)
    y = layer(steps())
    chosen = (axes,) if isinstance(axes, int) else axes
    np.testing.assert_allclose(gc.evaluate(y, {"x": DATA}), normalised(DATA, chosen, 1e-3), 1e-5, 1e-6)
    scale = layer.scale.value
    layer.scale.value = np.arange(scale.size).reshape(scale.shape)
    layer.offset.value = np.full(scale.shape, 0.5)
    expected = normalised(DATA, chosen, 1e-3) * layer.scale.value + 0.5
    np.testing.assert_allclose(gc.evaluate(y, {"x": DATA}), expected, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("axes", "shape"), [(-1, "f32[3]"), (1, "f32[4, 1]"), ((1, 2), "f32[4, 3]"), ((2, 1), "f32[4, 3]")]
)
def test_scale_and_offset_of_layer_norm_lie_along_its_axes(axes: int | tuple[int, ...], shape: str) -> None:
    layer = layers.LayerNorm(axes, name="norm")
    layer(steps())
    assert [parameter.name for parameter in layer.parameters] == ["norm/scale", "norm/offset"]
    assert [str(parameter.type) for parameter in layer.parameters] == [shape, shape]


@pytest.mark.parametrize("kind", [layers.LayerNorm, layers.BatchNorm])
def test_scale_and_offset_can_be_left_out(kind: Callable[..., layers.Layer]) -> None:
    plain, scaled = kind(use_scale=False, use_offset=False), kind(use_offset=False)
    x = steps()
    first, second = gc.evaluate([plain(x), scaled(x)], {"x": DATA})
    assert plain.parameters == ()
    assert [parameter.name.rpartition("/")[2] for parameter in scaled.parameters] == ["scale"]
    np.testing.assert_array_equal(first, second)


def test_layer_norm_is_the_same_in_training_and_inference() -> None:
    x = steps()
    y = layers.LayerNorm()(x)
    trained, inferred = (np.asarray(gc.function([x], y, training=training)(DATA)) for training in (True, False))
    assert same_bits(trained, inferred)


def test_a_sample_of_equal_elements_becomes_zero() -> None:
    found = gc.evaluate(layers.LayerNorm()(steps()), {"x": np.full((2, 4, 3), 7.0)})
    assert np.all(found == 0)


@pytest.mark.parametrize("layer", [layers.LayerNorm(), layers.LayerNorm((1, 2)), layers.BatchNorm()])
def test_first_and_second_derivatives_are_slopes(layer: layers.Layer) -> None:
    rng = np.random.default_rng(2)
    data, direction = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 4, 3))
    x = gc.input("x", (3, 4, 3), "float64")
    loss = (layer(x) ** 3.0 * gc.constant(rng.normal(size=(3, 4, 3)))).sum()
    first = along(loss, x, direction)
    for value, derivative in ((loss, first), (first, along(first, x, direction))):

        def at(point: Array, value: gc.Tensor = value) -> float:
            return float(gc.evaluate(value, {"x": point}))

        found = float(gc.evaluate(derivative, {"x": data}))
        assert found == pytest.approx(slope(at, data, direction, 1e-4), rel=1e-6, abs=1e-8)


def along(loss: gc.Tensor, x: gc.Tensor, direction: Array) -> gc.Tensor:
    gradient = gc.grad(loss, x)
    assert isinstance(gradient, gc.Tensor)
    return (gradient * gc.constant(direction)).sum()


def test_batch_norm_uses_the_batch_in_training_and_the_running_statistics_in_inference() -> None:
    x = steps()
    layer = layers.BatchNorm()
    y = layer(x)
    layer.running_mean.value, layer.running_variance.value = [1, 2, 3], [4, 9, 16]
    found = [np.asarray(gc.function([x], y, training=training)(DATA)) for training in (True, False)]
    np.testing.assert_allclose(found[0], normalised(DATA, (0, 1)), 1e-5, 1e-6)
    running = (DATA - np.array([1, 2, 3])) / np.sqrt(np.array([4, 9, 16]) + 1e-5)
    np.testing.assert_allclose(found[1], running, 1e-5, 1e-6)
    assert layer.running_mean.value.tolist() == [1, 2, 3]


def test_training_moves_the_running_statistics() -> None:
    layer = layers.BatchNorm(momentum=0.8, name="bn")
    model, _ = model_of(layer)
    mean, variance = np.zeros(3), np.ones(3)
    for batch in batches():
        model.step({"x": batch})
        mean = 0.8 * mean + 0.2 * batch.mean((0, 1), dtype=np.float64)
        variance = 0.8 * variance + 0.2 * batch.var((0, 1), dtype=np.float64)
    np.testing.assert_allclose(layer.running_mean.value, mean, 1e-5)
    np.testing.assert_allclose(layer.running_variance.value, variance, 1e-5)
    scale, offset = (parameter.value for parameter in layer.parameters)
    expected = (DATA - mean) / np.sqrt(variance + 1e-5) * scale + offset
    found = model.predict({"x": DATA}, batch_size=3)["y"]
    np.testing.assert_allclose(found, expected, 1e-4, 1e-5)
    assert model.evaluate({"x": DATA})["loss"] == pytest.approx(float(((expected - 1) ** 2).mean()), rel=1e-4)


def test_evaluation_leaves_the_running_statistics_alone() -> None:
    model, _ = model_of(layers.BatchNorm())
    before = states_of(model)
    model.evaluate({"x": DATA})
    model.predict({"x": DATA})
    assert all(same_bits(value, before[name]) for name, value in states_of(model).items())


def test_running_statistics_are_states_that_no_gradient_changes() -> None:
    layer = layers.BatchNorm(name="bn")
    model, _ = model_of(layer)
    assert [parameter.name for parameter in layer.parameters] == ["bn/scale", "bn/offset"]
    assert [parameter.name for parameter in model.parameters] == ["bn/scale", "bn/offset"]
    assert {"bn/running_mean", "bn/running_variance"} <= model.cells.keys()


def test_a_checkpoint_holds_the_running_statistics(tmp_path: Path) -> None:
    model, _ = model_of(layers.BatchNorm())
    for batch in batches():
        model.step({"x": batch})
    model.save(tmp_path / "norm.safetensors")
    fresh, _ = model_of(layers.BatchNorm())
    fresh.load(tmp_path / "norm.safetensors")
    assert same_bits(fresh.predict({"x": DATA})["y"], model.predict({"x": DATA})["y"])
    only, _ = model_of(layers.BatchNorm())
    only.load(tmp_path / "norm.safetensors", parameters_only=True)
    assert same_bits(only.predict({"x": DATA})["y"], model.predict({"x": DATA})["y"])


def test_the_bits_of_training_do_not_depend_on_threads_and_fusion() -> None:
    found = []
    for options in ({"threads": 1}, {"threads": 2}, {"threads": 2, "fuse": False}):
        network = layers.Sequential([layers.Dense(5), layers.BatchNorm(), layers.LayerNorm()], name="net")
        model, _ = model_of(network, **options)
        for batch in batches():
            model.step({"x": batch})
        found.append(states_of(model))
    assert all(same_bits(value, other[name]) for other in found[1:] for name, value in found[0].items())


def test_the_passes_and_kernels_agree_with_the_reference() -> None:
    network = layers.Sequential([layers.Dense(5), layers.BatchNorm(), layers.Activation("relu"), layers.LayerNorm()])
    model, _ = model_of(network)
    assert "same outputs and 9 updates" in model.check({"x": DATA})[-1]


def test_a_layer_called_twice_moves_its_statistics_twice() -> None:
    layer = layers.BatchNorm(momentum=0.5)
    left, right = gc.input("left", ("batch", 3)), gc.input("right", ("batch", 3))
    loss = (layer(left) ** 2).mean() + (layer(right) ** 4).mean()
    model = gc.compile(loss, gc.optimizers.SGD(0.1))
    model.step({"left": [[0.0] * 3, [8.0] * 3], "right": [[1.0] * 3, [5.0] * 3]})
    assert layer.running_mean.value.tolist() == [0.5 * (0.5 * 4) + 0.5 * 3] * 3
    assert layer.running_variance.value.tolist() == [0.5 * (0.5 + 0.5 * 16) + 0.5 * 4] * 3


def test_a_call_outside_the_model_moves_nothing() -> None:
    layer = layers.BatchNorm(momentum=0.5)
    layer(gc.input("before", ("batch", 4, 3)))
    model, _ = model_of(layer)
    layer(gc.input("after", ("batch", 4, 3)))
    model.step({"x": np.full((2, 4, 3), 4.0)})
    assert layer.running_mean.value.tolist() == [2, 2, 2]


def test_a_layer_on_its_own_output_takes_the_statistics_of_both() -> None:
    layer = layers.BatchNorm(momentum=0.5, use_scale=False, use_offset=False)
    gain = gc.parameter((), 2.0, name="gain")
    x = gc.input("x", ("batch", 1))
    model = gc.compile((layer(gain * layer(x) + 3) ** 4).mean(), gc.optimizers.SGD(0.1))
    model.step({"x": [[1.0], [3.0]]})
    assert float(layer.running_mean.value[0]) == pytest.approx(0.5 * (0.5 * 2) + 0.5 * 3, rel=1e-6)
    assert float(layer.running_variance.value[0]) == pytest.approx(0.5 * (0.5 + 0.5 * 1) + 0.5 * 4, rel=1e-4)


def test_there_are_no_statistics_before_the_first_call() -> None:
    with pytest.raises(DeclarationError, match="layer 'batch_norm' has no statistics yet") as caught:
        _ = layers.BatchNorm().running_mean
    assert "way out    call the layer on an input first" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.LayerNorm(), ("batch", "time"), "at least two axes, integers at (1,)"),
        (layers.LayerNorm((0, 1)), ("batch", 3), "at least two axes, integers at (0, 1)"),
        (layers.LayerNorm(), (3,), "at least two axes"),
        (layers.LayerNorm(), (), "at least two axes"),
        (layers.BatchNorm(), (3, "batch"), "at least two axes, integers at (1,)"),
        (layers.BatchNorm(), (3,), "at least two axes"),
    ],
)
def test_inputs_without_fixed_sizes_are_refused(
    layer: layers.Layer, shape: tuple[int | str, ...], expected: str
) -> None:
    x = gc.input("odd", shape)
    with pytest.raises(ShapeError, match=f"{type(layer).__name__} needs a batch, and fixed sizes") as caught:
        layer(x)
    text = str(caught.value)
    assert "test_normalization.py" in text
    assert "    layer(x)\n" in text
    assert f"  input      {x.type}  input 'odd', declared at " in text
    assert f"  expected   {expected}\n  got        {x.type}" in text


def test_axes_that_the_input_lacks_are_refused() -> None:
    with pytest.raises(ShapeError, match="axis 3 does not fit 3 dimensions") as caught:
        layers.LayerNorm(3)(steps())
    assert "layers.LayerNorm(3)(steps())" in str(caught.value)


def test_a_layer_that_is_built_refuses_other_channels() -> None:
    layer = layers.BatchNorm()
    layer(steps())
    with pytest.raises(ShapeError, match="do not broadcast") as caught:
        layer(gc.input("wide", ("batch", 5)))
    assert "test_normalization.py" in str(caught.value.at)


@pytest.mark.parametrize("kind", [layers.LayerNorm, layers.BatchNorm])
def test_integers_and_wrong_options_are_refused(kind: Callable[..., layers.Layer]) -> None:
    with pytest.raises(DTypeError, match=f"{kind.__name__} does not take int64") as caught:
        kind()(gc.input("whole", ("batch", 3), "int64"))
    assert "way out    declare the input as float" in str(caught.value)
    for epsilon in (0, -1.0, float("nan")):
        with pytest.raises(DeclarationError, match="epsilon must be positive") as refused:
            kind(epsilon=epsilon)
        assert f"got        {epsilon!r}" in str(refused.value)


@pytest.mark.parametrize("momentum", [1.0, -0.1, float("nan")])
def test_the_momentum_of_batch_norm_is_below_one(momentum: float) -> None:
    with pytest.raises(DeclarationError, match="momentum must lie in") as caught:
        layers.BatchNorm(momentum)
    assert "expected   0 <= momentum < 1" in str(caught.value)
    assert f"got        {momentum!r}" in str(caught.value)
