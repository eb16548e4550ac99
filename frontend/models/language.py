"""Models of text: an LSTM and a GPT that tell the next character or word, and a decoder of captions."""

from __future__ import annotations

from graphc.errors import ShapeError
from graphc.frontend.initializers import Normal
from graphc.frontend.layers import LSTM, Dense, Dropout, Embedding, Layer, LayerNorm, Sequential, TransformerBlock
from graphc.frontend.layers.basic import float_input, only_input
from graphc.frontend.models.inputs import two_inputs
from graphc.frontend.settings import check_count
from graphc.frontend.shaping import concatenate, expand_dims
from graphc.frontend.state import Parameter
from graphc.frontend.tensor import Tensor
from graphc.node import describe
from graphc.origin import user_location

__all__ = ["GPT", "CaptionDecoder", "CharLSTM"]


class CharLSTM(Layer):
    """A recurrent model of text: embedding, LSTM layers, and the logits of the next character at each place.

    Input: int64 [batch, time] in [0, characters). Output: [batch, time, characters], for
    ``losses.softmax_cross_entropy`` with the text one place further on (``gc.data.character_windows``). units: of the
    embedding and of each LSTM. depth: the number of LSTMs. dropout: before each LSTM and after the last one.

    Source: A. Graves, "Generating sequences with recurrent neural networks", 2013; A. Karpathy, "The unreasonable
    effectiveness of recurrent neural networks", 2015.

    >>> import graphc as gc
    >>> gc.models.CharLSTM(characters=50, units=16)(gc.input("text", ("batch", 20), "int64"))
    <Tensor f32[batch, 20, 50]>
    """

    def __init__(
        self, characters: int, units: int = 128, depth: int = 1, dropout: float = 0.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        check_count("depth", depth)
        recurrent = [LSTM(units, return_sequences=True) for _ in range(depth)]
        inner: list[Layer] = []
        for layer in recurrent:
            inner += [*([Dropout(dropout)] if dropout else []), layer]
        last: list[Layer] = [Dropout(dropout)] if dropout else []
        self.layers = Sequential([Embedding(characters, units), *inner, *last, Dense(characters)], "layers")

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the logits."""
        return self.layers(only_input(self, inputs))


class CaptionDecoder(Layer):
    """An LSTM that writes a caption for features of an image, which it reads as if they were the first word.

    Inputs: features, float [batch, features], and the words so far, int64 [batch, time] in [0, words), which begin with
    a mark of the start. Output: logits [batch, time, words] of the word after each. Padding at the end is left out of
    the loss with ``ignore_index``.

    Source: O. Vinyals, A. Toshev, S. Bengio, D. Erhan, "Show and tell: a neural image caption generator", CVPR 2015;
    A. Karpathy, L. Fei-Fei, "Deep visual-semantic alignments for generating image descriptions", CVPR 2015.

    >>> import graphc as gc
    >>> decoder = gc.models.CaptionDecoder(words=100, units=16)
    >>> decoder(gc.input("features", ("batch", 64)), gc.input("words", ("batch", 12), "int64"))
    <Tensor f32[batch, 12, 100]>
    """

    def __init__(self, words: int, units: int = 512, name: str | None = None) -> None:
        super().__init__(name)
        self.image = Dense(units)
        self.embedding = Embedding(words, units)
        self.recurrent = LSTM(units, return_sequences=True)
        self.output = Dense(words)

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the logits."""
        features, words = two_inputs(self, inputs, "features, words")
        image = self.image(float_input(self, [features], "[batch, features] with an integer", 2))
        sequence = concatenate([expand_dims(image, 1), self.embedding(words)], axis=1)
        return self.output(self.recurrent(sequence)[:, 1:])


class GPT(Layer):
    """A transformer that tells the next token at each place from those up to it.

    Input: int64 [batch, time] in [0, tokens), time an integer of at most ``length``. Output: logits [batch, time,
    tokens]. units: of the embeddings and blocks, a multiple of heads. Embeddings of tokens and of places (normal, 0.02)
    are added; the blocks have their norms first, and one norm follows. tied: the logits are products with the tokens'
    embeddings, as in GPT-2; False for a Dense layer.

    Source: A. Radford and others, "Language models are unsupervised multitask learners", 2019.

    >>> import graphc as gc
    >>> net = gc.models.GPT(tokens=50, length=32, units=16, heads=2, depth=2)
    >>> net(gc.input("text", ("batch", 32), "int64"))
    <Tensor f32[batch, 32, 50]>
    """

    places: Parameter

    def __init__(
        self,
        tokens: int,
        length: int,
        units: int = 128,
        heads: int = 4,
        depth: int = 4,
        dropout: float = 0.0,
        tied: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.length, self.tied, self.units = length, tied, units
        self.embedding = Embedding(tokens, units, initializer=Normal(0.02))
        blocks = [TransformerBlock(heads, causal=True, dropout=dropout) for _ in range(depth)]
        self.blocks = Sequential([*([Dropout(dropout)] if dropout else []), *blocks], "blocks")
        self.norm = LayerNorm()
        if not tied:
            self.output = Dense(tokens, use_bias=False)

    def build(self, *inputs: Tensor) -> None:
        """Declare the embedding of places."""
        self.places = self.parameter("places", (self.length, self.units), Normal(0.02))

    def call(self, *inputs: Tensor) -> Tensor:
        """Declare the logits; ShapeError for inputs that are no sequences of known length."""
        x = only_input(self, inputs)
        time = x.shape[1] if x.ndim == 2 else 0
        if not isinstance(time, int) or not 0 < time <= self.length:
            raise ShapeError(
                f"GPT {self.name!r} does not fit this input",
                at=str(user_location()),
                facts=[("input", describe(x.node))],
                expected=f"[batch, time] with an integer from 1 to {self.length}",
                got=str(x.type),
                way_out="cut the text into windows with gc.data.character_windows, or give GPT a larger length",
            )
        rows = self.embedding(x) + self.places[:time]
        rows = self.norm(self.blocks(rows))
        return rows @ self.embedding.table.T if self.tied else self.output(rows)
