"""States on a device: the copies of cells that programs there work on."""

from __future__ import annotations

from graphc.frontend.state import Cell
from graphc.runtime.cuda.device import Device
from graphc.runtime.cuda.memory import Memory
from graphc.scalar import Array

__all__ = ["Resident", "resident_of"]


class Resident:
    """The copy of a cell's value in the memory of a device, which is given back with it."""

    def __init__(self, device: Device, size: int) -> None:
        self.device, self._memory = device, Memory(device, size)

    @property
    def address(self) -> int:
        """Where it starts."""
        return self._memory.address

    def fetch(self, target: Array) -> None:
        """Write the value into an array, after all that the device has been given to do."""
        with self.device.lock:
            self.device.download(target, self._memory.address)

    def store(self, source: Array) -> None:
        """Take the value of an array."""
        with self.device.lock:
            self.device.upload(self._memory.address, source)


def resident_of(cell: Cell, device: Device) -> Resident | None:
    """The copy of a cell on a device, if it has one there; all programs share it."""
    return cell.copy if isinstance(cell.copy, Resident) and cell.copy.device is device else None
