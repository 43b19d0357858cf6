"""A queue between threads that drops the oldest items rather than grow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestQueue(Generic[Item]):
    """Keeps the newest `size` items.

    Attributes:
        received, dropped: items so far; those dropped to make room for newer ones.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[Item] = deque()
        self._size = size
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self.received = self.dropped = 0

    def put(self, item: Item) -> None:
        """Add an item; drop the oldest one if there are too many."""
        with self._changed:
            self._items.append(item)
            self.received += 1
            if len(self._items) > self._size:
                self._items.popleft()
                self.dropped += 1
            self._changed.notify()

    def close(self, error: BaseException | None = None) -> None:
        """End the queue: readers get the items that are left, then the error if there is one."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        """Yield items as they come, until the queue is closed and empty."""
        while taken := self._take(1):
            yield from taken

    def take_all(self) -> list[Item]:
        """Wait for an item, and return all that are there; none if the queue is closed and empty.

        Raises what the queue was closed with.
        """
        return self._take(None)

    def _take(self, most: int | None) -> list[Item]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._closed)
            items = [self._items.popleft() for _ in list(self._items)[:most]]
        if not items and self._error is not None:
            raise self._error
        return items
