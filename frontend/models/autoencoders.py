"""Networks that learn to give back their input: autoencoders, sparse ones, and the variational one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.dims import product
from graphc.frontend import sampling
from graphc.frontend.activations import ActivationLike, as_activation
from graphc.frontend.elementwise import clip, exp, log
from graphc.frontend.layers import Conv2d, ConvTranspose2d, Dense, Layer, Sequential
from graphc.frontend.layers.basic import channels_of, float_input, only_input
from graphc.frontend.losses import binary_cross_entropy
from graphc.frontend.settings import check_count, check_fraction, check_positive
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.origin import scope

__all__ = ["VAE", "Autoencoder", "ConvAutoencoder", "gaussian_kl", "sparsity"]


class _Transposed(Layer):
    """A dense layer with the weights of another one, transposed, and a bias of its own."""

    bias: Parameter

    def __init__(self, dense: Dense, activation: ActivationLike, name: str) -> None:
        super().__init__(name)
        self.dense, self.activation = dense, as_activation(activation)

    def build(self, *inputs: Tensor) -> None:
        self.bias = self.parameter("bias", self.dense.weight.shape[:1], "zeros", self.dense.weight.dtype)

    def call(self, *inputs: Tensor) -> Tensor:
        return self.activation(only_input(self, inputs) @ self.dense.weight.T + self.bias)


class Autoencoder(Layer):
    """Dense layers down to a code and back: [batch, features] to [batch, features].

    hidden: units of the encoder's layers, the code last; the decoder has them in reverse. The last layer is linear, for
    ``losses.mean_squared_error`` or, of values in [0, 1], ``losses.binary_cross_entropy``. tied: the decoder multiplies
    by the encoder's weights transposed and learns only biases of its own. ``encode(x)``, after a call, declares the
    code: for ``sparsity``, or to look at.

    Source: G. Hinton, R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 2006.

    >>> import graphc as gc
    >>> net, x = gc.models.Autoencoder((32, 8), tied=True), gc.input("x", ("batch", 64))
    >>> net(x), net.encode(x)
    (<Tensor f32[batch, 64]>, <Tensor f32[batch, 8]>)
    >>> [str(parameter.type) for parameter in net.parameters]
    ['f32[64, 32]', 'f32[32]', 'f32[32, 8]', 'f32[8]', 'f32[32]', 'f32[64]']
    """

    def __init__(
        self,
        hidden: Sequence[int],
        activation: ActivationLike = "sigmoid",
        tied: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.activation, self.tied = activation, tied
        self.encoders = [Dense(units, activation, name=f"encoder{number}") for number, units in enumerate(hidden)]

    def build(self, *inputs: Tensor) -> None:
        """Make the decoder; ShapeError, DTypeError for inputs that are no rows of floats."""
        x = float_input(self, inputs, "[batch, features] with an integer", 2)
        sizes = [channels_of(x), *(encoder.units for encoder in self.encoders)]
        self.decoders: list[Layer] = []
        for number in reversed(range(len(self.encoders))):
            activation = self.activation if number else None
            if self.tied:
                self.decoders.append(_Transposed(self.encoders[number], activation, f"decoder{number}"))
            else:
                self.decoders.append(Dense(sizes[number], activation, name=f"decoder{number}"))

    def encode(self, x: Tensor) -> Tensor:
        """Declare the code, [batch, hidden[-1]]."""
        for encoder in self.encoders:
            x = encoder(x)
        return x

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the reconstruction."""
        x = self.encode(only_input(self, inputs))
        for decoder in self.decoders:
            x = decoder(x)
        return x


class ConvAutoencoder(Layer):
    """Strided convolutions down to a code and transposed ones back: images to images of the same size.

    Input: float [batch, height, width, channels], sides multiples of 2**len(widths). Output: of the same type, linear.
    widths: channels of the encoder's stages; each halves the image.

    Source: J. Masci and others, "Stacked convolutional auto-encoders for hierarchical feature extraction", ICANN 2011.

    >>> import graphc as gc
    >>> gc.models.ConvAutoencoder((8, 4))(gc.input("image", ("batch", 8, 8, 1)))
    <Tensor f32[batch, 8, 8, 1]>
    """

    def __init__(self, widths: Sequence[int] = (16, 8), name: str | None = None) -> None:
        super().__init__(name)
        self.widths = tuple(widths)
        self.encoder = Sequential(
            [Conv2d(w, 3, 2, "same", activation="relu", kernel_initializer="he_normal") for w in self.widths]
        )

    def build(self, *inputs: Tensor) -> None:
        """Make the decoder, whose last layer has the image's channels."""
        x = float_input(self, inputs, "[batch, height, width, channels]", 4)
        inner = [ConvTranspose2d(width, 4, 2, "same", activation="relu") for width in self.widths[-2::-1]]
        self.decoder = Sequential([*inner, ConvTranspose2d(channels_of(x), 4, 2, "same")])

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the reconstruction."""
        return self.decoder(self.encoder(only_input(self, inputs)))


def sparsity(activations: TensorLike, target: float = 0.05, epsilon: float = 1e-6) -> Tensor:
    """How far mean activations are from a small target: the sum of r log(r / m) + (1 - r) log((1 - r) / (1 - m)).

    activations: float [batch, units] in (0, 1), such as a code after a sigmoid; m: their means over the batch, kept
    epsilon away from 0 and 1. target: r. Result: a scalar, 0 where all means are r; add it to a loss with a factor.

    Source: A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011.

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.sparsity([[0.1, 0.5], [0.3, 0.5]], target=0.2)).round(4)
    np.float32(0.1927)
    """
    check_positive("target", target)
    check_fraction("target", target)
    with scope("sparsity"):
        mean = clip(as_tensor(activations).mean(0), epsilon, 1 - epsilon)
        return (target * log(target / mean) + (1 - target) * log((1 - target) / (1 - mean))).sum()


def gaussian_kl(mean: TensorLike, log_variance: TensorLike) -> Tensor:
    """The divergence of normal distributions from the standard one: (m^2 + v - log v - 1) / 2, added over units.

    mean, log_variance: float [batch, units]; v is exp(log_variance). Result: the mean over samples, at least 0.

    Source: D. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.models.gaussian_kl([[1.0, 0.0]], [[0.0, 0.0]])))
    0.5
    """
    centre, logarithm = as_tensor(mean), as_tensor(log_variance)
    with scope("gaussian_kl"):
        return 0.5 * (centre * centre + exp(logarithm) - logarithm - 1).sum(-1).mean()


@dataclass(frozen=True)
class VAE:
    """A variational autoencoder: an encoder that gives [batch, 2 * units], a decoder from [batch, units] to logits.

    ``VAE.dense`` makes one of dense layers. ``loss(x)`` is what training minimises: the cross-entropy of x in [0, 1]
    against the decoder's Bernoulli logits, summed over features, plus ``gaussian_kl``, a mean over samples.

    Source: D. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    >>> import graphc as gc
    >>> vae, x = gc.models.VAE.dense(features=64, units=2, hidden=32), gc.input("x", ("batch", 64))
    >>> vae.loss(x), vae.decode(gc.input("code", ("batch", 2)))
    (<Tensor f32[]>, <Tensor f32[batch, 64]>)
    >>> [float(mean) for mean in gc.evaluate(vae.encode(gc.constant([[0.0] * 64]))[0])[0]]
    [0.0, 0.0]
    """

    encoder: Layer
    decoder: Layer

    @staticmethod
    def dense(features: int, units: int = 2, hidden: int = 256) -> VAE:
        """One hidden layer each way; the mean and log-variance of a code of so many units."""
        check_count("units", units)
        encoder = Sequential([Dense(hidden, "relu", kernel_initializer="he_normal"), Dense(2 * units)], "encoder")
        decoder = Sequential([Dense(hidden, "relu", kernel_initializer="he_normal"), Dense(features)], "decoder")
        return VAE(encoder, decoder)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of both networks."""
        return (*self.encoder.parameters, *self.decoder.parameters)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Declare the mean and the log-variance of the code of x, [batch, ...]: [batch, units] each."""
        both = self.encoder(_flat(x))
        units = channels_of(both) // 2
        return both[..., :units], both[..., units:]

    def sample(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Declare a draw mean + exp(log_variance / 2) * noise, through which derivatives go; the mean in inference."""
        noise = sampling.normal(mean.shape, dtype=mean.dtype, name="noise")
        return (mean + exp(0.5 * log_variance) * noise).training_switch(mean)

    def decode(self, code: Tensor) -> Tensor:
        """Declare the logits of a code."""
        return self.decoder(code)

    def loss(self, x: Tensor) -> Tensor:
        """Declare the negative evidence lower bound of x, [batch, ...] in [0, 1], a mean over samples."""
        mean, log_variance = self.encode(x)
        logits = self.decode(self.sample(mean, log_variance))
        each = binary_cross_entropy(logits, _flat(x), reduction="none").sum(-1)
        return each.mean() + gaussian_kl(mean, log_variance)


def _flat(x: Tensor) -> Tensor:
    """Each sample as one row."""
    return x.reshape((x.shape[0], product(x.shape[1:])))
