"""Memory of a device, and how values are arranged in it."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from typing import TypeVar

from graphc.errors import DeviceError
from graphc.origin import user_location
from graphc.runtime.cuda.device import Device

__all__ = ["Memory", "arrange", "too_little_memory"]

_ALIGNMENT = 256

Key = TypeVar("Key", bound=Hashable)


class Memory:
    """Memory of a device; it is given back when nobody holds this any more. size: bytes."""

    def __init__(self, device: Device, size: int) -> None:
        self.size = size
        self.address = device.allocate(size)
        weakref.finalize(self, device.release, self.address).atexit = False


def arrange(sizes: Mapping[Key, int]) -> tuple[dict[Key, int], int]:
    """Values of so many bytes one after the other, each well aligned: where each starts, and the bytes of them all."""
    places: dict[Key, int] = {}
    end = 0
    for key, size in sizes.items():
        places[key] = end
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return places, end


def too_little_memory(name: str, needed: Mapping[str, int], free: int, total: int) -> DeviceError:
    """The error of a program that needs more memory than is free. name: of the GPU. needed: bytes by what for."""
    return DeviceError(
        f"{name} has too little free memory for this program",
        at=str(user_location()),
        facts=[(label, f"{size:,} bytes") for label, size in needed.items() if size],
        expected=f"at most {free:,} bytes, which are free of {total:,}",
        got=f"{sum(needed.values()):,} bytes",
        way_out="a smaller batch, or end other programs that use this GPU",
    )
