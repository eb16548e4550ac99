"""The CUDA driver: calls by name, and what their errors mean. No other module knows its error codes.

``cuda.bindings.driver`` has the functions of the driver under their own names (cuMemAlloc, cuLaunchKernel); each
returns its error code, then its results.
"""

from __future__ import annotations

from typing import Any

from graphc.errors import DeviceError
from graphc.origin import user_location
from graphc.runtime.cuda import toolkit

__all__ = ["ONE_BY_ONE", "Driver", "load_driver", "no_device"]

ONE_BY_ONE = "GRAPHC_CUDA_ONE_BY_ONE"
"""The environment variable that makes programs wait after each kernel, so that a failure names its kernel."""

_OUT_OF_MEMORY = 2
_NO_DEVICE = 100
_FATAL = frozenset({214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999})
"""Codes after which no call of the process on this device succeeds any more."""


class Driver:
    """The driver's functions. failure: the error after which the device does not work any more, if there was one."""

    def __init__(self, functions: Any) -> None:
        self.functions = functions
        self.failure: DeviceError | None = None

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function: its result, a tuple of several, None without one. DeviceError for what goes wrong."""
        try:
            code, *results = getattr(self.functions, name)(*arguments)
        except (RuntimeError, AttributeError) as error:  # the driver's library, or a function of it, is missing
            raise _missing_driver(str(error)) from None
        if int(code) != 0:
            raise self._error(name, int(code), arguments)
        return results[0] if len(results) == 1 else tuple(results) or None

    def _error(self, name: str, code: int, arguments: tuple[Any, ...]) -> DeviceError:
        got, at = self._text(code), str(user_location())
        if code == _NO_DEVICE:
            return no_device(got)
        if code == _OUT_OF_MEMORY:
            return DeviceError(
                "the GPU has too little memory left",
                at=at,
                facts=[("asked for", f"{arguments[0]:,} bytes")] if name in ("cuMemAlloc", "cuMemHostAlloc") else (),
                got=got,
                way_out="a smaller batch, or end other programs that use this GPU",
            )
        if code not in _FATAL:
            return DeviceError(f"the CUDA driver refused {name}", at=at, got=got)
        self.failure = DeviceError(
            "the GPU has failed",
            at=at,
            facts=[("noticed by", name)],
            got=got,
            way_out=f"start the program again, with {ONE_BY_ONE}=1 to learn which kernel failed",
        )
        return self.failure

    def _text(self, code: int) -> str:
        """The name of an error and what it means."""
        parts = []
        for name in ("cuGetErrorName", "cuGetErrorString"):
            failed, text = getattr(self.functions, name)(self.functions.CUresult(code))
            parts.append(f"error {code}" if int(failed) else text.decode())
        return ": ".join(parts)


def load_driver() -> Driver:
    """The driver of this machine, initialised.

    Raises DeviceError if the CUDA packages or the driver are missing, or the driver is older than the packages.
    """
    try:
        functions = toolkit.driver()
    except ImportError as error:
        raise DeviceError(
            "the CUDA packages are not installed",
            at=str(user_location()),
            got=str(error),
            way_out=f"{toolkit.INSTALL}, or compile for the CPU",
        ) from None
    driver = Driver(functions)
    found, wanted = driver.call("cuDriverGetVersion"), functions.CUDA_VERSION
    if found // 1000 < wanted // 1000:
        raise DeviceError(
            "the NVIDIA driver is older than the CUDA packages",
            at=str(user_location()),
            expected=f"a driver for CUDA {wanted // 1000}.0 or newer: the packages are of CUDA {_version(wanted)}",
            got=f"a driver for CUDA {_version(found)}",
            way_out="install a newer NVIDIA driver",
        )
    driver.call("cuInit", 0)
    return driver


def no_device(got: str) -> DeviceError:
    """The error of a machine with a driver and no GPU that it shows."""
    return DeviceError(
        "there is no NVIDIA GPU",
        at=str(user_location()),
        expected="a GPU that the driver shows; CUDA_VISIBLE_DEVICES may hide it",
        got=got,
        way_out="compile for the CPU",
    )


def _missing_driver(got: str) -> DeviceError:
    return DeviceError(
        "there is no NVIDIA driver that can be used",
        at=str(user_location()),
        got=got.splitlines()[0] if got else None,
        way_out="install the NVIDIA driver, or compile for the CPU",
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
