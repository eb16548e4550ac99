"""Layers that normalise: to mean 0 and variance 1, then a learned scale and offset."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import DeclarationError, DTypeError, ShapeError
from graphc.frontend.layers.basic import channels_of, only_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.responses import local_response_norm
from graphc.frontend.state import Parameter, parameter
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _Norm(Layer):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset; the subclass says over which axes."""

    scale: Parameter
    offset: Parameter

    def __init__(self, epsilon: float, use_scale: bool, use_offset: bool, name: str | None) -> None:
        super().__init__(name)
        if not epsilon > 0:
            raise DeclarationError(
                "epsilon must be positive", at=str(user_location()), expected="a number above 0", got=repr(epsilon)
            )
        self.epsilon, self.use_scale, self.use_offset = epsilon, use_scale, use_offset

    def learned_axes(self, x: Tensor) -> tuple[int, ...]:
        """The axes along which scale and offset have elements."""
        return (x.ndim - 1,)

    def build(self, *inputs: Tensor) -> None:
        """Declare scale and offset; ShapeError, DTypeError for inputs that are no floats of fixed size there."""
        x = only_input(self, inputs)
        kind = type(self).__name__
        if not x.dtype.is_float:
            raise DTypeError(
                f"{kind} does not take {x.dtype.name}",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="float32 or float64",
                got=str(x.type),
                way_out='declare the input as float, or convert it with gc.cast(x, "float32")',
            )
        axes = self.learned_axes(x) if x.ndim else ()
        sizes = tuple(x.shape[axis] for axis in axes)
        if x.ndim < 2 or not all(isinstance(size, int) for size in sizes):
            raise ShapeError(
                f"{kind} needs a batch, and fixed sizes along the axes of its scale and offset",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"at least two axes, integers at {axes}" if x.ndim > 1 else "at least two axes",
                got=str(x.type),
            )
        shape = tuple(size if axis in axes else 1 for axis, size in enumerate(x.shape))
        shape = shape[min(axes) :]
        if self.use_scale:
            self.scale = self.parameter("scale", shape, "ones", x.dtype)
        if self.use_offset:
            self.offset = self.parameter("offset", shape, "zeros", x.dtype)

    def scaled(self, centred: Tensor, variance: Tensor) -> Tensor:
        """What is centred already, divided by the deviation, with scale and offset."""
        return self.affine(centred * (variance + self.epsilon).rsqrt())

    def affine(self, result: Tensor) -> Tensor:
        """What is normalised already, with scale and offset."""
        if self.use_scale:
            result = result * self.scale
        return result + self.offset if self.use_offset else result


class LayerNorm(_Norm):
    """Each sample normalised over some of its axes: (x - mean) / sqrt(variance + epsilon) * scale + offset.

    Input: float [batch, ...], the sizes of the axes integers. Output: of the same type. axes: the last one by default;
    the variance is divided by their number of elements. Parameters: scale (ones) and offset (zeros) of the axes' sizes,
    with 1 for axes between them, unless ``use_scale``, ``use_offset`` are False. Training and inference do the same.

    Source: J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.LayerNorm()(gc.constant([[1.0, 3.0], [10.0, 10.0]]))).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """

    def __init__(
        self,
        axes: int | Sequence[int] = -1,
        epsilon: float = 1e-5,
        use_scale: bool = True,
        use_offset: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, use_scale, use_offset, name)
        self.axes = axes

    def learned_axes(self, x: Tensor) -> tuple[int, ...]:
        """The axes that are normalised."""
        return tuple(sorted(x._axes(self.axes)))

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the formula above."""
        x = only_input(self, inputs)
        centred = x - x.mean(self.axes, keepdims=True)
        return self.scaled(centred, (centred * centred).mean(self.axes, keepdims=True))


class RMSNorm(_Norm):
    """Each sample divided by the root of its mean square: x / sqrt(mean(x**2) + epsilon) * scale.

    Input: float [batch, ..., features], features an integer. Output: of the same type. Nothing is subtracted and there
    is no offset. Parameter: scale (ones), [features], unless ``use_scale`` is False.

    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.RMSNorm()(gc.constant([[3.0, 4.0]]))).round(3)
    array([[0.849, 1.131]], dtype=float32)
    """

    def __init__(self, epsilon: float = 1e-6, use_scale: bool = True, name: str | None = None) -> None:
        super().__init__(epsilon, use_scale, False, name)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the formula above."""
        x = only_input(self, inputs)
        return self.scaled(x, (x * x).mean(-1, keepdims=True))


class GroupNorm(_Norm):
    """Groups of neighbouring channels of each sample normalised over the group and all positions.

    (x - mean) / sqrt(variance + epsilon) * scale + offset. Input: float [batch, *spatial, channels], with a multiple of
    groups as channels. Output: of the same type. Parameters: scale (ones) and offset (zeros), [channels], unless
    ``use_scale``, ``use_offset`` are False. Training and inference do the same, for any size of batch.

    Source: Y. Wu, K. He, "Group normalization", ECCV 2018.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.GroupNorm(2)(gc.constant([[1.0, 3.0, 10.0, 10.0]]))).round(3)
    array([[-1.,  1.,  0.,  0.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int,
        epsilon: float = 1e-5,
        use_scale: bool = True,
        use_offset: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, use_scale, use_offset, name)
        if not isinstance(groups, int) or groups < 1:
            raise DeclarationError("groups is a positive integer", at=str(user_location()), got=repr(groups))
        self.groups = groups

    def build(self, *inputs: Tensor) -> None:
        """Declare scale and offset; ShapeError for channels that do not fall into groups, and as for others."""
        super().build(*inputs)
        x = only_input(self, inputs)
        if channels_of(x) % self.groups:
            raise ShapeError(
                f"GroupNorm {self.name!r}: the channels do not fall into groups",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, *spatial, channels] with a multiple of {self.groups} channels",
                got=str(x.type),
            )

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the formula above."""
        x = only_input(self, inputs)
        grouped = x.reshape((*x.shape[:-1], self.groups, -1))
        axes = (*range(1, x.ndim - 1), x.ndim)
        centred = grouped - grouped.mean(axes, keepdims=True)
        variance = (centred * centred).mean(axes, keepdims=True)
        return self.affine((centred * (variance + self.epsilon).rsqrt()).reshape(x.shape))


class InstanceNorm(_Norm):
    """Each channel of each sample normalised over all its positions: (x - mean) / sqrt(variance + epsilon).

    Then * scale + offset. Input: float [batch, *spatial, channels] with at least one spatial axis. Output: of the same
    type. Parameters: scale (ones) and offset (zeros), [channels], unless ``use_scale``, ``use_offset`` are False
    (PyTorch's have neither by default).

    Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization: the missing ingredient for fast
    stylization", arXiv 1607.08022, 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.layers.InstanceNorm()(gc.constant([[[1.0], [3.0]]]))).round(3).ravel()
    array([-1.,  1.], dtype=float32)
    """

    def __init__(
        self, epsilon: float = 1e-5, use_scale: bool = True, use_offset: bool = True, name: str | None = None
    ) -> None:
        super().__init__(epsilon, use_scale, use_offset, name)

    def build(self, *inputs: Tensor) -> None:
        """Declare scale and offset; ShapeError for inputs without positions, and as for others."""
        x = only_input(self, inputs)
        if x.ndim < 3:
            raise ShapeError(
                f"InstanceNorm {self.name!r} needs an axis between the batch and the channels",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected="[batch, *spatial, channels]",
                got=str(x.type),
            )
        super().build(x)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the formula above."""
        x = only_input(self, inputs)
        positions = tuple(range(1, x.ndim - 1))
        centred = x - x.mean(positions, keepdims=True)
        return self.scaled(centred, (centred * centred).mean(positions, keepdims=True))


class BatchNorm(_Norm):
    """Each channel normalised over the batch: (x - mean) / sqrt(variance + epsilon) * scale + offset.

    Input: float [batch, ..., channels], channels an integer. Output: of the same type. While training, mean and
    variance (divided by the number of elements) are those of the batch over all axes but the last; in inference the
    running ones, which each training step of a model moves: running <- momentum * running + (1 - momentum) * batch,
    from mean 0 and variance 1. A layer called several times in one model moves them once for each call, in order.

    Parameters: scale (ones) and offset (zeros), [channels], unless ``use_scale``, ``use_offset`` are False. The running
    statistics are state: saved in checkpoints, and not among ``parameters``.

    Source: S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015.

    >>> import graphc as gc
    >>> layer = gc.layers.BatchNorm(momentum=0.5)
    >>> x = gc.input("x", shape=("batch", 1))
    >>> model = gc.compile((layer(x) ** 2).mean(), gc.optimizers.SGD(0.1))
    >>> loss = model.step({"x": [[1.0], [3.0]]})
    >>> layer.running_mean.value, layer.running_variance.value
    (array([1.], dtype=float32), array([1.], dtype=float32))
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        use_scale: bool = True,
        use_offset: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(epsilon, use_scale, use_offset, name)
        if not 0 <= momentum < 1:
            raise DeclarationError(
                "momentum must lie in [0, 1)",
                at=str(user_location()),
                expected="0 <= momentum < 1",
                got=repr(momentum),
            )
        self.momentum = momentum
        self._running: tuple[Parameter, ...] = ()

    def build(self, *inputs: Tensor) -> None:
        """Declare scale, offset and the running statistics; ShapeError, DTypeError as for other normalisations."""
        super().build(*inputs)
        x = only_input(self, inputs)
        channels = x.shape[-1:]
        self._running = (
            parameter(channels, "zeros", "running_mean", x.dtype, trainable=False),
            parameter(channels, "ones", "running_variance", x.dtype, trainable=False),
        )

    @property
    def running_mean(self) -> Parameter:
        """The mean that inference uses: [channels], from the first call on."""
        return self._statistics()[0]

    @property
    def running_variance(self) -> Parameter:
        """The variance that inference uses: [channels], from the first call on."""
        return self._statistics()[1]

    def _statistics(self) -> tuple[Parameter, ...]:
        if not self._running:
            raise DeclarationError(
                f"layer {self.name!r} has no statistics yet: their shape comes from its first input",
                at=str(user_location()),
                way_out="call the layer on an input first",
            )
        return self._running

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the training and the inference side, and the updates of the running statistics."""
        x = only_input(self, inputs)
        others = tuple(range(x.ndim - 1))
        mean = x.mean(others)
        variance = ((x - mean) * (x - mean)).mean(others)
        for running, batch in zip(self._running, (mean, variance), strict=True):
            running.update_on_step(self.momentum * running + (1 - self.momentum) * batch, within=batch)
        centred = x - mean.training_switch(self.running_mean)
        return self.scaled(centred, variance.training_switch(self.running_variance))


class LocalResponseNorm(Layer):
    """Each response divided by those of the channels around it; see ``gc.local_response_norm``. It learns nothing.

    >>> import graphc as gc
    >>> gc.layers.LocalResponseNorm()(gc.input("image", shape=("batch", 8, 8, 96)))
    <Tensor f32[batch, 8, 8, 96]>
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 2.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the quotient."""
        return local_response_norm(only_input(self, inputs), self.size, self.alpha, self.beta, self.bias)
