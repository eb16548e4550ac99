"""Autoencoders: shapes, shared weights, what the extra losses compute, and that all of them learn."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import losses, models
from graphc.errors import DeclarationError, ShapeError
from tests.frontend.models.training import assert_learns, pixels


@pytest.mark.parametrize(("tied", "count"), [(False, 8), (True, 6)])
def test_a_dense_autoencoder_gives_back_its_input(tied: bool, count: int) -> None:
    net, x = models.Autoencoder((6, 3), "tanh", tied), gc.input("x", ("batch", 9))
    result = net(x)
    assert (str(result.type), str(net.encode(x).type)) == ("f32[batch, 9]", "f32[batch, 3]")
    assert len(net.parameters) == count
    assert_learns(losses.mean_squared_error(result, x), net.parameters, {"x": pixels(8, 9)}, 20, 0.9, rate=0.02)


def test_a_tied_decoder_multiplies_by_the_encoders_weights_transposed() -> None:
    net, x = models.Autoencoder((3,), "sigmoid", tied=True), gc.input("x", ("batch", 4))
    data = pixels(5, 4)
    found = gc.evaluate(net(x), {"x": data})
    weight, bias, back = (parameter.value for parameter in net.parameters)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(data @ weight + bias))) @ weight.T + back, 1e-5, 1e-6)


def test_an_autoencoder_of_images_is_told_rows_of_numbers_are_needed() -> None:
    with pytest.raises(ShapeError, match="Autoencoder 'autoencoder' does not fit this input") as caught:
        models.Autoencoder((3,))(gc.input("image", ("batch", 8, 8)))
    assert "expected   [batch, features] with an integer\n  got        f32[batch, 8, 8]" in str(caught.value)


def test_a_convolutional_autoencoder_keeps_the_size_of_images() -> None:
    net, image = models.ConvAutoencoder((4, 2)), gc.input("image", ("batch", 8, 12, 3))
    assert str(net(image).type) == "f32[batch, 8, 12, 3]"
    assert str(net.encoder(image).type) == "f32[batch, 2, 3, 2]"
    loss = losses.mean_squared_error(net(image), image)
    assert_learns(loss, net.parameters, {"image": pixels(2, 8, 12, 3)}, rate=0.03)


def test_sparsity_is_the_divergence_of_mean_activations() -> None:
    code = pixels(6, 4).astype(np.float64)
    mean = code.mean(0)
    expected = (0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))).sum()
    np.testing.assert_allclose(gc.evaluate(models.sparsity(gc.constant(code), 0.1)), expected, 1e-6)
    assert abs(float(gc.evaluate(models.sparsity([[0.05], [0.05]])))) < 1e-6
    assert np.isfinite(gc.evaluate(models.sparsity([[0.0, 1.0]])))
    with pytest.raises(DeclarationError, match="target must be positive") as caught:
        models.sparsity([[0.5]], target=0.0)
    assert "expected   a number above 0\n  got        0.0" in str(caught.value)


def test_a_penalty_on_activations_makes_codes_sparse() -> None:
    net, x = models.Autoencoder((6,)), gc.input("x", ("batch", 9))
    loss = losses.mean_squared_error(net(x), x) + models.sparsity(net.encode(x), 0.1)
    model = assert_learns(loss, net.parameters, {"x": pixels(8, 9)}, 60, 0.3, rate=0.05)
    code = gc.function([x], net.encode(x))(pixels(8, 9))
    assert len(model.parameters) == 4
    assert np.asarray(code).mean() < 0.25


def test_the_divergence_of_a_normal_distribution_is_the_closed_form() -> None:
    mean, logarithm = pixels(5, 3).astype(np.float64), pixels(5, 3).astype(np.float64) - 1
    expected = (mean**2 + np.exp(logarithm) - logarithm - 1).sum(-1).mean() / 2
    np.testing.assert_allclose(gc.evaluate(models.gaussian_kl(mean, logarithm)), expected, 1e-12)


def test_a_vae_learns_and_draws_only_while_training() -> None:
    vae, x = models.VAE.dense(16, units=2, hidden=8), gc.input("x", ("batch", 4, 4))
    loss = vae.loss(x)
    data = (pixels(8, 4, 4) > 0.5).astype(np.float32)
    assert_learns(loss, vae.parameters, {"x": data}, 20, 0.95, rate=0.02)
    inference, training = (gc.function([x], loss, training=mode) for mode in (False, True))
    assert float(np.asarray(inference(data))) == float(np.asarray(inference(data)))
    assert float(np.asarray(training(data))) != float(np.asarray(training(data)))


def test_draws_of_a_vae_have_the_mean_and_the_variance_of_the_code() -> None:
    vae, mean = models.VAE.dense(4), gc.input("mean", ("batch", 1))
    sample = gc.function([mean], vae.sample(mean, mean * 0.0 + np.log(0.25)), training=True)
    found = np.asarray(sample(np.full((4000, 1), 3.0)))
    np.testing.assert_allclose([found.mean(), found.std()], [3.0, 0.5], atol=0.03)
