"""These tests run on an NVIDIA GPU: ``pytest -m gpu``. Without one they are skipped, with the reason."""

from __future__ import annotations

import pytest

from graphc.errors import DeviceError
from graphc.runtime.cuda import device


@pytest.fixture(autouse=True)
def gpu() -> device.Device:
    """The GPU that programs run on."""
    try:
        return device.open_device()
    except DeviceError as error:
        pytest.skip(str(error).splitlines()[0])
