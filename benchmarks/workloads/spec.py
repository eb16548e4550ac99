"""A workload: what every implementation of it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Workload:
    """A model's initial values, minibatches, optimizer and other settings.

    name: which model. params: dense weights are (inputs, outputs), kernels (outputs, inputs, height, width); rows of a
    dense weight behind images are ordered by channel, height, width. opt: ``kind`` (sgd, momentum, adam or adamw),
    ``lr``, and what the kind needs: ``mu``, ``b1``, ``b2``, ``eps``, ``wd`` (weight decay), ``clip`` (the largest
    common norm of all gradients). data: arrays whose first axis counts minibatches; images are [minibatch, sample,
    channel, height, width]. cfg: sizes and rates that the model needs besides.
    """

    name: str
    params: Mapping[str, Array]
    data: Mapping[str, Array]
    opt: Mapping[str, Any]
    cfg: Mapping[str, Any] = field(default_factory=dict)

    def batches(self, layout: str = "NCHW", label: str = "int32") -> list[dict[str, Array]]:
        """The minibatches, with images in a layout and integers of a type."""
        arrays = {}
        for name, value in self.data.items():
            if layout == "NHWC" and value.ndim == 5:
                value = value.transpose(0, 1, 3, 4, 2)
            arrays[name] = np.ascontiguousarray(value, label if value.dtype.kind == "i" else value.dtype)
        count = min(len(value) for value in arrays.values())
        return [{name: value[number] for name, value in arrays.items()} for number in range(count)]

    @property
    def samples(self) -> int:
        """How many samples a minibatch has."""
        return max(value.shape[1] if value.ndim > 1 else 1 for value in self.data.values())

    @property
    def drops(self) -> bool:
        """Whether the model has dropout."""
        return "p1" in self.cfg

    @staticmethod
    def figure(loss: Any) -> float:
        """The number by which a step is compared with the reference; a GPU may still be computing the loss."""
        return float(loss)

    def without_dropout(self) -> Workload:
        """The same without random numbers, so that losses can be compared."""
        return replace(self, cfg={**self.cfg, "p1": 0.0, "p2": 0.0}) if self.drops else self

    def double(self) -> Workload:
        """The same in float64."""
        return replace(self, params=_double(self.params), data=_double(self.data))


def _double(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in arrays.items()}
