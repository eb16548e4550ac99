from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from graphc.runtime.data.prefetch import prefetched


def numbers(count: int, events: list[str]) -> Generator[int, None, None]:
    try:
        for number in range(count):
            events.append(f"made {number}")
            yield number
    finally:
        events.append(f"closed in {threading.current_thread().name}")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "graphc-prefetch"]


@pytest.mark.parametrize("depth", [1, 3, 50])
def test_items_come_in_their_order(depth: int) -> None:
    assert list(prefetched(numbers(20, []), depth)) == list(range(20))
    assert threads() == []


def test_items_are_made_ahead_but_not_further_than_the_depth() -> None:
    events: list[str] = []
    waiting = threading.Event()

    def watched() -> Generator[int, None, None]:
        for number in range(10):
            events.append(f"made {number}")
            if number == 3:
                waiting.set()
            yield number

    items = prefetched(watched(), 2)
    next(items)
    assert waiting.wait(timeout=60)
    assert events == [f"made {number}" for number in range(4)]
    items.close()


def test_closing_ends_the_thread_and_closes_the_items() -> None:
    events: list[str] = []
    items = prefetched(numbers(1000, events), 2)
    next(items)
    items.close()
    assert threads() == []
    assert events[-1] == "closed in graphc-prefetch"
    assert len(events) < 10


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise ValueError("no more")

    items = prefetched(failing(), 5)
    assert next(items) == 1
    with pytest.raises(ValueError, match="no more"):
        next(items)
    assert threads() == []
