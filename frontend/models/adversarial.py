"""Two networks against each other: the losses of GANs, and the networks of DCGAN."""

from __future__ import annotations

from collections.abc import Callable

from graphc.errors import DeclarationError
from graphc.frontend.elementwise import leaky_relu
from graphc.frontend.layers import Activation, BatchNorm, Conv2d, ConvTranspose2d, Dense, Flatten, Reshape, Sequential
from graphc.frontend.layers.layer import Layer
from graphc.frontend.losses import binary_cross_entropy
from graphc.frontend.settings import check_choice
from graphc.frontend.tensor import Tensor
from graphc.origin import scope, user_location

__all__ = ["adversarial_losses", "dcgan_discriminator", "dcgan_generator"]


def adversarial_losses(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, form: str = "gan"
) -> tuple[Tensor, Tensor]:
    """The losses of the discriminator and of the generator that made ``fake``, both scalars.

    discriminator: a layer or a function of images, such as ``lambda image: judge(condition, image)``, to logits.
    form: "gan" for the cross-entropy of logits, where the generator maximises log D(fake) (the form that does not
    saturate); "lsgan" for squares, (D(real) - 1)^2 + D(fake)^2 over 2 and (D(fake) - 1)^2. Each loss is minimised over
    parameters of its own, by ``gc.objective``; then one step trains both, with gradients taken at the values before it.

    Source: I. Goodfellow and others, "Generative adversarial nets", NeurIPS 2014; X. Mao and others, "Least squares
    generative adversarial networks", ICCV 2017.

    >>> import graphc as gc
    >>> generator, discriminator = gc.layers.Dense(2, name="generator"), gc.layers.Dense(1, name="discriminator")
    >>> real = gc.input("real", ("batch", 2))
    >>> fake = generator(gc.random.normal(("batch", 4)))
    >>> for_d, for_g = gc.models.adversarial_losses(discriminator, real, fake)
    >>> model = gc.compile([
    ...     gc.objective(for_d, gc.optimizers.Adam(1e-3), discriminator.parameters, name="discriminator"),
    ...     gc.objective(for_g, gc.optimizers.Adam(1e-3), generator.parameters, name="generator"),
    ... ])
    >>> sorted(model.step({"real": [[1.0, 0.0], [0.0, 1.0]]}))
    ['discriminator', 'generator', 'loss']
    """
    check_choice("form of adversarial losses", form, ["gan", "lsgan"])
    found, made = discriminator(real), discriminator(fake)
    with scope("adversarial_losses"):
        if form == "lsgan":
            apart = (found - 1) * (found - 1)
            return 0.5 * (apart.mean() + (made * made).mean()), ((made - 1) * (made - 1)).mean()
        ones, zeros = found.zeros_like() + 1, made.zeros_like()
        return (
            binary_cross_entropy(found, ones) + binary_cross_entropy(made, zeros),
            binary_cross_entropy(made, zeros + 1),
        )


def dcgan_generator(size: int = 64, channels: int = 3, width: int = 64, name: str = "generator") -> Sequential:
    """From noise [batch, units] to images [batch, size, size, channels] in (-1, 1), by transposed convolutions.

    size: 8, 16, 32, ...: 4 times a power of 2. width: filters before the last layer, twice as many for each halving
    before (the paper: size 64, width 128, noise of 100 units). Batch normalisation and relu, tanh at the end.

    Source: A. Radford, L. Metz, S. Chintala, "Unsupervised representation learning with deep convolutional generative
    adversarial networks", ICLR 2016.

    >>> import graphc as gc
    >>> gc.models.dcgan_generator(size=16, channels=1, width=4)(gc.random.normal(("batch", 10)))
    <Tensor f32[batch, 16, 16, 1]>
    """
    doublings = _doublings(size)
    widths = [width * 2**number for number in reversed(range(doublings))]
    layers: list[Layer] = [
        Dense(16 * widths[0], use_bias=False, kernel_initializer="he_normal"),
        Reshape((4, 4, widths[0])),
        BatchNorm(),
        Activation("relu"),
    ]
    for filters in widths[1:]:
        layers += [
            ConvTranspose2d(filters, 4, 2, "same", use_bias=False, kernel_initializer="he_normal"),
            BatchNorm(),
            Activation("relu"),
        ]
    return Sequential([*layers, ConvTranspose2d(channels, 4, 2, "same", activation="tanh")], name)


def dcgan_discriminator(size: int = 64, width: int = 64, name: str = "discriminator") -> Sequential:
    """From images [batch, size, size, channels] to one logit [batch, 1], by strided convolutions.

    size, width: as for ``dcgan_generator``. Leaky relu of slope 0.2, batch normalisation but in the first layer.

    Source: as ``dcgan_generator``.

    >>> import graphc as gc
    >>> gc.models.dcgan_discriminator(size=16, width=4)(gc.input("image", ("batch", 16, 16, 1)))
    <Tensor f32[batch, 1]>
    """
    layers: list[Layer] = []
    for number in range(_doublings(size)):
        layers.append(Conv2d(width * 2**number, 4, 2, "same", use_bias=not number, kernel_initializer="he_normal"))
        if number:
            layers.append(BatchNorm())
        layers.append(Activation(lambda x: leaky_relu(x, 0.2)))
    return Sequential([*layers, Flatten(), Dense(1)], name)


def _doublings(size: int) -> int:
    """How often 4 is doubled to a size."""
    doublings = size.bit_length() - 3
    if size < 8 or size != 4 * 2**doublings:
        raise DeclarationError(
            "the images of DCGAN are 4 times a power of 2 wide",
            at=str(user_location()),
            expected="8, 16, 32, 64, ...",
            got=repr(size),
        )
    return doublings
