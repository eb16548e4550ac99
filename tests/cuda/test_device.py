"""The device on top of a driver: parameters, copies, graphs, events, and what is given back when."""

from __future__ import annotations

import ctypes
import gc as garbage
import inspect
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.errors import DeviceError
from graphc.runtime.cuda import device as device_module
from graphc.runtime.cuda import driver as driver_module
from graphc.runtime.cuda import toolkit
from graphc.runtime.cuda.device import COMPUTE, COPIES, CudaDevice, Launch, LibraryLaunch
from graphc.runtime.cuda.driver import Driver
from graphc.runtime.cuda.memory import Memory, arrange
from graphc.scalar import Array
from tests.cuda.fake_driver import OK, FakeDriver, Kernel


def device_on(fake: FakeDriver) -> CudaDevice:
    return CudaDevice(Driver(fake))


def kernel_on(fake: FakeDriver, device: CudaDevice, count: int, run: Callable[[tuple[int, ...]], None]) -> object:
    return device.load(fake.add("kernel", Kernel(count, run)), "kernel")


def value_at(device: CudaDevice, address: int, like: Array) -> Array:
    target = np.empty_like(like)
    device.download(target, address)
    return target


def test_a_device_tells_its_name_capability_processors_and_memory() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    address = device.allocate(1000)
    assert (device.name, device.capability, device.processors) == ("Fake GPU", (9, 0), 4)
    assert device.memory() == ((1 << 30) - 1000, 1 << 30)
    assert address % 256 == 0
    device.release(address)
    assert device.memory() == (1 << 30, 1 << 30)


def test_a_launch_passes_64_bit_integers_and_addresses_in_order() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    seen: list[tuple[int, ...]] = []
    function = kernel_on(fake, device, 4, seen.append)
    device.launch(Launch(function, 7, 256, (3, -1, 1 << 40, 0x7F00_0000_0000)))
    device.synchronize()
    assert seen == [(3, -1, 1 << 40, 0x7F00_0000_0000)]
    (launched,) = fake.launched
    assert (launched.name, launched.blocks, launched.threads) == ("kernel", 7, 256)


@pytest.mark.parametrize("eager", [(), (0, 1)])
def test_arrays_come_back_from_the_device_as_they_went(eager: tuple[int, ...]) -> None:
    device = device_on(FakeDriver(eager))
    values = np.arange(10, dtype=np.float32)
    address = device.allocate(values.nbytes)
    device.upload(address, values)
    values[:] = -1  # it has been read already
    assert value_at(device, address, values).tolist() == list(range(10))
    device.clear(address, 8)
    assert value_at(device, address, values).tolist() == [0, 0, *range(2, 10)]


def test_page_locked_memory_is_read_when_the_stream_gets_there() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    staging = device.host_memory(8)
    address = device.allocate(8)
    staging[:] = 1
    device.upload(address, staging, wait=False)
    staging[:] = 2
    assert value_at(device, address, staging).tolist() == [2] * 8
    assert len(fake.pinned) == 1
    del staging
    garbage.collect()
    assert fake.pinned == {}


def test_a_download_that_does_not_wait_is_there_after_its_event() -> None:
    device = device_on(FakeDriver())
    address, event = device.allocate(8), device.event()
    target = device.host_memory(8)
    target[:] = 9
    device.clear(address, 8)
    device.download(target, address, wait=False)
    device.mark(event)
    assert target.tolist() == [9] * 8
    device.finish(event)
    assert target.tolist() == [0] * 8


def test_a_stream_follows_an_event_of_the_other() -> None:
    for eager in ((), (COPIES,), (COMPUTE,)):
        device = device_on(FakeDriver(eager))
        address, event = device.allocate(8), device.event()
        device.clear(address, 8)
        device.mark(event, COMPUTE)
        device.follow(event, COPIES)
        device.upload(address, np.full(8, 5, np.uint8), COPIES)
        done = device.event()
        device.mark(done, COPIES)
        device.finish(done)
        assert value_at(device, address, np.empty(8, np.uint8)).tolist() == [5] * 8


def test_an_event_that_was_never_marked_has_happened() -> None:
    device = device_on(FakeDriver())
    event = device.event()
    device.follow(event, COPIES)
    device.finish(event)


def test_recording_runs_nothing_and_each_replay_runs_all_kernels_in_order() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    seen: list[tuple[int, ...]] = []
    function = kernel_on(fake, device, 1, seen.append)
    recording = device.record([Launch(function, 1, 32, (number,)) for number in range(3)])
    device.synchronize()
    assert seen == []
    device.replay(recording)
    device.replay(recording)
    device.synchronize()
    assert seen == [(0,), (1,), (2,)] * 2
    assert fake.graphs_launched == 2


def test_what_is_released_while_a_graph_is_recorded_is_freed_afterwards() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    memory = [Memory(device, 512)]
    function = kernel_on(fake, device, 1, lambda arguments: None)
    used_within: set[int] = set()

    class Forgetful(tuple[int, ...]):
        def __len__(self) -> int:  # the device looks at the arguments of a launch while it records it
            memory.clear()
            used_within.add(fake.used)
            return 1

    device.record([Launch(function, 1, 32, Forgetful((1,)))])
    assert used_within == {512}
    assert fake.used == 0


def test_a_recording_that_fails_leaves_the_stream_usable() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    seen: list[tuple[int, ...]] = []
    function = kernel_on(fake, device, 1, seen.append)
    fake.refuses.add("cuLaunchKernel")
    with pytest.raises(DeviceError, match="refused cuLaunchKernel"):
        device.record([Launch(function, 1, 32, (1,))])
    fake.refuses.clear()
    device.launch(Launch(function, 1, 32, (2,)))
    device.synchronize()
    assert seen == [(2,)]


def test_a_recording_that_is_interrupted_leaves_the_stream_usable() -> None:
    def interrupt(stream: int) -> None:
        raise KeyboardInterrupt

    fake = FakeDriver()
    device = device_on(fake)
    seen: list[tuple[int, ...]] = []
    function = kernel_on(fake, device, 1, seen.append)
    with pytest.raises(KeyboardInterrupt):
        device.record([Launch(function, 1, 32, (1,)), LibraryLaunch(interrupt, "a product")])
    device.launch(Launch(function, 1, 32, (2,)))
    device.synchronize()
    assert seen == [(2,)]
    assert fake.graphs == 0


@pytest.mark.parametrize("name", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_a_recording_that_the_driver_refuses_leaves_nothing_behind(name: str) -> None:
    fake = FakeDriver()
    device = device_on(fake)
    fake.refuses.add(name)
    with pytest.raises(DeviceError, match=f"refused {name}"):
        device.record([Launch(kernel_on(fake, device, 1, lambda arguments: None), 1, 32, (1,))])
    assert fake.graphs == 0


def test_memory_kernels_graphs_and_events_are_given_back_with_the_last_that_holds_them() -> None:
    fake = FakeDriver()
    device = device_on(fake)
    memory, event = Memory(device, 100), device.event()
    function = kernel_on(fake, device, 1, lambda arguments: None)
    recording = device.record([Launch(function, 1, 32, (1,))])
    assert (fake.used, fake.loaded, fake.graphs, fake.events) == (100, 1, 1, 1)
    del memory, function, event, recording
    garbage.collect()
    assert (fake.used, fake.loaded, fake.graphs, fake.events) == (0, 0, 0, 0)


def test_values_are_arranged_at_multiples_of_256_bytes() -> None:
    assert arrange({"a": 1, "b": 256, "c": 0, "d": 300}) == ({"a": 0, "b": 256, "c": 512, "d": 512}, 1024)
    assert arrange({}) == ({}, 0)


def names_of_the_driver() -> set[str]:
    text = "".join(Path(module.__file__ or "").read_text("utf-8") for module in (device_module, driver_module))
    return set(re.findall(r'"(cu[A-Z]\w+)"', text))


def real_bindings() -> Any:
    pytest.importorskip("cuda.bindings.driver", reason="the CUDA packages are not installed")
    return toolkit.driver()


def test_the_fake_driver_has_the_functions_that_are_called_and_no_others() -> None:
    functions = {name for name in FakeDriver.NAMES if name.startswith("cu")}
    assert functions == names_of_the_driver()


def test_the_real_bindings_have_the_same_functions_with_as_many_arguments() -> None:
    real, fake = real_bindings(), FakeDriver()
    for name in sorted(names_of_the_driver()):
        heading = (getattr(real, name).__doc__ or "").strip().splitlines()[0]
        declared = [part for part in heading.partition("(")[2].rpartition(")")[0].split(",") if part.strip()]
        parameters = inspect.signature(getattr(fake, FakeDriver.NAMES[name])).parameters.values()
        assert len(declared) == len(parameters) or any(one.kind is one.VAR_POSITIONAL for one in parameters), name
    assert [int(real.CUresult(code)) for code in (0, 2, 100, 700)] == [0, 2, 100, 700]
    assert real.CUdevice_attribute(75).name == "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR"
    assert real.CUdevice_attribute(76).name == "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR"
    assert real.CUdevice_attribute(16).name == "CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"
    assert real.CUstreamCaptureMode(1).name == "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL"


def test_the_real_bindings_take_the_arguments_of_every_call() -> None:
    real = real_bindings()
    try:
        real.cuInit(0)
    except RuntimeError as error:
        missing = type(error)  # there is no driver: a call whose arguments are taken says so
    else:
        pytest.skip("there is a driver, which would be given wrong handles")
    numbers = (ctypes.c_int64 * 1)(1)
    stream, event = real.CUstream(0), real.CUevent(0)
    for name, arguments in {
        "cuDeviceGetName": (128, real.CUdevice(0)),
        "cuDeviceGetAttribute": (real.CUdevice_attribute(75), real.CUdevice(0)),
        "cuDevicePrimaryCtxRetain": (real.CUdevice(0),),
        "cuCtxSetCurrent": (real.CUcontext(0),),
        "cuMemAlloc": (256,),
        "cuMemFree": (1 << 40,),
        "cuMemHostAlloc": (256, 0),
        "cuMemFreeHost": (1 << 40,),
        "cuMemcpyHtoDAsync": (1 << 40, ctypes.addressof(numbers), 8, stream),
        "cuMemcpyDtoHAsync": (ctypes.addressof(numbers), 1 << 40, 8, stream),
        "cuMemsetD8Async": (1 << 40, 0, 8, stream),
        "cuModuleLoadData": (b"cubin",),
        "cuModuleGetFunction": (real.CUmodule(0), b"kernel"),
        "cuModuleUnload": (real.CUmodule(0),),
        "cuLaunchKernel": (real.CUfunction(0), 1, 1, 1, 32, 1, 1, 0, stream, ctypes.addressof(numbers), 0),
        "cuStreamCreate": (1,),
        "cuStreamWaitEvent": (stream, event, 0),
        "cuStreamBeginCapture": (stream, real.CUstreamCaptureMode(1)),
        "cuStreamEndCapture": (stream,),
        "cuGraphInstantiate": (real.CUgraph(0), 0),
        "cuGraphLaunch": (real.CUgraphExec(0), stream),
        "cuGraphDestroy": (real.CUgraph(0),),
        "cuGraphExecDestroy": (real.CUgraphExec(0),),
        "cuEventCreate": (2,),
        "cuEventDestroy": (event,),
        "cuEventRecord": (event, stream),
        "cuEventSynchronize": (event,),
        "cuGetErrorName": (real.CUresult(2),),
    }.items():
        with pytest.raises(missing):
            getattr(real, name)(*arguments)


def test_a_library_runs_in_the_context_of_the_device_on_its_stream_and_in_recordings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake, entered, done = FakeDriver(), list[str](), list[int]()

    def set_current(context: str) -> object:
        entered.append(context)
        return OK

    device = device_on(fake)
    monkeypatch.setattr(fake, "set_current", set_current)

    def run(handle: int) -> None:
        (stream,) = (one for one in fake.streams if int(one) == handle)
        stream.put(lambda: done.append(handle))

    work = LibraryLaunch(run, "a product")
    thread = threading.Thread(target=device.launch, args=(work,))
    thread.start()
    thread.join()
    assert entered == ["context"]  # a thread has no context of its own
    assert done == []
    device.synchronize()
    assert done == [int(fake.streams[COMPUTE])]
    recording = device.record([work, work])
    assert len(done) == 1
    device.replay(recording)
    device.synchronize()
    assert len(done) == 3


def test_the_handle_of_a_stream_is_a_number_for_libraries() -> None:
    assert int(real_bindings().CUstream(0x1230)) == 0x1230
