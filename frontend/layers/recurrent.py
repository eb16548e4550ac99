"""Recurrent layers: loops over time with gates. Products with the inputs of all times run before the loop, at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from graphc.errors import DeclarationError
from graphc.frontend.elementwise import relu, sigmoid, tanh
from graphc.frontend.initializers import Initializer
from graphc.frontend.layers.basic import float_input
from graphc.frontend.layers.layer import Layer
from graphc.frontend.scan import scan
from graphc.frontend.shaping import broadcast_to, concatenate, transpose
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor, as_tensor
from graphc.origin import user_location

__all__ = ["GRU", "LSTM", "Bidirectional", "SimpleRNN"]

State = tuple[Tensor, ...]


class _Recurrent(Layer):
    """Base of the recurrent layers."""

    gates = 1
    """How many times ``units`` columns the weights have."""
    states = 1
    """How many tensors the state consists of; the first one is the output."""
    kernel: Parameter
    recurrent_kernel: Parameter
    bias: Parameter

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        reverse: bool = False,
        checkpoint: int | None = None,
        kernel_initializer: Initializer | str = "glorot_uniform",
        recurrent_initializer: Initializer | str = "orthogonal",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(units, int) or units < 1:
            raise DeclarationError("units is a positive integer", at=str(user_location()), got=repr(units))
        self.units, self.return_sequences, self.reverse, self.checkpoint = units, return_sequences, reverse, checkpoint
        self.kernel_initializer, self.recurrent_initializer = kernel_initializer, recurrent_initializer

    def build(self, *inputs: Tensor) -> None:
        """Declare the parameters; ShapeError, DTypeError for inputs that are no sequences of floats."""
        x = float_input(self, inputs[:1], "[batch, time, features]", 3)
        columns = self.gates * self.units
        self.kernel = self.parameter("kernel", (x.shape[-1], columns), self.kernel_initializer, x.dtype)
        shape = (self.units, columns)
        self.recurrent_kernel = self.parameter("recurrent_kernel", shape, self.recurrent_initializer, x.dtype)
        self.bias = self.parameter("bias", (columns,), "zeros", x.dtype)

    @abstractmethod
    def step(self, state: State, now: Tensor) -> State:
        """The next state. now: the input's product with ``kernel`` plus ``bias``, [batch, gates * units]."""

    def call(self, *inputs: Tensor) -> Tensor:
        """The output at the last time, or at all times."""
        x = float_input(self, inputs[:1], "[batch, time, features]", 3)
        zeros = broadcast_to(as_tensor(0.0, x.dtype), (x.shape[0], self.units))
        start = inputs[1:] or (zeros,) * self.states
        if len(start) != self.states:
            raise DeclarationError(
                f"{type(self).__name__} {self.name!r} takes its input and {self.states} tensors of its first state",
                at=str(user_location()),
                expected=f"{1 + self.states} tensors, or the input alone",
                got=str(len(inputs)),
            )
        now = transpose(x, (1, 0, 2)) @ self.kernel + self.bias

        def step(state: State, now: Tensor) -> tuple[State, Tensor | None]:
            after = self.step(state, now)
            return after, after[0] if self.return_sequences else None

        last, outputs = scan(step, tuple(start), now, reverse=self.reverse, checkpoint=self.checkpoint)
        if not self.return_sequences:
            assert isinstance(last, tuple)
            (result, *_) = last
            assert isinstance(result, Tensor)
            return result
        assert isinstance(outputs, Tensor)
        return transpose(outputs, (1, 0, 2))

    def gate(self, tensor: Tensor, number: int) -> Tensor:
        """The columns of one gate."""
        return tensor[..., number * self.units : (number + 1) * self.units]


class SimpleRNN(_Recurrent):
    """A recurrent layer without gates: h <- activation(x @ kernel + h @ recurrent_kernel + bias).

    Input: float [batch, time, features] and optionally the first state [batch, units] (zeros). Output: [batch, units]
    at the last time, or [batch, time, units] with ``return_sequences``. reverse: from the last time to the first.
    checkpoint: keep only every so many states for the derivative and compute the others again. Parameters: kernel
    [features, units] (Glorot uniform), recurrent_kernel [units, units] (orthogonal), bias [units] (zeros), as in Keras.

    Source: J. Elman, "Finding structure in time", 1990.

    >>> import graphc as gc
    >>> gc.layers.SimpleRNN(5)(gc.input("x", ("batch", 7, 3)))
    <Tensor f32[batch, 5]>
    """

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        reverse: bool = False,
        checkpoint: int | None = None,
        activation: str = "tanh",
        kernel_initializer: Initializer | str = "glorot_uniform",
        recurrent_initializer: Initializer | str = "orthogonal",
        name: str | None = None,
    ) -> None:
        super().__init__(units, return_sequences, reverse, checkpoint, kernel_initializer, recurrent_initializer, name)
        if activation not in ("tanh", "relu"):
            raise DeclarationError(
                f"SimpleRNN has no activation {activation!r}", at=str(user_location()), expected='"tanh" or "relu"'
            )
        self.activation = tanh if activation == "tanh" else relu

    def step(self, state: State, now: Tensor) -> State:
        return (self.activation(now + state[0] @ self.recurrent_kernel),)


class LSTM(_Recurrent):
    """Long short-term memory, with gates i, f, g, o in the order of PyTorch and Keras.

        i, f, o = sigmoid(...),  g = tanh(...),  c <- f * c + i * g,  h <- o * tanh(c)

    where ... is x @ kernel + h @ recurrent_kernel + bias. Input: float [batch, time, features] and optionally the first
    h and c, each [batch, units] (zeros). Output: h at the last time, [batch, units], or at all times, [batch, time,
    units], with ``return_sequences``. reverse, checkpoint: as in SimpleRNN. Parameters: kernel [features, 4 * units]
    (Glorot uniform), recurrent_kernel [units, 4 * units] (orthogonal), bias [4 * units] (1 for f, else 0), as in Keras.

    Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; F. Gers et al., "Learning to forget", 2000.

    >>> import graphc as gc
    >>> gc.layers.LSTM(5, return_sequences=True)(gc.input("x", ("batch", 7, 3)))
    <Tensor f32[batch, 7, 5]>
    """

    gates, states = 4, 2

    def build(self, *inputs: Tensor) -> None:
        super().build(*inputs)
        start = np.zeros(4 * self.units, self.bias.dtype.numpy)
        start[self.units : 2 * self.units] = 1.0
        self.bias.value = start

    def step(self, state: State, now: Tensor) -> State:
        hidden, cell = state
        total = now + hidden @ self.recurrent_kernel
        enter, keep, leave = (sigmoid(self.gate(total, number)) for number in (0, 1, 3))
        after = keep * cell + enter * tanh(self.gate(total, 2))
        return leave * tanh(after), after


class GRU(_Recurrent):
    """Gated recurrent units, with gates r, z, n in the order and form of PyTorch (``reset_after`` of Keras).

        r, z = sigmoid(...),  n = tanh(x_n + r * h_n),  h <- (1 - z) * n + z * h

    where ... is x @ kernel + bias + h @ recurrent_kernel + recurrent_bias, and x_n, h_n are its two halves. Input,
    output and options: as in SimpleRNN. Parameters: kernel [features, 3 * units] (Glorot uniform), recurrent_kernel
    [units, 3 * units] (orthogonal), bias and recurrent_bias [3 * units] (zeros).

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    >>> import graphc as gc
    >>> gc.layers.GRU(5)(gc.input("x", ("batch", 7, 3)))
    <Tensor f32[batch, 5]>
    """

    gates = 3
    recurrent_bias: Parameter

    def build(self, *inputs: Tensor) -> None:
        super().build(*inputs)
        self.recurrent_bias = self.parameter("recurrent_bias", (3 * self.units,), "zeros", self.bias.dtype)

    def step(self, state: State, now: Tensor) -> State:
        (hidden,) = state
        before = hidden @ self.recurrent_kernel + self.recurrent_bias
        reset = sigmoid(self.gate(now, 0) + self.gate(before, 0))
        update = sigmoid(self.gate(now, 1) + self.gate(before, 1))
        new = tanh(self.gate(now, 2) + reset * self.gate(before, 2))
        return ((1.0 - update) * new + update * hidden,)


class Bidirectional(Layer):
    """Two recurrent layers, one from the first time to the last and one back, side by side.

    forward, backward: layers of one kind, the second with ``reverse=True``. Output: theirs, joined along the last axis.

    Source: M. Schuster, K. Paliwal, "Bidirectional recurrent neural networks", 1997.

    >>> import graphc as gc
    >>> both = gc.layers.Bidirectional(gc.layers.LSTM(5), gc.layers.LSTM(5, reverse=True))
    >>> both(gc.input("x", ("batch", 7, 3)))
    <Tensor f32[batch, 10]>
    """

    def __init__(self, forward: _Recurrent, backward: _Recurrent, name: str | None = None) -> None:
        super().__init__(name)
        if forward.reverse or not backward.reverse or forward.return_sequences != backward.return_sequences:
            raise DeclarationError(
                "Bidirectional takes a layer that runs forward and one that runs back",
                at=str(user_location()),
                expected="two layers of equal return_sequences, the second with reverse=True",
            )
        self.forward, self.backward = forward, backward

    def call(self, *inputs: Tensor) -> Tensor:
        """Both outputs, joined."""
        parts: Sequence[Tensor] = (self.forward(*inputs), self.backward(*inputs))
        return concatenate(parts, axis=-1)
