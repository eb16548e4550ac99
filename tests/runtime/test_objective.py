"""Several losses in one step, a choice of parameters, and models that share parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import optimizers
from graphc.errors import CheckpointError, DeclarationError, GradientError


def saddle() -> tuple[gc.Parameter, gc.Parameter, gc.Tensor]:
    """v * w, which v makes small and w large."""
    v, w = gc.parameter((), 1.0, name="v", dtype="float64"), gc.parameter((), 2.0, name="w", dtype="float64")
    return v, w, v * w


def against(v: gc.Parameter, w: gc.Parameter, loss: gc.Tensor) -> gc.Model:
    return gc.compile(
        [
            gc.objective(loss, optimizers.SGD(0.1), [v], name="down"),
            gc.objective(-loss, optimizers.Momentum(0.1), [w], name="up"),
        ]
    )


def test_all_gradients_are_those_of_the_values_before_the_step() -> None:
    v, w, loss = saddle()
    model = against(v, w, loss)
    here, there, velocity = 1.0, 2.0, 0.0
    for _ in range(5):
        found = model.step({})
        assert found == pytest.approx({"loss": 0.0, "down": here * there, "up": -here * there})
        velocity = 0.9 * velocity - here
        here, there = here - 0.1 * there, there - 0.1 * velocity
        assert (float(v.value), float(w.value)) == pytest.approx((here, there), rel=1e-14)


def test_one_step_counts_once_for_all_objectives() -> None:
    model = against(*saddle())
    model.step({})
    assert int(model.cells["step"].array) == 1
    assert model.cells.keys() == {"seed", "step", "v", "w", "learning_rate", "learning_rate_1", "w/velocity"}


def test_objectives_train_with_fit_and_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    x = {"x": np.ones(8)}
    data = gc.input("x", ("batch",), "float64")
    v, w, loss = saddle()
    first = against(v, w, loss * data.mean())
    first.fit(x, epochs=1, batch_size=2)
    first.save(tmp_path / "one.safetensors")
    a, b, again = saddle()
    second = against(a, b, again * data.mean())
    second.load(tmp_path / "one.safetensors")
    rows = [model.fit(x, epochs=1, batch_size=2) for model in (first, second)]
    assert rows[0]["down"] == rows[1]["down"]
    assert (float(v.value), float(w.value)) == (float(a.value), float(b.value))
    with pytest.raises(CheckpointError):
        gc.compile(again, optimizers.SGD(0.1)).load(tmp_path / "one.safetensors")


@pytest.mark.parametrize("listed", [True, False])
def test_only_chosen_parameters_are_trained(listed: bool) -> None:
    v, w, loss = saddle()
    model = gc.compile(loss, optimizers.Adam(0.5), parameters=[v] if listed else lambda p: p.name == "v")
    model.step({})
    assert float(v.value) == pytest.approx(0.5)
    assert float(w.value) == 2.0
    assert "w/moment1" not in model.cells


def test_the_head_of_a_network_is_tuned_and_its_body_stays() -> None:
    body, head = gc.layers.Dense(4, activation="tanh"), gc.layers.Dense(1)
    x = gc.input("x", ("batch", 3))
    loss = gc.mean(head(body(x)) ** 2)
    model = gc.compile(loss, optimizers.SGD(0.1), parameters=head.parameters)
    before = [parameter.value for parameter in body.parameters + head.parameters]
    model.step({"x": [[1.0, 2.0, 3.0]]})
    after = [parameter.value for parameter in body.parameters + head.parameters]
    same = [bool(np.array_equal(old, new)) for old, new in zip(before, after, strict=True)]
    assert same == [True, True, False, False]


def test_models_that_share_parameters_share_their_values() -> None:
    v, w, loss = saddle()
    down = gc.compile(loss, optimizers.SGD(0.5), parameters=[v])
    up = gc.compile(-loss, optimizers.SGD(0.5), parameters=[w])
    down.step({})
    assert float(v.value) == 0.0
    up.step({})
    assert float(w.value) == 2.0
    down.step({})
    up.step({})
    assert (float(v.value), float(w.value)) == (-1.0, 1.5)


REAL_MEAN = np.array([2.0, -1.0], np.float32)


def critic() -> gc.layers.Sequential:
    return gc.layers.Sequential([gc.layers.Dense(16, activation="tanh"), gc.layers.Dense(1)], name="critic")


def adversaries() -> tuple[gc.Tensor, gc.Tensor, gc.layers.Sequential, gc.layers.Dense, gc.Tensor]:
    """The losses of a discriminator and a generator of points in the plane, both networks, and the points made."""
    real = gc.input("real", ("batch", 2))
    generator, discriminator = gc.layers.Dense(2, name="generator"), critic()
    made = generator(gc.random.normal((64, 2)))
    of_real, of_made = discriminator(real), discriminator(made)
    loss_d = gc.mean(gc.softplus(-of_real)) + gc.mean(gc.softplus(of_made))
    return loss_d, gc.mean(gc.softplus(-of_made)), discriminator, generator, made


def points(rng: np.random.Generator) -> dict[str, object]:
    return {"real": (REAL_MEAN + 0.5 * rng.normal(size=(64, 2))).astype(np.float32)}


def test_an_adversarial_pair_learns_in_one_compiled_step() -> None:
    loss_d, loss_g, discriminator, generator, _ = adversaries()
    model = gc.compile(
        [
            gc.objective(loss_d, optimizers.Adam(0.02, 0.5), discriminator.parameters, name="discriminator"),
            gc.objective(loss_g, optimizers.Adam(0.02, 0.5), generator.parameters, name="generator"),
        ]
    )
    rng = np.random.default_rng(0)
    distances = []
    for _ in range(600):
        model.step(points(rng))
        distances.append(float(np.abs(generator.bias.value - REAL_MEAN).max()))
    assert distances[0] > 1.9
    assert np.mean(distances[-100:]) < 0.5


def test_an_adversarial_pair_learns_with_two_generator_steps_to_each_of_the_discriminator() -> None:
    loss_d, loss_g, discriminator, generator, _ = adversaries()
    of_d = gc.compile(loss_d, optimizers.Adam(0.02, 0.5), parameters=discriminator.parameters)
    of_g = gc.compile(loss_g, optimizers.Adam(0.01, 0.5), parameters=generator.parameters, seed=1)
    rng = np.random.default_rng(0)
    distances = []
    for _ in range(600):
        of_d.step(points(rng))
        frozen = discriminator.parameters[0].value
        for _ in range(2):
            of_g.step({})
        np.testing.assert_array_equal(discriminator.parameters[0].value, frozen)
        distances.append(float(np.abs(generator.bias.value - REAL_MEAN).max()))
    assert np.mean(distances[-100:]) < 0.5


def test_a_parameter_of_two_objectives_is_refused() -> None:
    _, _, loss = saddle()
    with pytest.raises(DeclarationError, match="'v' is changed by two objectives") as caught:
        gc.compile([gc.objective(loss, optimizers.SGD(0.1), name=name) for name in "ab"])
    assert "way out    give gc.objective the parameters that it trains" in str(caught.value)


def test_a_schedule_of_one_optimizer_in_two_objectives_is_refused() -> None:
    v, w, loss = saddle()
    shared = optimizers.SGD(lambda t: 0.1 / t)
    with pytest.raises(DeclarationError, match="'learning_rate' is changed by two objectives"):
        gc.compile([gc.objective(loss, shared, [v], name="a"), gc.objective(loss, shared, [w], name="b")])


def test_what_is_chosen_must_be_in_the_loss() -> None:
    v, w, _ = saddle()
    with pytest.raises(DeclarationError, match="a chosen parameter is not in the loss 'loss'") as caught:
        gc.compile(v * v, optimizers.SGD(0.1), parameters=[w])
    assert "state 'w'" in str(caught.value)
    with pytest.raises(GradientError, match="the loss depends on no chosen parameter"):
        gc.compile(v * v, optimizers.SGD(0.1), parameters=lambda parameter: False)


def test_objectives_need_names_of_their_own() -> None:
    v, w, loss = saddle()
    with pytest.raises(DeclarationError, match="several objectives need names of their own") as caught:
        gc.compile([gc.objective(loss, optimizers.SGD(0.1), [v]), gc.objective(loss, optimizers.SGD(0.1), [w])])
    assert "got        loss, loss" in str(caught.value)


def test_a_loss_and_a_metric_cannot_have_one_name() -> None:
    _, _, loss = saddle()
    with pytest.raises(DeclarationError, match="'loss' is both a loss and a metric"):
        gc.compile(loss, optimizers.SGD(0.1), metrics={"loss": loss})


def test_a_single_objective_is_a_model_of_one_loss() -> None:
    v, w, loss = saddle()
    assert gc.compile(gc.objective(loss, optimizers.SGD(0.5), [v])).step({}) == {"loss": 2.0}
    assert (float(v.value), float(w.value)) == (0.0, 2.0)


def test_what_compile_was_given_must_fit() -> None:
    v, w, loss = saddle()
    with pytest.raises(DeclarationError, match="a loss needs an optimizer"):
        gc.compile(loss)
    name: Any = "adam"
    with pytest.raises(DeclarationError, match="an optimizer is needed") as caught:
        gc.compile(loss, name)
    assert "got        'adam'" in str(caught.value)
    one = gc.objective(loss, optimizers.SGD(0.1), [v])
    with pytest.raises(DeclarationError, match="several losses are given as objectives"):
        gc.compile([one], optimizers.SGD(0.1))
    with pytest.raises(DeclarationError, match="several losses are given as objectives"):
        gc.compile([])
    with pytest.raises(GradientError, match="a loss is a float scalar"):
        gc.objective(gc.constant([1.0]), optimizers.SGD(0.1), [w])
