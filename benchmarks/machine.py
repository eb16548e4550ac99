"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np


def machine() -> dict[str, str]:
    """Facts by name."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": f"{_processor()}, {os.cpu_count()} logical cores, {allowed} allowed to this process",
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy's BLAS": f"{blas['name']} {blas['version']}",
    }


def gpu_or_exit() -> dict[str, str]:
    """Facts about the GPU and what drives it; where programs cannot run on one, the process ends with status 2."""
    use_graphc()
    from graphc.errors import DeviceError

    try:
        return _gpu()
    except DeviceError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def use_graphc() -> None:
    """Let graphc be found where it is not installed."""
    root = str(Path(__file__).parents[1])
    if root not in sys.path:
        sys.path.append(root)


def _gpu() -> dict[str, str]:
    from graphc.runtime.cuda import cublaslt, toolkit
    from graphc.runtime.cuda.device import open_device
    from graphc.runtime.cuda.driver import load_driver

    device, newest = open_device(), load_driver().call("cuDriverGetVersion")
    missing = cublaslt.available()
    memory, capability = device.memory()[1] / 2**30, "{}.{}".format(*device.capability)
    return {
        "GPU": f"{device.name}, capability {capability}, {device.processors} multiprocessors, {memory:.1f} GiB",
        "driver": f"for CUDA {newest // 1000}.{newest % 1000 // 10}{_driver_file()}",
        "kernels by": ", ".join(toolkit.versions()),
        "products by": missing or f"cuBLASLt {cublaslt.CublasLt().library.version}",
    }


def _driver_file() -> str:
    """What the kernel's module says of itself, where it does."""
    file = Path("/proc/driver/nvidia/version")
    return f"; {file.read_text('utf-8').splitlines()[0]}" if file.exists() else ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
