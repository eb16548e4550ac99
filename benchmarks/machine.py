"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
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


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
