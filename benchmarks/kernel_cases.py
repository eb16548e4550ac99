"""Single matrix products and convolutions, each with its two derivatives, as workloads of one operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray

PARTS = ("forward", "input gradient", "weight gradient")
_OPERANDS = {"forward": ("x", "w"), "input gradient": ("g", "w"), "weight gradient": ("x", "g")}


@dataclass(frozen=True)
class Case:
    """One kernel. size: height and width of the images, 0 for a matrix product. Padding keeps the size.

    x: [batch, channels, size, size], w: [outputs, channels, window, window], g: the derivative by the result. In a
    matrix product x is [batch, channels] and w is [channels, outputs].
    """

    name: str
    part: str
    batch: int
    channels: int
    outputs: int
    size: int = 0
    window: int = 1
    strides: int = 1

    drops = False

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name, channels first."""
        batch, channels, outputs = self.batch, self.channels, self.outputs
        if not self.size:
            return {"x": (batch, channels), "w": (channels, outputs), "g": (batch, outputs)}
        after = -(-self.size // self.strides)
        return {
            "x": (batch, channels, self.size, self.size),
            "w": (outputs, channels, self.window, self.window),
            "g": (batch, outputs, after, after),
        }

    @property
    def flops(self) -> int:
        """Multiplications and additions, those with the padding's zeros among them."""
        return 2 * int(np.prod(self.shapes["g"])) * self.channels * self.window**2

    def arrays(self) -> dict[str, Array]:
        """Positive numbers, so that the sum by which results are compared does not cancel."""
        rng = np.random.default_rng(0)
        return {name: rng.random(shape, np.float32) for name, shape in self.shapes.items()}

    def batches(self, layout: str, label: str) -> list[dict[str, Array]]:
        """The operands, once."""
        arrays = {name: value for name, value in self.arrays().items() if name in _OPERANDS[self.part]}
        if layout == "NHWC" and self.size:
            axes = {"x": (0, 2, 3, 1), "w": (2, 3, 1, 0), "g": (0, 2, 3, 1)}
            arrays = {name: np.ascontiguousarray(value.transpose(axes[name])) for name, value in arrays.items()}
        return [arrays]

    @staticmethod
    def figure(value: Any) -> float:
        """The sum of a result, each number with a weight of its own; channels first."""
        numbers = np.asarray(value, np.float64)
        return float((numbers * _weights(numbers.shape)).sum())

    def expected(self) -> float:
        """What ``figure`` has to give. A derivative is linear: its weighted sum is a forward pass of the weights."""
        arrays = {name: value.astype(np.float64) for name, value in self.arrays().items()}
        replaced = {"forward": "g", "input gradient": "x", "weight gradient": "w"}[self.part]
        arrays[replaced] = _weights(arrays[replaced].shape)
        return float((self._forward(arrays["x"], arrays["w"]) * arrays["g"]).sum())

    def _forward(self, x: Array, w: Array) -> Array:
        if not self.size:
            return x @ w
        edge = ((0, 0), (0, 0), *[(self.window // 2,) * 2] * 2)
        windows = sliding_window_view(np.pad(x, edge), (self.window,) * 2, (2, 3))
        taken = windows[:, :, :: self.strides, :: self.strides]
        return np.moveaxis(np.tensordot(taken, w, ([1, 4, 5], [1, 2, 3])), -1, 1)


def _weights(shape: tuple[int, ...]) -> Array:
    return 1 + np.cos(np.arange(np.prod(shape))).reshape(shape) / 2


def cases() -> list[Case]:
    """All kernels and their derivatives."""
    products = [("784 x 128, batch 32", 32, 784, 128), ("1024 x 1024, batch 128", 128, 1024, 1024)]
    products += [("127 x 131, batch 61", 61, 127, 131), ("1000 x 37, batch 7", 7, 1000, 37)]
    images = [
        ("ResNet-20 stem", 32, 3, 16, 32, 3, 1),
        ("ResNet-20 stage 1", 32, 16, 16, 32, 3, 1),
        ("ResNet-20 into stage 2", 32, 16, 32, 32, 3, 2),
        ("ResNet-20 stage 2", 32, 32, 32, 16, 3, 1),
        ("ResNet-20 shortcut 2", 32, 16, 32, 32, 1, 2),
        ("ResNet-20 into stage 3", 32, 32, 64, 16, 3, 2),
        ("ResNet-20 stage 3", 32, 64, 64, 8, 3, 1),
        ("VGG 64 at 56", 4, 64, 64, 56, 3, 1),
        ("VGG 128 at 28", 4, 128, 128, 28, 3, 1),
        ("VGG 256 at 14", 4, 256, 256, 14, 3, 1),
        ("VGG 512 at 7", 4, 512, 512, 7, 3, 1),
        ("odd: 5 to 13 at 29, window 5", 7, 5, 13, 29, 5, 1),
        ("odd: 37 to 51 at 15", 9, 37, 51, 15, 3, 1),
    ]
    return [Case(name, part, *sizes) for name, *sizes in products + images for part in PARTS]
