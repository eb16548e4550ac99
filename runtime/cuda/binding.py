"""What a program on a GPU needs for given sizes: memory of inputs and outputs, in two slots that take turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from graphc.dims import evaluate
from graphc.passes.storage import Storage
from graphc.runtime.cuda.device import COMPUTE, COPIES, Device
from graphc.runtime.cuda.memory import Memory, arrange
from graphc.runtime.cuda.products import PlannedProduct
from graphc.scalar import Array

__all__ = ["Binding", "Output", "Slot", "bytes_of", "shape_of"]


def shape_of(storage: Storage, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of what lies in a storage, once the sizes are known."""
    return tuple(evaluate(size, sizes) for size in storage.type.shape)


def bytes_of(storages: Iterable[Storage], sizes: Mapping[str, int]) -> dict[Storage, int]:
    """The bytes of each storage, once the sizes are known."""
    return {one: evaluate(one.type.elements, sizes) * one.type.dtype.itemsize for one in storages}


class Slot:
    """Memory of the inputs of one step, here and on the device.

    While a step computes with one slot, the inputs of the next are brought to the other. recording: the graph of the
    kernels that read this slot, once there is one.
    """

    def __init__(self, device: Device, inputs: Iterable[Storage], sizes: Mapping[str, int]) -> None:
        self._device = device
        self.recording: object | None = None
        bytes = bytes_of(inputs, sizes)
        self.places, total = arrange(bytes)
        self._memory = Memory(device, total)
        self._staging = device.host_memory(total)
        self._views = {
            storage.name: self._staging[start : start + bytes[storage]]
            .view(storage.type.dtype.numpy)
            .reshape(shape_of(storage, sizes))
            for storage, start in self.places.items()
        }
        self._uploaded, self._used = device.event(), device.event()

    @property
    def address(self) -> int:
        """Where the inputs lie on the device."""
        return self._memory.address

    def feed(self, inputs: Mapping[str, Array]) -> None:
        """Bring inputs to the device; kernels that are launched from now on find them."""
        if not self._views:
            return
        device = self._device
        device.finish(self._uploaded)
        for name, view in self._views.items():
            view[...] = inputs[name]
        device.follow(self._used, COPIES)
        device.upload(self._memory.address, self._staging, COPIES, wait=False)
        device.mark(self._uploaded, COPIES)
        device.follow(self._uploaded, COMPUTE)

    def release(self) -> None:
        """The kernels launched so far are the last of this step."""
        if self._views:
            self._device.mark(self._used)


@dataclass(frozen=True)
class Output:
    """An array that a program computes. address: on the device."""

    name: str
    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    def fetch(self, device: Device) -> Array:
        """The array, when the step has computed it."""
        array = np.empty(self.shape, self.dtype)
        if array.size:
            device.download(array, self.address)
        return array


class Binding:
    """What given sizes need. products: what a library computes. steps: how many have been run."""

    def __init__(
        self,
        device: Device,
        inputs: Iterable[Storage],
        outputs: Iterable[Storage],
        sizes: Mapping[str, int],
        products: Mapping[int, PlannedProduct],
    ) -> None:
        inputs = list(inputs)
        self.sizes, self.products = dict(sizes), products
        self.steps = 0
        self._slots = [Slot(device, inputs, sizes) for _ in range(2)]
        places, total = arrange(bytes_of(outputs, sizes))
        self._memory = Memory(device, total)
        self.addresses = {storage: self._memory.address + place for storage, place in places.items()}
        self.outputs = [
            Output(storage.name, address, shape_of(storage, sizes), storage.type.dtype.numpy)
            for storage, address in self.addresses.items()
        ]

    def next_slot(self) -> Slot:
        """The slot of the next step."""
        return self._slots[self.steps % 2]
