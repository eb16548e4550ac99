"""Pairs of networks that train against each other, and networks from images to images."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import layers, losses, models
from graphc.errors import DeclarationError
from tests.frontend.models.training import assert_learns, pixels


def test_losses_are_those_of_the_papers() -> None:
    judge = layers.Lambda(lambda x: x)
    real, fake = gc.constant([[2.0], [0.0]]), gc.constant([[-1.0], [3.0]])
    found = gc.evaluate(list(models.adversarial_losses(judge, real, fake)))
    r, f = np.array([2.0, 0.0]), np.array([-1.0, 3.0])
    expected = [np.log((1 + np.exp(-r)) * (1 + np.exp(f))).mean(), np.log(1 + np.exp(-f)).mean()]
    np.testing.assert_allclose(found, expected, 1e-6)
    squares = gc.evaluate(list(models.adversarial_losses(judge, real, fake, "lsgan")))
    np.testing.assert_allclose(squares, [((r - 1) ** 2 + f**2).mean() / 2, ((f - 1) ** 2).mean()], 1e-6)
    with pytest.raises(DeclarationError, match="there is no form of adversarial losses 'wgan'"):
        models.adversarial_losses(judge, real, fake, "wgan")


def test_a_step_of_dcgan_changes_each_network_by_its_own_loss() -> None:
    generator, judge = models.dcgan_generator(8, 1, 4), models.dcgan_discriminator(8, 4)
    real = gc.input("real", ("batch", 8, 8, 1))
    fake = generator(gc.random.normal(("batch", 6), name="noise"))
    assert str(fake.type) == "f32[batch, 8, 8, 1]"
    for_judge, for_generator = models.adversarial_losses(judge, real, fake)
    model = gc.compile(
        [
            gc.objective(for_judge, gc.optimizers.Adam(0.01), judge.parameters, name="judge"),
            gc.objective(for_generator, gc.optimizers.SGD(1e-30), generator.parameters, name="generator"),
        ],
        threads=1,
    )
    before = [parameter.value for parameter in generator.parameters]
    found = [model.step({"real": pixels(8, 8, 8, 1)}) for _ in range(8)]
    assert found[-1]["judge"] < 0.8 * found[0]["judge"]
    assert found[-1]["generator"] > found[0]["generator"]
    for parameter, value in zip(generator.parameters, before, strict=True):
        np.testing.assert_allclose(parameter.value, value, atol=1e-20)


def test_a_generator_learns_to_please_a_fixed_discriminator() -> None:
    generator, judge = models.dcgan_generator(8, 1, 4), models.dcgan_discriminator(8, 4)
    fake = generator(gc.input("noise", ("batch", 6)))
    _, loss = models.adversarial_losses(judge, fake, fake)
    model = gc.compile(gc.objective(loss, gc.optimizers.Adam(0.02), generator.parameters), threads=1)
    found = [model.step({"noise": pixels(8, 6)})["loss"] for _ in range(8)]
    assert found[-1] < 0.9 * found[0]


def test_images_of_dcgan_are_four_times_a_power_of_two() -> None:
    assert str(models.dcgan_discriminator(32, 2)(gc.input("image", ("batch", 32, 32, 3))).type) == "f32[batch, 1]"
    for build in (models.dcgan_generator, models.dcgan_discriminator):
        with pytest.raises(DeclarationError, match="the images of DCGAN are 4 times a power of 2 wide") as caught:
            build(28)
        assert "expected   8, 16, 32, 64, ...\n  got        28" in str(caught.value)


def test_a_u_net_joins_each_level_to_its_mirror_and_learns() -> None:
    net, image = models.UNetGenerator(1, width=2, depth=3), gc.input("image", ("batch", 16, 16, 1))
    wanted = gc.input("wanted", ("batch", 16, 16, 1))
    loss = losses.mean_absolute_error(net(image), wanted)
    shapes = [p.shape for p in net.parameters if p.name.endswith("weight")]
    assert shapes == [(4, 4, 1, 2), (4, 4, 2, 4), (4, 4, 4, 8), (4, 4, 8, 4), (4, 4, 8, 2), (4, 4, 4, 1)]
    assert_learns(loss, net.parameters, {"image": pixels(2, 16, 16, 1), "wanted": pixels(2, 16, 16, 1)}, rate=0.02)


def test_the_discriminator_of_pix2pix_has_its_published_size() -> None:
    net = models.PatchDiscriminator()
    condition, image = gc.input("condition", ("batch", 256, 256, 3)), gc.input("image", ("batch", 256, 256, 3))
    assert str(net(condition, image).type) == "f32[batch, 30, 30, 1]"
    assert net.parameter_count == 2768705


def test_a_u_net_of_full_size_has_its_published_size() -> None:
    net = models.UNetGenerator()
    assert str(net(gc.input("image", ("batch", 256, 256, 3))).type) == "f32[batch, 256, 256, 3]"
    assert net.parameter_count == 54413955


def test_patches_are_told_apart() -> None:
    net = models.PatchDiscriminator(2, depth=2, norm="instance")
    real, fake = gc.input("real", ("batch", 16, 16, 1)), gc.input("fake", ("batch", 16, 16, 1))
    loss, _ = models.adversarial_losses(net, real, fake, "lsgan")
    feed = {"real": pixels(2, 16, 16, 1), "fake": pixels(2, 16, 16, 1)[:, ::-1] ** 2}
    assert_learns(loss, net.parameters, feed, 8, 0.9)


def test_pix2pix_trains_both_networks_in_one_step() -> None:
    net, judge = models.UNetGenerator(1, width=2, depth=2, dropout=0.0), models.PatchDiscriminator(2, depth=1)
    sketch, photo = gc.input("sketch", ("batch", 8, 8, 1)), gc.input("photo", ("batch", 8, 8, 1))
    made = net(sketch)
    for_judge, for_net = models.adversarial_losses(lambda image: judge(sketch, image), photo, made)
    apart = losses.mean_absolute_error(made, photo)
    model = gc.compile(
        [
            gc.objective(for_judge, gc.optimizers.Adam(2e-3, 0.5), judge.parameters, name="judge"),
            gc.objective(for_net + 100 * apart, gc.optimizers.Adam(0.01, 0.5), net.parameters, name="generator"),
        ],
        metrics={"apart": apart},
        threads=1,
    )
    feed = {"sketch": pixels(4, 8, 8, 1), "photo": 1 - pixels(4, 8, 8, 1)}
    found = [model.step(feed) for _ in range(12)]
    assert found[-1]["apart"] < 0.8 * found[0]["apart"]
    assert found[-1]["judge"] != found[0]["judge"]


def test_the_generator_of_cyclegan_has_its_published_size() -> None:
    net = models.CycleGenerator()
    assert str(net(gc.input("image", ("batch", 64, 64, 3))).type) == "f32[batch, 64, 64, 3]"
    others = 2 * (64 + 128 + 256 + 18 * 256 + 128 + 64) + 3  # scales and offsets, and the last bias
    assert net.parameter_count == 11372928 + others


def test_a_cycle_of_two_generators_learns_to_come_back() -> None:
    there, back = (models.CycleGenerator(1, 2, blocks=1, name=name) for name in ("there", "back"))
    image = gc.input("image", ("batch", 16, 16, 1))
    loss = losses.mean_absolute_error(back(there(image)), image)
    assert_learns(loss, (*there.parameters, *back.parameters), {"image": pixels(1, 16, 16, 1)}, 6, 0.95)
