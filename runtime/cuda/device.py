"""Devices: what an executable needs of a GPU, and the real one on top of the CUDA driver.

A device has two streams. Kernels, and copies that must keep their order with them, go to COMPUTE; inputs of the next
step go to COPIES while the present one computes. Events order the two.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from graphc.errors import DeviceError
from graphc.origin import user_location
from graphc.runtime.cuda.driver import Driver, load_driver, no_device
from graphc.scalar import Array

__all__ = ["COMPUTE", "COPIES", "CudaDevice", "Device", "Launch", "LibraryLaunch", "Work", "open_device"]

COMPUTE, COPIES = 0, 1

_OLDEST = (7, 5)
"""The oldest capability that kernels are compiled for."""
_NON_BLOCKING = 1
_NO_TIMING = 2
_THREAD_LOCAL = 1
_MAJOR, _MINOR, _PROCESSORS = 75, 76, 16


@dataclass(frozen=True)
class Launch:
    """One kernel with its grid. function: what ``Device.load`` returned. threads: of a block. arguments: integers and
    addresses, 64 bits each. call: which call of the program it is."""

    function: object
    blocks: int
    threads: int
    arguments: tuple[int, ...]
    call: int = 0


@dataclass(frozen=True)
class LibraryLaunch:
    """Something that a library computes. run: puts it on the stream of this handle, and may be recorded once it has run
    once. subject: what it is. call: which call of the program."""

    run: Callable[[int], None]
    subject: str
    call: int = 0


Work = Launch | LibraryLaunch


class Device(Protocol):
    """What an executable needs of a GPU. Every method may raise DeviceError.

    name, capability, processors: what kind of GPU it is. lock: held by whoever runs a program. failure: the error after
    which the device does not work any more.
    """

    @property
    def name(self) -> str: ...

    @property
    def capability(self) -> tuple[int, int]: ...

    @property
    def processors(self) -> int: ...

    @property
    def lock(self) -> AbstractContextManager[object]: ...

    @property
    def failure(self) -> DeviceError | None: ...

    def memory(self) -> tuple[int, int]:
        """Free and total bytes."""

    def allocate(self, size: int) -> int:
        """The address of new memory, a multiple of 256."""

    def release(self, address: int) -> None:
        """Give memory back; any thread may."""

    def host_memory(self, size: int) -> Array:
        """Page-locked bytes of the host, which are copied to and from the device while other work goes on."""

    def upload(self, address: int, source: Array, stream: int = COMPUTE, wait: bool = True) -> None:
        """Copy an array to the device. wait: until it is there; else the array must stay as it is until the stream has
        copied it."""

    def download(self, target: Array, address: int, wait: bool = True) -> None:
        """Copy from the device into an array, after everything in COMPUTE. wait: until it is there."""

    def clear(self, address: int, size: int) -> None:
        """Fill memory with zeros, in COMPUTE."""

    def load(self, data: bytes, entry: str) -> object:
        """The kernel of this name in a compiled module."""

    def enter(self) -> None:
        """Make this GPU the one that libraries use in this thread."""

    def launch(self, launch: Work) -> None:
        """Run a kernel or something of a library, in COMPUTE."""

    def record(self, launches: Sequence[Work]) -> object:
        """Make one graph of work that is done in this order; nothing runs yet."""

    def replay(self, recording: object) -> None:
        """Run a graph, in COMPUTE."""

    def event(self) -> object:
        """An event that has happened."""

    def mark(self, event: object, stream: int = COMPUTE) -> None:
        """Let an event happen when the stream has done all that it was given so far."""

    def follow(self, event: object, stream: int) -> None:
        """Let a stream wait for an event before what it is given next."""

    def finish(self, event: object) -> None:
        """Wait until an event has happened."""

    def synchronize(self) -> None:
        """Wait until both streams have done everything."""


class _Held:
    """A kernel, graph or event of the driver, which is given back with this."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle


class CudaDevice:
    """An NVIDIA GPU. ordinal: its number among those that the driver shows.

    Raises DeviceError if there is no such GPU, or if it is too old.
    """

    def __init__(self, driver: Driver, ordinal: int = 0) -> None:
        self._driver = driver
        count = driver.call("cuDeviceGetCount")
        if not count:
            raise no_device("no device")
        if not 0 <= ordinal < count:
            raise DeviceError(
                f"there is no GPU {ordinal}",
                at=str(user_location()),
                expected=f"a number below {count}",
                got=str(ordinal),
            )
        self._device = driver.call("cuDeviceGet", ordinal)
        self.name = driver.call("cuDeviceGetName", 128, self._device).split(b"\0")[0].decode()
        self.capability = (self._attribute(_MAJOR), self._attribute(_MINOR))
        self.processors = self._attribute(_PROCESSORS)
        if self.capability < _OLDEST:
            raise DeviceError(
                f"{self.name} is too old",
                at=str(user_location()),
                expected="compute capability 7.5 or higher",
                got="{}.{}".format(*self.capability),
                way_out="compile for the CPU",
            )
        self.lock = threading.RLock()
        self._process = os.getpid()
        self._thread = threading.local()
        self._recording = False
        self._garbage: list[Callable[[], None]] = []
        self._context = driver.call("cuDevicePrimaryCtxRetain", self._device)
        self._streams = [self._call("cuStreamCreate", _NON_BLOCKING) for _ in (COMPUTE, COPIES)]

    def _attribute(self, number: int) -> int:
        attribute = self._driver.functions.CUdevice_attribute(number)
        return int(self._driver.call("cuDeviceGetAttribute", attribute, self._device))

    def enter(self) -> None:
        if self._process != os.getpid():
            raise DeviceError(
                "a GPU cannot be used in the child of a fork",
                at=str(user_location()),
                got=f"process {os.getpid()}, forked from {self._process}",
                way_out='start processes with multiprocessing.get_context("spawn")',
            )
        if not getattr(self._thread, "ready", False):
            self._driver.call("cuCtxSetCurrent", self._context)
            self._thread.ready = True

    def _call(self, name: str, *arguments: Any) -> Any:
        """A call of the driver, in the context of this device."""
        self.enter()
        return self._driver.call(name, *arguments)

    @property
    def failure(self) -> DeviceError | None:
        """The error after which the device does not work any more."""
        return self._driver.failure

    # Memory.
    def memory(self) -> tuple[int, int]:
        free, total = self._call("cuMemGetInfo")
        return int(free), int(total)

    def allocate(self, size: int) -> int:
        return int(self._call("cuMemAlloc", max(size, 1)))

    def release(self, address: int) -> None:
        self._discard("cuMemFree", address)

    def host_memory(self, size: int) -> Array:
        address = int(self._call("cuMemHostAlloc", max(size, 1), 0))
        memory = (ctypes.c_uint8 * size).from_address(address)
        weakref.finalize(memory, self._discard, "cuMemFreeHost", address).atexit = False
        return np.asarray(memory)

    def _discard(self, name: str, handle: Any) -> None:
        """Free something; during a recording, which must not see it, later. It may be called by the garbage collector,
        so nothing is raised: after a fork or a failure there is nothing to free."""
        if self._process != os.getpid() or self.failure is not None:
            return
        if self._recording:
            self._garbage.append(partial(self._discard, name, handle))
            return
        with suppress(DeviceError):
            self._call(name, handle)

    # Copies.
    def upload(self, address: int, source: Array, stream: int = COMPUTE, wait: bool = True) -> None:
        self._call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, self._streams[stream])
        if wait:  # a GPU that sees ordinary memory may copy it later too
            self._call("cuStreamSynchronize", self._streams[stream])

    def download(self, target: Array, address: int, wait: bool = True) -> None:
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, address, target.nbytes, self._streams[COMPUTE])
        if wait:
            self._call("cuStreamSynchronize", self._streams[COMPUTE])

    def clear(self, address: int, size: int) -> None:
        self._call("cuMemsetD8Async", address, 0, size, self._streams[COMPUTE])

    # Kernels.
    def load(self, data: bytes, entry: str) -> object:
        module = self._call("cuModuleLoadData", data)
        kernel = _Held(self._call("cuModuleGetFunction", module, entry.encode()))
        weakref.finalize(kernel, self._discard, "cuModuleUnload", module).atexit = False
        return kernel

    def _held(self, give_back: str, handle: Any) -> _Held:
        """A handle that a function gives back when nobody holds it any more."""
        held = _Held(handle)
        weakref.finalize(held, self._discard, give_back, handle).atexit = False
        return held

    def launch(self, launch: Work) -> None:
        if isinstance(launch, LibraryLaunch):
            self.enter()
            launch.run(int(self._streams[COMPUTE]))
            return
        assert isinstance(launch.function, _Held)
        count = len(launch.arguments)
        values = (ctypes.c_int64 * count)(*launch.arguments)
        first = ctypes.addressof(values)
        pointers = (ctypes.c_void_p * count)(*range(first, first + 8 * count, 8))
        grid = (launch.blocks, 1, 1, launch.threads, 1, 1)
        stream = self._streams[COMPUTE]
        self._call("cuLaunchKernel", launch.function.handle, *grid, 0, stream, ctypes.addressof(pointers), 0)

    def record(self, launches: Sequence[Work]) -> object:
        self._recording = True
        try:
            graph = self._captured(launches)
        finally:
            self._recording = False
            garbage, self._garbage = self._garbage, []
            for discard in garbage:
                discard()
        try:
            recording = self._held("cuGraphExecDestroy", self._call("cuGraphInstantiate", graph, 0))
        finally:
            self._discard("cuGraphDestroy", graph)
        return recording

    def _captured(self, launches: Sequence[Work]) -> Any:
        """The driver's graph of work. Whatever goes wrong, be it Ctrl-C, the stream runs work again afterwards."""
        stream = self._streams[COMPUTE]
        try:
            self._call("cuStreamBeginCapture", stream, self._driver.functions.CUstreamCaptureMode(_THREAD_LOCAL))
            for launch in launches:
                self.launch(launch)
            return self._call("cuStreamEndCapture", stream)
        except BaseException:
            with suppress(DeviceError):
                self._discard("cuGraphDestroy", self._call("cuStreamEndCapture", stream))
            raise

    def replay(self, recording: object) -> None:
        assert isinstance(recording, _Held)
        self._call("cuGraphLaunch", recording.handle, self._streams[COMPUTE])

    # Order.
    def event(self) -> object:
        return self._held("cuEventDestroy", self._call("cuEventCreate", _NO_TIMING))

    def mark(self, event: object, stream: int = COMPUTE) -> None:
        assert isinstance(event, _Held)
        self._call("cuEventRecord", event.handle, self._streams[stream])

    def follow(self, event: object, stream: int) -> None:
        assert isinstance(event, _Held)
        self._call("cuStreamWaitEvent", self._streams[stream], event.handle, 0)

    def finish(self, event: object) -> None:
        assert isinstance(event, _Held)
        self._call("cuEventSynchronize", event.handle)

    def synchronize(self) -> None:
        for stream in self._streams:
            self._call("cuStreamSynchronize", stream)


_opening = threading.Lock()


@cache
def opened(ordinal: int) -> Device:
    return CudaDevice(load_driver(), ordinal)


def open_device(ordinal: int = 0) -> Device:
    """The GPU of this number, opened once in a process.

    Raises DeviceError, saying what to do, if the CUDA packages, the driver or the GPU are missing or too old.
    """
    with _opening:
        return opened(ordinal)
