"""What is said of a GPU that is missing, too old, too small or broken."""

from __future__ import annotations

import os

import numpy as np
import pytest

from graphc.errors import DeviceError
from graphc.runtime.cuda import toolkit
from graphc.runtime.cuda.device import CudaDevice, Launch, open_device, opened
from graphc.runtime.cuda.driver import Driver, load_driver
from tests.cuda.fake_driver import FakeDriver, Kernel


@pytest.fixture(autouse=True)
def _no_device_is_open() -> None:
    opened.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeDriver) -> None:
    monkeypatch.setattr(toolkit, "driver", lambda: fake)


def refusal() -> str:
    with pytest.raises(DeviceError) as caught:
        open_device()
    text = str(caught.value)
    assert f"  at         {__file__}:" in text
    return text


def test_missing_packages_come_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> FakeDriver:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(toolkit, "driver", missing)
    text = refusal()
    assert text.startswith("the CUDA packages are not installed\n")
    assert "got        No module named 'cuda'" in text
    assert 'way out    pip install "graphc[cuda]", or compile for the CPU' in text


def test_a_missing_driver_is_told_from_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    fake.missing = True
    use(monkeypatch, fake)
    text = refusal()
    assert text.startswith("there is no NVIDIA driver that can be used\n")
    assert 'got        "cuda" is an NVIDIA driver library\n' in text
    assert "install the NVIDIA driver, or compile for the CPU" in text


def test_the_real_bindings_say_that_there_is_no_driver() -> None:
    real = pytest.importorskip("cuda.bindings.driver", reason="the CUDA packages are not installed")
    try:
        real.cuInit(0)
    except RuntimeError:
        assert refusal().startswith("there is no NVIDIA driver that can be used\n")
    else:
        pytest.skip("there is a driver")


def test_a_machine_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    fake.devices = 0
    use(monkeypatch, fake)
    text = refusal()
    assert text.startswith("there is no NVIDIA GPU\n")
    assert "CUDA_VISIBLE_DEVICES may hide it" in text
    assert "got        CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected" in text


def test_a_number_that_no_gpu_has(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeDriver())
    with pytest.raises(DeviceError) as caught:
        open_device(3)
    assert str(caught.value).startswith("there is no GPU 3\n")
    assert "expected   a number below 1" in str(caught.value)


def test_an_old_driver_is_named_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    fake.version = 12040
    use(monkeypatch, fake)
    text = refusal()
    assert text.startswith("the NVIDIA driver is older than the CUDA packages\n")
    assert "expected   a driver for CUDA 13.0 or newer: the packages are of CUDA 13.5" in text
    assert "got        a driver for CUDA 12.4" in text
    assert "way out    install a newer NVIDIA driver" in text


def test_an_old_gpu_is_named_with_its_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    fake.capability = (7, 0)
    use(monkeypatch, fake)
    text = refusal()
    assert text.startswith("Fake GPU is too old\n")
    assert "expected   compute capability 7.5 or higher" in text
    assert "got        7.0" in text


def test_a_gpu_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeDriver())
    assert open_device() is open_device()
    opened.cache_clear()


def test_memory_that_is_not_there_is_asked_for_in_vain() -> None:
    fake = FakeDriver()
    fake.total = 1000
    with pytest.raises(DeviceError) as caught:
        CudaDevice(Driver(fake)).allocate(2000)
    text = str(caught.value)
    assert text.startswith("the GPU has too little memory left\n")
    assert "asked for  2,000 bytes" in text
    assert "got        CUDA_ERROR_OUT_OF_MEMORY: out of memory" in text
    assert "a smaller batch" in text


def test_a_refused_call_is_named() -> None:
    device = CudaDevice(Driver(FakeDriver()))
    with pytest.raises(DeviceError) as caught:
        device.upload(256, np.zeros(4))
    assert str(caught.value).startswith("the CUDA driver refused cuMemcpyHtoDAsync\n")
    assert "got        CUDA_ERROR_INVALID_VALUE: invalid argument" in str(caught.value)
    assert device.failure is None


def test_a_device_that_fails_stays_failed_and_says_how_to_find_the_kernel() -> None:
    fake = FakeDriver()
    fake.fails_at = 1
    device = CudaDevice(Driver(fake))
    kept = device.allocate(8)
    function = device.load(fake.add("kernel", Kernel(1, lambda arguments: None)), "kernel")
    device.launch(Launch(function, 1, 32, (1,)))
    with pytest.raises(DeviceError) as caught:
        device.synchronize()
    text = str(caught.value)
    assert text.startswith("the GPU has failed\n")
    assert "noticed by cuStreamSynchronize" in text
    assert "got        CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered" in text
    assert "with GRAPHC_CUDA_ONE_BY_ONE=1 to learn which kernel failed" in text
    assert device.failure is caught.value
    device.release(kept)  # there is nothing to be given back any more
    assert fake.used == 8


def test_the_driver_is_looked_at_before_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeDriver())
    assert load_driver().failure is None


def test_the_child_of_a_fork_cannot_use_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    device = CudaDevice(Driver(fake))
    kept, parent = device.allocate(8), os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    device.release(kept)  # as the garbage collector may do there
    with pytest.raises(DeviceError) as caught:
        device.allocate(8)
    text = str(caught.value)
    assert text.startswith("a GPU cannot be used in the child of a fork\n")
    assert f"got        process {parent + 1}, forked from {parent}" in text
    assert 'multiprocessing.get_context("spawn")' in text
    assert fake.used == 8
