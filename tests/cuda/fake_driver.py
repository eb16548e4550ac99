"""A CUDA driver without a GPU: the functions of cuda.bindings.driver that graphc calls, over memory of the host.

Streams do nothing until something waits for them, or everything at once where they are eager: what events do not order
goes wrong in one of the two. Kernels are Python functions of their arguments.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import ClassVar

import numpy as np

from graphc.scalar import Array


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


OK = (Result.CUDA_SUCCESS,)
TEXTS = {
    Result.CUDA_ERROR_INVALID_VALUE: b"invalid argument",
    Result.CUDA_ERROR_OUT_OF_MEMORY: b"out of memory",
    Result.CUDA_ERROR_NO_DEVICE: b"no CUDA-capable device is detected",
    Result.CUDA_ERROR_ILLEGAL_ADDRESS: b"an illegal memory access was encountered",
}
Work = Callable[[], object]


@dataclass(eq=False)
class Stream:
    """Work in its order. done: pieces that are finished. capture: where work goes while a graph is recorded."""

    eager: bool = False
    work: deque[Work] = field(default_factory=deque)
    given: int = 0
    done: int = 0
    capture: list[Work] | None = None

    def __int__(self) -> int:
        return id(self)

    def put(self, work: Work) -> None:
        if self.capture is not None:
            self.capture.append(work)
            return
        self.work.append(work)
        self.given += 1
        if self.eager:
            self.finish(self.given)

    def finish(self, count: int | None = None) -> None:
        while self.work and self.done < (self.given if count is None else count):
            work = self.work.popleft()
            work()
            self.done += 1


@dataclass(eq=False)
class Event:
    """Happens when a stream has done so many pieces of work; without a stream it has happened."""

    stream: Stream | None = None
    count: int = 0

    def finish(self) -> None:
        if self.stream is not None:
            self.stream.finish(self.count)


@dataclass(frozen=True)
class Kernel:
    """A function on the device: how many arguments it takes, and what it does with them."""

    count: int
    run: Callable[[tuple[int, ...]], None]


@dataclass(frozen=True)
class Launched:
    name: str
    blocks: int
    threads: int
    arguments: tuple[int, ...]


class FakeDriver:
    """eager: the numbers of the streams that do not wait. fails_at: the launch, counted from 1, that stops the device.
    refuses: functions that do. missing: no driver library is found."""

    CUDA_VERSION = 13050
    NAMES: ClassVar = {
        "cuDriverGetVersion": "driver_version",
        "cuInit": "init",
        "cuDeviceGetCount": "device_count",
        "cuDeviceGet": "device",
        "cuDeviceGetName": "device_name",
        "cuDeviceGetAttribute": "attribute",
        "cuDevicePrimaryCtxRetain": "retain",
        "cuCtxSetCurrent": "set_current",
        "cuMemGetInfo": "memory_info",
        "cuMemAlloc": "allocate",
        "cuMemFree": "free",
        "cuMemHostAlloc": "allocate_host",
        "cuMemFreeHost": "free_host",
        "cuMemcpyHtoDAsync": "upload",
        "cuMemcpyDtoHAsync": "download",
        "cuMemsetD8Async": "fill",
        "cuModuleLoadData": "load",
        "cuModuleGetFunction": "function",
        "cuModuleUnload": "unload",
        "cuLaunchKernel": "launch",
        "cuStreamCreate": "stream",
        "cuStreamSynchronize": "finish_stream",
        "cuStreamWaitEvent": "follow",
        "cuStreamBeginCapture": "begin",
        "cuStreamEndCapture": "end",
        "cuGraphInstantiate": "instantiate",
        "cuGraphDestroy": "destroy",
        "cuGraphLaunch": "launch_graph",
        "cuGraphExecDestroy": "destroy",
        "cuEventCreate": "event",
        "cuEventDestroy": "destroy_event",
        "cuEventRecord": "record",
        "cuEventSynchronize": "finish_event",
        "cuGetErrorName": "error_name",
        "cuGetErrorString": "error_text",
        "CUresult": "result",
        "CUdevice_attribute": "number",
        "CUstreamCaptureMode": "number",
    }

    def __init__(self, eager: Iterable[int] = ()) -> None:
        self.eager = set(eager)
        self.kernels: dict[bytes, dict[str, Kernel]] = {}
        self.missing = False
        self.version = 13000
        self.devices = 1
        self.capability = (9, 0)
        self.total = 1 << 30
        self.fails_at: int | None = None
        self.failed = False
        self.refuses: set[str] = set()
        self.streams: list[Stream] = []
        self.memory: dict[int, Array] = {}
        self.pinned: dict[int, Array] = {}
        self.launched: list[Launched] = []
        self.graphs_launched = 0
        self.graphs = 0
        self.events = 0
        self.loaded = 0

    def add(self, name: str, kernel: Kernel) -> bytes:
        """A module with one kernel: what stands for its binary."""
        data = f"module {len(self.kernels)}".encode()
        self.kernels[data] = {name: kernel}
        return data

    def bytes_at(self, address: int) -> Array:
        """The rest of the memory that an address lies in; nothing at the end of any."""
        for start, memory in self.memory.items():
            if start <= address < start + memory.size:
                return memory[address - start :]
        assert any(address == start + memory.size for start, memory in self.memory.items())
        return np.empty(0, np.uint8)

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name not in self.NAMES:
            raise AttributeError(name)
        function: Callable[..., object] = getattr(self, self.NAMES[name])
        direct = name.startswith(("CU", "cuGetError"))
        return function if direct else partial(self._guarded, name, function)

    def _guarded(self, name: str, function: Callable[..., object], *arguments: object) -> object:
        if self.missing:
            raise RuntimeError('"cuda" is an NVIDIA driver library\nand can only be found via system search.')
        if name in self.refuses:
            return (Result.CUDA_ERROR_INVALID_VALUE,)
        return (Result.CUDA_ERROR_ILLEGAL_ADDRESS,) if self.failed else function(*arguments)

    def result(self, code: int) -> Result:
        return Result(code)

    def number(self, value: int) -> int:
        return value

    def error_name(self, code: Result) -> tuple[Result, bytes]:
        return Result.CUDA_SUCCESS, code.name.encode()

    def error_text(self, code: Result) -> tuple[Result, bytes]:
        return Result.CUDA_SUCCESS, TEXTS[code]

    # The device.
    def driver_version(self) -> object:
        return *OK, self.version

    def init(self, flags: int) -> object:
        return OK if self.devices else (Result.CUDA_ERROR_NO_DEVICE,)

    def device_count(self) -> object:
        return *OK, self.devices

    def device(self, ordinal: int) -> object:
        return *OK, ordinal

    def device_name(self, length: int, device: int) -> object:
        return *OK, b"Fake GPU".ljust(length, b"\0")

    def attribute(self, number: int, device: int) -> object:
        return *OK, {75: self.capability[0], 76: self.capability[1], 16: 4}[number]

    def retain(self, device: int) -> object:
        return *OK, "context"

    def set_current(self, context: str) -> object:
        return OK

    def synchronize(self) -> object:
        for stream in self.streams:
            stream.finish()
        return (Result.CUDA_ERROR_ILLEGAL_ADDRESS,) if self.failed else OK

    # Memory.
    @property
    def used(self) -> int:
        return sum(array.size for array in self.memory.values())

    def memory_info(self) -> object:
        return *OK, self.total - self.used, self.total

    def allocate(self, size: int) -> object:
        if size > self.total - self.used:
            return (Result.CUDA_ERROR_OUT_OF_MEMORY,)
        array = np.full(size + 256, 0xCD, np.uint8)
        address = -(-array.ctypes.data // 256) * 256
        self.memory[address] = array[address - array.ctypes.data :][:size]
        return *OK, address

    def free(self, address: int) -> object:
        self.synchronize()
        self.memory.pop(address)[...] = 0xDD
        return OK

    def allocate_host(self, size: int, flags: int) -> object:
        array = np.full(size, 0xCD, np.uint8)
        self.pinned[array.ctypes.data] = array
        return *OK, array.ctypes.data

    def free_host(self, address: int) -> object:
        del self.pinned[address]
        return OK

    def _on_device(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + one.size for start, one in self.memory.items())

    def _is_pinned(self, address: int) -> bool:
        return any(start <= address < start + one.size for start, one in self.pinned.items())

    def upload(self, target: int, source: int, size: int, stream: Stream) -> object:
        if not self._on_device(target, size):
            return (Result.CUDA_ERROR_INVALID_VALUE,)
        stream.put(partial(ctypes.memmove, target, source, size))  # ordinary memory too may be read only then
        return OK

    def download(self, target: int, source: int, size: int, stream: Stream) -> object:
        if not self._on_device(source, size):
            return (Result.CUDA_ERROR_INVALID_VALUE,)
        stream.put(partial(ctypes.memmove, target, source, size))
        if not self._is_pinned(target):
            stream.finish()
        return OK

    def fill(self, address: int, value: int, size: int, stream: Stream) -> object:
        if not self._on_device(address, size):
            return (Result.CUDA_ERROR_INVALID_VALUE,)
        stream.put(partial(ctypes.memset, address, value, size))
        return OK

    # Kernels.
    def load(self, data: bytes) -> object:
        self.loaded += 1
        return *OK, self.kernels[data]

    def function(self, module: dict[str, Kernel], name: bytes) -> object:
        return *OK, (name.decode(), module[name.decode()])

    def unload(self, module: dict[str, Kernel]) -> object:
        self.loaded -= 1
        return OK

    def launch(self, function: tuple[str, Kernel], blocks: int, *grid_to_shared: object) -> object:
        *grid, shared, stream, parameters, extra = grid_to_shared
        name, kernel = function
        if grid[:2] != [1, 1] or grid[3:] != [1, 1] or shared or extra:
            return (Result.CUDA_ERROR_INVALID_VALUE,)
        assert isinstance(parameters, int)
        assert isinstance(stream, Stream)
        assert isinstance(grid[2], int)
        pointers = (ctypes.c_void_p * kernel.count).from_address(parameters)
        arguments = tuple(ctypes.c_int64.from_address(pointer or 0).value for pointer in pointers)
        stream.put(partial(self._run, Launched(name, blocks, grid[2], arguments), kernel))
        return OK

    def _run(self, launched: Launched, kernel: Kernel) -> None:
        self.launched.append(launched)
        self.failed = self.failed or len(self.launched) == self.fails_at
        if not self.failed:
            kernel.run(launched.arguments)

    # Streams, graphs and events.
    def stream(self, flags: int) -> object:
        self.streams.append(Stream(len(self.streams) in self.eager))
        return *OK, self.streams[-1]

    def finish_stream(self, stream: Stream) -> object:
        stream.finish()
        return (Result.CUDA_ERROR_ILLEGAL_ADDRESS,) if self.failed else OK

    def begin(self, stream: Stream, mode: int) -> object:
        stream.capture = []
        return OK

    def end(self, stream: Stream) -> object:
        captured, stream.capture = stream.capture, None
        self.graphs += captured is not None
        return (Result.CUDA_ERROR_INVALID_VALUE,) if captured is None else (*OK, captured)

    def instantiate(self, graph: list[Work], flags: int) -> object:
        self.graphs += 1
        return *OK, list(graph)

    def destroy(self, graph: list[Work]) -> object:
        self.graphs -= 1
        graph.clear()
        return OK

    def launch_graph(self, graph: list[Work], stream: Stream) -> object:
        self.graphs_launched += 1
        for work in graph:
            stream.put(work)
        return OK

    def event(self, flags: int) -> object:
        self.events += 1
        return *OK, Event()

    def destroy_event(self, event: Event) -> object:
        self.events -= 1
        return OK

    def record(self, event: Event, stream: Stream) -> object:
        event.stream, event.count = stream, stream.given
        return OK

    def follow(self, stream: Stream, event: Event, flags: int) -> object:
        stream.put(Event(event.stream, event.count).finish)
        return OK

    def finish_event(self, event: Event) -> object:
        event.finish()
        return (Result.CUDA_ERROR_ILLEGAL_ADDRESS,) if self.failed else OK
