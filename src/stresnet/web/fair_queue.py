"""A queue in which clients take turns: one client's twenty clips delay another's by only one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round robin over clients, first come first served within one. Not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}  # in the order of the next turns; none is empty

    def __iter__(self) -> Iterator[Item]:
        """Yield all items in the order in which they are served, if no more come."""
        for turn in zip_longest(*self._lines.values()):
            yield from (item for item in turn if item is not None)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, client: str, item: Item) -> None:
        self._lines.setdefault(client, deque()).append(item)

    def pop(self) -> Item:
        """Return the next item; its client goes behind all others.

        Raises:
            IndexError: nothing waits.
        """
        if not self._lines:
            raise IndexError("nothing waits")
        client = next(iter(self._lines))
        line = self._lines.pop(client)
        item = line.popleft()
        if line:
            self._lines[client] = line
        return item

    def remove(self, item: Item) -> None:
        """Take an item out, if it is there."""
        for client, line in list(self._lines.items()):
            if item in line:
                line.remove(item)
            if not line:
                del self._lines[client]
