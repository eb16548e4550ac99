"""Items made on a thread, ahead of who reads them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, Queue
from typing import TypeVar

__all__ = ["prefetched"]

Item = TypeVar("Item")

_PATIENCE = 0.005
"""Seconds between two looks at a thread that is to end."""


class _End:
    """Follows the last item; holds the exception that ended the items, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(items: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """The same items, made by a thread that keeps ``depth`` of them ready.

    An exception of the thread is raised here, after the items before it, with the place where it happened. Closing
    this generator, or an exception in it, ends the thread, which closes the items.

    >>> list(prefetched((number**2 for number in range(3)), 2))
    [0, 1, 4]
    """
    made: Queue[Item | _End] = Queue(depth)
    unwanted = threading.Event()

    def make() -> None:
        end = _End(None)
        try:
            for item in items:
                made.put(item)
                if unwanted.is_set():
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            items.close()
            made.put(end)

    thread = threading.Thread(target=copy_context().run, args=(make,), name="graphc-prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        while thread.is_alive():
            with suppress(Empty):
                made.get(timeout=_PATIENCE)
        thread.join()
