"""How long work takes on a device."""

from __future__ import annotations

import time
from collections.abc import Sequence

from graphc.runtime.cuda.device import Device, Work

__all__ = ["fastest"]

_TRIES = 10


def fastest(device: Device, work: Sequence[Work], repeats: int) -> float:
    """Seconds for some work, which has run before: the fastest of several tries, each of so many repetitions in one
    graph, so that the time to launch it does not count."""
    recording = device.record(list(work) * repeats)
    best = float("inf")
    for _ in range(_TRIES):
        device.synchronize()
        start = time.perf_counter()
        device.replay(recording)
        device.synchronize()
        best = min(best, time.perf_counter() - start)
    return best / repeats
