"""Numbers that a GPU is still computing: each step's are copied to the host, and waited for when they are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from graphc.dtypes import DType
from graphc.errors import FeedError
from graphc.runtime.cuda.device import Device
from graphc.scalar import Array

__all__ = ["PLACES", "Arrivals", "Pending", "Step"]

PLACES = 64
"""Steps whose numbers may be on their way at once."""


class Step:
    """The numbers of one step: on their way in a page-locked place, then here. error: of a range check that failed."""

    def __init__(self, place: int, explain: Callable[[int], FeedError]) -> None:
        self.place = place
        self.explain = explain
        self.content: Array | None = None
        self.error: FeedError | None = None

    def arrive(self, content: Array) -> None:
        """The numbers are here; the first of them is the status of the range checks."""
        self.content = content
        status = int(content[:8].view(np.int64)[0])
        if status:
            self.error = self.explain(status)
        del self.explain


class Arrivals:
    """The numbers of the last steps of a program, on their way in a ring of page-locked places.

    size: bytes of the numbers of a step. A failed range check is reported when numbers of its step, or of a later one,
    are read, or the place of the step is needed again.
    """

    def __init__(self, device: Device, size: int) -> None:
        self._device, self._size = device, size
        self._places = device.host_memory(PLACES * size).reshape(PLACES, size)
        self._events = [device.event() for _ in range(PLACES)]
        self._coming: deque[Step] = deque()
        self._next = 0

    def make_room(self) -> None:
        """Have a free place. Raises the FeedError of a step whose place is needed and whose numbers nobody has read."""
        if len(self._coming) == PLACES:
            self.wait_for(self._coming[0])

    def send(self, address: int, explain: Callable[[int], FeedError]) -> Step:
        """Copy the numbers of the step that has just been started. explain: the error behind its status."""
        step = Step(self._next, explain)
        self._next = (self._next + 1) % PLACES
        self._device.download(self._places[step.place], address, wait=False)
        self._device.mark(self._events[step.place])
        self._coming.append(step)
        return step

    def wait_for(self, step: Step) -> Array:
        """The numbers of a step. Raises FeedError if a range check failed in it, or in one before that nobody read."""
        with self._device.lock:
            if step.content is None:
                self._device.finish(self._events[step.place])
            while step.content is None:
                earlier = self._coming[0]
                earlier.arrive(self._places[earlier.place].copy())
                self._coming.popleft()  # only now: an interruption must not lose it
                if earlier.error is not None:
                    raise earlier.error
        if step.error is not None:
            raise step.error
        assert step.content is not None
        return step.content


class Pending:
    """One number of a step that may still run: ``float(number)`` and ``np.asarray(number)`` wait for it.

    Both raise the FeedError of a range check that failed on the device, or DeviceError if the device has failed.
    """

    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1

    def __init__(self, arrivals: Arrivals, step: Step, offset: int, dtype: DType) -> None:
        self._arrivals, self._step, self._offset = arrivals, step, offset
        self.dtype = dtype.numpy

    def copy(self) -> Array:
        """The number as an array without axes."""
        content = self._arrivals.wait_for(self._step)
        return content[self._offset : self._offset + self.dtype.itemsize].view(self.dtype).reshape(()).copy()

    def item(self) -> float | int | bool:
        """The number as one of Python's."""
        number: float | int | bool = self.copy().item()
        return number

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.copy()
        return array if dtype is None else array.astype(dtype)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __repr__(self) -> str:
        return f"Pending({self.item()!r})"
